"""Which model a series gets: seasonal or local by its own rolling-origin error, or the rate of an intermittent series.

A gate between two fixed pools, not the best of many: picking the winner of a backtest loses to a fixed combination.
"""

import dataclasses
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from forecasting.demand import models
from forecasting.demand.holt_winters import rolling_holt_winters
from forecasting.demand.local_trend import rolling_local_trend
from forecasting.demand.yearly import split_yearly
from forecasting.terms import DAYS_A_YEAR, Period

INTERMITTENT_ZERO_SHARE = 0.3
GATE_RATIO = 1.1
"""The seasonal pool is taken when its backtest error is below so many times the local pool's: a few windows that
happen to favour the local pool do not outweigh two years of season."""

SHARED_GATE_RATIO = 0.9
"""The same where the season that sites share is off already: what a site has of its own must be plain to see."""

GATE_WINDOWS = 6
"""Origins that both pools could forecast from, for the gate to open: two years of history are not enough."""

SILENT_SEASON_RATIO = 0.5
"""A sparse series is seasonal where that takes off half the squared error of its rate: benefits that begin anew each
year are silent for months, which is not intermittence."""

NOISY_CHANGE = 0.4
MINIMUM_HISTORY = 4
"""Known periods before an origin, for its errors to say something about the model."""

CHUNK_ROWS = 2048
"""Series smoothed together: small enough for the processor's cache. Rows do not influence each other."""


class Model(StrEnum):
    """Name of the pool that made a series' forecast."""

    SEASONAL = "seasonal"
    LOCAL = "local"
    NOISY = "noisy"
    INTERMITTENT = "intermittent"


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Point forecasts [..., horizon] of both pools and the intermittent rate; NaN where a history is too short."""

    seasonal: np.ndarray
    local: np.ndarray
    intermittent: np.ndarray

    def chosen(self, model: np.ndarray) -> np.ndarray:
        """Each series' forecast from its own `model` (names, [series]); local where the seasonal one has none.

        A noisy series gets the mean of its local pool and its rate.
        """
        name = model.reshape((len(model),) + (1,) * (self.local.ndim - 1))
        seasonal = np.where(np.isfinite(self.seasonal), self.seasonal, self.local)
        forecast = np.where(name == Model.SEASONAL, seasonal, self.local)
        forecast = np.where(name == Model.NOISY, (self.local + self.intermittent) / 2, forecast)
        return np.where(name == Model.INTERMITTENT, self.intermittent, forecast)


def season_cycle(period: Period) -> int:
    """Periods of the cycle that Holt-Winters follows: 1 for weeks, whose year is fitted by harmonics.

    >>> season_cycle(Period.DAY), season_cycle(Period.WEEK), season_cycle(Period.MONTH)
    (7, 1, 12)
    """
    return {Period.DAY: 7, Period.WEEK: 1}.get(period, period.per_year)


def candidates(values: np.ndarray, horizon: int, period: Period) -> Candidates:
    """Point forecasts [series, horizon] of every pool from values [series, period]."""
    found = candidates_at(values, horizon, period, [values.shape[1]])
    return Candidates(found.seasonal[:, 0], found.local[:, 0], found.intermittent[:, 0])


def candidates_at(values: np.ndarray, horizon: int, period: Period, ends: Sequence[int]) -> Candidates:
    """Every pool's forecasts [series, end, horizon] from the first so many periods, for each of `ends`."""
    chunks = [
        _candidates(values[row : row + CHUNK_ROWS], horizon, period, ends) for row in range(0, len(values), CHUNK_ROWS)
    ]
    fields = (field.name for field in dataclasses.fields(Candidates))
    return Candidates(
        **{name: np.concatenate([getattr(part, name) for part in chunks], axis=1).swapaxes(0, 1) for name in fields}
    )


def _candidates(values: np.ndarray, horizon: int, period: Period, ends: Sequence[int]) -> Candidates:
    """[end, series, horizon] of some series."""
    smoothed = models.smoothed_levels(values, ends)[0]
    return Candidates(
        seasonal=_seasonal(values, horizon, period, ends),
        local=_pool(values, horizon, 1, period, ends),
        intermittent=np.stack(
            [models.rate(values[:, :end], horizon, level) for end, level in zip(ends, smoothed, strict=True)]
        ),
    )


def _seasonal(values: np.ndarray, horizon: int, period: Period, ends: Sequence[int]) -> np.ndarray:
    if period in (Period.MONTH, Period.QUARTER):
        return _pool(values, horizon, season_cycle(period), period, ends)
    return np.stack([_yearly(values[:, :end], horizon, period) for end in ends])


def _yearly(values: np.ndarray, horizon: int, period: Period) -> np.ndarray:
    """The pool's forecast [series, horizon] of what is left of weeks and days without their yearly pattern."""
    adjusted, factor = split_yearly(values, horizon, DAYS_A_YEAR / period.mean_days)
    pool = _pool(adjusted, horizon, season_cycle(period), period, [values.shape[1]])[0]
    forecast = np.maximum((1 + pool) * factor - 1, 0.0)
    if period is Period.WEEK:
        forecast[values.shape[1] - models.first_known(values) < models.MINIMUM_CYCLES * period.per_year] = np.nan
    return forecast


def _pool(values: np.ndarray, horizon: int, cycle: int, period: Period, ends: Sequence[int]) -> np.ndarray:
    """Median of three models: Holt-Winters, Theta, and seasonal naive with growth (without season the level).

    Weeks are forecast on the raw scale by `local_trend` alone. Shape [end, series, horizon].
    """
    if period is Period.WEEK:
        return _weeks(values, horizon, cycle, ends)
    drift_periods = max(4 * cycle, 2 * min(period.per_year, 52))
    forecasts = np.stack(
        [
            rolling_holt_winters(values, horizon, ends, cycle=cycle),
            models.rolling_theta(values, horizon, ends, cycle=cycle, drift_periods=drift_periods),
            _third(values, horizon, cycle, ends),
        ]
    )
    ordered = np.sort(forecasts, axis=0)
    return np.where(np.isfinite(ordered[2]), ordered[1], ordered[0])


def _third(values: np.ndarray, horizon: int, cycle: int, ends: Sequence[int]) -> np.ndarray:
    if cycle == 1:
        return models.rolling_level(values, horizon, ends, cycle=cycle)
    return np.stack([models.seasonal_naive_growth(values[:, :end], horizon, cycle=cycle) for end in ends])


def _weeks(values: np.ndarray, horizon: int, cycle: int, ends: Sequence[int]) -> np.ndarray:
    forecast = rolling_local_trend(values, horizon, ends)
    capped = np.stack([models.cap(forecast[at], values[:, :end], cycle) for at, end in enumerate(ends)])
    if np.isfinite(capped).all():
        return capped
    return np.where(np.isfinite(capped), capped, models.rolling_level(values, horizon, ends, cycle=cycle))


def select_model(
    values: np.ndarray,
    backtest: Candidates,
    actual: np.ndarray,
    period: Period,
    season_shared: np.ndarray | None = None,
) -> np.ndarray:
    """Name of each series' model, [series].

    `backtest` and `actual` are [series, origin, horizon]. More than `INTERMITTENT_ZERO_SHARE` zeros in the recent past:
    intermittent, unless the silence is a season (`SILENT_SEASON_RATIO`). Otherwise seasonal, if over the origins both
    pools could forecast its absolute error is below `GATE_RATIO` times the local one's (`SHARED_GATE_RATIO` where
    `season_shared`, bool [series]); else local, or noisy where months change by more than `NOISY_CHANGE` of their mean.
    """
    both = np.isfinite(actual) & np.isfinite(backtest.seasonal) & np.isfinite(backtest.local)
    enough = both.any(axis=2).sum(axis=1) >= GATE_WINDOWS

    def error(forecast: np.ndarray, power: int) -> np.ndarray:
        return np.asarray((np.where(both, np.abs(actual - forecast), 0.0) ** power).sum(axis=(1, 2)))

    recent = values[:, -max(24, period.per_year) :]
    sparse = (recent == 0).sum(axis=1) > INTERMITTENT_ZERO_SHARE * np.isfinite(recent).sum(axis=1)
    ratio = GATE_RATIO if season_shared is None else np.where(season_shared, SHARED_GATE_RATIO, GATE_RATIO)
    beats_local = error(backtest.seasonal, 1) < ratio * error(backtest.local, 1)
    # squares, since the absolute error of a sparse series is least for a forecast of nothing
    beats_rate = error(backtest.seasonal, 2) < SILENT_SEASON_RATIO * error(backtest.intermittent, 2)
    seasonal = enough & np.where(sparse, beats_rate & (period is Period.MONTH), beats_local)
    noisy = _relative_change(recent) > NOISY_CHANGE if period in (Period.MONTH, Period.QUARTER) else False
    rest = np.where(sparse, Model.INTERMITTENT, np.where(noisy, Model.NOISY, Model.LOCAL))
    return np.where(seasonal, Model.SEASONAL, rest)


def _relative_change(recent: np.ndarray) -> np.ndarray:
    """Mean absolute change from one known period to the next over the mean, [series]."""
    change = np.abs(np.diff(recent, axis=1))
    known = np.isfinite(change)
    mean = np.nan_to_num(recent).sum(axis=1) / np.maximum(np.isfinite(recent).sum(axis=1), 1)
    return np.nan_to_num(change).sum(axis=1) / np.maximum(known.sum(axis=1), 1) / np.maximum(mean, 1e-300)


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
) -> tuple[Candidates, Candidates, np.ndarray, np.ndarray]:
    """Every pool's forecasts from the end [series, horizon] and from each earlier origin [series, origin, horizon],
    what was then observed [series, origin, horizon], and the cuts [origin].

    Errors from fewer than `MINIMUM_HISTORY` known periods are blanked.
    """
    cuts = origin_cuts(horizon, origins)
    columns = values.shape[1]
    cuts = cuts[cuts < columns]
    actual = np.full((len(values), len(cuts), horizon), np.nan)
    for origin, cut in enumerate(cuts):
        seen = min(cut, horizon)
        actual[:, origin, :seen] = values[:, columns - cut : columns - cut + seen]
    known = np.cumsum(np.isfinite(values), axis=1)[:, columns - cuts - 1]
    actual[known < MINIMUM_HISTORY] = np.nan
    found = candidates_at(values, horizon, period, [columns, *(columns - cuts).tolist()])
    pools = (found.seasonal, found.local, found.intermittent)
    return Candidates(*(pool[:, 0] for pool in pools)), Candidates(*(pool[:, 1:] for pool in pools)), actual, cuts
