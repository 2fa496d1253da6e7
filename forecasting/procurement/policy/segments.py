"""Segments of items that policies may speak of: ABC by value of use, XYZ by how much use varies.

Criticality is the third: it is stated per product, never computed.
"""

import numpy as np

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput

ABC_SHARES = (0.8, 0.95)
"""Cumulated share of a site's value of use at which class A and class B end."""

XYZ_LIMITS = (0.5, 1.0)
"""Coefficient of variation of use per period up to which an item is X, and Y."""

ABC = ("A", "B", "C")
XYZ = ("X", "Y", "Z")


def abc_of(value: Floats) -> np.ndarray:
    """Class A, B or C of each item [item] by its `value` of use [item], in one currency: A is what 80 % of it goes to.

    The item that crosses a limit belongs to the class before it; an item without a known value (NaN) is C. Items of
    equal value keep their order. Raises `InvalidInput` for a negative value.

    References
    ----------
    Silver, Pyke & Thomas (2017), "Inventory and Production Management in Supply Chains", 4th ed., section 2.7.

    >>> abc_of(np.array([5.0, 80.0, 15.0, np.nan])).tolist()
    ['C', 'A', 'B', 'C']
    """
    known = np.nan_to_num(value)
    if np.any(known < 0):
        raise InvalidInput("a value of use is below 0")
    order = np.argsort(-known, kind="stable")
    before = np.zeros(len(known))
    before[order] = np.cumsum(known[order]) - known[order]
    total = known.sum()
    share = before / total if total > 0 else np.ones(len(known))
    # what comes before an item decides, up to rounding: the item that crosses the limit is still inside
    number = np.searchsorted(np.array(ABC_SHARES) - 1e-12, share, side="right")
    return np.array(ABC, dtype=object)[np.where(known > 0, number, 2)]


def xyz_of(quantity: Floats) -> np.ndarray:
    """Class X, Y or Z of each item [item] by the variation of its use per period, `quantity` [item, period].

    Unknown periods (NaN) are left out; an item with fewer than two known periods, or without use, is Z.

    >>> xyz_of(np.array([[9.0, 10.0, 11.0], [0.0, 10.0, 5.0], [0.0, 0.0, 9.0]])).tolist()
    ['X', 'Y', 'Z']
    """
    known = np.isfinite(quantity)
    count = known.sum(axis=1)
    filled = np.where(known, quantity, 0.0)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    squares = (np.where(known, filled - mean[:, None], 0.0) ** 2).sum(axis=1)
    sd = np.sqrt(squares / np.maximum(count - 1, 1))
    varies = np.divide(sd, mean, out=np.full(len(mean), np.inf), where=(mean > 0) & (count > 1))
    return np.array(XYZ, dtype=object)[np.searchsorted(np.array(XYZ_LIMITS), varies, side="left")]
