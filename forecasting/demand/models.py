"""The pool of point forecasts: each takes values [series, period] and a horizon and gives back [series, horizon].

Values are quantities, NaN where unknown (before launch, or a gap). A forecast never is negative, never exceeds
`CAP_RATIO` times the largest recent quantity and depends on its own series only. A series too short for a model gets
NaN from it, and `selection` falls back on `level`, which needs one known period. All zeros give zeros, a constant
itself.
Smoothing runs over periods, all series (and a small grid of smoothing weights) at once.
"""

import numpy as np

CAP_RATIO = 3.0
"""A forecast is held below this many times the largest quantity of the recent past: log models can explode."""

RECENT_CYCLES = 2
MINIMUM_CYCLES = 2
"""Fewer complete cycles than this and a season is not told from noise."""

HOLT_WINTERS_GRID = tuple(
    (level, trend, season, damping)
    for level in (0.1, 0.25, 0.45)
    for trend, damping in ((0.05, 0.98), (0.0, 0.9))
    for season in (0.2, 0.4)
)
"""Weights of level, trend (as a share of the level's) and season, and the damping of the trend, tried together."""

LEVEL_WEIGHTS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
THETA_WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6)
INTERMITTENT_DECAY = 0.9
SEASON_DECAY = 0.75
"""Weight of a cycle against the next younger one when the seasonal pattern is averaged."""

GROWTH_DAMPING = 0.7
MONTHS_A_YEAR = 12


def first_known(values: np.ndarray) -> np.ndarray:
    """Column of each series' first known period (the number of columns when it has none).

    >>> first_known(np.array([[np.nan, 2.0, np.nan], [np.nan, np.nan, np.nan]]))
    array([1, 3])
    """
    known = np.isfinite(values)
    return np.where(known.any(axis=1), known.argmax(axis=1), values.shape[1])


def fill_gaps(values: np.ndarray, cycle: int) -> np.ndarray:
    """The values with each gap after the first known period filled: one cycle earlier, else the period before.

    >>> fill_gaps(np.array([[np.nan, 1.0, 2.0, np.nan]]), cycle=2)
    array([[nan,  1.,  2.,  1.]])
    """
    if not np.isnan(values).any():
        return values
    filled = values.copy()
    for column in range(1, values.shape[1]):
        unknown = np.isnan(filled[:, column])
        if unknown.any():
            before = filled[:, column - 1]
            source = filled[:, column - cycle] if column >= cycle else before
            guess = np.where(np.isfinite(source), source, before)
            filled[unknown, column] = guess[unknown]
    return filled


def cap(forecast: np.ndarray, values: np.ndarray, cycle: int) -> np.ndarray:
    """The forecast held between 0 and `CAP_RATIO` times the largest recent quantity.

    >>> cap(np.array([[-1.0, 99.0]]), np.array([[2.0, 4.0]]), cycle=12)
    array([[ 0., 12.]])
    """
    recent = values[:, -max(RECENT_CYCLES * cycle, MONTHS_A_YEAR) :]
    largest = np.where(np.isfinite(recent), recent, 0.0).max(axis=1, initial=0.0)
    older = np.where(np.isfinite(values), values, 0.0).max(axis=1, initial=0.0)
    ceiling = CAP_RATIO * np.where(np.isfinite(recent).any(axis=1), largest, older)
    return np.clip(forecast, 0.0, ceiling[:, None])


def damped_holt_winters(values: np.ndarray, horizon: int, *, cycle: int) -> np.ndarray:
    """Additive Holt-Winters with a damped trend on log1p, the weights with the least one-step error taken per series.

    `cycle` 1 means no season. Series shorter than two cycles (three periods without season) give NaN.

    References
    ----------
    Gardner & McKenzie (1985), Management Science 31:1237-1246, doi:10.1287/mnsc.31.10.1237.

    >>> damped_holt_winters(np.tile([1.0, 9.0], (1, 6)), 2, cycle=2).round(6)
    array([[1., 9.]])
    """
    log_values = np.log1p(values)
    start = first_known(values)
    known = np.isfinite(values)
    grid = np.array([point for point in HOLT_WINTERS_GRID if cycle > 1 or point[2] == HOLT_WINTERS_GRID[0][2]])
    filled = fill_gaps(log_values, cycle)
    level, trend, season = _initial_state(filled, start, cycle)
    state = _holt_winters_filter(filled, known, start, grid, (level, trend, season))
    best = state[0].argmin(axis=0)
    rows = np.arange(len(values))
    level, trend, season = state[1][best, rows], state[2][best, rows], state[3][:, best, rows]
    damping = grid[best, 3]
    steps = np.cumsum(damping[:, None] ** np.arange(1, horizon + 1), axis=1)
    phase = (values.shape[1] + np.arange(horizon)) % cycle
    log_forecast = level[:, None] + trend[:, None] * steps + season[phase].T
    short = values.shape[1] - start < max(MINIMUM_CYCLES * cycle, 3)
    return _from_log(np.where(short[:, None], np.nan, log_forecast), values, cycle)


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


def _holt_winters_filter(
    filled: np.ndarray,
    known: np.ndarray,
    start: np.ndarray,
    grid: np.ndarray,
    initial: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Squared one-step error, level, trend [grid, series] and season [phase, grid, series] after the last period."""
    cycle = len(initial[2])
    shape = (len(grid), len(filled))
    level, trend = (np.broadcast_to(state, shape).copy() for state in initial[:2])
    season = np.repeat(initial[2][:, None, :], len(grid), axis=1)
    alpha, beta, gamma, damping = (grid[:, [column]] for column in range(4))
    gamma = gamma if cycle > 1 else np.zeros_like(gamma)
    squared = np.zeros(shape)
    observed = np.ascontiguousarray(filled.T)
    for column in range(int(start.min(initial=filled.shape[1])), filled.shape[1]):
        phase = column % cycle
        drift = damping * trend
        error = observed[column] - (level + drift + season[phase])
        scored = known[:, column] & (column >= start + cycle)
        _blank(error, known[:, column])
        running = column >= start
        if not running.all():
            drift = np.where(running, drift, 0.0)
            trend = np.where(running, trend, trend / damping)
        level = level + drift + alpha * error
        trend = damping * trend + alpha * beta * error
        season[phase] += gamma * (1 - alpha) * error
        squared += np.where(scored, error * error, 0.0)
    return squared, level, trend, season


def _blank(error: np.ndarray, known: np.ndarray) -> None:
    if not known.all():
        error[:, ~known] = 0.0


def seasonal_theta(values: np.ndarray, horizon: int, *, cycle: int, drift_periods: int = 48) -> np.ndarray:
    """Seasonal decomposition on log1p with the Theta method (level plus half the drift) on what is left.

    The seasonal pattern is the recency-weighted mean of the detrended cycles, the drift the slope over the last
    `drift_periods`. Series shorter than two cycles (three periods without season) give NaN.

    References
    ----------
    Assimakopoulos & Nikolopoulos (2000), International Journal of Forecasting 16:521-530,
    doi:10.1016/S0169-2070(00)00066-2.

    >>> seasonal_theta(np.tile([1.0, 9.0], (1, 6)), 2, cycle=2).round(6)
    array([[1., 9.]])
    """
    log_values = np.log1p(values)
    start = first_known(values)
    filled = fill_gaps(log_values, cycle)
    season = _seasonal_pattern(filled, cycle)
    phases = np.arange(values.shape[1] + horizon) % cycle
    adjusted = filled - season[:, phases[: values.shape[1]]]
    level, alpha = smoothed_level(adjusted)
    drift = _recent_slope(adjusted, drift_periods)
    steps = np.arange(horizon) + 1 / alpha[:, None]
    log_forecast = level[:, None] + 0.5 * drift[:, None] * steps + season[:, phases[values.shape[1] :]]
    short = values.shape[1] - start < max(MINIMUM_CYCLES * cycle, 3)
    return _from_log(np.where(short[:, None], np.nan, log_forecast), values, cycle)


def _seasonal_pattern(filled: np.ndarray, cycle: int) -> np.ndarray:
    """Seasonal effect [series, phase] on the log scale, mean zero; the trend is a centred mean over one cycle."""
    columns = filled.shape[1]
    if cycle == 1 or columns < MINIMUM_CYCLES * cycle:
        return np.zeros((len(filled), cycle))
    detrended = filled - _centred_trend(filled, cycle)
    age = (columns - 1 - np.arange(columns)) // cycle
    weight = np.where(np.isfinite(detrended), SEASON_DECAY**age, 0.0)
    weighted = np.nan_to_num(detrended) * weight
    padding = ((0, 0), (0, -columns % cycle))
    total = np.pad(weighted, padding).reshape(len(filled), -1, cycle).sum(axis=1)
    mass = np.pad(weight, padding).reshape(len(filled), -1, cycle).sum(axis=1)
    season = total / np.maximum(mass, 1e-12)
    return season - season.mean(axis=1, keepdims=True)


def _centred_trend(filled: np.ndarray, cycle: int) -> np.ndarray:
    """2 x cycle centred mean; NaN within half a cycle of either end of what is known."""
    half = cycle // 2
    weights = np.ones(cycle + 1 - cycle % 2)
    if cycle % 2 == 0:
        weights[[0, -1]] = 0.5
    width = len(weights)
    windows = np.lib.stride_tricks.sliding_window_view(filled, width, axis=1)
    trend = np.full(filled.shape, np.nan)
    total = np.zeros((len(filled), filled.shape[1] - width + 1))
    for position in range(width):
        total += weights[position] * windows[:, :, position]
    trend[:, half : half + total.shape[1]] = total / cycle
    return trend


def smoothed_level(
    filled: np.ndarray, weights: tuple[float, ...] = LEVEL_WEIGHTS, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Level after the last period and the smoothing weight with the least one-step error, both [series].

    Smoothing begins at the first known period, or where given at the level `start` [series].

    >>> smoothed_level(np.array([[5.0, 5.0, 5.0]]))[0]
    array([5.])
    """
    alpha = np.array(weights)[:, None]
    level = np.full((len(weights), len(filled)), np.nan)
    if start is not None:
        level[:] = start
    squared = np.zeros(level.shape)
    for observed in np.ascontiguousarray(filled.T):
        error = observed - level
        known = np.isfinite(error[0])
        if known.all():
            squared += error * error
            level += alpha * error
        else:
            squared += np.where(known, error * error, 0.0)
            level = np.where(
                known, level + alpha * np.where(known, error, 0.0), np.where(np.isnan(level), observed, level)
            )
    best = squared.argmin(axis=0)
    return level[best, np.arange(len(filled))], alpha[best, 0]


def theta(values: np.ndarray, horizon: int) -> np.ndarray:
    """The Theta method on the raw scale: a smoothed level and half the slope of the whole history.

    It aims at the mean, where log models aim at the median, and may smooth slowly: weekly demand is mostly noise.
    Fewer than three known periods give NaN.

    References
    ----------
    Hyndman & Billah (2003), International Journal of Forecasting 19:287-290, doi:10.1016/S0169-2070(01)00143-1.

    >>> theta(np.tile([2.0, 4.0], (1, 40)), 2).round(1)
    array([[3., 3.]])
    """
    known = np.isfinite(values).sum(axis=1)
    begun = first_known(values)
    smoothed, alpha = smoothed_level(values, THETA_WEIGHTS, _first_mean(values, begun))
    age = values.shape[1] - begun
    started = (1 - (1 - alpha) ** np.maximum(age, 1)) / alpha
    slope = _recent_slope(values, values.shape[1])
    forecast = smoothed[:, None] + 0.5 * slope[:, None] * (np.arange(horizon) + started[:, None])
    return np.where((known >= 3)[:, None], np.maximum(forecast, 0.0), np.nan)


def _first_mean(values: np.ndarray, begun: np.ndarray, periods: int = 4) -> np.ndarray:
    """Mean of the known among each series' first few periods; NaN without any."""
    index = np.minimum(begun[:, None] + np.arange(periods), values.shape[1] - 1)
    head = np.take_along_axis(values, index, axis=1)
    known = np.isfinite(head)
    mean = np.nan_to_num(head).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, np.nan)


def _recent_slope(adjusted: np.ndarray, periods: int) -> np.ndarray:
    """Least-squares slope per period over the last so many periods."""
    window = min(adjusted.shape[1], periods)
    recent = adjusted[:, -window:]
    known = np.isfinite(recent)
    count = known.sum(axis=1)
    time = np.arange(window, dtype=float) * known
    centred = (np.arange(window) - (time.sum(axis=1) / np.maximum(count, 1))[:, None]) * known
    slope = (centred * np.nan_to_num(recent)).sum(axis=1) / np.maximum((centred**2).sum(axis=1), 1e-12)
    return np.where(count >= 3, slope, 0.0)


def seasonal_naive_growth(values: np.ndarray, horizon: int, *, cycle: int) -> np.ndarray:
    """The quantity one cycle earlier, moved by the damped growth of the last half cycle over its year before.

    Series shorter than two cycles give NaN.

    >>> seasonal_naive_growth(np.tile([1.0, 9.0], (1, 6)), 3, cycle=2).round(6)
    array([[1., 9., 1.]])
    """
    columns = values.shape[1]
    filled = fill_gaps(np.log1p(values), cycle)
    if columns < MINIMUM_CYCLES * cycle:
        return np.full((len(values), horizon), np.nan)
    recent = max(cycle // 2, 1)
    growth = np.median((filled[:, cycle:] - filled[:, :-cycle])[:, -recent:], axis=1)
    steps = np.arange(horizon)
    source = columns - cycle + steps % cycle
    cycles_ahead = 1 + steps // cycle
    log_forecast = filled[:, source] + GROWTH_DAMPING * growth[:, None] * cycles_ahead
    short = columns - first_known(values) < MINIMUM_CYCLES * cycle
    return _from_log(np.where(short[:, None], np.nan, log_forecast), values, cycle)


def level(values: np.ndarray, horizon: int, *, cycle: int) -> np.ndarray:
    """Simple exponential smoothing, the mean of the raw and the log1p scale, flat over the horizon.

    One known period is enough; a series without any gives NaN.

    >>> level(np.array([[np.nan, 4.0]]), 2, cycle=12).round(6)
    array([[4., 4.]])
    """
    raw = smoothed_level(values)[0]
    logged = np.expm1(smoothed_level(np.log1p(values))[0])
    return cap(np.repeat(((raw + logged) / 2)[:, None], horizon, axis=1), values, cycle)


def rate(values: np.ndarray, horizon: int) -> np.ndarray:
    """Mean demand a period of an intermittent series, flat: mean of `weighted_mean` and smoothing on the raw scale.

    >>> rate(np.array([[0.0, 0.0, 6.0, 0.0, 6.0, 0.0]]), 1).round(2)
    array([[1.83]])
    """
    smoothed = (weighted_mean(values) + smoothed_level(values)[0]) / 2
    return np.repeat(smoothed[:, None], horizon, axis=1)


def weighted_mean(values: np.ndarray, decay: float = INTERMITTENT_DECAY) -> np.ndarray:
    """Exponentially weighted mean of the known periods, [series]; NaN for a series without any.

    >>> weighted_mean(np.array([[0.0, np.nan, 19.0]])).round(4)
    array([10.4972])
    """
    weight = recency_weights(values, decay)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    mean = (np.nan_to_num(values) * weight).sum(axis=1) / total
    return np.where(np.isfinite(values).any(axis=1), mean, np.nan)


def recency_weights(values: np.ndarray, decay: float) -> np.ndarray:
    """Weight [series, period] of each known period, `decay` a period of age; 0 where unknown.

    >>> recency_weights(np.array([[np.nan, 3.0, 4.0]]), 0.5)
    array([[0. , 0.5, 1. ]])
    """
    age = np.arange(values.shape[1])[::-1]
    return np.where(np.isfinite(values), decay**age, 0.0)


def _from_log(log_forecast: np.ndarray, values: np.ndarray, cycle: int) -> np.ndarray:
    return cap(np.expm1(np.minimum(log_forecast, 700.0)), values, cycle)
