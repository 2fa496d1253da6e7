"""Stage 4, demand: history cleaned, moved to today's exposure, forecast, and moved on to the planned exposure."""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, table_asset, table_out
from assets.pictures.forecasts import network_picture
from assets.sites.history_problems import history_problems
from assets.sites.reference_demand import known_panel, reference_values, shift_words, site_genetics
from assets.sites.site_demand import SiteDemand, overrides_at, quantiles_of, site_demand
from forecasting.demand.cleaning import clean
from forecasting.demand.series import DemandPanel
from forecasting.population import SitePaths
from forecasting.terms import ALL_FACILITIES, QUANTILE_LEVELS
from warehouse.schema.ledger import DispensingRevision
from warehouse.schema.results import CleanDemand, Forecast, GeneticShift, ReferenceDemand

MOST_LISTED_CHANGES = 200
REVISIONS: Any = DispensingRevision.__table__


@table_asset(CleanDemand, group=DEMAND)
def clean_demand(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    dispensing: pd.DataFrame,
    facilities: pd.DataFrame,
    products: pd.DataFrame,
) -> Staged:
    """History as the forecast sees it, each touched row with the rule that touched it."""
    run = PlanningRun.from_frame(runs)
    known = dispensing[dispensing["period_start"] < pd.Timestamp(run.as_of)]
    cleaned = clean(
        known,
        period=run.period,
        facilities=facilities,
        products=products,
        revisions=warehouse.read(REVISIONS),
        as_of=run.as_of,
    )
    told = [_change_problems(cleaned.changes), history_problems(dispensing, products, run)]
    return Staged(cleaned.frame.assign(as_of=run.as_of), pd.concat(told, ignore_index=True))


def _change_problems(changes: pd.DataFrame) -> pd.DataFrame:
    """One line a rule with its count, and every outlier by itself."""
    lines: list[tuple[Any, Any, str, Any]] = [
        (None, None, str(rule), f"{len(rows)} history rows were touched by the rule {rule!r}: {rows['reason'].iloc[0]}")
        for rule, rows in changes.groupby("rule")
    ]
    outliers = changes[changes["rule"] == "outlier"].head(MOST_LISTED_CHANGES)
    lines += [
        (row["facility_id"], row["product_id"], "outlier", f"{row['period_start']:%Y-%m-%d}: {row['reason']}")
        for _, row in outliers.iterrows()
    ]
    return problems_frame(lines)


@table_asset(ReferenceDemand, group=DEMAND)
def reference_demand(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    clean_demand: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    genetic_effects: pd.DataFrame,
) -> Staged:
    """Un-mixing: the history as it would have been at the exposure of the origin."""
    run = PlanningRun.from_frame(runs)
    panel = known_panel(clean_demand, run)
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects)
    values = reference_values(panel, {site: genetics.at(site) for site in genetics.by_site})
    return Staged(_long(panel, values).assign(as_of=run.as_of), problems_frame(list(genetics.problems)))


def _long(panel: DemandPanel, values: np.ndarray) -> pd.DataFrame:
    """Rows from each series' first known period on; what is unknown in between stays blank."""
    starts = pd.DatetimeIndex(panel.period_starts())
    series, periods = values.shape
    begun = np.maximum.accumulate(np.isfinite(values), axis=1).ravel()
    return pd.DataFrame(
        {
            "facility_id": np.repeat(np.array(panel.facility_ids, dtype=object), periods)[begun],
            "product_id": np.repeat(np.array(panel.product_ids, dtype=object), periods)[begun],
            "period_start": np.tile(starts, series)[begun],
            "quantity": values.ravel()[begun],
        }
    )


@dg.multi_asset(
    outs={model.__tablename__: table_out(model, group=DEMAND) for model in (Forecast, GeneticShift)},
)
def forecast_with_genetics(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    reference_demand: pd.DataFrame,
    baseline_forecasts: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    genetic_effects: pd.DataFrame,
    acting_overrides: pd.DataFrame,
) -> tuple[Staged, Staged]:
    """Re-mixing, then what people set: final demand per site and for the network, and what each guidance row adds."""
    run = PlanningRun.from_frame(runs)
    panel = known_panel(reference_demand, run)
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects)
    sites = [
        site_demand(run, str(facility_id), rows, genetics, overrides_at(acting_overrides, str(facility_id)))
        for facility_id, rows in baseline_forecasts.groupby("facility_id")
    ]
    frame = pd.concat([*(_site_rows(one) for one in sites), _network_rows(sites)], ignore_index=True)
    shifts = pd.concat([_shift_rows(one, genetics.rows_at(one.facility_id)) for one in sites], ignore_index=True)
    pictures = {"network": network_picture(_network_history(panel), frame)} if len(frame) else {}
    return Staged(frame.assign(as_of=run.as_of), pictures=pictures), Staged(shifts.assign(as_of=run.as_of))


def _site_rows(site: SiteDemand) -> pd.DataFrame:
    levels = (site.paths, site.quantiles, site.overridden.before)
    return _forecast_rows(site.facility_id, site.product_ids, site.starts, *levels, site.model)


def _network_rows(sites: list[SiteDemand]) -> pd.DataFrame:
    """The network's totals: the draws of all sites added up, so that levels agree."""
    product_ids = tuple(sorted({product_id for site in sites for product_id in site.product_ids}))
    horizon, draws = sites[0].paths.paths.shape[1:]
    paths = np.zeros((len(product_ids), horizon, draws))
    mean, baseline_mean, genetic_mean = (np.zeros(paths.shape[:2]) for _ in range(3))
    for site in sites:
        rows = np.searchsorted(product_ids, site.product_ids)
        paths[rows] += site.paths.paths
        mean[rows] += site.paths.mean
        baseline_mean[rows] += site.paths.baseline_mean
        genetic_mean[rows] += site.overridden.before
    total = SitePaths(paths, mean, baseline_mean, pd.DataFrame(), np.zeros((0, horizon)))
    model = np.full(len(product_ids), "sum_of_sites", dtype=object)
    levels = (total, quantiles_of(paths), genetic_mean)
    return _forecast_rows(ALL_FACILITIES, product_ids, sites[0].starts, *levels, model)


def _forecast_rows(
    facility_id: str,
    product_ids: tuple[str, ...],
    starts: pd.DatetimeIndex,
    paths: SitePaths,
    quantiles: np.ndarray,
    genetic_mean: np.ndarray,
    model: np.ndarray,
) -> pd.DataFrame:
    products, horizon = paths.mean.shape
    levels = {name: quantiles[:, :, number].ravel() for number, name in enumerate(QUANTILE_LEVELS)}
    return pd.DataFrame(
        {
            "facility_id": facility_id,
            "product_id": np.repeat(np.array(product_ids, dtype=object), horizon),
            "period_start": np.tile(starts, products),
            "mean": paths.mean.ravel(),
            **levels,
            "baseline_mean": paths.baseline_mean.ravel(),
            "genetic_shift": (genetic_mean - paths.baseline_mean).ravel(),
            "override_shift": (paths.mean - genetic_mean).ravel(),
            "model": np.repeat(model, horizon),
        }
    )


def _shift_rows(site: SiteDemand, guidance: pd.DataFrame) -> pd.DataFrame:
    """What each guidance row does over the horizon, with its genes and keys as people read them."""
    steps = site.paths.steps.assign(quantity=site.paths.quantity.sum(axis=1))
    return shift_words(steps, guidance).assign(facility_id=site.facility_id).drop(columns=["therapy", "action"])


def _network_history(panel: DemandPanel) -> pd.DataFrame:
    frame = _long(panel, panel.values)
    return frame.groupby(["product_id", "period_start"])[["quantity"]].sum().reset_index()
