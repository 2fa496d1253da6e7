"""Damped Holt-Winters: one pass over the periods serves every rolling origin on its way."""

from collections.abc import Iterator, Sequence

import numpy as np

from forecasting.demand.pool.models import MINIMUM_CYCLES, fill_gaps, first_known, from_log

HOLT_WINTERS_GRID = tuple(
    (level, trend, season, damping)
    for level in (0.1, 0.25, 0.45)
    for trend, damping in ((0.05, 0.98), (0.0, 0.9))
    for season in (0.2, 0.4)
)
"""Weights of level, trend (as a share of the level's) and season, and the damping of the trend, tried together."""


def rolling_holt_winters(values: np.ndarray, horizon: int, ends: Sequence[int], *, cycle: int) -> np.ndarray:
    """Additive Holt-Winters with a damped trend on log1p, of the first so many periods for each of `ends`.

    Shape [end, series, horizon]; the weights with the least one-step error are taken per series. `cycle` 1 means no
    season. Series shorter than two cycles (three periods without season) give NaN. The states at an end are those that
    the filter passes through anyway, so that further ends cost nearly nothing.

    References
    ----------
    Gardner & McKenzie (1985), Management Science 31:1237-1246, doi:10.1287/mnsc.31.10.1237.

    >>> rolling_holt_winters(np.tile([1.0, 9.0], (1, 6)), 2, [8, 11], cycle=2).round(6)[:, 0]
    array([[1., 9.],
           [9., 1.]])
    """
    start = first_known(values)
    grid = np.array([point for point in HOLT_WINTERS_GRID if cycle > 1 or point[2] == HOLT_WINTERS_GRID[0][2]])
    filled = fill_gaps(np.log1p(values), cycle)
    forecasts = np.full((len(ends), len(values), horizon), np.nan)
    for end, best, level, trend, season in _filter(filled, np.isfinite(values), start, grid, cycle, set(ends)):
        steps = np.cumsum(grid[best, 3][:, None] ** np.arange(1, horizon + 1), axis=1)
        phase = (end + np.arange(horizon)) % cycle
        log_forecast = level[:, None] + trend[:, None] * steps + season[phase].T
        short = end - start < max(MINIMUM_CYCLES * cycle, 3)
        forecasts[list(ends).index(end)] = from_log(
            np.where(short[:, None], np.nan, log_forecast), values[:, :end], cycle
        )
    return forecasts


def _initial_state(filled: np.ndarray, start: np.ndarray, cycle: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Level, trend [series] and season [phase, series] from the first two cycles of each series."""
    columns = filled.shape[1]
    index = np.minimum(start[:, None] + np.arange(2 * cycle), columns - 1)
    head = np.nan_to_num(np.take_along_axis(filled, index, axis=1)).reshape(len(filled), 2, cycle)
    means = head.mean(axis=2)
    trend = (means[:, 1] - means[:, 0]) / cycle if cycle > 1 else np.zeros(len(filled))
    within = np.arange(cycle) - (cycle - 1) / 2
    detrended = head - means[:, :, None] - trend[:, None, None] * within
    season = np.empty((cycle, len(filled)))
    phases = (start[:, None] + np.arange(cycle)) % cycle
    season[phases, np.arange(len(filled))[:, None]] = detrended.mean(axis=1)
    return means[:, 0] - trend * (cycle + 1) / 2, trend, season


def _filter(
    filled: np.ndarray, known: np.ndarray, start: np.ndarray, grid: np.ndarray, cycle: int, ends: set[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """At each end: the grid point with the least squared one-step error so far, and its level, trend [series] and
    season [phase, series]."""
    level, trend, first_season = _initial_state(filled, start, cycle)
    shape, rows = (len(grid), len(filled)), np.arange(len(filled))
    level, trend = (np.broadcast_to(state, shape).copy() for state in (level, trend))
    season = np.repeat(first_season[:, None, :], len(grid), axis=1)
    alpha, beta, gamma, damping = (grid[:, [column]] for column in range(4))
    season_step = gamma * (1 - alpha) if cycle > 1 else np.zeros_like(gamma)
    trend_step = alpha * beta
    squared = np.zeros(shape)
    observed = np.ascontiguousarray(filled.T)
    for column in range(int(start.min(initial=filled.shape[1])), max(ends)):
        phase = column % cycle
        drift = damping * trend
        error = observed[column] - (level + drift + season[phase])
        scored = known[:, column] & (column >= start + cycle)
        _blank(error, known[:, column])
        running = column >= start
        trend = drift if running.all() else np.where(running, drift, trend)
        level += drift if running.all() else np.where(running, drift, 0.0)
        level += alpha * error
        trend = trend + trend_step * error
        season[phase] += season_step * error
        error *= error
        squared += error if scored.all() else np.where(scored, error, 0.0)
        if column + 1 in ends:
            best = squared.argmin(axis=0)
            yield column + 1, best, level[best, rows], trend[best, rows], season[:, best, rows]


def _blank(error: np.ndarray, known: np.ndarray) -> None:
    if not known.all():
        error[:, ~known] = 0.0
