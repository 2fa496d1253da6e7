"""Stage 4, demand: how good each step of the forecast was on periods that were held out."""

import dataclasses

import numpy as np
import pandas as pd

from assets.demand import known_panel, reference_values, site_genetics, therapy_rows
from assets.genetics import Genetics
from assets.resources import Warehouse
from assets.run import PlanningRun
from assets.staged import Staged, problems_frame
from assets.table_asset import DEMAND, table_asset
from forecasting.demand.backtest import accuracy, naive_scales, seasonal_naive
from forecasting.demand.forecast import forecast_panel
from forecasting.demand.selection import INTERMITTENT_ZERO_SHARE
from forecasting.demand.series import DemandPanel
from forecasting.population import TherapyAtSite, planned_mean
from forecasting.terms import QUANTILE_LEVELS
from warehouse.schema.results import BacktestScore

ORIGINS = 3
LEAST_HISTORY_CYCLES = 1.0
METRICS = ["mase", "rmsse", "scaled_crps", "coverage_50", "coverage_80", "coverage_95"]
RATIOS = {"wape": "absolute_error", "weighted_quantile_loss": "pinball_loss", "bias": "error"}


@table_asset(BacktestScore, group=DEMAND)
def backtest_scores(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    clean_demand: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
) -> Staged:
    """Seasonal naive, baseline (blind to genotype) and genetic forecasts against what came, by segment."""
    run = PlanningRun.from_frame(runs)
    panel = known_panel(clean_demand, run)
    cuts = _cuts(panel, run.horizon)
    columns = ["as_of", "stage", "segment", "metric", "value", "series", "origins"]
    if not cuts:
        message = f"the history of {panel.values.shape[1]} periods is too short to hold any out: no backtest"
        return Staged(pd.DataFrame(columns=columns), problems_frame([(None, None, "history_too_short", message)]))
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel)
    scores = pd.concat([_one_origin(panel, genetics, cut, horizon) for cut, horizon in cuts])
    return Staged(_by_segment(scores, len(cuts)).assign(as_of=run.as_of))


def _cuts(panel: DemandPanel, horizon: int) -> list[tuple[int, int]]:
    """(periods known, periods held out) of each origin, as far as a year of history remains before it."""
    periods = panel.values.shape[1]
    least = int(panel.period.per_year * LEAST_HISTORY_CYCLES)
    held_out = min(horizon, (periods - least) // ORIGINS)
    return [(periods - held_out * back, held_out) for back in range(ORIGINS, 0, -1)] if held_out >= 1 else []


def _one_origin(panel: DemandPanel, genetics: Genetics, cut: int, horizon: int) -> pd.DataFrame:
    future = panel.values[:, cut : cut + horizon]
    usable = np.isfinite(panel.values[:, :cut]).any(axis=1) & np.isfinite(future).any(axis=1)
    past, actual = panel.until(cut).select(usable), future[usable]
    at_origin = {site: [_seen_from(one, cut, horizon) for one in genetics.at(site)] for site in genetics.by_site}
    baseline = forecast_panel(past, horizon)
    moved_past = dataclasses.replace(past, values=reference_values(past, at_origin))
    reference = forecast_panel(moved_past, horizon)
    mean, moved = _planned_means(reference.mean, past, at_origin)
    ratio = np.divide(mean, reference.mean, out=np.ones_like(mean), where=reference.mean > 0)[:, :, None]
    naive = seasonal_naive(past.values, horizon, panel.period.per_year)
    stages = {
        "seasonal_naive": (naive, np.repeat(naive[:, :, None], len(QUANTILE_LEVELS), axis=2)),
        "baseline": (baseline.mean, baseline.quantiles),
        "genetic": (mean, reference.quantiles * ratio),
    }
    zeros = (past.values == 0).sum(axis=1) / np.isfinite(past.values).sum(axis=1)
    segments = np.where(zeros > INTERMITTENT_ZERO_SHARE, "intermittent", "dense")
    scale, root_scale = naive_scales(past.values, panel.period.per_year)
    return pd.concat(
        [
            accuracy(actual, *made, scale=scale, root_scale=root_scale).assign(
                stage=stage, segment=segments, moved=moved, series=np.flatnonzero(usable)
            )
            for stage, made in stages.items()
        ]
    )


def _seen_from(therapy: TherapyAtSite, cut: int, horizon: int) -> TherapyAtSite:
    """The therapy as it stood after `cut` periods; the coverage that then came stands for the plan."""
    path = np.concatenate([therapy.exposure_history, therapy.exposure_planned])
    return dataclasses.replace(
        therapy,
        exposure_history=path[:cut],
        exposure_at_origin=path[cut - 1],
        exposure_planned=path[cut : cut + horizon],
    )


def _planned_means(
    mean: np.ndarray, panel: DemandPanel, therapies: dict[str, list[TherapyAtSite]]
) -> tuple[np.ndarray, np.ndarray]:
    """Means [series, horizon] at the exposure that came, and which series a change of testing touches."""
    planned, touched = mean.copy(), np.zeros(len(mean), dtype=bool)
    for _, rows, therapy in therapy_rows(panel, therapies):
        there = rows >= 0
        # guidance that changed within the held-out periods has two therapies of the same products
        start = np.where(there[:, None], planned[rows], 0.0)
        planned[rows[there]] = planned_mean(start, therapy)[there]
        touched[rows[there]] |= therapy.changes
    return planned, touched


def _by_segment(scores: pd.DataFrame, origins: int) -> pd.DataFrame:
    parts = {"all": scores, "moved by genotype": scores[scores["moved"]]}
    parts |= {str(name): rows for name, rows in scores.groupby("segment")}
    rows = [
        {"stage": stage, "segment": name, "metric": metric, "value": value, "series": series, "origins": origins}
        for name, part in parts.items()
        for stage, of_stage in part.groupby("stage")
        for series in [of_stage["series"].nunique()]
        for metric, value in _measures(of_stage).items()
    ]
    return pd.DataFrame(rows)


def _measures(rows: pd.DataFrame) -> dict[str, float | None]:
    total = rows["total"].sum()
    means = {metric: rows[metric].mean() for metric in METRICS}
    scale = {"weighted_quantile_loss": 2.0}
    ratios = {
        name: scale.get(name, 1.0) * rows[column].sum() / total if total > 0 else np.nan
        for name, column in RATIOS.items()
    }
    return {name: None if np.isnan(value) else float(value) for name, value in (means | ratios).items()}
