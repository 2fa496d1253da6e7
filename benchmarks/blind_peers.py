"""Vectorised forecasters that know nothing of genotype, for scoring beside the planner: ETS, Theta, the last weeks.

Weekly series as the libraries' automatic models treat them: no ETS model takes a season of 52 weeks, so AutoETS chooses
among level, trend and damped trend by AICc; Theta is the standard method without season. Values [series, period],
forecasts [series, horizon], never negative.
"""

import numpy as np

ALPHAS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 0.8)
TREND_SHARES = (0.0, 0.01, 0.03, 0.1, 0.3)
DAMPINGS = (0.8, 0.9, 0.95, 0.98)


def blind_forecasts(values: np.ndarray, horizon: int) -> dict[str, np.ndarray]:
    """Forecasts [series, horizon] by name: ets, theta, their mean, and the mean of the last four weeks."""
    ets, theta = auto_ets(values, horizon), standard_theta(values, horizon)
    last = np.repeat(values[:, -4:].mean(axis=1)[:, None], horizon, axis=1)
    return {"ets": ets, "theta": theta, "ets_theta": (ets + theta) / 2, "last_four_weeks": last}


def auto_ets(values: np.ndarray, horizon: int) -> np.ndarray:
    """Additive ETS without season, the form and weights with the least AICc; states start at a regression's."""
    start, slope = _line(values[:, : min(20, values.shape[1])])
    points = [(alpha, 0.0, 1.0, 2, False) for alpha in ALPHAS]
    points += [(a, share, 1.0, 4, True) for a in ALPHAS for share in TREND_SHARES]
    points += [(a, share, phi, 5, True) for a in ALPHAS for share in TREND_SHARES for phi in DAMPINGS]
    best = np.full(len(values), np.inf)
    forecast = np.zeros((len(values), horizon))
    count = values.shape[1]
    for alpha, share, damping, parameters, trending in points:
        level, trend, squared = _smooth(values, start, slope if trending else 0 * slope, alpha, alpha * share, damping)
        used = parameters + 1
        score = count * np.log(np.maximum(squared, 1e-12)) + 2 * used * count / (count - used - 1)
        steps = np.cumsum(damping ** np.arange(1, horizon + 1)) if trending else np.zeros(horizon)
        made = level[:, None] + trend[:, None] * steps
        better = score < best
        forecast[better], best[better] = made[better], score[better]
    return np.maximum(forecast, 0.0)


def standard_theta(values: np.ndarray, horizon: int) -> np.ndarray:
    """Simple exponential smoothing with half the slope of the whole history's line."""
    _, slope = _line(values)
    start = values[:, :4].mean(axis=1)
    best = np.full(len(values), np.inf)
    forecast = np.zeros((len(values), horizon))
    for alpha in ALPHAS:
        level, _, squared = _smooth(values, start, 0 * slope, alpha, 0.0, 1.0)
        drift = (1 - (1 - alpha) ** values.shape[1]) / alpha
        made = level[:, None] + 0.5 * slope[:, None] * (np.arange(horizon) + drift)
        better = squared < best
        forecast[better], best[better] = made[better], squared[better]
    return np.maximum(forecast, 0.0)


def _line(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    slope = values @ time / (time @ time)
    return values.mean(axis=1) + slope * time[0], slope


def _smooth(
    values: np.ndarray, level: np.ndarray, trend: np.ndarray, alpha: float, beta: float, damping: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    squared = np.zeros(len(values))
    for observed in values.T:
        expected = level + damping * trend
        error = observed - expected
        squared += error * error
        level, trend = expected + alpha * error, damping * trend + beta * error
    return level, trend, squared
