"""The pool of point forecasts: each takes values [series, period] and a horizon and gives back [series, horizon].

Values are quantities, NaN where unknown (before launch, or a gap). A forecast never is negative, never exceeds
`CAP_RATIO` times the largest recent quantity and depends on its own series only. A series too short for a model gets
NaN from it, and `selection` falls back on `level`, which needs one known period. All zeros give zeros, a constant
itself.
Smoothing runs over periods, all series (and a small grid of smoothing weights) at once.
"""

from collections.abc import Sequence

import numpy as np

from forecasting.terms import Period

CAP_RATIO = 3.0
"""A forecast is held below this many times the largest quantity of the recent past: log models can explode."""

RECENT_CYCLES = 2
MINIMUM_CYCLES = 2
"""With fewer complete cycles a season cannot be separated from noise."""

INTERMITTENT_ZERO_SHARE = 0.3
"""A series with a larger share of recent periods without demand is intermittent."""

LEVEL_WEIGHTS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
INTERMITTENT_DECAY = 0.9
SEASON_DECAY = 0.75
"""Weight of a cycle against the next younger one when the seasonal pattern is averaged."""

GROWTH_DAMPING = 0.7
MONTHS_A_YEAR = 12


def season_cycle(period: Period) -> int:
    """Periods of the cycle that the seasonal models follow: 1 for weeks, whose year is fitted by harmonics.

    >>> season_cycle(Period.DAY), season_cycle(Period.WEEK), season_cycle(Period.MONTH)
    (7, 1, 12)
    """
    return {Period.DAY: 7, Period.WEEK: 1}.get(period, period.per_year)


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
        is_unknown = np.isnan(filled[:, column])
        if is_unknown.any():
            previous = filled[:, column - 1]
            source = filled[:, column - cycle] if column >= cycle else previous
            fill = np.where(np.isfinite(source), source, previous)
            filled[is_unknown, column] = fill[is_unknown]
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


def rolling_theta(
    values: np.ndarray, horizon: int, ends: Sequence[int], *, cycle: int, drift_periods: int = 48
) -> np.ndarray:
    """Seasonal decomposition on log1p with the Theta method (level plus half the drift) on what is left.

    Of the first so many periods for each of `ends`, [end, series, horizon]. The seasonal pattern is the
    recency-weighted mean of the detrended cycles, the drift the slope over the last `drift_periods`. Series shorter
    than two cycles (three periods without season) give NaN. A season is another one at each end, so that only without
    season one pass serves all.

    References
    ----------
    Assimakopoulos & Nikolopoulos (2000), International Journal of Forecasting 16:521-530,
    doi:10.1016/S0169-2070(00)00066-2.

    >>> rolling_theta(np.tile([1.0, 9.0], (1, 6)), 2, [8, 12], cycle=2).round(6)[:, 0]
    array([[1., 9.],
           [1., 9.]])
    """
    filled = fill_gaps(np.log1p(values), cycle)
    start = first_known(values)
    smoothed = smoothed_levels(filled, ends) if cycle == 1 else None
    forecasts = []
    for position, end in enumerate(ends):
        season = _seasonal_pattern(filled[:, :end], cycle)
        phases = np.arange(end + horizon) % cycle
        adjusted = filled[:, :end] - season[:, phases[:end]]
        level, alpha = smoothed_level(adjusted) if smoothed is None else (smoothed[0][position], smoothed[1][position])
        steps = np.arange(horizon) + 1 / alpha[:, None]
        drift = recent_slope(adjusted, drift_periods)
        log_forecast = level[:, None] + 0.5 * drift[:, None] * steps + season[:, phases[end:]]
        short = end - start < max(MINIMUM_CYCLES * cycle, 3)
        forecasts.append(from_log(np.where(short[:, None], np.nan, log_forecast), values[:, :end], cycle))
    return np.stack(forecasts)


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


def smoothed_level(filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level after the last period and the smoothing weight with the least one-step error, both [series].

    >>> smoothed_level(np.array([[5.0, 5.0, 5.0]]))[0]
    array([5.])
    """
    level, alpha = smoothed_levels(filled, [filled.shape[1]])
    return level[0], alpha[0]


def smoothed_levels(filled: np.ndarray, ends: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """`smoothed_level` of the first so many periods for each of `ends`, [end, series], from one pass over the periods.

    >>> smoothed_levels(np.array([[5.0, 5.0, 7.0, 7.0]]), [2, 4])[0]
    array([[5.   ],
           [6.875]])
    """
    alpha = np.array(LEVEL_WEIGHTS)[:, None]
    level = np.full((len(LEVEL_WEIGHTS), len(filled)), np.nan)
    squared = np.zeros(level.shape)
    at_end: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for column, observed in enumerate(np.ascontiguousarray(filled[:, : max(ends)].T), start=1):
        error = observed - level
        is_known = np.isfinite(error[0])
        if is_known.all():
            squared += error * error
            level += alpha * error
        else:
            squared += np.where(is_known, error * error, 0.0)
            level = np.where(
                is_known, level + alpha * np.where(is_known, error, 0.0), np.where(np.isnan(level), observed, level)
            )
        if column in ends:
            best = squared.argmin(axis=0)
            at_end[column] = level[best, np.arange(len(filled))], alpha[best, 0]
    levels, alphas = zip(*(at_end[end] for end in ends), strict=True)
    return np.stack(levels), np.stack(alphas)


def recent_slope(adjusted: np.ndarray, periods: int) -> np.ndarray:
    """Least-squares slope per period over the last so many periods."""
    window = min(adjusted.shape[1], periods)
    recent = adjusted[:, -window:]
    known = np.isfinite(recent)
    count = known.sum(axis=1)
    time = np.arange(window, dtype=float) * known
    centred = (np.arange(window) - (time.sum(axis=1) / np.maximum(count, 1))[:, None]) * known
    slope = (centred * np.nan_to_num(recent)).sum(axis=1) / np.maximum((centred**2).sum(axis=1), 1e-12)
    return np.where(count >= 3, slope, 0.0)


def rolling_naive_growth(values: np.ndarray, horizon: int, ends: Sequence[int], *, cycle: int) -> np.ndarray:
    """`seasonal_naive_growth` of the first so many periods for each of `ends`, [end, series, horizon]."""
    return np.stack([seasonal_naive_growth(values[:, :end], horizon, cycle=cycle) for end in ends])


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
    return from_log(np.where(short[:, None], np.nan, log_forecast), values, cycle)


def rolling_level(values: np.ndarray, horizon: int, ends: Sequence[int], *, cycle: int) -> np.ndarray:
    """Simple exponential smoothing, the mean of the raw and the log1p scale, flat over the horizon.

    Of the first so many periods for each of `ends`, [end, series, horizon], from one pass. One known period is enough;
    a series without any gives NaN.

    >>> rolling_level(np.array([[np.nan, 4.0, 9.0]]), 2, [2], cycle=12).round(6)
    array([[[4., 4.]]])
    """
    raw = smoothed_levels(values, ends)[0]
    logged = np.expm1(smoothed_levels(np.log1p(values), ends)[0])
    flat = np.repeat(((raw + logged) / 2)[:, :, None], horizon, axis=2)
    return np.stack([cap(flat[position], values[:, :end], cycle) for position, end in enumerate(ends)])


def rate(values: np.ndarray, horizon: int, smoothed: np.ndarray | None = None) -> np.ndarray:
    """Mean demand a period of an intermittent series, flat: mean of `weighted_mean` and smoothing on the raw scale
    (`smoothed` [series], where it is at hand).

    >>> rate(np.array([[0.0, 0.0, 6.0, 0.0, 6.0, 0.0]]), 1).round(2)
    array([[1.83]])
    """
    smoothed = smoothed_level(values)[0] if smoothed is None else smoothed
    return np.repeat(((weighted_mean(values) + smoothed) / 2)[:, None], horizon, axis=1)


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


def from_log(log_forecast: np.ndarray, values: np.ndarray, cycle: int) -> np.ndarray:
    return cap(np.expm1(np.minimum(log_forecast, 700.0)), values, cycle)
