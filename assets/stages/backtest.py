"""Stage 4, demand: how good each step of the forecast was on periods that were held out."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import AssetResult, skipped
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.pictures.backtest import score_pictures
from assets.sites.genetics import Genetics
from assets.sites.reference_demand import (
    GENETIC_INPUTS,
    known_panel,
    planned_means,
    reference_values,
    site_genetics,
)
from forecasting.demand.backtest import (
    SCORE_COLUMNS,
    Step,
    demand_segments,
    held_out,
    origin_scores,
    scores,
    seasonal_naive_step,
)
from forecasting.demand.overrides import NOTHING, acting_override_rows, overridden_mean
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import with_strengths
from warehouse.queries.overrides import known_overrides
from warehouse.schema.results import BacktestScore

ORIGINS = 3
LEAST_HISTORY_CYCLES = 1.0
"""History that remains before the first origin: a whole season."""

MOVED = "moved by genotype"
"""The segment of series that a change of testing touches."""

OVERRIDDEN = "overridden"
"""The segment of series that a person's override covers."""


@table_asset(BacktestScore, group=DEMAND, inputs=(*GENETIC_INPUTS, "clean_demand"))
def backtest_scores(tables: RunTables) -> AssetResult:
    """Seasonal naive, baseline (blind to genotype), genetic and overridden forecasts against what came, by segment."""
    panel = with_strengths(known_panel(tables["clean_demand"], tables.run), tables["products"])
    cuts = _cuts(panel, tables.run.horizon)
    if not cuts:
        message = f"the history of {panel.values.shape[1]} periods is too short to hold any out: no backtest"
        return skipped(["as_of", *SCORE_COLUMNS], "history_too_short", message)
    genetics = site_genetics(tables, panel)
    at_origins = [_overrides_at_origin(tables.warehouse, panel, cut, horizon) for cut, horizon in cuts]
    # a step is scored from every origin or from none
    overrides = at_origins if any(len(rows) for rows in at_origins) else [None] * len(cuts)
    frame = scores([_scores_from(panel, genetics, *cut, rows) for cut, rows in zip(cuts, overrides, strict=True)])
    return AssetResult(frame.assign(as_of=tables.run.as_of), pictures=score_pictures(frame))


def _cuts(panel: DemandPanel, horizon: int) -> list[tuple[int, int]]:
    """(periods known, periods held out) of each origin, as far as a year of history remains before it."""
    periods = panel.values.shape[1]
    least = int(panel.period.per_year * LEAST_HISTORY_CYCLES)
    held_out = min(horizon, (periods - least) // ORIGINS)
    return [(periods - held_out * number, held_out) for number in range(ORIGINS, 0, -1)] if held_out >= 1 else []


def _overrides_at_origin(warehouse: Warehouse, panel: DemandPanel, cut: int, horizon: int) -> pd.DataFrame:
    """Overrides that were set by the end of the origin day, not withdrawn or expired then, on periods held out."""
    day = panel.period.step(panel.first_start, cut)
    with warehouse.engine.connect() as connection:
        known = known_overrides(connection, day, dt.datetime.combine(day, dt.time()) + dt.timedelta(days=1))
    last = pd.Timestamp(panel.period.step(day, horizon - 1))
    return known[(known["starts_on"] <= last) & (known["ends_on"] >= pd.Timestamp(day))]


def _overridden(past: DemandPanel, genetic: Step, overrides: pd.DataFrame) -> tuple[Step, np.ndarray]:
    """The genetic step with the overrides of the day, and the series [series] that any of them covers."""
    day = past.period.step(past.first_start, past.values.shape[1])
    starts = pd.DatetimeIndex([past.period.step(day, ahead) for ahead in range(genetic.mean.shape[1])])
    mean, covered = genetic.mean.copy(), np.zeros(len(genetic.mean), dtype=bool)
    sites = np.array(past.facility_ids, dtype=object)
    for site, rows in overrides.groupby("facility_id"):
        series = np.flatnonzero(sites == site)
        acting = acting_override_rows(tuple(past.product_ids[row] for row in series), starts, rows)
        mean[series] = overridden_mean(mean[series], acting, rows)
        covered[series] = (acting != NOTHING).any(axis=1)
    ratio = np.divide(mean, genetic.mean, out=np.ones_like(mean), where=genetic.mean > 0)[:, :, None]
    return Step(mean, np.where(genetic.mean[:, :, None] > 0, genetic.quantiles * ratio, mean[:, :, None])), covered


def _scores_from(
    panel: DemandPanel, genetics: Genetics, cut: int, horizon: int, overrides: pd.DataFrame | None
) -> pd.DataFrame:
    """Scores of every step from one origin, after `cut` periods; without overrides (None) that step is left out."""
    past, actual = held_out(panel, cut, horizon)
    at_origin = genetics.known_at(cut, horizon)
    baseline = forecast_with_shared_season(past, horizon)
    reference_history = dataclasses.replace(past, values=reference_values(past, at_origin))
    changed = ((reference_history.values != past.values) & np.isfinite(past.values)).any()
    # the forecast of a history that nothing moves is there already
    reference = forecast_with_shared_season(reference_history, horizon, dispensed=past) if changed else baseline
    mean, moved = planned_means(reference.mean, past, at_origin)
    ratio = np.divide(mean, reference.mean, out=np.ones_like(mean), where=reference.mean > 0)[:, :, None]
    steps = {
        "seasonal_naive": seasonal_naive_step(past.values, horizon, panel.period.per_year),
        "baseline": Step(baseline.mean, baseline.quantiles),
        "genetic": Step(mean, reference.quantiles * ratio),
    }
    segments = demand_segments(past) | {MOVED: moved}
    if overrides is not None:
        steps["override"], segments[OVERRIDDEN] = _overridden(past, steps["genetic"], overrides)
    return origin_scores(past, actual, steps, segments)
