"""Stock-outs that nobody recorded, found in the history itself: an item that always sells does not stop for weeks."""

import numpy as np

LEAST_RUN = 2
"""A single period without demand may be chance or a holiday."""

LEAST_TYPICAL_QUANTITY = 10.0
"""Dose units a period below which silence is no surprise."""

MOST_OTHER_ZEROS = 0.02
"""Share of zeros outside its longest runs above which an item is taken to sell now and then."""

NEIGHBOURS = 4


def stock_outs(cells: np.ndarray) -> np.ndarray:
    """Which cells of [series, period] are periods without stock rather than without demand, bool; NaN is unknown.

    A run of at least `LEAST_RUN` zeros counts if the item sold in all `NEIGHBOURS` periods on either side, typically
    `LEAST_TYPICAL_QUANTITY` or more, and hardly ever sells nothing otherwise. Such demand is censored, not zero. A run
    that reaches the end of the history is left alone: the item may have been given up.

    >>> stock_outs(np.array([[20.0, 22, 19, 21, 0, 0, 20, 18, 23, 20]])).nonzero()[1]
    array([4, 5])
    """
    zero = cells == 0
    length = run_length(zero)
    is_long_run = zero & (length >= LEAST_RUN)
    other_zeros = (zero & ~is_long_run).sum(axis=1)
    known_periods = np.maximum((np.isfinite(cells) & ~is_long_run).sum(axis=1), 1)
    is_steady = other_zeros / known_periods <= MOST_OTHER_ZEROS
    with np.errstate(invalid="ignore"):
        sold = (cells > 0).astype(float)
    sells_on_both_sides = _all_sold_before(sold) & _all_sold_before(sold[:, ::-1])[:, ::-1]
    return is_long_run & sells_on_both_sides & (is_steady & (_typical(cells) >= LEAST_TYPICAL_QUANTITY))[:, None]


def _typical(cells: np.ndarray) -> np.ndarray:
    """Lower median of the quantities above zero [series], 0 where there are none."""
    with np.errstate(invalid="ignore"):
        ordered = np.sort(np.where(cells > 0, cells, np.inf), axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    median = ordered[np.arange(len(cells)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, median, 0.0)


def run_length(zero: np.ndarray) -> np.ndarray:
    """Length of the run that each true cell stands in, else 0, [series, period].

    >>> run_length(np.array([[True, True, False, True]]))
    array([[2, 2, 0, 1]])
    """
    forward = _count_up(zero)
    backward = _count_up(zero[:, ::-1])[:, ::-1]
    return np.where(zero, forward + backward - 1, 0)


def _count_up(zero: np.ndarray) -> np.ndarray:
    position = np.arange(1, zero.shape[1] + 1)
    last_break = np.maximum.accumulate(np.where(zero, 0, position), axis=1)
    return np.where(zero, position - last_break, 0)


def _all_sold_before(sold: np.ndarray) -> np.ndarray:
    """Whether the `NEIGHBOURS` periods before the run of unsold periods that a cell stands in were all sold."""
    periods = sold.shape[1]
    total = np.cumsum(np.pad(sold, ((0, 0), (1, 0))), axis=1)
    run_start = np.arange(periods) - _count_up(sold == 0) + 1
    from_period = run_start - NEIGHBOURS
    rows = np.arange(len(sold))[:, None]
    enough = total[rows, np.maximum(run_start, 0)] - total[rows, np.maximum(from_period, 0)] >= NEIGHBOURS
    return (from_period >= 0) & enough
