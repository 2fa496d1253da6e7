"""Usable stock: what is on the shelf, may be used, and will be used before it expires.

Rules: only lots with status available count (a blank status is available); a lot can be used up to and including its
expiry date; a lot without an expiry date does not expire; lots are used first expired, first out. An item without any
row was not counted: its stock is unknown, not zero. Stock below zero on the books counts as none and is reported.
What came in since the count is added, what was used since is taken from the lots that expire first, and what is
committed to someone else does not count.
"""

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.arrays import Booleans, Floats, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.packs import THOUSANDTHS, to_thousandths
from forecasting.procurement.protection_demand import CumulativeDemand
from forecasting.terms import StockStatus

LOT_COLUMNS = ["facility_id", "product_id", "quantity", "counted_at", "expiry_date", "status", "committed"]


@dataclasses.dataclass(frozen=True)
class Lots:
    """Counted stock per item, in thousandths of a dose unit; lots [item, lot] in order of expiry, padded with nothing.

    `booked` is available as counted, `received` came in since, `used` has gone since, `committed` is promised,
    `expired` is past its date today; `on_hand` is booked + received - used - committed - expired. `blocked` is
    quarantined or recalled, and `use_beyond_stock` the use since the count that the shelf could not have served.
    `last_day` is the number of days from today on which a lot can be used (infinite without an expiry date).
    `count_age_days` is the age of the oldest count, not a number where nothing was counted.
    """

    counted: Booleans
    below_zero: Booleans
    booked: Integers
    received: Integers
    used: Integers
    use_beyond_stock: Integers
    committed: Integers
    on_hand: Integers
    expired: Integers
    blocked: Integers
    quantity: Integers
    last_day: Floats
    count_age_days: Floats

    @classmethod
    def empty(cls, items: int) -> "Lots":
        """Items that were counted today and have nothing on the shelf."""
        nothing, no = np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.bool_)
        flags = {"counted": ~no, "below_zero": no}
        lots = {"quantity": np.zeros((items, 0), dtype=np.int64), "last_day": np.zeros((items, 0))}
        known: dict[str, Any] = flags | lots | {"count_age_days": np.zeros(items)}
        return cls(**{field.name: known.get(field.name, nothing) for field in dataclasses.fields(cls)})


def read_lots(keys: pd.MultiIndex, lots: pd.DataFrame, as_of: dt.date, moves: pd.DataFrame | None = None) -> Lots:
    """Stock of the items `keys` (facility_id, product_id) on the day `as_of`, from rows as in the `stock` file.

    Columns facility_id, product_id, quantity (dose units), counted_at, and optionally lot, expiry_date, status,
    committed. `moves` has `stock_since_count.COLUMNS`: what was used and received after the count. Raises
    `InvalidInput` for an unknown status and for a commitment below zero.
    """
    lots = lots.reindex(columns=LOT_COLUMNS)
    item = keys.get_indexer(pd.MultiIndex.from_frame(lots[["facility_id", "product_id"]]))
    lots, item = lots[item >= 0], item[item >= 0]
    counted = np.isin(np.arange(len(keys)), item)
    used, received = _moves_since_count(keys, moves, counted)
    age = pd.Series(-_days_from(lots["counted_at"], as_of)).groupby(item).max()
    age_days = np.asarray(age.reindex(np.arange(len(keys))), dtype=np.float64)
    available = _available(lots["status"])
    booked = to_thousandths(lots["quantity"])
    quantity = np.maximum(booked, 0)
    expires = _days_from(lots["expiry_date"], as_of) + 1.0
    expires[np.isnan(expires)] = np.inf

    def total(values: Integers, chosen: Booleans) -> Integers:
        return np.bincount(item[chosen], weights=values[chosen], minlength=len(keys)).astype(np.int64)

    committed = np.minimum(_committed(lots["committed"]), quantity)
    rows = np.concatenate([item[available], np.flatnonzero(received)])
    stock, last_day = padded_lots(
        rows,
        len(keys),
        np.concatenate([expires[available], np.full(np.count_nonzero(received), np.inf)]),
        np.concatenate([(quantity - committed)[available], received[received > 0]]),
    )
    used_of_lots = _first_expired_first_out(stock, last_day, used, np.nan_to_num(age_days))
    stock = stock - used_of_lots
    usable = np.where(last_day <= 0, 0, stock)
    return Lots(
        counted=counted,
        below_zero=np.isin(np.arange(len(keys)), item[booked < 0]),
        booked=total(quantity, available),
        received=received,
        used=used_of_lots.sum(axis=1),
        use_beyond_stock=np.where(counted, used - used_of_lots.sum(axis=1), 0),
        committed=total(committed, available),
        on_hand=usable.sum(axis=1),
        expired=(stock - usable).sum(axis=1),
        blocked=total(quantity, ~available),
        quantity=usable,
        last_day=np.maximum(last_day, 0.0),
        count_age_days=age_days,
    )


def _moves_since_count(keys: pd.MultiIndex, moves: pd.DataFrame | None, counted: Booleans) -> tuple[Integers, Integers]:
    """Used and received since the count [item]; nothing is known to have moved where nothing was counted."""
    if moves is None:
        return np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    rows = moves.set_index(["facility_id", "product_id"]).reindex(keys)
    moved = np.rint(rows[["used", "received"]].fillna(0.0).to_numpy(dtype=float) * THOUSANDTHS).astype(np.int64)
    return np.where(counted, moved[:, 0], 0), np.where(counted, moved[:, 1], 0)


def _available(status: pd.Series) -> Booleans:
    filled = status.where(status.notna() & (status != ""), StockStatus.AVAILABLE.value)
    for unknown in set(filled.astype(str)) - {known.value for known in StockStatus}:
        raise InvalidInput(f"stock status {unknown!r} is none of {', '.join(StockStatus)}")
    return np.asarray(filled == StockStatus.AVAILABLE.value, dtype=np.bool_)


def _committed(quantity: pd.Series) -> Integers:
    committed = to_thousandths(quantity.astype(object).where(quantity.notna(), 0))
    if np.any(committed < 0):
        raise InvalidInput("a committed quantity is below 0")
    return committed


def _first_expired_first_out(quantity: Integers, last_day: Floats, used: Integers, age_days: Floats) -> Integers:
    """What was used of each lot [item, lot] since the count, use being spread evenly over the days since."""
    used_of_lots, before = np.zeros_like(quantity), np.zeros(len(quantity), dtype=np.int64)
    age = np.maximum(age_days, 1.0)
    for lot in range(quantity.shape[1]):
        share = np.clip((last_day[:, lot] + age) / age, 0.0, 1.0)
        after = np.minimum(before + quantity[:, lot], np.rint(used * share).astype(np.int64))
        used_of_lots[:, lot] = np.maximum(after - before, 0)
        before = before + used_of_lots[:, lot]
    return used_of_lots


def _days_from(dates: pd.Series, as_of: dt.date) -> Floats:
    days = (pd.to_datetime(dates).dt.normalize() - pd.Timestamp(as_of)).dt.days
    return np.array(days, dtype=np.float64)


def padded_lots(item: npt.NDArray[np.intp], items: int, day: Floats, quantity: Integers) -> tuple[Integers, Floats]:
    """Rows as matrices [item, row of that item] sorted by day: quantity padded with 0, day with infinity.

    >>> padded_lots(np.array([1, 1]), 2, np.array([9.0, 3.0]), np.array([5, 4]))[0]
    array([[0, 0],
           [4, 5]])
    """
    rows, places, width = places_by_item(item, day, quantity)
    quantities, days = np.zeros((items, width), dtype=np.int64), np.full((items, width), np.inf)
    quantities[item[rows], places], days[item[rows], places] = quantity[rows], day[rows]
    return quantities, days


def places_by_item(
    item: npt.NDArray[np.intp], day: Floats, quantity: Integers
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], int]:
    """Rows sorted by item, day and quantity; each one's place within its item; and the most places of an item."""
    rows = np.lexsort((quantity, day, item))
    places = np.arange(len(item)) - np.searchsorted(item[rows], item[rows])
    return rows, places, int(places.max(initial=-1)) + 1


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
