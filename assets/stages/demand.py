"""Stage 4, demand: history cleaned, moved to today's exposure, forecast, and moved on to the planned exposure."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import AssetResult, ProblemRow, problems_frame
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.pictures.forecasts import network_picture
from assets.sites.history_problems import history_problems
from assets.sites.reference_demand import (
    GENETIC_INPUTS,
    known_panel,
    reference_values,
    site_genetics,
    with_guidance_terms,
)
from assets.sites.site_demand import SiteDemand, overrides_at, quantiles_of, site_demand
from forecasting.demand.cleaning import clean
from forecasting.demand.series import DemandPanel
from forecasting.population import SitePaths
from forecasting.terms import ALL_FACILITIES, QUANTILE_LEVELS
from warehouse.schema.ledger import DispensingRevision
from warehouse.schema.results import CleanDemand, Forecast, GeneticShift, ReferenceDemand

MOST_LISTED_CHANGES = 200
"""Outliers beyond so many are counted and not listed: nobody reads a longer list."""

REVISIONS: Any = DispensingRevision.__table__


@table_asset(CleanDemand, group=DEMAND, inputs=("runs", "dispensing", "facilities", "products"))
def clean_demand(tables: RunTables) -> AssetResult:
    """History as the forecast sees it, each touched row with the rule that touched it."""
    run, dispensing, products = tables.run, tables["dispensing"], tables["products"]
    cleaned = clean(
        dispensing[dispensing["period_start"] < pd.Timestamp(run.as_of)],
        period=run.period,
        facilities=tables["facilities"],
        products=products,
        revisions=tables.warehouse.read(REVISIONS),
        as_of=run.as_of,
    )
    problems = [_change_problems(cleaned.changes), history_problems(dispensing, products, run)]
    return AssetResult(cleaned.frame.assign(as_of=run.as_of), pd.concat(problems, ignore_index=True))


def _change_problems(changes: pd.DataFrame) -> pd.DataFrame:
    """One line a rule with its count, and one for each outlier."""
    lines: list[ProblemRow] = [
        (None, None, str(rule), f"{len(rows)} history rows were touched by the rule {rule!r}: {rows['reason'].iloc[0]}")
        for rule, rows in changes.groupby("rule")
    ]
    outliers = changes[changes["rule"] == "outlier"].head(MOST_LISTED_CHANGES)
    lines += [
        (row["facility_id"], row["product_id"], "outlier", f"{row['period_start']:%Y-%m-%d}: {row['reason']}")
        for _, row in outliers.iterrows()
    ]
    return problems_frame(lines)


@table_asset(ReferenceDemand, group=DEMAND, inputs=(*GENETIC_INPUTS, "clean_demand"))
def reference_demand(tables: RunTables) -> AssetResult:
    """Un-mixing: the history as it would have been at the exposure of the origin."""
    panel = known_panel(tables["clean_demand"], tables.run)
    genetics = site_genetics(tables, panel)
    values = reference_values(panel, {site: genetics.at(site) for site in genetics.by_site})
    return AssetResult(_long(panel, values).assign(as_of=tables.run.as_of), problems_frame(list(genetics.problems)))


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


@table_asset(
    *(Forecast, GeneticShift),
    group=DEMAND,
    inputs=(*GENETIC_INPUTS, "reference_demand", "baseline_forecasts", "acting_overrides"),
)
def forecast_with_genetics(tables: RunTables) -> tuple[AssetResult, AssetResult]:
    """Re-mixing, then what people set: final demand per site and for the network, and what each guidance row adds."""
    run, panel = tables.run, known_panel(tables["reference_demand"], tables.run)
    genetics = site_genetics(tables, panel)
    sites = [
        site_demand(run, str(facility_id), rows, genetics, overrides_at(tables["acting_overrides"], str(facility_id)))
        for facility_id, rows in tables["baseline_forecasts"].groupby("facility_id")
    ]
    frame = pd.concat([*(_site_rows(site) for site in sites), _network_rows(sites)], ignore_index=True)
    shifts = pd.concat([_shift_rows(site, genetics.rows_at(site.facility_id)) for site in sites], ignore_index=True)
    pictures = {"network": network_picture(_network_history(panel), frame)} if len(frame) else {}
    return AssetResult(frame.assign(as_of=run.as_of), pictures=pictures), AssetResult(shifts.assign(as_of=run.as_of))


def _site_rows(site: SiteDemand) -> pd.DataFrame:
    return _forecast_rows(site, site.overridden.before)


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
    network = dataclasses.replace(
        sites[0],
        facility_id=ALL_FACILITIES,
        product_ids=product_ids,
        model=np.full(len(product_ids), "sum_of_sites", dtype=object),
        paths=SitePaths(paths, mean, baseline_mean, pd.DataFrame(), np.zeros((0, horizon))),
        quantiles=quantiles_of(paths),
    )
    return _forecast_rows(network, genetic_mean)


def _forecast_rows(site: SiteDemand, genetic_mean: np.ndarray) -> pd.DataFrame:
    """Rows of `forecasts`, without the origin; `genetic_mean` [product, period] is the mean before overrides."""
    products, horizon = site.paths.mean.shape
    levels = {name: site.quantiles[:, :, number].ravel() for number, name in enumerate(QUANTILE_LEVELS)}
    return pd.DataFrame(
        {
            "facility_id": site.facility_id,
            "product_id": np.repeat(np.array(site.product_ids, dtype=object), horizon),
            "period_start": np.tile(site.starts, products),
            "mean": site.paths.mean.ravel(),
            **levels,
            "baseline_mean": site.paths.baseline_mean.ravel(),
            "genetic_shift": (genetic_mean - site.paths.baseline_mean).ravel(),
            "override_shift": (site.paths.mean - genetic_mean).ravel(),
            "model": np.repeat(site.model, horizon),
        }
    )


def _shift_rows(site: SiteDemand, guidance: pd.DataFrame) -> pd.DataFrame:
    """What each guidance row does over the horizon, with its genes and keys as people read them."""
    steps = site.paths.steps.assign(quantity=site.paths.quantity.sum(axis=1))
    return with_guidance_terms(steps, guidance).assign(facility_id=site.facility_id).drop(columns=["therapy", "action"])


def _network_history(panel: DemandPanel) -> pd.DataFrame:
    frame = _long(panel, panel.values)
    return frame.groupby(["product_id", "period_start"])[["quantity"]].sum().reset_index()
