"""What orders of one site share: budgets and room trim them, a supplier's minimum order value tops up or holds them."""

import dataclasses
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Floats, Integers, take
from forecasting.procurement.findings import COLUMNS, Severity, finding
from forecasting.procurement.order.block_plan import BlockPlan
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.order.plan import NO_LIMIT, Plan, Situation
from forecasting.procurement.order.shadow_prices import OrderRequests, TrimmedOrders, trim
from forecasting.procurement.packs import BILLIONTHS, as_decimal
from forecasting.procurement.policy.limits import Limit, LimitKind
from forecasting.procurement.policy.stocking_policy import CRITICALITY_RANKS, price_known

HOLD_BELOW_RISK = 0.05
"""Orders below a supplier's minimum value wait if no item of theirs runs out with more than this probability."""

TOP_UP_DAYS = 90
"""An order is topped up to no more days on hand than this, nor more than the item's own limit or shelf life."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedPlan:
    """Arrays [line]: item numbers `rows`, packs before the shared limits and after, what trims and tops up, findings.

    `limits` are those that trim, with `trimmed.shadow_price` [rank, limit] and `use` [limit, line] of a pack;
    `minimum_order_value` [line] is the supplier's (0 where it changed nothing), `packs_added` what it added.
    """

    rows: Integers
    packs_before: Integers
    trimmed: TrimmedOrders
    limits: Sequence[Limit]
    use: Floats
    rank: Integers
    packs_added: Integers
    minimum_order_value: list[Decimal]
    packs: Integers
    problems: pd.DataFrame


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Lines:
    """The ordered items as limits and suppliers see them, arrays [line].

    `items` have `order_by`, the day of the order. `use` [limit, line] is what a pack takes, `room` [limit] what there
    is; `most_packs` what an order may be topped up to; `price` is 0 where it is not known; `daily_demand` in
    thousandths of a dose unit.
    """

    items: pd.DataFrame
    requests: OrderRequests
    price: Floats
    use: Floats
    room: Floats
    stockout_risk: Floats
    daily_demand: Floats
    most_packs: Integers


def share_limits(prepared: PreparedInputs, planned: BlockPlan, limits: Sequence[Limit]) -> SharedPlan:
    """The orders within all limits, and of no less value than their suppliers ask for."""
    lines = _lines(prepared, planned, limits)
    before = planned.plan.packs
    trimmed = trim(lines.requests, lines.use, lines.room)
    top_up = _reach_minimum_values(lines, trimmed.packs)
    problems = _trim_problems(lines, before, trimmed, limits) + _limit_problems(prepared.items, trimmed, limits)
    return SharedPlan(
        rows=planned.rows,
        packs_before=before,
        trimmed=trimmed,
        limits=limits,
        use=lines.use,
        rank=lines.requests.rank,
        packs_added=np.where(top_up.packs > 0, top_up.packs - trimmed.packs, 0),
        minimum_order_value=top_up.minimum_order_value,
        packs=top_up.packs,
        problems=pd.DataFrame(problems + top_up.problems, columns=COLUMNS),
    )


def _lines(prepared: PreparedInputs, planned: BlockPlan, limits: Sequence[Limit]) -> _Lines:
    rows, plan = planned.rows, planned.plan
    order_by = [prepared.order_days[row].order_by for row in rows]
    items = prepared.items.iloc[rows].reset_index(drop=True).assign(order_by=order_by)
    situation = take(prepared.situation, rows)
    requests = requests_of(situation, plan)
    price = np.where(price_known(items), pd.to_numeric(items["pack_price"]).to_numpy(dtype=float), 0.0)
    daily = plan.until_next_arrival.mean(axis=1) / situation.next_arrival.mean(axis=1)
    use, room = _use_and_room(prepared, planned, price, limits)
    return _Lines(
        items=items,
        requests=requests,
        price=price,
        use=use,
        room=room,
        stockout_risk=(plan.until_next_arrival > plan.position[:, None]).mean(axis=1),
        daily_demand=daily,
        most_packs=_most_packs(situation, requests, daily, plan.storage_level),
    )


def requests_of(situation: Situation, plan: Plan) -> OrderRequests:
    """The planned orders [line] as limits see them."""
    settings, stocking = situation.settings, situation.stocking
    multiple = settings.order_multiple_packs
    return OrderRequests(
        demand=plan.until_next_arrival,
        position=plan.position,
        pack_size=settings.pack_size,
        smallest_order=-(-np.maximum(settings.minimum_order_packs, 1) // multiple) * multiple,
        step=multiple,
        packs=plan.packs,
        days_per_unit=stocking.days_per_unit,
        rank=stocking.rank,
    )


def _use_and_room(
    prepared: PreparedInputs, planned: BlockPlan, price: Floats, limits: Sequence[Limit]
) -> tuple[Floats, Floats]:
    """What a pack of each line takes of each limit [limit, line], and what there is [limit].

    Stock that lies on the shelf takes room too, of items that are not ordered as well.
    """
    rows = planned.rows
    use, room = np.zeros((len(limits), len(rows))), np.zeros(len(limits))
    stored = np.maximum(planned.position - planned.mean_until_arrival, 0.0) / prepared.situation.settings.pack_size
    for number, limit in enumerate(limits):
        inside = np.isin(rows, limit.rows)
        if limit.kind is LimitKind.BUDGET:
            use[number], room[number] = np.where(inside, price, 0.0), limit.amount - limit.used
        else:
            use[number], room[number] = inside, limit.amount - np.ceil(stored[limit.rows].sum())
    return use, room


def _most_packs(situation: Situation, requests: OrderRequests, daily: Floats, storage_level: Integers) -> Integers:
    """Packs [line] that are used up within `TOP_UP_DAYS`, the shelf life, the days on hand and the allocation."""
    shelf_life = situation.settings.shelf_life_days
    days = np.minimum(TOP_UP_DAYS, np.where(np.isnan(shelf_life), TOP_UP_DAYS, shelf_life / 2))
    level = np.minimum(daily * days, storage_level.astype(float))
    most = np.floor(np.maximum(level - requests.position, 0.0) / requests.pack_size).astype(np.int64)
    return np.where(situation.allocation != NO_LIMIT, requests.packs, np.maximum(most, requests.packs))


@dataclasses.dataclass
class _TopUp:
    """Packs [line], and the minimum order value [line] and findings of the suppliers for whom they changed."""

    packs: Integers
    minimum_order_value: list[Decimal]
    problems: list[list[Any]]


def _reach_minimum_values(lines: _Lines, trimmed: Integers) -> _TopUp:
    """Orders of each supplier and day brought to its minimum value, or held until the next order day."""
    result = _TopUp(trimmed.copy(), [Decimal(0)] * len(trimmed), [])
    for supplier, day, chosen in _orders_with_minimum(lines, trimmed):
        least = as_decimal(lines.items["minimum_order_value"].iloc[chosen[0]])
        # the value of an order with an unknown price is not known either
        value = _value(lines, chosen, trimmed) if np.all(lines.price[chosen] > 0) else least
        if value >= least:
            continue
        outcome = _hold_or_top_up(lines, result, chosen, least)
        if (result.packs != trimmed)[chosen].any():
            for line in chosen:
                result.minimum_order_value[line] = least
        text = f"the orders of {day} from {supplier} come to {value}, below its minimum of {least}; {outcome}"
        result.problems += [finding(lines.items.iloc[line], "minimum_order_value", text) for line in chosen]
    return result


def _orders_with_minimum(lines: _Lines, packs: Integers) -> Iterator[tuple[Any, Any, Integers]]:
    """Supplier, day and line numbers of each order to a supplier that states a minimum order value."""
    stated = np.flatnonzero(lines.items["minimum_order_value"].notna().to_numpy() & (packs > 0))
    for (_, supplier, day), order in lines.items.iloc[stated].groupby(["facility_id", "supplier_id", "order_by"]):
        yield supplier, day, order.index.to_numpy()


def _hold_or_top_up(lines: _Lines, result: _TopUp, chosen: Integers, least: Decimal) -> str:
    """What is done about an order of too little value, in words; its packs are changed in `result`."""
    if lines.stockout_risk[chosen].max() <= HOLD_BELOW_RISK and lines.requests.rank[chosen].min() > 0:
        result.packs[chosen] = 0
        return "held until the next order day: nothing is likely to run out"
    topped = _topped_up(lines, result.packs, chosen, least)
    if _value(lines, chosen, topped) < least:
        return "not topped up, since that would break other limits: ask the supplier"
    result.packs = topped
    return "topped up"


def _value(lines: _Lines, chosen: Integers, packs: Integers) -> Decimal:
    prices = lines.items["pack_price"].iloc[chosen]
    return sum((int(packs[line]) * as_decimal(price) for line, price in zip(chosen, prices, strict=True)), Decimal(0))


def _topped_up(lines: _Lines, packs: Integers, chosen: Integers, least: Decimal) -> Integers:
    """More packs of what is used up soonest, until the order is worth `least` or nothing more may be added."""
    packs, requests = packs.copy(), lines.requests
    while _value(lines, chosen, packs) < least:
        after = packs + requests.step
        room = lines.room - lines.use @ packs
        fits = (after <= lines.most_packs) & np.all(lines.use * requests.step <= room[:, None] + 1e-9, axis=0)
        candidates = chosen[fits[chosen]]
        if not len(candidates):
            return packs
        quantity = (requests.position + after * requests.pack_size)[candidates]
        soonest = candidates[np.argmin(quantity / np.maximum(lines.daily_demand[candidates], 1e-9))]
        packs[soonest] += requests.step[soonest]
    return packs


def _trim_problems(lines: _Lines, before: Integers, trimmed: TrimmedOrders, limits: Sequence[Limit]) -> list[list[Any]]:
    """One finding a trimmed line: which limits leave how many packs."""
    problems = []
    for line in np.flatnonzero(trimmed.packs < before).tolist():
        taken = [limits[number] for number in np.flatnonzero(lines.use[:, line] > 0).tolist()]
        names = " and ".join(f"the {limit.kind.value} of {limit.name}" for limit in taken)
        text = f"{before[line]} packs are wanted; {names} leave room for {trimmed.packs[line]}"
        problems.append(finding(lines.items.iloc[line], f"{taken[0].kind.value}_limits", text))
    return problems


def _limit_problems(items: pd.DataFrame, trimmed: TrimmedOrders, limits: Sequence[Limit]) -> list[list[Any]]:
    """One finding a limit that trims: what a little more of it would buy."""
    problems: list[list[Any]] = []
    for number, limit in enumerate(limits):
        ranks = np.flatnonzero(trimmed.shadow_price[:, number])
        if len(ranks):
            price = trimmed.shadow_price[ranks[0], number] / BILLIONTHS
            criticality = next(name for name, rank in CRITICALITY_RANKS.items() if rank == ranks[0])
            unit = "in money" if limit.kind is LimitKind.BUDGET else "packs of room"
            text = f"the {limit.kind.value} of {limit.name} is {limit.amount:g}, of which {limit.used:g} are spent; "
            text += f"100 more {unit} buy {100 * price:.4g} treatment-days of demand for {criticality} items"
            site = items["facility_id"].iloc[int(limit.rows[0])]
            problems.append([site, None, f"{limit.kind.value}_shadow_price", Severity.CHECK.value, text])
    return problems
