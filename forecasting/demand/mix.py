"""The mix of a group (the drugs of a therapy, the strengths of a drug) forecast as a composition: shares that sum to 1.

Dense groups: log shares about their mean (centred log-ratio) follow a damped trend, as fast as the group's own past
asks for, averaged with the shares that direct forecasts of the parts imply. Sparse groups: a Dirichlet with discounted
counts.

References
----------
Aitchison (1982), Journal of the Royal Statistical Society B 44:139-177, doi:10.1111/j.2517-6161.1982.tb01195.x.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from forecasting.arrays import sum_by_index
from forecasting.demand.pool.models import fill_gaps, first_known
from forecasting.demand.series import DemandPanel
from forecasting.terms import Period

LEVEL_WEIGHTS = (0.015, 0.03, 0.06, 0.12, 0.25, 0.5, 0.7)
"""How fast a group's shares may follow what is seen, tried together."""

TREND_PART = 0.5
WEEKLY_TREND_PART = 0.25
"""What the trend of the shares has to say beside the direct forecasts: those of weeks are steadier."""

TREND_WEIGHT_A_MONTH = 0.15
DAMPING_A_MONTH = 0.9
DISCOUNT = 0.8
LEARNING_PERIODS = 8
"""Periods whose one-step errors do not count yet: the level has not settled."""

LEAST_PERIODS = 24
FACTOR_RANGE = (0.8, 1.25)
"""A strength's own forecast is moved by no more than this to agree with its drug's mix and total."""

PRIOR_UNITS = 0.5
"""Units that each part of a sparse group has besides, before any is dispensed."""

SPARSE_ZERO_SHARE = 0.1
"""A group with more zeros than this share of its recent cells, weighted by volume, is sparse."""

RECENT_PERIODS = 12


def forecast_shares(quantity: np.ndarray, group: np.ndarray, direct: np.ndarray, period: Period) -> np.ndarray:
    """Share of each part in its group [part, horizon]; the shares of a group sum to 1.

    `quantity` [part, period] is history (NaN unknown, filled from the period before), `group` [part] the number of each
    part's group, `direct` [part, horizon] forecasts of the parts themselves. A group without any demand shares equally.

    >>> history = np.array([[30.0] * 24, [10.0] * 24])
    >>> forecast_shares(history, np.array([0, 0]), np.array([[33.0], [11.0]]), Period.MONTH).round(4).ravel().tolist()
    [0.75, 0.25]
    """
    horizon = direct.shape[1]
    filled = np.nan_to_num(fill_gaps(quantity, 1))
    from_direct = _shares_in_group(direct, group)
    trend = _shares_in_group(np.exp(_damped_trend(_log_shares(filled, group), group, horizon, period)), group)
    counted = _shares_in_group(_discounted_units(filled)[:, None] + PRIOR_UNITS * np.ones(horizon), group)
    # by volume: a strength that is made to order now and then does not make its group sparse
    zeros = (filled[:, -RECENT_PERIODS:] == 0).mean(axis=1)
    share = _shares_in_group(filled[:, -RECENT_PERIODS:].sum(axis=1, keepdims=True), group)[:, 0]
    sparse = (np.bincount(group, share * zeros) > SPARSE_ZERO_SHARE)[group]
    part = WEEKLY_TREND_PART if period is Period.WEEK else TREND_PART
    return np.where(sparse[:, None], counted, (1 - part) * from_direct + part * trend)


def strength_factor(
    panel: DemandPanel, mean: np.ndarray, forecast_totals: Callable[[DemandPanel], np.ndarray]
) -> np.ndarray:
    """What each series' own forecast `mean` [series, horizon] is to be multiplied by, [series, horizon].

    The strengths of a drug at a site are forecast as one amount (mg, or what its strengths are counted in) and a mix:
    the mean of their own forecasts' sum and of `forecast_totals` of their history's sum, split by `forecast_shares`.
    1 for what has no drug or amount, is not dense, or stands alone.
    """
    factor = np.ones_like(mean)
    member, group = _strengths(panel, mean)
    if not len(member):
        return factor
    amount = _amounts(panel)[member][:, None]
    history = fill_gaps(panel.values[member], 1) * amount
    begins = np.zeros(group.max() + 1, dtype=int)
    np.maximum.at(begins, group, first_known(history))
    columns = np.arange(history.shape[1])
    launched = columns >= begins[group][:, None]
    at_launch = np.take_along_axis(history, begins[group][:, None], axis=1)
    amount_forecast = mean[member] * amount
    summed = _group_sums(amount_forecast, group)
    totals = _group_sums(np.where(launched, history, np.nan), group)
    names = tuple(str(number) for number in range(len(totals)))
    shared = None if panel.season_shared is None else np.bincount(group, ~panel.season_shared[member]) == 0
    totals_panel = DemandPanel(names, names, totals, panel.first_start, panel.period, season_shared=shared)
    total = (forecast_totals(totals_panel) + summed) / 2
    share = forecast_shares(np.where(launched, history, at_launch), group, amount_forecast, panel.period)
    factor[member] = np.clip(share * total[group] / amount_forecast, *FACTOR_RANGE)
    return factor


def _strengths(panel: DemandPanel, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the dense strengths that have others of their drug at their site beside them, and each one's group."""
    if panel.drugs is None:
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    recent = panel.values[:, -RECENT_PERIODS:]
    dense = (recent == 0).mean(axis=1) <= SPARSE_ZERO_SHARE
    old = first_known(panel.values) <= panel.values.shape[1] - LEAST_PERIODS
    usable = dense & old & np.isfinite(recent).any(axis=1) & (mean > 0).all(axis=1) & (_amounts(panel) > 0)
    rows = np.flatnonzero(usable)
    keys = [f"{panel.facility_ids[row]}\x1f{panel.drugs[row]}" for row in rows]
    group = pd.factorize(np.array(keys, dtype=object))[0]
    has_company = np.bincount(group, minlength=1)[group] > 1
    return rows[has_company], pd.factorize(group[has_company])[0]


def _amounts(panel: DemandPanel) -> np.ndarray:
    amount = np.full(len(panel.values), np.nan) if panel.amount_per_unit is None else panel.amount_per_unit
    return np.nan_to_num(amount)


def _group_sums(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    return sum_by_index(group, values, group.max(initial=-1) + 1)


def _shares_in_group(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Shares of values [part, ...] in their group's sum; equal where that is zero."""
    total = _group_sums(values, group)
    members = np.bincount(group)[group][:, None]
    return np.where(total[group] > 0, values / np.maximum(total[group], 1e-300), 1.0 / members)


def _log_shares(filled: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Centred log-ratios [part, period]; half the least share a part has had stands in for none."""
    share = _shares_in_group(filled, group)
    least = np.where(share > 0, share, np.inf).min(axis=1)
    floor = np.where(np.isfinite(least), least / 2, 1e-6)[:, None]
    logs = np.log(np.maximum(share, floor))
    return logs - (_group_sums(logs, group) / np.maximum(np.bincount(group), 1)[:, None])[group]


def _damped_trend(logs: np.ndarray, group: np.ndarray, horizon: int, period: Period) -> np.ndarray:
    """Damped Holt over the periods [part, period], its forecast [part, horizon]; each group at the level weight with
    the least one-step error."""
    trials = [_damped_holt(logs, horizon, weight, period) for weight in LEVEL_WEIGHTS]
    errors = np.stack([np.bincount(group, squared) for _, squared in trials])
    best = errors.argmin(axis=0)[group]
    return np.stack([forecast for forecast, _ in trials])[best, np.arange(len(logs))]


def _damped_holt(logs: np.ndarray, horizon: int, level_weight: float, period: Period) -> tuple[np.ndarray, np.ndarray]:
    """(forecast [part, horizon], squared one-step errors [part])."""
    months = period.mean_days / Period.MONTH.mean_days
    damping, trend_weight = DAMPING_A_MONTH**months, level_weight * TREND_WEIGHT_A_MONTH * months
    level = logs[:, : min(LEARNING_PERIODS, logs.shape[1])].mean(axis=1)
    trend, squared = np.zeros(len(logs)), np.zeros(len(logs))
    for column, observed in enumerate(logs.T):
        expected = level + damping * trend
        error = observed - expected
        squared += error**2 * (column >= LEARNING_PERIODS)
        level, trend = expected + level_weight * error, damping * trend + trend_weight * error
    steps = np.cumsum(damping ** np.arange(1, horizon + 1))
    return level[:, None] + trend[:, None] * steps, squared


def _discounted_units(filled: np.ndarray) -> np.ndarray:
    """Units of each part, each period weighted with `DISCOUNT` times the weight of the next."""
    return filled @ DISCOUNT ** np.arange(filled.shape[1])[::-1]
