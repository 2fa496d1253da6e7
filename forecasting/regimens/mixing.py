"""Un-mix and re-mix: history moved to one exposure, and a forecast at that exposure moved to the planned one.

With exposure e_r and probability pi_r of guidance row r, and delta_r its move less the unit itself, the demand per
product at a site is y = z M, with M = I + sum_r e_r pi_r delta_r and z the demand under usual care (row vectors).
History at exposure e is brought to the origin's exposure by y M(e)^-1 M(e0), and a forecast from there to the planned
exposure by M(e0)^-1 M(e). If exposure does not change, neither step changes anything.
"""

import numpy as np


def mixing_matrices(weights: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """M [..., product, product] from row weights e_r pi_r [..., row] and deltas [row, product, product].

    >>> delta = np.array([[[-1.0, 0.5], [0.0, 0.0]]])
    >>> mixing_matrices(np.array([0.2]), delta).tolist()
    [[0.8, 0.1], [0.0, 1.0]]
    """
    products = delta.shape[-1]
    return np.eye(products) + np.einsum("...r,...rpq->...pq", weights, delta)


def move_exposure(quantity: np.ndarray, at: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Quantities [..., product] seen with mixing `at` as they would be with mixing `to` (both [..., product, product]).

    Unknown (NaN) quantities count as nothing for the other products and stay unknown. Never negative: what a noisy
    small item would owe is taken from the others in proportion, so that the sum is kept.

    >>> at, to = np.eye(2), np.array([[0.8, 0.2], [0.0, 1.0]])
    >>> move_exposure(np.array([10.0, 5.0]), at, to).tolist()
    [8.0, 7.0]
    """
    filled = np.nan_to_num(quantity, nan=0.0)
    usual_care = np.linalg.solve(np.swapaxes(at, -1, -2), filled[..., None])[..., 0]
    moved = np.einsum("...p,...pq->...q", usual_care, to)
    return np.where(np.isnan(quantity), np.nan, _not_negative(moved))


def _not_negative(quantity: np.ndarray) -> np.ndarray:
    clipped = np.maximum(quantity, 0.0)
    total, positive = quantity.sum(axis=-1, keepdims=True), clipped.sum(axis=-1, keepdims=True)
    scale = np.where(positive > 0, np.maximum(total, 0.0) / np.where(positive > 0, positive, 1.0), 1.0)
    return clipped * scale
