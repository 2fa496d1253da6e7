"""What orders of one site share: budgets and room trim them, a supplier's minimum order value tops up or holds them."""

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.findings import COLUMNS, Severity, price_known
from forecasting.procurement.items import take
from forecasting.procurement.order.plan import NO_LIMIT, Plan
from forecasting.procurement.order.planning_case import Case
from forecasting.procurement.order.shadow_prices import Trimmed, Wanted, trim
from forecasting.procurement.packs import NANO, Integers, as_decimal
from forecasting.procurement.policy.limits import Limit, LimitKind
from forecasting.procurement.policy.stocking_policy import RANKS
from forecasting.procurement.protection_demand import Floats

HOLD_BELOW_RISK = 0.05
"""Orders below a supplier's minimum value wait if no item of theirs runs out with more than this probability."""

TOP_UP_DAYS = 90
"""An order is topped up to no more days on hand than this, nor more than the item's own limit or shelf life."""


@dataclasses.dataclass(frozen=True)
class Together:
    """Arrays [line]: item numbers `rows`, packs `before` the shared limits and after, what trims and tops up, findings.

    `limits` are those that trim, with `shadow_price` [rank, limit] and `use` [limit, line] of a pack; `minimum_value`
    [line] is the supplier's (0 where it changed nothing).
    """

    rows: Integers
    before: Integers
    trimmed: Trimmed
    limits: list[Limit]
    use: Floats
    rank: Integers
    added: Integers
    held: np.ndarray
    minimum_value: list[Decimal]
    packs: Integers
    problems: pd.DataFrame


def settle_together(
    case: Case, rows: Integers, plan: Plan, position: Integers, until_arrival: Floats, limits: Sequence[Limit]
) -> Together:
    """The orders of lines `rows` (item numbers) within all limits, and worth their suppliers' while.

    `plan` has the lines; `position` and `until_arrival` (mean demand) [item] in thousandths of a dose unit are those of
    every item, ordered or not: stock that lies there takes room too.
    """
    items = case.items.iloc[rows]
    wanted = wanted_of(case, rows, plan)
    price = np.where(price_known(items), pd.to_numeric(items["pack_price"]).to_numpy(dtype=float), 0.0)
    use, room = _use_and_room(case, rows, price, position, until_arrival, limits)
    trimmed = trim(wanted, use, room)
    packs, added, held, values, found = _minimum_values(case, rows, plan, wanted, trimmed.packs, price, use, room)
    problems = _trim_problems(case, rows, plan.packs, trimmed, limits, use) + found
    return Together(
        rows=rows,
        before=plan.packs,
        trimmed=trimmed,
        limits=list(limits),
        use=use,
        rank=wanted.rank,
        added=added,
        held=held,
        minimum_value=values,
        packs=packs,
        problems=pd.DataFrame(problems, columns=COLUMNS),
    )


def wanted_of(case: Case, rows: Integers, plan: Plan) -> Wanted:
    """The lines as limits see them."""
    settings, stocking = take(case.situation.settings, rows), take(case.situation.stocking, rows)
    multiple = settings.order_multiple_packs
    return Wanted(
        demand=plan.until_next_arrival,
        position=plan.position,
        pack_size=settings.pack_size,
        first=-(-np.maximum(settings.minimum_order_packs, 1) // multiple) * multiple,
        step=multiple,
        packs=plan.packs,
        days_per_unit=stocking.days_per_unit,
        rank=stocking.rank,
    )


def _use_and_room(
    case: Case, rows: Integers, price: Floats, position: Integers, until_arrival: Floats, limits: Sequence[Limit]
) -> tuple[Floats, Floats]:
    """What a pack of each line takes of each limit [limit, line], and what there is [limit]."""
    use, room = np.zeros((len(limits), len(rows))), np.zeros(len(limits))
    stored = np.maximum(position - until_arrival, 0.0) / case.situation.settings.pack_size
    for number, limit in enumerate(limits):
        inside = np.isin(rows, limit.rows)
        if limit.kind is LimitKind.BUDGET:
            use[number], room[number] = np.where(inside, price, 0.0), limit.amount - limit.used
        else:
            use[number], room[number] = inside, limit.amount - np.ceil(stored[limit.rows].sum())
    return use, room


def _minimum_values(
    case: Case,
    rows: Integers,
    plan: Plan,
    wanted: Wanted,
    packs: Integers,
    price: Floats,
    use: Floats,
    room: Floats,
) -> tuple[Integers, Integers, np.ndarray, list[Decimal], list[list[Any]]]:
    """Orders of each supplier and day brought to its minimum value, or held: packs, added, held, values, findings."""
    items = case.items.iloc[rows].reset_index(drop=True)
    days = pd.Series([case.days[row].order_by for row in rows], index=items.index, dtype=object)
    before, packs, held = packs, packs.copy(), np.zeros(len(rows), dtype=bool)
    values, found = [Decimal(0)] * len(rows), []
    risk = (plan.until_next_arrival > plan.position[:, None]).mean(axis=1)
    stated = items["minimum_order_value"].notna().to_numpy() & (packs > 0)
    groups = items[stated].groupby([items.loc[stated, "facility_id"], items.loc[stated, "supplier_id"], days[stated]])
    for (_, supplier, day), group in groups:
        chosen = group.index.to_numpy()
        least = as_decimal(group["minimum_order_value"].iloc[0])
        value = _value(items, chosen, packs) if np.all(price[chosen] > 0) else least
        if value >= least:  # the value of an order with an unknown price is not known either
            continue
        told = f"the orders of {day} from {supplier} come to {value}, below its minimum of {least}"
        if risk[chosen].max() <= HOLD_BELOW_RISK and wanted.rank[chosen].min() > 0:
            held[chosen], packs[chosen], words = True, 0, "held until the next order day: nothing is likely to run out"
        else:
            topped = _topped_up(case, rows, plan, wanted, packs, chosen, items, least, use, room)
            reached = _value(items, chosen, topped) >= least
            packs = topped if reached else packs
            words = "topped up" if reached else "not topped up, since that would break other limits: ask the supplier"
        for line in chosen if held[chosen].all() or (packs != before)[chosen].any() else []:
            values[line] = least
        found += [_finding(group.loc[line], "minimum_order_value", f"{told}; {words}") for line in chosen]
    return packs, np.where(held, 0, packs - before), held, values, found


def _value(items: pd.DataFrame, chosen: np.ndarray, packs: Integers) -> Decimal:
    prices = items["pack_price"].iloc[chosen]
    return sum((int(packs[line]) * as_decimal(one) for line, one in zip(chosen, prices, strict=True)), Decimal(0))


def _topped_up(
    case: Case,
    rows: Integers,
    plan: Plan,
    wanted: Wanted,
    packs: Integers,
    chosen: np.ndarray,
    items: pd.DataFrame,
    least: Decimal,
    use: Floats,
    room: Floats,
) -> Integers:
    """More packs of what is used up soonest, until the order is worth `least` or nothing more may be added."""
    packs, most = packs.copy(), _most_packs(case, rows, plan, wanted)
    daily = np.maximum(plan.until_next_arrival.mean(axis=1) / case.situation.next_arrival[rows].mean(axis=1), 1e-9)
    while _value(items, chosen, packs) < least:
        after = packs + wanted.step
        left = room - use @ packs
        fits = (after <= most) & np.all(use * wanted.step <= left[:, None] + 1e-9, axis=0)
        open_lines = chosen[fits[chosen]]
        if not len(open_lines):
            return packs
        days = (wanted.position + after * wanted.pack_size)[open_lines] / daily[open_lines]
        packs[open_lines[np.argmin(days)]] += wanted.step[open_lines[np.argmin(days)]]
    return packs


def _most_packs(case: Case, rows: Integers, plan: Plan, wanted: Wanted) -> Integers:
    """Packs [line] that are used up within `TOP_UP_DAYS`, the shelf life, the days on hand and the allocation."""
    settings = take(case.situation.settings, rows)
    shelf = np.where(np.isnan(settings.shelf_life_days), TOP_UP_DAYS, settings.shelf_life_days / 2)
    daily = plan.until_next_arrival.mean(axis=1) / case.situation.next_arrival[rows].mean(axis=1)
    level = np.minimum(daily * np.minimum(TOP_UP_DAYS, shelf), plan.storage_level.astype(float))
    most = np.floor(np.maximum(level - wanted.position, 0.0) / wanted.pack_size).astype(np.int64)
    return np.where(case.situation.allocation[rows] != NO_LIMIT, wanted.packs, np.maximum(most, wanted.packs))


def _trim_problems(
    case: Case, rows: Integers, before: Integers, trimmed: Trimmed, limits: Sequence[Limit], use: Floats
) -> list[list[Any]]:
    """One finding a trimmed line, and one a limit that trims: what a little more of it would buy."""
    found = []
    for line in np.flatnonzero(trimmed.packs < before).tolist():
        names = [limits[n] for n in np.flatnonzero(use[:, line] > 0).tolist()]
        words = " and ".join(f"the {one.kind.value} of {one.name}" for one in names)
        text = f"{before[line]} packs are wanted; {words} leave room for {trimmed.packs[line]}"
        found.append(_finding(case.items.iloc[rows[line]], f"{names[0].kind.value}_limits", text))
    for number, limit in enumerate(limits):
        ranks = np.flatnonzero(trimmed.shadow_price[:, number])
        if len(ranks):
            price = trimmed.shadow_price[ranks[0], number] / NANO
            whom = next(word for word, rank in RANKS.items() if rank == ranks[0])
            unit = "in money" if limit.kind is LimitKind.BUDGET else "packs of room"
            text = f"the {limit.kind.value} of {limit.name} is {limit.amount:g}, of which {limit.used:g} are spent; "
            text += f"100 more {unit} buy {100 * price:.4g} treatment-days of demand for {whom} items"
            site = case.items["facility_id"].iloc[int(limit.rows[0])]
            found.append([site, None, f"{limit.kind.value}_shadow_price", Severity.CHECK.value, text])
    return found


def _finding(item: pd.Series, rule: str, message: str) -> list[Any]:
    return [item["facility_id"], item["product_id"], rule, Severity.CHECK.value, message]
