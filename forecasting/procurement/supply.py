"""Supply on its way: which open orders count, and when they arrive.

Rule, version 1: an order counts if it is expected before the protection interval ends. One that was expected in the
past, or that has no date, counts as arriving when a new order would, and is reported; once it is overdue for longer
than a stated number of days it no longer counts, so that a lost order cannot hide a stock-out for ever. The same id
counts once.
"""

import dataclasses
import datetime as dt
from enum import StrEnum

import numpy as np
import pandas as pd

from forecasting.errors import InvalidInput
from forecasting.procurement.interval import Floats
from forecasting.procurement.packs import Integers
from forecasting.procurement.stock import pad

SUPPLY_RULE_VERSION = 1
COLUMNS = ["facility_id", "product_id", "packs", "expected_at", "kind", "id"]


class SupplyRule(StrEnum):
    """Why an open order counts or does not."""

    IN_TIME = "in_time"
    OVERDUE = "open_order_overdue"
    NO_DATE = "open_order_without_date"
    LATE = "open_order_late"
    LOST = "open_order_long_overdue"
    REPEATED = "open_order_repeated"


COUNTED = (SupplyRule.IN_TIME.value, SupplyRule.OVERDUE.value, SupplyRule.NO_DATE.value)


@dataclasses.dataclass(frozen=True)
class Supply:
    """Counted supply per item, in thousandths of a dose unit: in all, and by day of arrival [item, order]."""

    total: Integers
    quantity: Integers
    arrival_day: Floats


def read_open_orders(
    keys: pd.MultiIndex,
    open_orders: pd.DataFrame,
    *,
    as_of: dt.date,
    new_order_day: Floats,
    protection_days: Floats,
    overdue_order_days: int,
) -> pd.DataFrame:
    """Open orders of the items `keys`, judged: `COLUMNS` with `item`, `arrival_day`, `rule` and `counted` added.

    `new_order_day` and `protection_days` [item]: days from today until a new order would arrive, and until the next
    one after it. Raises `InvalidInput` for packs that are no whole number, or negative.
    """
    orders = open_orders.reindex(columns=COLUMNS).reset_index(drop=True)
    orders["item"] = keys.get_indexer(pd.MultiIndex.from_frame(orders[["facility_id", "product_id"]]))
    orders = orders[orders["item"] >= 0].sort_values(["item", "id", "packs"], ascending=[True, True, False])
    packs = pd.to_numeric(orders["packs"]).to_numpy(dtype=float, na_value=np.nan)
    if not np.all((packs >= 0) & (packs == np.floor(packs))):
        raise InvalidInput("packs of an open order must be a whole number, 0 or more")
    item = orders["item"].to_numpy()
    expected = (pd.to_datetime(orders["expected_at"]).dt.normalize() - pd.Timestamp(as_of)).dt.days
    day = expected.to_numpy(dtype=float, na_value=np.nan)
    conditions = {
        SupplyRule.REPEATED: orders.duplicated(["item", "id"]).to_numpy() & orders["id"].notna().to_numpy(),
        SupplyRule.NO_DATE: np.isnan(day),
        SupplyRule.LOST: day < -overdue_order_days,
        SupplyRule.OVERDUE: day < 0,
        SupplyRule.LATE: day >= protection_days[item],
    }
    rules = [rule.value for rule in conditions]
    orders["rule"] = np.select(list(conditions.values()), rules, SupplyRule.IN_TIME.value)
    orders["counted"] = orders["rule"].isin(COUNTED)
    orders["packs"] = packs.astype(np.int64)
    orders["arrival_day"] = np.where(orders["rule"].isin(COUNTED[1:]), new_order_day[item], day)
    return orders.reset_index(drop=True)


def supply_from(orders: pd.DataFrame, pack_size: Integers) -> Supply:
    """What the counted orders bring, per item; `pack_size` [item] in thousandths of a dose unit."""
    counted = orders[orders["counted"]]
    item = counted["item"].to_numpy(dtype=np.intp)
    quantity = counted["packs"].to_numpy(dtype=np.int64) * pack_size[item]
    by_day, day = pad(item, len(pack_size), counted["arrival_day"].to_numpy(dtype=float), quantity)
    return Supply(by_day.sum(axis=1), by_day, day)
