"""Forecasts of a hierarchy made to agree: sums of the bottom are the aggregates, with the least change by trust.

Each forecast is trusted by its backtest variance (weighted least squares with a diagonal, "wls_var"): what is forecast
well moves little. Only the system of the aggregates is solved, sparse, so that tens of thousands of bottom series cost
a fraction of a second.

References
----------
Wickramasuriya, Athanasopoulos & Hyndman (2019), Journal of the American Statistical Association 114:804-819,
doi:10.1080/01621459.2018.1448825.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from forecasting.errors import InvalidInput

LEAST_VARIANCE_SHARE = 1e-6
"""A forecast is never trusted beyond this share of the typical variance."""

MOST_PASSES = 20
MOST_STEPS = 500
TOLERANCE = 1e-8


def summing_matrix(levels: Sequence[Sequence[object]]) -> tuple[sparse.csr_matrix, list[tuple[int, object]]]:
    """Which bottom series each aggregate sums, sparse [aggregate, bottom], and the aggregates as (level, name).

    Each level names the aggregate of every bottom series, e.g. its drug, its (site, drug), its therapy, its site.

    >>> matrix, names = summing_matrix([["x", "x", "y"], ["all"] * 3])
    >>> matrix.toarray().tolist(), names
    ([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]], [(0, 'x'), (0, 'y'), (1, 'all')])
    """
    parts, names = [], []
    for number, level in enumerate(levels):
        place = np.empty(len(level), dtype=object)
        place[:] = list(level)
        code, found = pd.factorize(place)
        size = (len(found), len(level))
        parts.append(sparse.csr_matrix((np.ones(len(level)), (code, np.arange(len(level)))), shape=size))
        names += [(number, name) for name in found]
    return sparse.csr_matrix(sparse.vstack(parts)), names


def reconcile(
    bottom: np.ndarray,
    aggregate: np.ndarray,
    matrix: sparse.csr_matrix,
    bottom_variance: np.ndarray,
    aggregate_variance: np.ndarray,
) -> np.ndarray:
    """Bottom forecasts [bottom, ...] nearest to all given, never negative; `matrix` @ them are the aggregates.

    `aggregate` [aggregate, ...] are the aggregates' own forecasts, `bottom_variance` [bottom] and `aggregate_variance`
    [aggregate] the backtest variances. The rest of the shape is free: horizons, sample paths. A bottom series that
    would be negative is held at zero and the others settle again. Raises `InvalidInput` for shapes that do not fit and
    for forecasts or variances that are negative or not finite.

    >>> matrix, _ = summing_matrix([["x", "x"]])
    >>> one = np.array([[30.0], [60.0]])
    >>> reconcile(one, np.array([[100.0]]), matrix, np.array([1.0, 3.0]), np.array([0.0])).round(3).ravel().tolist()
    [32.5, 67.5]
    """
    _refuse_unfit(bottom, aggregate, matrix, bottom_variance, aggregate_variance)
    typical = float(np.mean(bottom_variance)) or 1.0
    trust = np.maximum(bottom_variance, LEAST_VARIANCE_SHARE * typical)
    own = np.maximum(aggregate_variance, LEAST_VARIANCE_SHARE * typical)
    shape = bottom.shape
    start, wanted = bottom.reshape(len(bottom), -1).copy(), aggregate.reshape(len(aggregate), -1)
    free = np.repeat(trust[:, None], start.shape[1], axis=1)
    found = _settled(start, wanted, matrix, free, own)
    for _ in range(MOST_PASSES):
        below = found < 0
        columns = np.flatnonzero(below.any(axis=0))
        if not len(columns):
            break
        # what would be negative loses all freedom, the others settle again
        free[below], start[below] = 0.0, 0.0
        found[:, columns] = _settled(start[:, columns], wanted[:, columns], matrix, free[:, columns], own)
    return np.maximum(found, 0.0).reshape(shape)


def _settled(
    start: np.ndarray, wanted: np.ndarray, matrix: sparse.csr_matrix, free: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """start + W A' (A W A' + V)^-1 (wanted - A start), `free` [bottom, column] being the diagonal of W.

    By conjugate gradients, all columns at once, scaled by the diagonal: a factorisation would fill in, since every
    aggregate meets the network's total.
    """
    across = sparse.csr_matrix(matrix.T)
    scale = 1 / (matrix.power(2) @ free + own[:, None])
    left = wanted - matrix @ start
    found, ready = np.zeros_like(left), scale * left
    direction, size = ready, (left * ready).sum(axis=0)
    enough = TOLERANCE**2 * np.maximum(size, 1e-300)
    for _ in range(MOST_STEPS):
        if (size <= enough).all():
            break
        applied = matrix @ (free * (across @ direction)) + own[:, None] * direction
        step = size / np.maximum((direction * applied).sum(axis=0), 1e-300)
        found, left = found + step * direction, left - step * applied
        ready = scale * left
        before, size = size, (left * ready).sum(axis=0)
        direction = ready + size / np.maximum(before, 1e-300) * direction
    return np.asarray(start + free * (across @ found))


def _refuse_unfit(
    bottom: np.ndarray,
    aggregate: np.ndarray,
    matrix: sparse.csr_matrix,
    bottom_variance: np.ndarray,
    aggregate_variance: np.ndarray,
) -> None:
    if matrix.shape != (len(aggregate), len(bottom)) or aggregate.shape[1:] != bottom.shape[1:]:
        raise InvalidInput(
            f"bottom {bottom.shape} and aggregate {aggregate.shape} do not fit a summing matrix {matrix.shape}"
        )
    if bottom_variance.shape != (len(bottom),) or aggregate_variance.shape != (len(aggregate),):
        raise InvalidInput("each bottom series and each aggregate needs one variance")
    for name, values in (
        ("bottom forecasts", bottom),
        ("aggregate forecasts", aggregate),
        ("bottom variances", bottom_variance),
        ("aggregate variances", aggregate_variance),
    ):
        if not np.isfinite(values).all() or (values < 0).any():
            raise InvalidInput(f"{name} must be finite and not negative")
