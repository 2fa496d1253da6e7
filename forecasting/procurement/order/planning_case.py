"""One run's facts, read once: items, calendars, demand, stock, supply and lead times; all share their rows."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.items import complete_items, open_days, order_days_of, read_settings
from forecasting.procurement.order.outlook import Outlook
from forecasting.procurement.order.plan import NO_LIMIT, Plan, Situation
from forecasting.procurement.packs import MILLIONTHS, Integers
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.policy.stocking_policy import read_stocking
from forecasting.procurement.protection_demand import DemandDraws, Floats, period_edges
from forecasting.procurement.supply.calendar import OrderDays
from forecasting.procurement.supply.lead_time import draw_lead_times
from forecasting.procurement.supply.open_orders import read_open_orders, supply_from
from forecasting.procurement.supply.stock import read_lots
from forecasting.terms import Period


@dataclasses.dataclass(frozen=True)
class Case:
    """All that is known of the items of one run; rows of every array are the items in their order."""

    as_of: dt.date
    context: dict[str, Any]
    items: pd.DataFrame
    days: list[OrderDays]
    edges: Floats
    demand: DemandDraws
    orders: pd.DataFrame
    use_source: dict[tuple[str, str], str]
    situation: Situation


@dataclasses.dataclass(frozen=True)
class Ordered:
    """The items `rows` that get an order: its plan, packs, what they change, why, and the share of each period bridged.

    `plan.packs` are those before limits that several items share, `packs` those after.
    """

    rows: Integers
    plan: Plan
    packs: Integers
    outlook: Outlook
    reasons: list[list[str]]
    packs_without_genetic_shift: Integers
    shares: Floats


def read_case(
    items: pd.DataFrame,
    demand: DemandDraws,
    period: Period,
    period_starts: Sequence[dt.date],
    as_of: dt.date,
    lots: pd.DataFrame,
    since: pd.DataFrame | None,
    open_orders: pd.DataFrame,
    lead_times: pd.DataFrame,
    draws_seed: int,
    defaults: PolicyDefaults,
    context: dict[str, Any] | None,
    standing: pd.Series | None = None,
) -> Case:
    """The case of a run, read and checked; arguments as in `recommend.recommend`."""
    items = complete_items(items, lead_times, defaults)
    days = order_days_of(items, as_of)
    settings = read_settings(items, days, as_of)
    keys = pd.MultiIndex.from_frame(items[["facility_id", "product_id"]])
    seeds = [f"{draws_seed}|{facility}|{product}" for facility, product in keys]
    means, sds = settings.lead_time_mean_days, settings.lead_time_sd_days
    lead_time = draw_lead_times(means, sds, demand.final.shape[2], seeds)
    arrival, closed_days = open_days(items, settings.wait_days[:, None] + lead_time, as_of)
    next_arrival, later = open_days(items, arrival + settings.review_days[:, None], as_of)
    settings = dataclasses.replace(settings, closed_days=closed_days + later)
    orders = read_open_orders(
        keys,
        open_orders,
        as_of=as_of,
        new_order_day=settings.new_order_day,
        protection_days=settings.protection_days,
        mean_days=settings.lead_time_mean_days,
        overdue_order_days=defaults.overdue_order_days,
    )
    return Case(
        as_of=as_of,
        context=context or {},
        items=items,
        days=days,
        edges=period_edges(period, period_starts, as_of),
        demand=demand,
        orders=orders,
        use_source={} if since is None else _use_source(since),
        situation=Situation(
            settings=settings,
            stocking=read_stocking(items, settings.pack_size, settings.target, settings.review_days),
            lots=read_lots(keys, lots, as_of, since),
            supply=supply_from(orders, settings.pack_size, means, sds, seeds),
            arrival=arrival,
            next_arrival=next_arrival,
            standing=_standing(keys, standing),
            allocation=_allocation(items["allocation_share"]),
        ),
    )


def _standing(keys: pd.MultiIndex, packs: pd.Series | None) -> Integers:
    """Packs [item] that stand proposed; `packs` by (facility_id, product_id)."""
    if packs is None:
        return np.zeros(len(keys), dtype=np.int64)
    return packs.groupby(level=[0, 1]).sum().reindex(keys).fillna(0).to_numpy(dtype=np.int64)


def _allocation(share: pd.Series) -> Integers:
    """Share of an order that a shortage lets through, in millionths [item]; `NO_LIMIT` where there is none."""
    known = pd.to_numeric(share).to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isnan(known), NO_LIMIT, np.rint(np.nan_to_num(known) * MILLIONTHS).astype(np.int64))


def _use_source(since: pd.DataFrame) -> dict[tuple[str, str], str]:
    rows = zip(since["facility_id"], since["product_id"], since["use_source"], strict=True)
    return {(str(facility), str(product)): str(source) for facility, product, source in rows}
