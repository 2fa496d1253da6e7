"""The calculation of one line, told in the order in which a buyer asks about it."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from forecasting.procurement.explanation.calculation import VERSION, Calculation, Document
from forecasting.procurement.explanation.pack_steps import (
    DOSE_UNITS,
    RULE,
    SUPPLY,
    PolicyFacts,
    SharedFacts,
    tell_levels,
    tell_needed,
    tell_shared,
)
from forecasting.procurement.order.plan import NO_LIMIT
from forecasting.procurement.packs import (
    LIMIT_RULE,
    MILLIONTHS,
    ROUNDING_RULE,
    ROUNDING_VERSION,
    THOUSANDTHS,
    from_thousandths,
)
from forecasting.procurement.supply.open_orders import SUPPLY_RULE_VERSION
from forecasting.terms import PolicyKind, Reason, TargetKind

HISTORY_RULE = "history_periods_"
"""Begins the name of an input that counts the periods a cleaning rule touched."""
RULES = {
    "rounding": f"{ROUNDING_RULE}/{ROUNDING_VERSION}",
    "rounding_of_limits": f"{LIMIT_RULE}/{ROUNDING_VERSION}",
    "open_orders": str(SUPPLY_RULE_VERSION),
}
"""Name and version of every rule that a document was made by."""


@dataclasses.dataclass(frozen=True)
class GeneticPart:
    """One genetic step over the protection interval: what moves it, and thousandths of a dose unit."""

    about: dict[str, Any]
    thousandths: int


@dataclasses.dataclass(frozen=True)
class OverridePart:
    """What one override moves over the protection interval: who set what and why, and thousandths of a dose unit."""

    about: dict[str, Any]
    thousandths: int


@dataclasses.dataclass(frozen=True)
class Line:
    """Everything that one line's calculation starts from; quantities in thousandths of a dose unit."""

    as_of: dt.date
    context: dict[str, Any]
    item: dict[str, Any]
    settings: list[dict[str, Any]]
    dates: dict[str, dt.date | None]
    days: dict[str, Decimal]
    count_age_days: int | None
    history_rules: Mapping[str, int]
    history_mean_per_day: Decimal
    baseline: int
    shortage: int
    shortage_words: str
    genetic: list[GeneticPart]
    overrides: list[OverridePart]
    until_arrival: list[int]
    until_next_arrival: list[int]
    with_expiry_until_arrival: list[int]
    with_expiry_until_next_arrival: list[int]
    with_late_until_arrival: list[int]
    with_late_until_next_arrival: list[int]
    late: bool
    target: int
    level: int
    stock: dict[str, int]
    use_source: str
    usable: int
    in_time: int
    orders: list[dict[str, Any]]
    pack_size: int
    storage_level: int
    allocation: int
    policy: PolicyFacts
    shared: SharedFacts
    pack_price: Decimal | None
    packs: int
    packs_without_genetic_shift: int | None
    reason: Reason
    other_reasons: list[str]
    outlook: dict[str, tuple[Decimal | None, str]]

    @property
    def target_level(self) -> str:
        """What the level of the service target is called: it is the order-up-to level unless the policy has another."""
        return "order_up_to_level" if self.policy.kind == PolicyKind.ORDER_UP_TO.value else "target_level"


def tell(line: Line) -> Document:
    """The document of a line: from history over forecast, genetic shift, level, stock and open orders to packs."""
    sums = Calculation()
    _demand(sums, line)
    _level(sums, line)
    _supply(sums, line)
    _packs(sums, line)
    return {
        "version": VERSION,
        "as_of": line.as_of.isoformat(),
        "context": line.context,
        "rules": RULES,
        "item": line.item,
        "settings": line.settings,
        "dates": {name: day.isoformat() if day else None for name, day in line.dates.items()},
        "inputs": sums.inputs,
        "samples": sums.samples,
        "steps": sums.steps,
        "not_counted": [order for order in line.orders if not order["counted"]],
        "outlook": [_told(name, *given) for name, given in line.outlook.items()],
        "result": _result(sums, line),
    }


def _told(name: str, value: Decimal | None, unit: str) -> Document:
    return {"name": name, "value": None if value is None else str(value), "unit": unit}


def _demand(sums: Calculation, line: Line) -> None:
    lead_time = f"lead time: {line.item['lead_time_source']}, {line.item['lead_time_observations']} receipts"
    sums.given("history_mean_per_day", line.history_mean_per_day, "dose units per day", "dispensing history")
    for rule, periods in sorted(line.history_rules.items()):
        sums.given(f"{HISTORY_RULE}{rule}", periods, "periods", "cleaning of the history")
    sums.given("wait_days", line.days["wait_days"], "days", "order calendar")
    sums.given("lead_time_mean_days", line.days["lead_time_mean_days"], "days", lead_time)
    sums.given("lead_time_sd_days", line.days["lead_time_sd_days"], "days", lead_time)
    sums.given("review_days", line.days["review_days"], "days", "order calendar and policy")
    days = ["wait_days", "lead_time_mean_days", "review_days"]
    if line.days["closed_days"]:
        days.append(
            sums.given("closed_days", line.days["closed_days"], "days", "days the supplier is closed, on average")
        )
    sums.step("protection_days", "sum", days, "days")
    sums.step("history_demand", "product", ["history_mean_per_day", "protection_days"], DOSE_UNITS)
    if line.shortage:
        before = from_thousandths(line.baseline - line.shortage)
        sums.given("baseline_before_shortage", before, DOSE_UNITS, "baseline forecast")
        sums.given("shortage_shift", from_thousandths(line.shortage), DOSE_UNITS, line.shortage_words)
        sums.step("baseline_demand", "sum", ["baseline_before_shortage", "shortage_shift"], DOSE_UNITS)
    else:
        sums.given("baseline_demand", from_thousandths(line.baseline), DOSE_UNITS, "baseline forecast")
    sums.step("change_since_history", "difference", ["baseline_demand", "history_demand"], DOSE_UNITS)
    parts = [
        sums.given(
            f"genetic_shift_{number}", from_thousandths(part.thousandths), DOSE_UNITS, "genetic step", **part.about
        )
        for number, part in enumerate(line.genetic, 1)
    ]
    sums.step("genetic_shift", "sum", parts, DOSE_UNITS)
    _overrides(sums, line)
    sums.step("expected_demand", "sum", ["baseline_demand", "genetic_shift", "override"], DOSE_UNITS)


def _overrides(sums: Calculation, line: Line) -> None:
    """What people set: one input an override, and their sum."""
    if not line.overrides:
        sums.given("override", 0, DOSE_UNITS, "no override")
        return
    parts = [
        sums.given(
            f"override_{number}",
            from_thousandths(part.thousandths),
            DOSE_UNITS,
            f"override {part.about['override_id']} by {part.about['decided_by']}",
            **part.about,
        )
        for number, part in enumerate(line.overrides, 1)
    ]
    sums.step("override", "sum", parts, DOSE_UNITS)


def _level(sums: Calculation, line: Line) -> None:
    kind = line.item["target_kind"]
    sums.given("target", Fraction(line.target, MILLIONTHS), "share", f"policy: {line.item['policy_source']}", kind=kind)
    operands = [sums.sample("demand_until_next_arrival", line.until_next_arrival), "target"]
    if kind == TargetKind.FILL_RATE:
        operands.insert(0, sums.sample("demand_until_arrival", line.until_arrival))
    level = Fraction(line.level, THOUSANDTHS)
    sums.step(line.target_level, f"order_up_to_{kind}", operands, DOSE_UNITS, known=level)
    minimum, multiple = (int(line.item[name]) for name in ("minimum_order_packs", "order_multiple_packs"))
    sums.given("pack_size", from_thousandths(line.pack_size), "dose units per pack", "product")
    sums.given("minimum_order_packs", minimum, "packs", "product")
    sums.given("order_multiple_packs", multiple, "packs", "product")
    tell_levels(sums, line.policy, line.target_level, ["pack_size", "order_multiple_packs"])
    sums.step("safety_stock", "difference", ["order_up_to_level", "expected_demand"], DOSE_UNITS)


def _supply(sums: Calculation, line: Line) -> None:
    _on_hand(sums, line)
    lost = []
    if line.with_expiry_until_next_arrival != line.until_next_arrival:
        lost = [_expiry(sums, line)]
    sums.step("usable_stock", "difference", ["stock_on_hand", *lost], DOSE_UNITS)
    counted = [order for order in line.orders if order["counted"]]
    names = [
        sums.given(f"open_order_{number}", order["packs"], "packs", order["kind"], **_about(order))
        for number, order in enumerate(counted, 1)
    ]
    sums.step("open_order_packs", "sum", names, "packs")
    sums.step("open_order_quantity", "product", ["open_order_packs", "pack_size"], DOSE_UNITS)
    late = [_lateness(sums, line, "level_with_expiry" if lost else line.target_level)] if line.late else []
    sums.step("open_orders_in_time", "difference", ["open_order_quantity", *late], DOSE_UNITS)


def _on_hand(sums: Calculation, line: Line) -> None:
    """The count, what moved since it, and what of it cannot be used."""
    stock = {name: from_thousandths(value) for name, value in line.stock.items()}
    counted = sums.given("stock_counted", stock["booked"], DOSE_UNITS, "stock count", age_days=line.count_age_days)
    there = [counted]
    if stock["received"]:
        there.append(sums.given("received_since_count", stock["received"], DOSE_UNITS, "receipts since the count"))
    sums.step("stock_there", "sum", there, DOSE_UNITS)
    sources = {
        "used": ("used_since_count", line.use_source),
        "committed": ("stock_committed", "committed in the stock count"),
        "expired": ("stock_expired", "expiry dates"),
    }
    less = [sums.given(name, stock[key], DOSE_UNITS, source) for key, (name, source) in sources.items() if stock[key]]
    sums.step("stock_on_hand", "difference", ["stock_there", *less], DOSE_UNITS)


def _expiry(sums: Calculation, line: Line) -> str:
    """What stock that expires unused adds to the level: the level for demand and losses, less that for demand."""
    samples = line.with_expiry_until_arrival, line.with_expiry_until_next_arrival
    level = Fraction(line.level + line.stock["on_hand"] - line.usable, THOUSANDTHS)
    _level_with(sums, line, "expiry", samples, level)
    return sums.step("expires_unused", "difference", ["level_with_expiry", line.target_level], DOSE_UNITS)


def _lateness(sums: Calculation, line: Line, before: str) -> str:
    """What open orders that come too late in some draws add to the level."""
    ordered = sums.value("open_order_quantity") * THOUSANDTHS
    raised = sums.value(before) * THOUSANDTHS + ordered - line.in_time
    samples = line.with_late_until_arrival, line.with_late_until_next_arrival
    _level_with(sums, line, "late_orders", samples, Fraction(raised, THOUSANDTHS))
    return sums.step("late_orders", "difference", ["level_with_late_orders", before], DOSE_UNITS)


def _level_with(
    sums: Calculation, line: Line, what: str, samples: tuple[list[int], list[int]], level: Fraction
) -> None:
    """The level for demand and what is lost beside it; the target speaks of demand alone."""
    first, second = samples
    operation = f"order_up_to_{line.item['target_kind']}"
    operands = [sums.sample(f"demand_and_{what}_until_next_arrival", second)]
    if operation == "order_up_to_fill_rate":
        operation = "order_up_to_fill_rate_with_expiry"
        operands.insert(0, sums.sample(f"demand_and_{what}_until_arrival", first))
        operands += ["demand_until_arrival", "demand_until_next_arrival"]
    sums.step(f"level_with_{what}", operation, [*operands, "target"], DOSE_UNITS, known=level)


def _about(order: dict[str, Any]) -> dict[str, Any]:
    return {"id": order["id"], "expected_at": order["expected_at"], "rule": order["rule"]}


def _packs(sums: Calculation, line: Line) -> None:
    tell_needed(sums, line.policy)
    limits = ["packs_needed", *_own_limits(sums, line)]
    shared = line.shared
    last = shared.trimmed == shared.before and not shared.added
    before = Fraction(shared.before)
    packs = sums.step("packs" if last else "packs_before_limits", "smaller_of", limits, "packs", known=before)
    if not last:
        sums.step("packs", "sum", [tell_shared(sums, shared, packs)], "packs", known=Fraction(line.packs))
    sums.step("quantity", "product", ["packs", "pack_size"], DOSE_UNITS)
    if line.pack_price is not None:
        currency = line.item["currency"] or "currency units"
        sums.given("pack_price", line.pack_price, f"{currency} per pack", "product")
        sums.step("cost", "product", ["packs", "pack_price"], currency)
    if line.packs_without_genetic_shift is not None:
        source = "the same calculation on demand without the genetic shift"
        sums.given("packs_without_genetic_shift", line.packs_without_genetic_shift, "packs", source)
        sums.step("packs_from_genetic_shift", "difference", [packs, "packs_without_genetic_shift"], "packs")


def _own_limits(sums: Calculation, line: Line) -> list[str]:
    """Packs that the item's days on hand, and a shortage, let through."""
    limits = []
    if line.storage_level != NO_LIMIT:
        source = f"mean demand until {line.item['max_on_hand_days']} days after arrival"
        sums.given("storage_level", from_thousandths(line.storage_level), DOSE_UNITS, source)
        sums.step("room", "difference", ["storage_level", *SUPPLY], DOSE_UNITS)
        limits.append(sums.step("packs_allowed", "round_down_to_packs", ["room", *RULE], "packs"))
    if line.allocation != NO_LIMIT:
        ends = line.item["shortage_ends_on"] or "an unknown day"
        share = sums.given("allocation_share", Fraction(line.allocation, MILLIONTHS), "share", f"shortage until {ends}")
        sums.step("quantity_delivered", "product", ["packs_needed", "pack_size", share], DOSE_UNITS)
        limits.append(sums.step("packs_delivered", "round_down_to_packs", ["quantity_delivered", *RULE], "packs"))
    return limits


def _result(sums: Calculation, line: Line) -> Document:
    texts = {step["name"]: step["value"] for step in sums.steps}
    return {
        "packs": int(sums.value("packs")),
        "quantity": texts["quantity"],
        "cost": texts.get("cost"),
        "reason": line.reason.value,
        "other_reasons": line.other_reasons,
    }
