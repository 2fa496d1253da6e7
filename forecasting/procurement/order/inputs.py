"""What the orders of one site answer to: as handed in, and as read, checked and put in the order of the items."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Floats, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.items import complete_items, open_days, order_days_of, read_settings
from forecasting.procurement.order.plan import NO_LIMIT, Situation
from forecasting.procurement.packs import MILLIONTHS
from forecasting.procurement.policy.limits import Limit
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.policy.stocking_policy import read_stocking
from forecasting.procurement.protection_demand import DemandDraws, period_edges
from forecasting.procurement.supply.calendar import OrderDays
from forecasting.procurement.supply.lead_time import draw_lead_times
from forecasting.procurement.supply.open_orders import read_open_orders, supply_from
from forecasting.procurement.supply.stock import read_lots
from forecasting.terms import Period

Record = dict[Any, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrderInputs:
    """Tables, demand draws and settings that one site's orders answer to.

    `items`: one row a facility and product (`items.ITEM_COLUMNS`; blank settings take `defaults`), in the order of the
    rows of `demand`. `lots`: rows as in the `stock` file; `moves_since_count`: what left and entered the shelf after
    the count, as `stock_since_count` gives. `open_orders`: `open_orders.COLUMNS`, with approved and exported
    recommendations among them; `standing_packs`: packs proposed before that wait for a decision, by (facility_id,
    product_id). `lead_times`: as `lead_time.lead_times` gives. `limits` hold for the items that they name, by their
    numbers in `items`. `context` (JSON) is stored with every line: releases, models.

    Raises `InvalidInput` if items and demand differ in number.
    """

    items: pd.DataFrame
    demand: DemandDraws
    period: Period
    period_starts: Sequence[dt.date]
    as_of: dt.date
    lots: pd.DataFrame
    open_orders: pd.DataFrame
    lead_times: pd.DataFrame
    draws_seed: int
    moves_since_count: pd.DataFrame | None = None
    standing_packs: pd.Series | None = None
    limits: Sequence[Limit] = ()
    context: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: PolicyDefaults = PolicyDefaults()

    def __post_init__(self) -> None:
        if len(self.items) != len(self.demand.final):
            raise InvalidInput(f"{len(self.items)} items do not fit {len(self.demand.final)} rows of demand")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreparedInputs:
    """The same, read and checked; rows of every array are the items in their order.

    `items` are completed by defaults, `period_edges` [period + 1] in days from `as_of`, `open_orders` judged
    (`read_open_orders`), and `use_source` says, by (facility_id, product_id), where the use since the count comes from.
    """

    as_of: dt.date
    context: Mapping[str, Any]
    defaults: PolicyDefaults
    items: pd.DataFrame
    order_days: list[OrderDays]
    period_edges: Floats
    demand: DemandDraws
    open_orders: pd.DataFrame
    use_source: dict[tuple[str, str], str]
    situation: Situation

    @functools.cached_property
    def mean_without_overrides(self) -> Floats:
        """Mean demand per period without what people set [item, period], in dose units."""
        steps, quantity = self.demand.override_steps, self.demand.override_quantity
        if steps is None or quantity is None:
            return self.demand.final_mean
        by_people = np.zeros_like(self.demand.final_mean)
        np.add.at(by_people, steps["item"].to_numpy(dtype=np.int64), quantity)
        return self.demand.final_mean - by_people

    @functools.cached_property
    def genetic_steps_of(self) -> Mapping[int, list[Record]]:
        """Each item's genetic steps; items without a step are left out."""
        return _records_by_item(self.demand.genetic_steps)

    @functools.cached_property
    def override_steps_of(self) -> Mapping[int, list[Record]]:
        """Each item's override steps."""
        return _records_by_item(self.demand.override_steps)

    @functools.cached_property
    def open_orders_of(self) -> Mapping[int, list[Record]]:
        """Each item's open orders."""
        return _records_by_item(self.open_orders)


def _records_by_item(rows: pd.DataFrame | None) -> Mapping[int, list[Record]]:
    """Rows as records by their `item`, each with its `place` among all rows."""
    by_item: dict[int, list[Record]] = {}
    for place, record in enumerate([] if rows is None else rows.to_dict("records")):
        by_item.setdefault(int(record["item"]), []).append(record | {"place": place})
    return by_item


def prepare(inputs: OrderInputs) -> PreparedInputs:
    """The inputs read, checked and aligned. Raises `InvalidInput` with the item and rule named."""
    as_of = inputs.as_of
    items = complete_items(inputs.items, inputs.lead_times, inputs.defaults)
    days = order_days_of(items, as_of)
    settings = read_settings(items, days, as_of)
    keys = pd.MultiIndex.from_frame(items[["facility_id", "product_id"]])
    seeds = [f"{inputs.draws_seed}|{facility}|{product}" for facility, product in keys]
    means, sds = settings.lead_time_mean_days, settings.lead_time_sd_days
    lead_time = draw_lead_times(means, sds, inputs.demand.final.shape[2], seeds)
    arrival, closed_days = open_days(items, settings.wait_days[:, None] + lead_time, as_of)
    next_arrival, closed_days_later = open_days(items, arrival + settings.review_days[:, None], as_of)
    settings = dataclasses.replace(settings, closed_days=closed_days + closed_days_later)
    open_orders = read_open_orders(
        keys,
        inputs.open_orders,
        as_of=as_of,
        new_order_day=settings.new_order_day,
        protection_days=settings.protection_days,
        mean_days=means,
        overdue_order_days=inputs.defaults.overdue_order_days,
    )
    return PreparedInputs(
        as_of=as_of,
        context=inputs.context,
        defaults=inputs.defaults,
        items=items,
        order_days=days,
        period_edges=period_edges(inputs.period, inputs.period_starts, as_of),
        demand=inputs.demand,
        open_orders=open_orders,
        use_source=_use_source(inputs.moves_since_count),
        situation=Situation(
            settings=settings,
            stocking=read_stocking(items, settings.pack_size, settings.target, settings.review_days),
            lots=read_lots(keys, inputs.lots, as_of, inputs.moves_since_count),
            supply=supply_from(open_orders, settings.pack_size, means, sds, seeds),
            arrival=arrival,
            next_arrival=next_arrival,
            standing_packs=_standing_packs(keys, inputs.standing_packs),
            allocation=_allocation(items["allocation_share"]),
        ),
    )


def _standing_packs(keys: pd.MultiIndex, packs: pd.Series | None) -> Integers:
    """Packs [item] that stand proposed; `packs` by (facility_id, product_id)."""
    if packs is None:
        return np.zeros(len(keys), dtype=np.int64)
    return packs.groupby(level=[0, 1]).sum().reindex(keys).fillna(0).to_numpy(dtype=np.int64)


def _allocation(share: pd.Series) -> Integers:
    """Share of an order that a shortage lets through, in millionths [item]; `NO_LIMIT` where there is none."""
    known = pd.to_numeric(share).to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isnan(known), NO_LIMIT, np.rint(np.nan_to_num(known) * MILLIONTHS).astype(np.int64))


def _use_source(moves: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    if moves is None:
        return {}
    rows = zip(moves["facility_id"], moves["product_id"], moves["use_source"], strict=True)
    return {(str(facility), str(product)): str(source) for facility, product, source in rows}
