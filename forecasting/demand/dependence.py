"""How forecast errors hang together: from one period to the next, and between sites of one product."""

import numpy as np
import pandas as pd

MAXIMUM_STEP_CORRELATION = 0.95
MAXIMUM_COMMON_CORRELATION = 0.9
PRIOR_PAIRS = 6.0
"""Pairs of errors that the panel's typical correlation counts for, beside a series' own."""

PRIOR_ORIGINS = 3.0


def step_correlations(errors: np.ndarray) -> np.ndarray:
    """Correlation [series] of the errors of neighbouring future periods, from errors [series, origin, horizon].

    Errors of one origin are taken about zero: a forecast that starts too high stays too high, and sums over a lead time
    must know it. Series with few pairs are drawn to the panel's; clipped to 0 .. `MAXIMUM_STEP_CORRELATION`.

    >>> step_correlations(np.tile([1.0, 1.0, -1.0, -1.0], (1, 8, 1))).round(3)
    array([0.333])
    """
    earlier, later = errors[:, :, :-1], errors[:, :, 1:]
    both = np.isfinite(earlier) & np.isfinite(later)
    product = np.where(both, earlier * later, 0.0).sum(axis=(1, 2))
    power = np.where(both, (earlier**2 + later**2) / 2, 0.0).sum(axis=(1, 2))
    own = product / np.maximum(power, 1e-12)
    pairs = both.sum(axis=(1, 2))
    panel = float(np.median(own[pairs > 0])) if (pairs > 0).any() else 0.0
    drawn = (own * pairs + panel * PRIOR_PAIRS) / (pairs + PRIOR_PAIRS)
    return np.clip(drawn, 0.0, MAXIMUM_STEP_CORRELATION)


def common_correlations(errors: np.ndarray, product_ids: tuple[str, ...]) -> np.ndarray:
    """Mean correlation [series] of the errors between the sites of a series' product; 0 for a single site.

    From errors [series, origin, horizon] over their own series' size: at each origin and horizon the square of the
    sites' sum less the sum of their squares counts the pairs. Drawn to 0 where origins are few; clipped to
    0 .. `MAXIMUM_COMMON_CORRELATION`.

    >>> wave = np.array([1.0, -1.0, 1.0, -1.0]).reshape(1, 4, 1)
    >>> common_correlations(np.concatenate([wave, wave, wave]), ("x", "x", "y")).round(2)
    array([0.57, 0.57, 0.  ])
    """
    known = np.isfinite(errors)
    filled = np.where(known, errors, 0.0)
    count = known.sum(axis=(1, 2))
    size = np.sqrt((filled**2).sum(axis=(1, 2)) / np.maximum(count, 1))
    scaled = filled / np.maximum(size, 1e-12)[:, None, None]
    product = pd.factorize(np.array(product_ids, dtype=object))[0]
    together, squares, sites = (_sum_by(array, product) for array in (scaled, scaled**2, known.astype(float)))
    between = (together**2 - squares).sum(axis=(1, 2))
    pairs = (squares * np.maximum(sites - 1, 0)).sum(axis=(1, 2))
    origins = (sites.max(axis=2, initial=0) > 1).sum(axis=1)
    correlation = between / np.maximum(pairs, 1e-12) * origins / (origins + PRIOR_ORIGINS)
    return np.clip(correlation, 0.0, MAXIMUM_COMMON_CORRELATION)[product]


def _sum_by(array: np.ndarray, group: np.ndarray) -> np.ndarray:
    total = np.zeros((group.max(initial=-1) + 1, *array.shape[1:]))
    np.add.at(total, group, array)
    return total
