"""How a month's demand follows its working days: patients collect and wards are supplied when people are at work.

A month has 20 to 23 weekdays, a tenth more or less than its neighbours, and no yearly pattern: the same month has
others next year. How strongly demand follows is learned from all sites of a product, and of all products together.
"""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.demand.intervals import quantiles_of
from forecasting.demand.pool.models import INTERMITTENT_ZERO_SHARE
from forecasting.demand.series import DemandPanel, reliable_series
from forecasting.terms import DAYS_A_YEAR, Period

MEAN_WEEKDAYS = DAYS_A_YEAR / 12 * 5 / 7
PRIOR_SD = 0.5
"""How far from 0 (demand that does not care) the strength is expected; 1 is demand in proportion to weekdays."""

STRENGTH_RANGE = (0.0, 1.2)
RECENT_MONTHS = 120
LEAST_MONTHS = 12
SEASON_MONTHS = 48
"""Months from which each month of the year is known well enough to be taken off first."""

OUTLYING = 4.0
QUIETEST = 0.02
"""No row counts for more than one whose months differ by so much."""


def remove_working_days(
    panel: DemandPanel, horizon: int, *, dispensed: DemandPanel | None = None
) -> tuple[DemandPanel, np.ndarray]:
    """The panel as it would be with every month of average length, and the factor [series, horizon] that brings the
    months ahead back.

    Only for months; sparse series, those that never change and panels shorter than `LEAST_MONTHS` come back as they are
    with factor 1. Series that are not reliable follow the strength and do not inform it. `dispensed` are the same
    series as they were dispensed, to learn the strength from.

    >>> import datetime as dt
    >>> weekdays = weekdays_of(dt.date(2023, 1, 1), 40)
    >>> panel = DemandPanel(("a",), ("x",), 10.0 * weekdays[None, :36], dt.date(2023, 1, 1), Period.MONTH)
    >>> flat, factor = remove_working_days(panel, 4)
    >>> np.ptp(panel.values).item(), np.ptp(flat.values).round(1).item(), factor.shape
    (30.0, 0.1, (1, 4))
    """
    series, months = panel.values.shape
    factor = np.ones((series, horizon))
    if panel.period is not Period.MONTH or months < LEAST_MONTHS:
        return panel, factor
    length = np.log(weekdays_of(panel.first_start, months + horizon) / MEAN_WEEKDAYS)
    learning_panel = panel if dispensed is None else dispensed
    follows_weekdays = _dense(learning_panel.values)
    is_informative = follows_weekdays & reliable_series(learning_panel)
    if not is_informative.any():
        return panel, factor
    strength = np.where(follows_weekdays, _strengths(learning_panel, is_informative, length[:months]), 0.0)[:, None]
    values = panel.values / np.exp(strength * length[:months])
    return dataclasses.replace(panel, values=values), np.exp(strength * length[months:])


def weekdays_of(first_start: object, months: int) -> np.ndarray:
    """Weekdays (Monday to Friday) of so many months from the first on.

    >>> weekdays_of(pd.Timestamp("2026-01-01"), 3).tolist()
    [22.0, 20.0, 22.0]
    """
    starts = pd.date_range(pd.Timestamp(str(first_start)), periods=months + 1, freq="MS").to_numpy()
    days = starts.astype("datetime64[D]")
    return np.busday_count(days[:-1], days[1:]).astype(float)


def _dense(values: np.ndarray) -> np.ndarray:
    """Series [series] that sell nearly every month, and not always the same."""
    recent = values[:, -2 * LEAST_MONTHS :]
    known = np.isfinite(recent).sum(axis=1)
    is_variable = np.fmax.reduce(values, axis=1) > np.fmin.reduce(values, axis=1)
    return is_variable & (known >= LEAST_MONTHS) & ((recent == 0).sum(axis=1) <= INTERMITTENT_ZERO_SHARE * known)


def _strengths(panel: DemandPanel, is_informative: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Strength of each series [series]: its product's, drawn to that of all products by how far products differ."""
    bends = _clip_outliers(_deviation_from_neighbours(np.log1p(panel.values[:, -RECENT_MONTHS:])))
    bends, weekday_bend = (
        _without_season(bends),
        _without_season(_deviation_from_neighbours(length[None, -RECENT_MONTHS:]))[0],
    )
    product, products = pd.factorize(np.array(panel.product_ids, dtype=object))
    shared = np.stack([_common_signal(bends[is_informative & (product == number)]) for number in range(len(products))])
    slope, variance = _slope(shared, weekday_bend)
    is_known = np.isfinite(variance)
    network_slope, network_variance = (
        value[0] for value in _slope(_common_signal(shared[is_known])[None], weekday_bend)
    )
    if not np.isfinite(network_variance):
        return np.zeros(len(product))
    common = network_slope * PRIOR_SD**2 / (PRIOR_SD**2 + network_variance)
    between_variance = _between_products_variance(slope[is_known], variance[is_known], common)
    weight = np.where(is_known, between_variance / np.maximum(between_variance + variance, 1e-12), 0.0)
    strength = common + np.where(is_known, weight * (slope - common), 0.0)
    return np.asarray(np.clip(strength, *STRENGTH_RANGE)[product])


def _between_products_variance(slope: np.ndarray, variance: np.ndarray, common: float) -> float:
    """Variance of the true slopes about the common one, by moments.

    References
    ----------
    DerSimonian & Laird (1986), Controlled Clinical Trials 7:177-188, doi:10.1016/0197-2456(86)90046-2.
    """
    weight = 1 / np.maximum(variance, 1e-12)
    beyond = (weight * (slope - common) ** 2).sum() - (len(slope) - 1)
    return (
        float(max(beyond / max(weight.sum() - (weight**2).sum() / weight.sum(), 1e-12), 0.0)) if len(slope) > 1 else 0.0
    )


def _deviation_from_neighbours(values: np.ndarray) -> np.ndarray:
    """Each period less the mean of its neighbours, [series, period - 2]: level and trend are gone."""
    return values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2


def _clip_outliers(bends: np.ndarray) -> np.ndarray:
    """Bends with outlying ones held."""
    limit = OUTLYING * 1.4826 * quantiles_of(np.abs(bends), np.array([0.5]))
    return np.clip(bends, -limit, limit)


def _without_season(bends: np.ndarray) -> np.ndarray:
    if bends.shape[1] < SEASON_MONTHS:
        return bends
    flat = bends.copy()
    for month in range(12):
        flat[:, month::12] -= _mean(bends[:, month::12].T)[:, None]
    return flat


def _common_signal(rows: np.ndarray) -> np.ndarray:
    """What the rows have in common in each period: their mean, quiet rows counting for more than noisy ones."""
    noise = _mean(rows.T**2)
    return _mean(rows, 1 / np.maximum(np.nan_to_num(noise, nan=np.inf), QUIETEST**2))


def _mean(rows: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean over the rows of what is known, NaN where nothing is; `weight` [row] is 1 by default."""
    known = np.isfinite(rows) * (1.0 if weight is None else weight[:, None])
    count = known.sum(axis=0)
    total = (known * np.where(np.isfinite(rows), rows, 0.0)).sum(axis=0)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan)


def _slope(bends: np.ndarray, regressor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope [row] on `regressor` [period] and its variance; infinite where too little is known."""
    known = np.isfinite(bends)
    filled = np.where(known, bends, 0.0)
    power = (known * regressor**2).sum(axis=1)
    degrees = known.sum(axis=1) - 1
    slope = filled @ regressor / np.maximum(power, 1e-12)
    residual = np.where(known, bends - slope[:, None] * regressor, 0.0)
    variance = (residual**2).sum(axis=1) / np.maximum(degrees, 1) / np.maximum(power, 1e-12)
    return slope, np.where((degrees >= LEAST_MONTHS // 2) & (power > 0), variance, np.inf)
