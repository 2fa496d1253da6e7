"""The mix of a group (the drugs of a therapy, the strengths of a drug) forecast as a composition: shares that sum to 1.

Dense groups: log shares about their mean (centred log-ratio) follow a damped trend, averaged with the shares that
direct forecasts of the parts imply. Sparse groups: a Dirichlet with discounted counts.

References
----------
Aitchison (1982), Journal of the Royal Statistical Society B 44:139-177, doi:10.1111/j.2517-6161.1982.tb01195.x.
"""

import numpy as np

from forecasting.demand.models import fill_gaps

LEVEL_WEIGHT = 0.7
TREND_WEIGHT = 0.15
DAMPING = 0.9
DISCOUNT = 0.8
PRIOR_UNITS = 0.5
"""Units that each part of a sparse group has besides, before any is dispensed."""

SPARSE_ZERO_SHARE = 0.1
"""A group with more zeros than this share of its recent cells, weighted by volume, is sparse."""

RECENT_PERIODS = 12


def forecast_shares(quantity: np.ndarray, group: np.ndarray, direct: np.ndarray) -> np.ndarray:
    """Share of each part in its group [part, horizon]; the shares of a group sum to 1.

    `quantity` [part, period] is history (NaN unknown, filled from the period before), `group` [part] the number of each
    part's group, `direct` [part, horizon] forecasts of the parts themselves. A group without any demand shares equally.

    >>> history = np.array([[30.0] * 24, [10.0] * 24])
    >>> forecast_shares(history, np.array([0, 0]), np.array([[33.0], [11.0]])).round(4).ravel().tolist()
    [0.75, 0.25]
    """
    horizon = direct.shape[1]
    filled = np.nan_to_num(fill_gaps(quantity, 1))
    from_direct = _within(direct, group)
    trend = _within(np.exp(_damped_trend(_log_shares(filled, group), horizon)), group)
    counted = _within(_discounted(filled)[:, None] + PRIOR_UNITS * np.ones(horizon), group)
    # by volume: a strength that is made to order now and then does not make its group sparse
    zeros = (filled[:, -RECENT_PERIODS:] == 0).mean(axis=1)
    share = _within(filled[:, -RECENT_PERIODS:].sum(axis=1, keepdims=True), group)[:, 0]
    sparse = (np.bincount(group, share * zeros) > SPARSE_ZERO_SHARE)[group]
    return np.where(sparse[:, None], counted, (from_direct + trend) / 2)


def forecast_mix(quantity: np.ndarray, group: np.ndarray, direct: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Parts [part, horizon] whose groups sum to `total` [group, horizon], split by `forecast_shares`."""
    return forecast_shares(quantity, group, direct) * total[group]


def _within(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Shares of values [part, ...] in their group's sum; equal where that is zero."""
    total = np.zeros((group.max(initial=-1) + 1, *values.shape[1:]))
    np.add.at(total, group, values)
    members = np.bincount(group)[group][:, None]
    return np.where(total[group] > 0, values / np.maximum(total[group], 1e-300), 1.0 / members)


def _log_shares(filled: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Centred log-ratios [part, period]; half the least share a part has had stands in for none."""
    share = _within(filled, group)
    least = np.where(share > 0, share, np.inf).min(axis=1)
    floor = np.where(np.isfinite(least), least / 2, 1e-6)[:, None]
    logs = np.log(np.maximum(share, floor))
    mean = np.zeros((group.max(initial=-1) + 1, logs.shape[1]))
    np.add.at(mean, group, logs)
    return logs - (mean / np.maximum(np.bincount(group), 1)[:, None])[group]


def _damped_trend(logs: np.ndarray, horizon: int) -> np.ndarray:
    """Damped Holt over the periods [part, period], its forecast [part, horizon]."""
    level = logs[:, : min(3, logs.shape[1])].mean(axis=1)
    trend = np.zeros(len(logs))
    for observed in logs.T:
        expected = level + DAMPING * trend
        error = observed - expected
        level, trend = expected + LEVEL_WEIGHT * error, DAMPING * trend + LEVEL_WEIGHT * TREND_WEIGHT * error
    steps = np.cumsum(DAMPING ** np.arange(1, horizon + 1))
    return level[:, None] + trend[:, None] * steps


def _discounted(filled: np.ndarray) -> np.ndarray:
    """Units of each part, each period worth `DISCOUNT` of the next."""
    return filled @ DISCOUNT ** np.arange(filled.shape[1])[::-1]
