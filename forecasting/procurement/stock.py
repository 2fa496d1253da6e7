"""Usable stock: what is there, may be used, and will be used before it expires.

Rules: only lots with status available count (a blank status is available); a lot can be used up to and including its
expiry date; a lot without an expiry date does not expire; lots are used first expired, first out. An item without any
row was not counted: its stock is unknown, not zero. Stock below zero on the books counts as none and is reported.
"""

import dataclasses
import datetime as dt

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.errors import InvalidInput
from forecasting.procurement.interval import CumulativeDemand, Floats
from forecasting.procurement.packs import Integers, to_thousandths
from forecasting.terms import StockStatus

Booleans = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Lots:
    """Counted stock per item, in thousandths of a dose unit; lots [item, lot] in order of expiry, padded with nothing.

    `on_hand` is available and not expired, `expired` is available on the books and past its date, `blocked` is
    quarantined or recalled. `last_day` is the number of days from today on which a lot can be used (infinite without an
    expiry date). `count_age_days` is the age of the oldest count, not a number where nothing was counted.
    """

    counted: Booleans
    below_zero: Booleans
    on_hand: Integers
    expired: Integers
    blocked: Integers
    quantity: Integers
    last_day: Floats
    count_age_days: Floats


def read_lots(keys: pd.MultiIndex, lots: pd.DataFrame, as_of: dt.date) -> Lots:
    """Stock of the items `keys` (facility_id, product_id) from rows as in the `stock` file.

    Columns facility_id, product_id, quantity (dose units), counted_at, and optionally lot, expiry_date, status. Raises
    `InvalidInput` for an unknown status.
    """
    lots = lots.reindex(columns=["facility_id", "product_id", "quantity", "counted_at", "expiry_date", "status"])
    item = keys.get_indexer(pd.MultiIndex.from_frame(lots[["facility_id", "product_id"]]))
    lots, item = lots[item >= 0], item[item >= 0]
    status = lots["status"].where(lots["status"].notna() & (lots["status"] != ""), StockStatus.AVAILABLE.value)
    for unknown in set(status.astype(str)) - {known.value for known in StockStatus}:
        raise InvalidInput(f"stock status {unknown!r} is none of {', '.join(StockStatus)}")
    booked = to_thousandths(lots["quantity"])
    quantity = np.maximum(booked, 0)
    last_day = _days_from(lots["expiry_date"], as_of) + 1.0
    last_day[np.isnan(last_day)] = np.inf
    available = (status == StockStatus.AVAILABLE.value).to_numpy()
    fresh = available & (last_day > 0)

    def total(chosen: Booleans) -> Integers:
        return np.bincount(item[chosen], weights=quantity[chosen], minlength=len(keys)).astype(np.int64)

    padded_quantity, padded_day = pad(item[fresh], len(keys), last_day[fresh], quantity[fresh])
    oldest = pd.Series(-_days_from(lots["counted_at"], as_of)).groupby(item).max()
    return Lots(
        counted=np.isin(np.arange(len(keys)), item),
        below_zero=np.isin(np.arange(len(keys)), item[booked < 0]),
        on_hand=total(fresh),
        expired=total(available & ~fresh),
        blocked=total(~available),
        quantity=padded_quantity,
        last_day=padded_day,
        count_age_days=np.asarray(oldest.reindex(np.arange(len(keys))), dtype=np.float64),
    )


def _days_from(dates: pd.Series, as_of: dt.date) -> Floats:
    days = (pd.to_datetime(dates).dt.normalize() - pd.Timestamp(as_of)).dt.days
    return np.array(days, dtype=np.float64)


def pad(item: npt.NDArray[np.intp], items: int, day: Floats, quantity: Integers) -> tuple[Integers, Floats]:
    """Rows as matrices [item, row of that item] sorted by day: quantity padded with 0, day with infinity.

    >>> pad(np.array([1, 1]), 2, np.array([9.0, 3.0]), np.array([5, 4]))[0]
    array([[0, 0],
           [4, 5]])
    """
    order = np.lexsort((quantity, day, item))
    item, day, quantity = item[order], day[order], quantity[order]
    place = np.arange(len(item)) - np.searchsorted(item, item)
    width = int(place.max(initial=-1)) + 1
    quantities, days = np.zeros((items, width), dtype=np.int64), np.full((items, width), np.inf)
    quantities[item, place], days[item, place] = quantity, day
    return quantities, days


def usable_stock(quantity: Integers, last_day: Floats, demand: CumulativeDemand, days: Floats) -> Integers:
    """Stock that is used or still good after the next `days` [item, draw], in thousandths of a dose unit [item, draw].

    `quantity` and `last_day` [item, lot] in order of expiry. First expired, first out: of the lots up to one that
    expires on day e, no more is ever used than the demand up to e.
    """
    used = np.zeros(days.shape, dtype=np.int64)
    for lot in range(quantity.shape[1]):
        used = used + quantity[:, lot, None]
        expires = last_day[:, lot, None] < days
        if expires.any():
            last = np.where(np.isfinite(last_day[:, lot, None]), last_day[:, lot, None], 0.0)
            limit = demand.thousandths_over(np.broadcast_to(last, days.shape))
            used = np.where(expires, np.minimum(used, limit), used)
    return used
