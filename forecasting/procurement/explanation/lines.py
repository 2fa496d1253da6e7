"""Lines of orders: the row a worklist shows, and the facts that its calculation starts from."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.explanation.line_calculation import GeneticPart, Line, OverridePart
from forecasting.procurement.explanation.policy_facts import policy_facts, shared_facts
from forecasting.procurement.findings import price_known
from forecasting.procurement.order.outlook import Outlook
from forecasting.procurement.order.planning_case import Case, Ordered
from forecasting.procurement.order.shared_limits import Together
from forecasting.procurement.packs import THOUSANDTHS, Integers, as_decimal, from_thousandths
from forecasting.procurement.policy.stocking_policy import told_settings
from forecasting.procurement.protection_demand import GENETIC_STEP_COLUMNS, OVERRIDE_COLUMNS
from forecasting.terms import Reason

LINE_COLUMNS = [
    "recommendation_id",
    "facility_id",
    "product_id",
    "supplier_id",
    "packs",
    "quantity",
    "cost",
    "order_by",
    "need_by",
    "reason",
    "stockout_probability_before",
    "stockout_probability_after",
    "expected_waste",
    "days_on_hand_before",
    "days_on_hand_after",
    "urgency",
    "other_reasons",
    "settings_from",
]

STORED_ITEM = [
    "facility_id",
    "product_id",
    "drug",
    "strength_value",
    "strength_unit",
    "dose_form",
    "currency",
    "supplier_id",
    "minimum_order_packs",
    "order_multiple_packs",
    "target_kind",
    "max_on_hand_days",
    "order_weekdays",
    "order_cutoff",
    "closed_dates",
    "policy_source",
    "policy_kind",
    "par_level",
    "fixed_order_cost",
    "holding_rate_per_year",
    "shortage_cost",
    "criticality",
    "abc",
    "xyz",
    "target",
    "review_period_days",
    "usual_daily_dose",
    "shortage_ends_on",
]

_OUTLOOK_UNITS = {
    "stockout_probability_before": "probability",
    "stockout_probability_after": "probability",
    "days_on_hand_before": "days",
    "days_on_hand_after": "days",
    "expected_waste": "dose units",
    "urgency": "treatment-days, weighted",
}

_HISTORY_STEP = Decimal("0.000001")
_DAYS_STEP = Decimal("0.001")


def lines_of(case: Case, ordered: Ordered, shared: Together, lines: Integers) -> Iterator[Line]:
    """The facts of each ordered item, in the order of the items; `lines` are their numbers in `shared`."""
    demand = case.demand
    baseline = _thousandths((demand.baseline_mean[ordered.rows] * ordered.shares).sum(axis=1))
    final = _thousandths((demand.final_mean[ordered.rows] * ordered.shares).sum(axis=1))
    shifts = demand.shortage_quantity
    moved = np.zeros_like(ordered.shares) if shifts is None else shifts[ordered.rows]
    shortage = _thousandths((moved * ordered.shares).sum(axis=1))
    planned = _before_overrides(case, ordered, baseline, final)
    overrides = _override_parts(case, ordered, final - planned)
    parts = _genetic_parts(case, ordered, planned - baseline)
    until_arrival = np.sort(ordered.plan.until_arrival, axis=1)
    until_next = np.sort(ordered.plan.until_next_arrival, axis=1)
    lost_first = ordered.plan.until_arrival + ordered.plan.lost_until_arrival
    lost_next = ordered.plan.until_next_arrival + ordered.plan.lost_until_next_arrival
    late_first, late_next = np.sort(lost_first + ordered.plan.late), np.sort(lost_next + ordered.plan.late)
    lost_first, lost_next = np.sort(lost_first), np.sort(lost_next)
    items = case.items.iloc[ordered.rows]
    orders = _orders_by_item(case.orders[case.orders["item"].isin(ordered.rows)])
    prices, price_of = price_known(items), items["pack_price"].tolist()
    stored = _stored_items(items)
    sources = items["setting_sources"].tolist()
    told_of = [told_settings({**one, "setting_sources": words}) for one, words in zip(stored, sources, strict=True)]
    policies = policy_facts(case, ordered)
    for place, row in enumerate(ordered.rows.tolist()):
        plan, settings, lots = ordered.plan, case.situation.settings, case.situation.lots
        told = _outlook(ordered.outlook, place)
        yield Line(
            as_of=case.as_of,
            context=case.context,
            item=stored[place],
            settings=told_of[place],
            dates=_dates(case, row, told["days_on_hand_before"][0]),
            days={name: _days(getattr(settings, name)[row]) for name in _TIMES},
            use_source=case.use_source.get((stored[place]["facility_id"], stored[place]["product_id"]), "nothing"),
            count_age_days=None if np.isnan(lots.count_age_days[row]) else int(lots.count_age_days[row]),
            history_rules=demand.history_rules[row] if demand.history_rules else {},
            history_mean_per_day=as_decimal(demand.history_mean_per_day[row]).quantize(_HISTORY_STEP),
            baseline=int(baseline[place]),
            shortage=int(shortage[place]),
            shortage_words=demand.shortage_words[row] if demand.shortage_words else "",
            genetic=parts[place],
            overrides=overrides[place],
            until_arrival=until_arrival[place].tolist(),
            until_next_arrival=until_next[place].tolist(),
            with_expiry_until_arrival=lost_first[place].tolist(),
            with_expiry_until_next_arrival=lost_next[place].tolist(),
            with_late_until_arrival=late_first[place].tolist(),
            with_late_until_next_arrival=late_next[place].tolist(),
            late=bool(ordered.plan.late[place].any()),
            target=int(settings.target[row]),
            level=int(plan.level[place]),
            stock={name: int(getattr(lots, name)[row]) for name in _STOCK},
            usable=int(plan.usable[place]),
            in_time=int(plan.in_time[place]),
            orders=orders.get(row, []),
            pack_size=int(settings.pack_size[row]),
            storage_level=int(plan.storage_level[place]),
            allocation=int(case.situation.allocation[row]),
            policy=policies[place],
            shared=shared_facts(case, shared, int(lines[place]), stored[place]),
            pack_price=as_decimal(price_of[place]) if prices[place] else None,
            packs=int(ordered.packs[place]),
            packs_without_genetic_shift=int(ordered.packs_without_genetic_shift[place]) if parts[place] else None,
            reason=Reason(ordered.reasons[place][0]),
            other_reasons=ordered.reasons[place][1:],
            outlook=told,
        )


_STOCK = ("booked", "received", "used", "committed", "expired", "on_hand")
_TIMES = ("wait_days", "lead_time_mean_days", "lead_time_sd_days", "review_days", "closed_days")


def _thousandths(quantity: np.ndarray) -> Integers:
    return np.rint(quantity * THOUSANDTHS).astype(np.int64)


def _days(value: float) -> Decimal:
    return as_decimal(value).quantize(_DAYS_STEP)


def _genetic_parts(case: Case, ordered: Ordered, shift: Integers) -> list[list[GeneticPart]]:
    """Steps over each interval, adding up to `shift` [item]: what the steps leave is the interaction."""
    steps = case.demand.genetic_steps
    place = pd.Index(ordered.rows).get_indexer(pd.Index(steps["item"].astype(np.int64)))
    chosen = np.flatnonzero(place >= 0)
    moved = _thousandths((case.demand.genetic_quantity[chosen] * ordered.shares[place[chosen]]).sum(axis=1))
    parts: list[list[GeneticPart]] = [[] for _ in ordered.rows]
    columns = GENETIC_STEP_COLUMNS[1:]
    for at, about, quantity in zip(place[chosen], steps[columns].iloc[chosen].to_dict("records"), moved, strict=True):
        if quantity:
            parts[at].append(GeneticPart({str(k): _plain(v) for k, v in about.items()}, int(quantity)))
    return [_balanced(found, int(total)) for found, total in zip(parts, shift, strict=True)]


def _before_overrides(case: Case, ordered: Ordered, baseline: Integers, final: Integers) -> Integers:
    """Mean demand over each item's interval without overrides [item]."""
    steps, quantity = case.demand.override_steps, case.demand.override_quantity
    if steps is None or quantity is None:
        return final
    by_people = np.zeros_like(case.demand.final_mean)
    np.add.at(by_people, steps["item"].to_numpy(dtype=np.int64), quantity)
    before = (case.demand.final_mean - by_people)[ordered.rows]
    planned = _thousandths((before * ordered.shares).sum(axis=1))
    # what adding and taking away leaves of floating point is no genetic shift
    moved = np.isin(ordered.rows, case.demand.genetic_steps["item"].to_numpy(dtype=np.int64))
    return np.where(~moved & (np.abs(planned - baseline) <= 1), baseline, planned)


def _override_parts(case: Case, ordered: Ordered, total: Integers) -> list[list[OverridePart]]:
    """What each acting override moves over each interval, adding up to `total` [item]; also one that moves nothing."""
    parts: list[list[OverridePart]] = [[] for _ in ordered.rows]
    steps, quantity = case.demand.override_steps, case.demand.override_quantity
    if steps is None or quantity is None:
        return parts
    place = pd.Index(ordered.rows).get_indexer(pd.Index(steps["item"].astype(np.int64)))
    chosen = np.flatnonzero(place >= 0)
    moved = _thousandths((quantity[chosen] * ordered.shares[place[chosen]]).sum(axis=1))
    told = steps[OVERRIDE_COLUMNS[1:]].iloc[chosen].to_dict("records")
    for at, about, thousandths in zip(place[chosen], told, moved, strict=True):
        parts[at].append(OverridePart({str(k): _plain(v) for k, v in about.items()}, int(thousandths)))
    for found, whole in zip(parts, total.tolist(), strict=True):
        if found:  # rounding each part to thousandths leaves a few
            largest = max(range(len(found)), key=lambda at: abs(found[at].thousandths))
            left = whole - sum(part.thousandths for part in found)
            found[largest] = dataclasses.replace(found[largest], thousandths=found[largest].thousandths + left)
    return parts


def _balanced(parts: list[GeneticPart], total: int) -> list[GeneticPart]:
    left = total - sum(part.thousandths for part in parts)
    if not left:
        return parts
    if parts and abs(left) <= len(parts) + 1:  # what rounding each part to thousandths leaves
        largest = max(range(len(parts)), key=lambda at: abs(parts[at].thousandths))
        mended = GeneticPart(parts[largest].about, parts[largest].thousandths + left)
        return [*parts[:largest], mended, *parts[largest + 1 :]]
    return [*parts, GeneticPart({"label": "interaction"}, left)]


def _orders_by_item(orders: pd.DataFrame) -> dict[int, list[dict[str, Any]]]:
    by_item: dict[int, list[dict[str, Any]]] = {}
    for order in orders.to_dict("records"):
        told = {name: _plain(order[name]) for name in ("id", "kind", "packs", "rule", "counted")}
        told["expected_at"] = None if pd.isna(order["expected_at"]) else f"{pd.Timestamp(order['expected_at']).date()}"
        by_item.setdefault(int(order["item"]), []).append(told)
    return by_item


def _stored_items(items: pd.DataFrame) -> list[dict[str, Any]]:
    names = [*STORED_ITEM, "source", "observations"]
    renamed = {"source": "lead_time_source", "observations": "lead_time_observations"}
    rows = items[names].rename(columns=renamed).to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """A value that JSON holds: numbers of numpy as Python's, decimals and dates as text, missing as null."""
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _dates(case: Case, row: int, days_on_hand: Decimal | None) -> dict[str, dt.date | None]:
    days = case.days[row]
    need_by = None if days_on_hand is None else case.as_of + dt.timedelta(days=int(days_on_hand))
    return {"order_by": days.order_by, "next_order": days.next_order, "need_by": need_by}


def _outlook(found: Outlook, place: int) -> dict[str, tuple[Decimal | None, str]]:
    told: dict[str, tuple[Decimal | None, str]] = {}
    for name, unit in _OUTLOOK_UNITS.items():
        value = float(getattr(found, name)[place])
        told[name] = (None if np.isnan(value) else as_decimal(round(value, 3)), unit)
    return told


def line_row(recommendation_id: str, line: Line) -> dict[str, Any]:
    """The worklist row of a line: `LINE_COLUMNS`; numbers are those of its document."""
    row = {"recommendation_id": recommendation_id}
    row |= {name: line.item[name] for name in ("facility_id", "product_id", "supplier_id")}
    return row | {
        "packs": line.packs,
        "quantity": line.packs * from_thousandths(line.pack_size),
        "cost": None if line.pack_price is None else line.packs * line.pack_price,
        "order_by": line.dates["order_by"],
        "need_by": line.dates["need_by"],
        "reason": line.reason.value,
        "other_reasons": ";".join(line.other_reasons) or None,
        "settings_from": "; ".join(f"{one['name']}: {one['source']}" for one in line.settings),
        **{name: np.nan if value is None else float(value) for name, (value, _) in line.outlook.items()},
    }
