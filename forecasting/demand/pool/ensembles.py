"""The forecasters of the built-in table: combinations of the models, and rules for the series that they suit."""

from collections.abc import Sequence

import numpy as np

from forecasting.demand.pool import models
from forecasting.demand.pool.forecaster import SelectionEvidence
from forecasting.demand.pool.holt_winters import rolling_holt_winters
from forecasting.demand.pool.local_trend import rolling_local_trend
from forecasting.demand.pool.yearly import split_yearly
from forecasting.terms import DAYS_A_YEAR, Period

GATE_RATIO = 1.1
"""The seasonal forecast is taken when its backtest error is below so many times the local one's: a few origins that
happen to favour the local one do not outweigh two years of season."""

SHARED_GATE_RATIO = 0.9
"""The same where the season that sites share is off already: what a site has of its own must be plain to see."""

SILENT_SEASON_RATIO = 0.5
"""A sparse series is seasonal where that takes off half the squared error of its rate: benefits that begin anew each
year are silent for months, which is not intermittence."""

NOISY_CHANGE = 0.4
"""Demand that changes by more than this share of its mean from one month to the next is noisy."""


def seasonal_median(values: np.ndarray, horizon: int, ends: Sequence[int], period: Period) -> np.ndarray:
    """Median [end, series, horizon] of three models that follow the season of months and quarters."""
    return _median_of_models(values, horizon, ends, period, models.season_cycle(period))


def local_median(values: np.ndarray, horizon: int, ends: Sequence[int], period: Period) -> np.ndarray:
    """Median [end, series, horizon] of three models without a season; a forecast from one known period on."""
    return _median_of_models(values, horizon, ends, period, 1)


def _median_of_models(values: np.ndarray, horizon: int, ends: Sequence[int], period: Period, cycle: int) -> np.ndarray:
    """Median of three models: Holt-Winters, Theta, and seasonal naive with growth (without season the level)."""
    drift_periods = max(4 * cycle, 2 * min(period.per_year, 52))
    third = models.rolling_level if cycle == 1 else models.rolling_naive_growth
    forecasts = np.stack(
        [
            rolling_holt_winters(values, horizon, ends, cycle=cycle),
            models.rolling_theta(values, horizon, ends, cycle=cycle, drift_periods=drift_periods),
            third(values, horizon, ends, cycle=cycle),
        ]
    )
    ordered = np.sort(forecasts, axis=0)
    return np.where(np.isfinite(ordered[2]), ordered[1], ordered[0])


def local_weeks(values: np.ndarray, horizon: int, ends: Sequence[int], period: Period) -> np.ndarray:
    """`rolling_local_trend` of weeks, [end, series, horizon]; the level where it needs more periods."""
    cycle = models.season_cycle(period)
    forecast = rolling_local_trend(values, horizon, ends)
    capped = np.stack([models.cap(forecast[position], values[:, :end], cycle) for position, end in enumerate(ends)])
    if np.isfinite(capped).all():
        return capped
    return np.where(np.isfinite(capped), capped, models.rolling_level(values, horizon, ends, cycle=cycle))


def yearly_days(values: np.ndarray, horizon: int, period: Period) -> np.ndarray:
    """The yearly pattern of days, and `seasonal_median` with a cycle of a week for the rest, [series, horizon]."""
    adjusted, factor = split_yearly(values, horizon, DAYS_A_YEAR / period.mean_days)
    return _with_pattern(seasonal_median(adjusted, horizon, [values.shape[1]], period)[0], factor)


def yearly_weeks(values: np.ndarray, horizon: int, period: Period) -> np.ndarray:
    """The yearly pattern of weeks, and `local_weeks` for the rest, [series, horizon]; NaN for less than two years."""
    adjusted, factor = split_yearly(values, horizon, DAYS_A_YEAR / period.mean_days)
    forecast = _with_pattern(local_weeks(adjusted, horizon, [values.shape[1]], period)[0], factor)
    age = values.shape[1] - models.first_known(values)
    forecast[age < models.MINIMUM_CYCLES * period.per_year] = np.nan
    return forecast


def _with_pattern(forecast: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return np.maximum((1 + forecast) * factor - 1, 0.0)


def rolling_rate(values: np.ndarray, horizon: int, ends: Sequence[int], _period: Period) -> np.ndarray:
    """`models.rate` of an intermittent series, [end, series, horizon]."""
    smoothed = models.smoothed_levels(values, ends)[0]
    return np.stack([models.rate(values[:, :end], horizon, level) for end, level in zip(ends, smoothed, strict=True)])


def is_sparse(evidence: SelectionEvidence) -> np.ndarray:
    """Series with more than `INTERMITTENT_ZERO_SHARE` zeros in the recent past, bool [series]."""
    recent = evidence.recent
    return (recent == 0).sum(axis=1) > models.INTERMITTENT_ZERO_SHARE * np.isfinite(recent).sum(axis=1)


def is_seasonal(evidence: SelectionEvidence) -> np.ndarray:
    """Series whose seasonal forecast is good enough beside the local one, or, of sparse months, beside the rate."""
    ratio = np.where(evidence.season_shared, SHARED_GATE_RATIO, GATE_RATIO)
    beats_local = evidence.beats("seasonal", "local", ratio=ratio)
    # squares, since the absolute error of a sparse series is least for a forecast of nothing
    beats_rate = evidence.beats("seasonal", "intermittent", ratio=SILENT_SEASON_RATIO, power=2)
    return np.where(is_sparse(evidence), beats_rate & (evidence.period is Period.MONTH), beats_local)


def is_noisy(evidence: SelectionEvidence) -> np.ndarray:
    """Series that change from one known period to the next by more than `NOISY_CHANGE` of their mean, bool [series]."""
    recent = evidence.recent
    change = np.abs(np.diff(recent, axis=1))
    known_changes = np.isfinite(change).sum(axis=1)
    mean = np.nan_to_num(recent).sum(axis=1) / np.maximum(np.isfinite(recent).sum(axis=1), 1)
    relative_change = np.nan_to_num(change).sum(axis=1) / np.maximum(known_changes, 1) / np.maximum(mean, 1e-300)
    return relative_change > NOISY_CHANGE
