"""Which model a series gets: seasonal or local by its own rolling-origin error, or the rate of an intermittent series.

A gate between two fixed pools, not the best of many: picking the winner of a backtest loses to a fixed combination.
"""

import dataclasses
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from forecasting.demand import models
from forecasting.demand.yearly import split_yearly
from forecasting.terms import Period

INTERMITTENT_ZERO_SHARE = 0.3
GATE_RATIO = 1.1
"""The seasonal pool is taken when its backtest error is below so many times the local pool's: a few windows that
happen to favour the local pool do not outweigh two years of season."""

GATE_WINDOWS = 3
MINIMUM_HISTORY = 4
"""Known periods before an origin, for its errors to say something about the model."""

CHUNK_ROWS = 2048
"""Series smoothed together: small enough for the processor's cache. Rows do not influence each other."""

DAYS_A_YEAR = 365.25


class Model(StrEnum):
    """Name of the pool that made a series' forecast."""

    SEASONAL = "seasonal"
    LOCAL = "local"
    INTERMITTENT = "intermittent"


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Point forecasts [..., horizon] of both pools and the intermittent rate; NaN where a history is too short."""

    seasonal: np.ndarray
    local: np.ndarray
    intermittent: np.ndarray

    def chosen(self, model: np.ndarray) -> np.ndarray:
        """Each series' forecast from its own `model` (names, [series]); local where the seasonal one has none."""
        shape = (len(model),) + (1,) * (self.local.ndim - 1)
        seasonal = np.where(np.isfinite(self.seasonal), self.seasonal, self.local)
        forecast = np.where((model == Model.SEASONAL).reshape(shape), seasonal, self.local)
        return np.where((model == Model.INTERMITTENT).reshape(shape), self.intermittent, forecast)


def season_cycle(period: Period) -> int:
    """Periods of the cycle that Holt-Winters follows: 1 for weeks, whose year is fitted by harmonics.

    >>> season_cycle(Period.DAY), season_cycle(Period.WEEK), season_cycle(Period.MONTH)
    (7, 1, 12)
    """
    return {Period.DAY: 7, Period.WEEK: 1}.get(period, period.per_year)


def candidates(values: np.ndarray, horizon: int, period: Period) -> Candidates:
    """Point forecasts [series, horizon] of every pool from values [series, period]."""
    chunks = [_candidates(values[row : row + CHUNK_ROWS], horizon, period) for row in range(0, len(values), CHUNK_ROWS)]
    fields = (field.name for field in dataclasses.fields(Candidates))
    return Candidates(**{name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in fields})


def _candidates(values: np.ndarray, horizon: int, period: Period) -> Candidates:
    return Candidates(
        seasonal=_seasonal(values, horizon, period),
        local=_pool(values, horizon, 1, period),
        intermittent=models.rate(values, horizon),
    )


def _seasonal(values: np.ndarray, horizon: int, period: Period) -> np.ndarray:
    cycle = season_cycle(period)
    if period in (Period.MONTH, Period.QUARTER):
        return _pool(values, horizon, cycle, period)
    adjusted, factor = split_yearly(values, horizon, DAYS_A_YEAR / period.mean_days)
    forecast = np.maximum((1 + _pool(adjusted, horizon, cycle, period)) * factor - 1, 0.0)
    if period is Period.WEEK:
        forecast[values.shape[1] - models.first_known(values) < models.MINIMUM_CYCLES * period.per_year] = np.nan
    return forecast


def _pool(values: np.ndarray, horizon: int, cycle: int, period: Period) -> np.ndarray:
    """Median of three models: Holt-Winters, Theta, and seasonal naive with growth (without season the level).

    Weeks are forecast on the raw scale by Theta alone: see `models.theta`.
    """
    if period is Period.WEEK:
        forecast = models.cap(models.theta(values, horizon), values, cycle)
        return np.where(np.isfinite(forecast), forecast, models.level(values, horizon, cycle=cycle))
    drift_periods = max(4 * cycle, 2 * min(period.per_year, 52))
    third: Callable[..., np.ndarray] = models.seasonal_naive_growth if cycle > 1 else models.level
    forecasts = np.stack(
        [
            models.damped_holt_winters(values, horizon, cycle=cycle),
            models.seasonal_theta(values, horizon, cycle=cycle, drift_periods=drift_periods),
            third(values, horizon, cycle=cycle),
        ]
    )
    ordered = np.sort(forecasts, axis=0)
    return np.where(np.isfinite(ordered[2]), ordered[1], ordered[0])


def select_model(values: np.ndarray, backtest: Candidates, actual: np.ndarray, period: Period) -> np.ndarray:
    """Name of each series' model, [series].

    `backtest` and `actual` are [series, origin, horizon]. More than `INTERMITTENT_ZERO_SHARE` zeros in the recent past:
    intermittent. Otherwise seasonal, if over the origins both pools could forecast its absolute error is below
    `GATE_RATIO` times the local one's.
    """
    recent = values[:, -max(24, period.per_year) :]
    zeros = (recent == 0).sum(axis=1) / np.maximum(np.isfinite(recent).sum(axis=1), 1)
    both = np.isfinite(actual) & np.isfinite(backtest.seasonal) & np.isfinite(backtest.local)
    windows = both.any(axis=2).sum(axis=1)
    seasonal_error, local_error = (
        np.where(both, np.abs(actual - forecast), 0.0).sum(axis=(1, 2))
        for forecast in (backtest.seasonal, backtest.local)
    )
    seasonal = (windows >= GATE_WINDOWS) & (seasonal_error < GATE_RATIO * local_error)
    name = np.where(seasonal, Model.SEASONAL.value, Model.LOCAL.value)
    return np.where(zeros > INTERMITTENT_ZERO_SHARE, Model.INTERMITTENT.value, name)


def origin_cuts(horizon: int, origins: int) -> np.ndarray:
    """How many of the last periods each rolling origin hides, the youngest origin first.

    A quarter of the origins lie inside the last horizon (their later errors are not known yet), so that short histories
    have some; the others are spread over one more horizon. Fixed by the arguments alone, whatever the panel.

    >>> origin_cuts(12, 8)
    array([ 4,  8, 12, 14, 16, 18, 20, 22])
    """
    partial = origins // 4
    inside = np.unique(np.round(np.arange(1, partial + 1) * horizon / (partial + 1)).astype(int))
    full = origins - partial
    step = max(1, round(horizon / full))
    return np.concatenate([inside[(inside >= 1) & (inside < horizon)], horizon + step * np.arange(full)])


def rolling_candidates(
    values: np.ndarray, horizon: int, origins: int, period: Period
) -> tuple[Candidates, np.ndarray, np.ndarray]:
    """Every pool's forecasts from each origin, what was then observed [series, origin, horizon], and the cuts [origin].

    All origins are stacked as if they were more series: each sees its past moved to the right edge, NaN before.
    Errors from fewer than `MINIMUM_HISTORY` known periods are blanked.
    """
    cuts = origin_cuts(horizon, origins)
    cuts = cuts[cuts < values.shape[1]]
    series, columns = values.shape
    past = np.full((len(cuts), series, columns), np.nan)
    actual = np.full((series, len(cuts), horizon), np.nan)
    for origin, cut in enumerate(cuts):
        past[origin, :, cut:] = values[:, : columns - cut]
        seen = min(cut, horizon)
        actual[:, origin, :seen] = values[:, columns - cut : columns - cut + seen]
    actual[(np.isfinite(past).sum(axis=2) < MINIMUM_HISTORY).T] = np.nan
    if not len(cuts):
        empty = np.empty((series, 0, horizon))
        return Candidates(empty, empty, empty), actual, cuts
    flat = candidates(past.reshape(-1, columns), horizon, period)
    shape = (len(cuts), series, horizon)
    stacked = {
        field.name: getattr(flat, field.name).reshape(shape).transpose(1, 0, 2) for field in dataclasses.fields(flat)
    }
    return Candidates(**stacked), actual, cuts
