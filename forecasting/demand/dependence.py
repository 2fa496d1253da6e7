"""Correlations of forecast errors: over time, between a product's sites, between a drug's strengths at a site."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting.arrays import sum_by_index

MAXIMUM_STEP_CORRELATION = 0.98
MAXIMUM_COMMON_CORRELATION = 0.9
PRIOR_ORIGINS_STEP = 12.0
"""Origins that the panel's typical correlation counts for, beside a series' own."""

PRIOR_ORIGINS_COMMON = 3.0
"""Origins without any common movement that a product is taken to have had besides."""


def step_correlations(errors: np.ndarray, is_informative: np.ndarray | None = None) -> np.ndarray:
    """Correlation [series] of neighbouring future periods, from backtest errors [series, origin, horizon].

    That of the AR(1) under which the sum over the horizon varies as it did in the backtest: a forecast that starts too
    high stays too high, and demand over a lead time must know it; the correlation of neighbours alone decays too fast.
    Errors are taken about zero. Drawn, where origins are few, to that of the informative series of the panel (bool,
    [series]; default all); 0 .. `MAXIMUM_STEP_CORRELATION`.

    >>> step_correlations(np.tile([1.0, 1.0, 1.0, -1.0], (1, 8, 1))).round(2)
    array([0.])
    """
    known = np.isfinite(errors)
    filled = np.where(known, errors, 0.0)
    squares = (filled**2).sum(axis=2)
    joint = (filled.sum(axis=2) ** 2 - squares).sum(axis=1)
    power = (squares * np.maximum(known.sum(axis=2) - 1, 0)).sum(axis=1)
    own_correlation = joint / np.maximum(power, 1e-12)
    origins = (known.sum(axis=2) > 1).sum(axis=1)
    scored = (origins > 0) & (True if is_informative is None else is_informative)
    panel = float(np.mean(np.sort(own_correlation[scored]))) if scored.any() else 0.0
    shrunk = (own_correlation * origins + panel * PRIOR_ORIGINS_STEP) / (origins + PRIOR_ORIGINS_STEP)
    return _step_of_mean(shrunk, errors.shape[2])


def _step_of_mean(mean_correlation: np.ndarray, horizon: int) -> np.ndarray:
    """The AR(1) coefficient whose correlations between different periods of the horizon have this mean."""
    if horizon < 2:
        return np.zeros(len(mean_correlation))
    steps = np.linspace(0, MAXIMUM_STEP_CORRELATION, 200)
    lags = np.arange(1, horizon)
    means = (steps[:, None] ** lags * (horizon - lags)).sum(axis=1) * 2 / (horizon * (horizon - 1))
    return np.interp(mean_correlation, means, steps)


def strength_correlations(errors: np.ndarray, facility_ids: Sequence[str], drugs: Sequence[str]) -> np.ndarray:
    """Mean correlation [series] of the errors between the products of a series' drug at its site.

    As `common_correlations`, with a drug at a site in place of a product; strengths that stand in for one another
    (errors of opposite sign) count as independent. One figure a drug: single sites have too few origins.

    >>> wave = np.array([1.0, -1.0, 1.0, -1.0]).reshape(1, 4, 1)
    >>> strength_correlations(np.concatenate([wave, wave, wave]), ("a", "a", "b"), ("x", "x", "x")).round(2)
    array([0.57, 0.57, 0.57])
    """
    sites = [f"{drug}\x1f{facility}" for facility, drug in zip(facility_ids, drugs, strict=True)]
    return _group_correlations(errors, sites, drugs)


def common_correlations(errors: np.ndarray, product_ids: Sequence[str]) -> np.ndarray:
    """Mean correlation [series] of the errors between the sites of a series' product; 0 for a single site.

    From errors [series, origin, horizon] over their own series' size: at each origin and horizon the square of the
    sites' sum less the sum of their squares counts the pairs. Drawn to 0 where origins are few; clipped to
    0 .. `MAXIMUM_COMMON_CORRELATION`.

    >>> wave = np.array([1.0, -1.0, 1.0, -1.0]).reshape(1, 4, 1)
    >>> common_correlations(np.concatenate([wave, wave, wave]), ("x", "x", "y")).round(2)
    array([0.57, 0.57, 0.  ])
    """
    return _group_correlations(errors, product_ids, product_ids)


def _group_correlations(errors: np.ndarray, group_keys: Sequence[str], output_keys: Sequence[str]) -> np.ndarray:
    """Mean correlation of errors within the groups `group_keys`, one figure for each of `output_keys`, [series]."""
    group_number, _ = pd.factorize(np.array(group_keys, dtype=object))
    output_number, outputs = pd.factorize(np.array(output_keys, dtype=object))
    grouped_rows = np.flatnonzero(np.bincount(group_number, minlength=1)[group_number] > 1)
    if not len(grouped_rows):
        return np.zeros(len(group_number))
    group_number, grouped_output = pd.factorize(group_number[grouped_rows])[0], output_number[grouped_rows]
    groups = group_number.max() + 1
    output_of_group = np.zeros(groups, dtype=int)
    output_of_group[group_number] = grouped_output
    known = np.isfinite(errors[grouped_rows])
    scaled = np.where(known, errors[grouped_rows], 0.0)
    size = np.sqrt((scaled**2).sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1))
    scaled /= np.maximum(size, 1e-12)[:, None, None]
    group_sum, squares, members = (
        sum_by_index(group_number, scaled, groups),
        sum_by_index(group_number, scaled**2, groups),
        sum_by_index(group_number, known.astype(float), groups),
    )
    between, pairs, origins = (
        sum_by_index(output_of_group, per_group, len(outputs))
        for per_group in (
            (group_sum**2 - squares).sum(axis=(1, 2)),
            (squares * np.maximum(members - 1, 0)).sum(axis=(1, 2)),
            (members.max(axis=2, initial=0) > 1).sum(axis=1).astype(float),
        )
    )
    correlation = between / np.maximum(pairs, 1e-12) * origins / (origins + PRIOR_ORIGINS_COMMON)
    return np.clip(correlation, 0.0, MAXIMUM_COMMON_CORRELATION)[output_number]
