"""Open orders: which of them count, and when they arrive.

Rule, version 3: an order counts if it is expected before the protection interval ends, and then in each draw in which
it arrives before that. How long it still takes is the supplier's lead time scaled to the expected day, given that it
has not come yet; where a draw has the next order slow, open orders are as slow, so that orders do not overtake each
other. An order that has no date, should have come with near certainty, or is many times as old as orders get, whatever
day it is promised for, arrives when a new order would, and is reported; once it is overdue for longer than a stated
number of days it no longer counts, so that a lost order cannot hide a stock-out for ever. The same id counts once.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd

from forecasting.arrays import Floats, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.supply.lead_time import Seeds, draw_arrivals, key_seeds
from forecasting.procurement.supply.stock import places_by_item

SUPPLY_RULE_VERSION = 3
OLD_ORDER_DAYS = 90
OLD_ORDER_LEAD_TIMES = 4
"""An order is old after so many days and so many mean lead times: its promised day is not relied on."""

COLUMNS = ["facility_id", "product_id", "packs", "ordered_at", "expected_at", "kind", "id"]
"""`ordered_at` may be blank: then the order is as old as its expected day less the mean lead time."""


class SupplyRule(StrEnum):
    """Why an open order counts or does not."""

    IN_TIME = "in_time"
    OVERDUE = "open_order_overdue"
    NO_DATE = "open_order_without_date"
    OLD = "open_order_old"
    LATE = "open_order_late"
    LOST = "open_order_long_overdue"
    REPEATED = "open_order_repeated"


COUNTED = (SupplyRule.IN_TIME.value, SupplyRule.OVERDUE.value, SupplyRule.NO_DATE.value, SupplyRule.OLD.value)


@dataclasses.dataclass(frozen=True)
class Supply:
    """Counted supply per item, in thousandths of a dose unit: in all, and by expected day of arrival [item, order].

    `expected_lead_days` is the time from order to expected day (NaN: arrives like a new order), `elapsed_days` how much
    of it is over, `variation` the standard deviation of lead times over their mean, `seed` [item] that of the item's
    lead times.
    """

    total: Integers
    quantity: Integers
    arrival_day: Floats
    expected_lead_days: Floats
    elapsed_days: Floats
    variation: Floats
    seed: Seeds

    def arrivals(self, new_order: Floats) -> list[Floats]:
        """Per order, the day of arrival of each draw [item, draw]; `new_order` is that of an order placed next."""
        arrivals = []
        for order in range(self.quantity.shape[1]):
            rows = self.quantity[:, order] > 0
            days = np.full(new_order.shape, np.inf)
            lead, elapsed = self.expected_lead_days[rows, order], self.elapsed_days[rows, order]
            sd = lead * self.variation[rows, order]
            drawn = draw_arrivals(lead, sd, elapsed, new_order.shape[1], self.seed[rows])
            days[rows] = np.where(np.isnan(drawn), new_order[rows], drawn)
            arrivals.append(days)
        return arrivals


def read_open_orders(
    keys: pd.MultiIndex,
    open_orders: pd.DataFrame,
    *,
    as_of: dt.date,
    new_order_day: Floats,
    protection_days: Floats,
    mean_days: Floats,
    overdue_order_days: int,
) -> pd.DataFrame:
    """Open orders of the items `keys`, judged: `COLUMNS` with `item`, `arrival_day`, `rule` and `counted` added.

    `new_order_day` and `protection_days` [item]: days from today until a new order would arrive, and until the next one
    after it; `mean_days` [item] of the lead time. Also added are `elapsed_days` since the order, `expected_lead_days`
    from the order to its expected day (NaN if unknown), and `age_days` (NaN if no day of ordering is known). Raises
    `InvalidInput` for packs that are no whole number, or negative.
    """
    orders = open_orders.reindex(columns=COLUMNS).reset_index(drop=True)
    orders["item"] = keys.get_indexer(pd.MultiIndex.from_frame(orders[["facility_id", "product_id"]]))
    orders = orders[orders["item"] >= 0].sort_values(["item", "id", "packs"], ascending=[True, True, False])
    packs = pd.to_numeric(orders["packs"]).to_numpy(dtype=float, na_value=np.nan)
    if not np.all((packs >= 0) & (packs == np.floor(packs))):
        raise InvalidInput("packs of an open order must be a whole number, 0 or more")
    item = orders["item"].to_numpy()
    day = _days_from(orders["expected_at"], as_of)
    age = -_days_from(orders["ordered_at"], as_of)
    conditions = {
        SupplyRule.REPEATED: orders.duplicated(["item", "id"]).to_numpy() & orders["id"].notna().to_numpy(),
        SupplyRule.NO_DATE: np.isnan(day),
        SupplyRule.LOST: day < -overdue_order_days,
        SupplyRule.OVERDUE: day < 0,
        SupplyRule.LATE: day >= protection_days[item],
        SupplyRule.OLD: age > np.maximum(OLD_ORDER_DAYS, OLD_ORDER_LEAD_TIMES * mean_days[item]),
    }
    rules = [rule.value for rule in conditions]
    orders["rule"] = np.select(list(conditions.values()), rules, SupplyRule.IN_TIME.value)
    orders["counted"] = orders["rule"].isin(COUNTED)
    orders["packs"] = packs.astype(np.int64)
    orders["arrival_day"] = np.where(orders["rule"].isin(COUNTED[1:]), new_order_day[item], day)
    elapsed = np.where(np.isnan(age), np.maximum(mean_days[item] - day, 0.0), age)
    orders["elapsed_days"] = np.nan_to_num(elapsed)
    dated = (day + elapsed > 0) & (orders["rule"] != SupplyRule.OLD.value).to_numpy()
    orders["expected_lead_days"] = np.where(dated, day + elapsed, np.nan)
    orders["age_days"] = age
    return orders.reset_index(drop=True)


def _days_from(moments: pd.Series, as_of: dt.date) -> Floats:
    days = (pd.to_datetime(moments) - pd.Timestamp(as_of)).dt.total_seconds() / 86_400
    return np.asarray(days, dtype=np.float64)


def supply_from(
    orders: pd.DataFrame, pack_size: Integers, mean_days: Floats, sd_days: Floats, seed_keys: Sequence[str]
) -> Supply:
    """What the counted orders bring, per item.

    `pack_size` [item] in thousandths of a dose unit; `mean_days` and `sd_days` [item] of the lead time, and
    the `seed_keys` [item] of its draws.
    """
    counted = orders[orders["counted"]]
    item = counted["item"].to_numpy(dtype=np.intp)
    quantity = counted["packs"].to_numpy(dtype=np.int64) * pack_size[item]
    day = counted["arrival_day"].to_numpy(dtype=float)
    rows, places, width = places_by_item(item, day, quantity)

    def by_order(values: np.ndarray, empty: float, dtype: type = np.float64) -> np.ndarray:
        matrix: np.ndarray = np.full((len(pack_size), width), empty, dtype=dtype)
        matrix[item[rows], places] = values[rows]
        return matrix

    variation = np.divide(sd_days, mean_days, out=np.zeros_like(sd_days), where=mean_days > 0)
    quantities = by_order(quantity, 0, np.int64)
    return Supply(
        total=quantities.sum(axis=1),
        quantity=quantities,
        arrival_day=by_order(day, np.inf),
        expected_lead_days=by_order(counted["expected_lead_days"].to_numpy(dtype=float), np.nan),
        elapsed_days=by_order(counted["elapsed_days"].to_numpy(dtype=float), 0.0),
        variation=by_order(variation[item], 0.0),
        seed=key_seeds(seed_keys),
    )
