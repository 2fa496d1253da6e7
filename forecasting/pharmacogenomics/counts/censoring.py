"""Suppressed small cells: a blank count is a number between 1 and the threshold less one, not zero and not missing."""

import numpy as np

from forecasting.arrays import Floats
from forecasting.pharmacogenomics.counts.evidence import Evidence


def censored_mean(trials: Floats, probability: Floats, threshold: int) -> Floats:
    """Expected count behind a suppressed cell: a binomial count known to lie between 1 and `threshold` - 1.

    >>> censored_mean(np.array([1000.0]), np.array([0.5]), 11).round(2).tolist()
    [9.99]
    >>> censored_mean(np.array([1000.0]), np.array([0.0001]), 11).round(2).tolist()
    [1.05]
    """
    values = np.arange(1, threshold)
    chance = np.clip(probability, 1e-9, 1 - 1e-9)[:, None]
    remaining = np.maximum(trials, threshold)[:, None] - values[:-1]
    # each mass from the one before it
    ratio = remaining / values[1:] * chance / (1 - chance)
    mass = np.concatenate([np.ones_like(chance), np.cumprod(ratio, axis=1)], axis=1)
    return np.asarray((mass @ values) / mass.sum(axis=1))


def fill_suppressed(evidence: Evidence, chances: Floats, threshold: int) -> Floats:
    """Counts [R] with suppressed ones at their expectation, given the probability of each row's result [R].

    The people tested who are in no stated count are in the suppressed cells: where that number is possible (between 1
    and `threshold` - 1 for each), what the expectations hold above 1 is scaled to meet it; else part of them had no
    result, and the expectations stand.
    """
    count = evidence.count.copy()
    hidden = np.isnan(count)
    if not hidden.any():
        return count
    expected = censored_mean(evidence.trials[hidden], chances[hidden], threshold)
    panel = evidence.panel[hidden]
    size = int(evidence.panel.max()) + 1
    cells, above = np.bincount(panel, minlength=size), np.bincount(panel, expected - 1, size)
    stated = np.bincount(evidence.panel, np.nan_to_num(count), size)
    trials = np.zeros(size)
    np.maximum.at(trials, evidence.panel, evidence.trials)
    unstated = trials - stated - cells
    possible = (unstated >= 0) & (unstated <= cells * (threshold - 2)) & (above > 0)
    scale = np.where(possible, unstated / np.where(above > 0, above, 1.0), 1.0)
    count[hidden] = np.minimum(1 + (expected - 1) * scale[panel], threshold - 1)
    return count
