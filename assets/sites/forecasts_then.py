"""What was known on a past day: the run, the genetics and the forecasts as they would have been made then.

Exposure is what was measured before the day and what was planned for after it, moves are those of the year before it,
strengths of advice are learned from the history before it, guidance is what was in force and decided. Two things are
taken as they are known now, because files do not say what was known when: the cleaned history and prevalence.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.sites.content import Knowledge, knowledge
from assets.sites.genetics import Genetics, assemble, with_exposure, with_learned
from assets.sites.learning import learned
from assets.sites.moves import group_moves, in_use, recent_quantity, stacked
from assets.sites.reference_demand import planned_means, reference_values
from forecasting.demand.forecast import PanelForecast
from forecasting.demand.season import forecast_sites
from forecasting.demand.series import DemandPanel
from forecasting.regimens.exposure import exposure_table
from forecasting.terms import Period
from warehouse.releases import site_releases

EXPOSURE_PERIODS = {Period.DAY: 28, Period.WEEK: 4, Period.MONTH: 1, Period.QUARTER: 1}
"""Exposure is looked up anew after so many periods: coverage is told by the month."""

STRENGTH_LOOKS = 3
"""Moves and strengths are learned anew at every so many looks at exposure: by the quarter."""

LEAST_DRAWS = 2
"""Forecasts of the past need the means of prevalence alone."""


@dataclasses.dataclass(frozen=True)
class Tables:
    """What past genetics are put together from, as loaded and as of the run."""

    facilities: pd.DataFrame
    products: pd.DataFrame
    dispensing: pd.DataFrame
    testing_coverage: pd.DataFrame
    alternatives: pd.DataFrame
    prevalence: pd.DataFrame


@dataclasses.dataclass(frozen=True)
class Forecasts:
    """Forecasts of past days by the number of periods that were over, without and with the genetic step.

    `informed` speaks of the series that the step touched on any of the days, `moved` [series] says which they are.
    """

    blind: dict[int, PanelForecast]
    informed: dict[int, PanelForecast]
    moved: np.ndarray


def forecasts_then(
    warehouse: Warehouse, run: PlanningRun, panel: DemandPanel, cuts: Sequence[int], horizon: int, tables: Tables
) -> Forecasts:
    """The forecasts of the days on which so many periods of the panel (`cuts`) were over, `horizon` periods ahead."""
    blind = {cut: forecast_sites(_known(panel, cut), horizon) for cut in cuts}
    keys = {key: row for row, key in enumerate(zip(panel.facility_ids, panel.product_ids, strict=True))}
    informed: dict[int, PanelForecast] = {}
    moved = np.zeros(len(panel.values), dtype=bool)
    look = EXPOSURE_PERIODS[panel.period]
    genetics: Genetics | None = None
    found = Genetics({}, {}, [], {})
    effects = pd.DataFrame()
    for number, cut in enumerate(cuts):
        if number % look == 0 and run.with_genetics:
            then = _run_then(run, panel, cut, look + horizon)
            past = panel.until(cut)
            known = _knowledge_then(warehouse, then, tables)
            learn = number % (look * STRENGTH_LOOKS) == 0
            if learn or any(len(group.eras) > 1 for group in known.groups):
                found = _genetics(known, then, past, tables)
            else:
                found = with_exposure(found, _exposure(then, past, tables), _starts(past), then.horizon)
            effects = learned(past, found, then)[0] if learn else effects
            genetics = with_learned(found, effects, then)
        if genetics is not None and any(genetics.by_site.values()):
            made, touched = _informed(panel, cut, horizon, genetics)
            informed[cut] = made
            there = zip(made.facility_ids, made.product_ids, touched, strict=True)
            moved[[keys[facility, product] for facility, product, yes in there if yes]] = True
    return Forecasts(blind, informed, moved)


def _known(panel: DemandPanel, cut: int) -> DemandPanel:
    past = panel.until(cut)
    return past.select(np.isfinite(past.values).any(axis=1))


def _run_then(run: PlanningRun, panel: DemandPanel, cut: int, horizon: int) -> PlanningRun:
    day = panel.period.step(panel.first_start, cut)
    return dataclasses.replace(run, as_of=day, horizon=horizon, draws=LEAST_DRAWS)


def _knowledge_then(warehouse: Warehouse, run: PlanningRun, tables: Tables) -> Knowledge:
    """What was in force on the run's day, by decisions made before it."""
    sites = list(run.facilities) or sorted(tables.facilities["facility_id"])
    before = dt.datetime.combine(run.as_of, dt.time())
    with warehouse.engine.connect() as connection:
        return knowledge(connection, site_releases(connection, sites, run.as_of, before))


def _moves(releases: Knowledge, run: PlanningRun, tables: Tables) -> pd.DataFrame:
    stocked = in_use(tables.products, tables.dispensing, run)
    quantity = recent_quantity(tables.dispensing, run)
    parts = []
    for group in releases.groups:
        sites = [site for site in group.facility_ids if site in quantity.index]
        parts.append(group_moves(group, sites, stocked, tables.alternatives, quantity, run)[0])
    moves = stacked(parts)
    return moves.assign(followed_from=pd.to_datetime(moves["followed_from"]))  # as a table gives it back


def _starts(past: DemandPanel) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(past.period_starts())


def _exposure(run: PlanningRun, past: DemandPanel, tables: Tables) -> pd.DataFrame:
    periods = past.values.shape[1] + run.horizon
    shown = pd.DatetimeIndex([past.period.step(past.first_start, number) for number in range(periods)])
    return exposure_table(tables.testing_coverage, tables.facilities["facility_id"].tolist(), shown, run.as_of)


def _genetics(known: Knowledge, run: PlanningRun, past: DemandPanel, tables: Tables) -> Genetics:
    moves, exposure = _moves(known, run, tables), _exposure(run, past, tables)
    people, products, facilities = tables.prevalence, tables.products, tables.facilities
    return assemble(run, known, people, exposure, moves, products, facilities, _starts(past))


def _informed(panel: DemandPanel, cut: int, horizon: int, genetics: Genetics) -> tuple[PanelForecast, np.ndarray]:
    """The forecast [series of products that advice moves anywhere] with the genetic step, and which it touches."""
    therapies = {site: [one.seen_from(cut, horizon) for one in found] for site, found in genetics.by_site.items()}
    product_ids = {product for found in therapies.values() for one in found for product in one.product_ids}
    past = _known(panel.select(np.isin(np.array(panel.product_ids, dtype=object), list(product_ids))), cut)
    moved_past = dataclasses.replace(past, values=reference_values(past, therapies))
    reference = forecast_sites(moved_past, horizon, dispensed=past)
    mean, touched = planned_means(reference.mean, past, therapies)
    ratio = np.divide(mean, reference.mean, out=np.ones_like(mean), where=reference.mean > 0)
    made = dataclasses.replace(reference, mean=mean, quantiles=reference.quantiles * ratio[:, :, None])
    changed = ((moved_past.values != past.values) & np.isfinite(past.values)).any(axis=1)
    return made, touched | changed
