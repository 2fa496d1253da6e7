"""Stage 4, demand: how good each step of the forecast was on periods that were held out."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.pictures.backtest import score_pictures
from assets.sites.genetics import Genetics
from assets.sites.reference_demand import known_panel, planned_means, reference_values, site_genetics
from forecasting.demand.backtest import (
    SCORE_COLUMNS,
    Step,
    held_out,
    origin_scores,
    scores,
    seasonal_naive_step,
    segments_of,
)
from forecasting.demand.overrides import NOTHING, acting_rows, overridden_mean
from forecasting.demand.season import forecast_sites
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import with_strengths
from warehouse.queries.overrides import known_overrides
from warehouse.schema.results import BacktestScore

ORIGINS = 3
LEAST_HISTORY_CYCLES = 1.0
MOVED = "moved by genotype"
"""The segment of series that a change of testing touches."""

OVERRIDDEN = "overridden"
"""The segment of series that a person's override covers."""


@table_asset(BacktestScore, group=DEMAND)
def backtest_scores(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    clean_demand: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    products: pd.DataFrame,
    genetic_effects: pd.DataFrame,
) -> Staged:
    """Seasonal naive, baseline (blind to genotype), genetic and overridden forecasts against what came, by segment."""
    run = PlanningRun.from_frame(runs)
    panel = with_strengths(known_panel(clean_demand, run), products)
    cuts = _cuts(panel, run.horizon)
    if not cuts:
        message = f"the history of {panel.values.shape[1]} periods is too short to hold any out: no backtest"
        return Staged(
            pd.DataFrame(columns=["as_of", *SCORE_COLUMNS]),
            problems_frame([(None, None, "history_too_short", message)]),
        )
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects)
    set_then = [_overrides_then(warehouse, panel, cut, horizon) for cut, horizon in cuts]
    # a step is scored from every origin or from none
    told = set_then if any(len(one) for one in set_then) else [None] * len(cuts)
    frame = scores([_one_origin(panel, genetics, *cut, one) for cut, one in zip(cuts, told, strict=True)])
    return Staged(frame.assign(as_of=run.as_of), pictures=score_pictures(frame))


def _cuts(panel: DemandPanel, horizon: int) -> list[tuple[int, int]]:
    """(periods known, periods held out) of each origin, as far as a year of history remains before it."""
    periods = panel.values.shape[1]
    least = int(panel.period.per_year * LEAST_HISTORY_CYCLES)
    held_out = min(horizon, (periods - least) // ORIGINS)
    return [(periods - held_out * back, held_out) for back in range(ORIGINS, 0, -1)] if held_out >= 1 else []


def _overrides_then(warehouse: Warehouse, panel: DemandPanel, cut: int, horizon: int) -> pd.DataFrame:
    """Overrides that were set by the end of the origin day, not withdrawn or expired then, on periods held out."""
    day = panel.period.step(panel.first_start, cut)
    with warehouse.engine.connect() as connection:
        known = known_overrides(connection, day, dt.datetime.combine(day, dt.time()) + dt.timedelta(days=1))
    last = pd.Timestamp(panel.period.step(day, horizon - 1))
    return known[(known["starts_on"] <= last) & (known["ends_on"] >= pd.Timestamp(day))]


def _overridden(past: DemandPanel, genetic: Step, overrides: pd.DataFrame) -> tuple[Step, np.ndarray]:
    """The genetic step with the overrides of the day, and the series that one of them covers."""
    day = past.period.step(past.first_start, past.values.shape[1])
    starts = pd.DatetimeIndex([past.period.step(day, ahead) for ahead in range(genetic.mean.shape[1])])
    mean, covered = genetic.mean.copy(), np.zeros(len(genetic.mean), dtype=bool)
    sites = np.array(past.facility_ids, dtype=object)
    for site, rows in overrides.groupby("facility_id"):
        here = np.flatnonzero(sites == site)
        acts = acting_rows(tuple(past.product_ids[row] for row in here), starts, rows)
        mean[here] = overridden_mean(mean[here], acts, rows)
        covered[here] = (acts != NOTHING).any(axis=1)
    ratio = np.divide(mean, genetic.mean, out=np.ones_like(mean), where=genetic.mean > 0)[:, :, None]
    return Step(mean, np.where(genetic.mean[:, :, None] > 0, genetic.quantiles * ratio, mean[:, :, None])), covered


def _one_origin(
    panel: DemandPanel, genetics: Genetics, cut: int, horizon: int, overrides: pd.DataFrame | None
) -> pd.DataFrame:
    past, actual = held_out(panel, cut, horizon)
    at_origin = {site: [one.seen_from(cut, horizon) for one in genetics.at(site)] for site in genetics.by_site}
    baseline = forecast_sites(past, horizon)
    moved_past = dataclasses.replace(past, values=reference_values(past, at_origin))
    changed = ((moved_past.values != past.values) & np.isfinite(past.values)).any()
    # the forecast of a history that nothing moves is there already
    reference = forecast_sites(moved_past, horizon, dispensed=past) if changed else baseline
    mean, moved = planned_means(reference.mean, past, at_origin)
    ratio = np.divide(mean, reference.mean, out=np.ones_like(mean), where=reference.mean > 0)[:, :, None]
    steps = {
        "seasonal_naive": seasonal_naive_step(past.values, horizon, panel.period.per_year),
        "baseline": Step(baseline.mean, baseline.quantiles),
        "genetic": Step(mean, reference.quantiles * ratio),
    }
    segments = segments_of(past) | {MOVED: moved}
    if overrides is not None:
        steps["override"], segments[OVERRIDDEN] = _overridden(past, steps["genetic"], overrides)
    return origin_scores(past, actual, steps, segments)
