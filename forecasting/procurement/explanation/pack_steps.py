"""From levels to packs, told: what the policy's kind makes of the target's level, rounding, and every limit on it."""

import dataclasses
from decimal import Decimal
from fractions import Fraction
from typing import Any

from forecasting.procurement.explanation.calculation import Calculation
from forecasting.procurement.order.plan import DAMPING, NO_LIMIT
from forecasting.procurement.packs import MILLIONTHS, NANO, THOUSANDTHS, from_thousandths
from forecasting.terms import PolicyKind

DOSE_UNITS = "dose units"
SUPPLY = ["usable_stock", "open_orders_in_time"]
RULE = ["pack_size", "minimum_order_packs", "order_multiple_packs"]


@dataclasses.dataclass(frozen=True)
class PolicyFacts:
    """What a line's kind of policy rests on; quantities in thousandths of a dose unit, costs in millionths."""

    kind: str
    par_level: int
    order_cost: int
    short: int
    wasted: int
    held: int
    economic: bool
    reorder_point: int
    order_to: int
    of_review: list[int]
    within_life: list[int]
    band: int
    standing: int
    fresh: int
    needed: int


@dataclasses.dataclass(frozen=True)
class LimitFacts:
    """One limit that a trimmed line takes from: its words, shadow price in billionths, and what a pack takes."""

    kind: str
    name: str
    amount: Decimal
    used: Decimal
    shadow_price: int
    use: Decimal


@dataclasses.dataclass(frozen=True)
class SharedFacts:
    """What limits that several lines share did to a line; `limits` is empty where they trim nothing of it."""

    before: int
    worth: int
    trimmed: int
    price: int
    days_per_unit: int
    days_source: str
    criticality: str
    limits: list[LimitFacts]
    added: int
    minimum_value: Decimal
    supplier: str | None


def tell_levels(sums: Calculation, facts: PolicyFacts, target_level: str, step_names: list[str]) -> None:
    """The order-up-to level from that of the target, which is called `target_level`; nothing where they are the same.

    `step_names`: pack size and order multiple, written down before.
    """
    level = Fraction(facts.order_to, THOUSANDTHS)
    if facts.kind == PolicyKind.PAR.value:
        sums.given("par_level", from_thousandths(facts.par_level), DOSE_UNITS, "policy: par level of the site")
        sums.step("par_difference", "difference", [target_level, "par_level"], DOSE_UNITS)
        sums.step("order_up_to_level", "sum", ["par_level"], DOSE_UNITS)
    elif facts.kind == PolicyKind.NEWSVENDOR.value:
        _newsvendor(sums, facts, target_level, level)
    elif facts.kind == PolicyKind.REORDER_POINT.value:
        _reorder_point(sums, facts, step_names, level)


def _newsvendor(sums: Calculation, facts: PolicyFacts, target_level: str, level: Fraction) -> None:
    source = "policy: shortage cost, price and holding rate" if facts.economic else "implied by the service target"
    costs = [
        sums.given(name, Fraction(value, MILLIONTHS), "relative cost of a dose unit", source)
        for name, value in (("cost_short", facts.short), ("cost_wasted", facts.wasted), ("cost_held", facts.held))
    ]
    operands = ["demand_until_next_arrival", *costs]
    operation = "newsvendor_without_expiry"
    if facts.within_life[0] != NO_LIMIT:
        operation = "newsvendor"
        operands.insert(1, sums.sample("demand_within_shelf_life", facts.within_life))
    worth = sums.step("level_worth_its_waste", operation, operands, DOSE_UNITS)
    chosen = [worth] if facts.economic else [worth, target_level]
    sums.step("order_up_to_level", "smaller_of", chosen, DOSE_UNITS, known=level)


def _reorder_point(sums: Calculation, facts: PolicyFacts, step_names: list[str], level: Fraction) -> None:
    operands = [
        "demand_until_next_arrival",
        sums.sample("demand_of_review", facts.of_review),
        "target",
        sums.given(
            "order_cost_in_holding",
            from_thousandths(facts.order_cost),
            "dose units held for a review",
            "policy: fixed order cost over holding cost",
        ),
        *step_names,
    ]
    reorder = Fraction(facts.reorder_point, THOUSANDTHS)
    sums.step("reorder_point", "least_cost_reorder_point", operands, DOSE_UNITS, known=reorder)
    sums.step("order_up_to_level", "least_cost_order_up_to", operands, DOSE_UNITS, known=level)


def tell_needed(sums: Calculation, facts: PolicyFacts) -> None:
    """Packs needed from the level: what it lacks, rounded; or what stands proposed where that differs little."""
    sums.step("net_need", "difference", ["order_up_to_level", *SUPPLY], DOSE_UNITS)
    operands = ["net_need"]
    if facts.kind == PolicyKind.REORDER_POINT.value:
        sums.step("stock_position", "sum", SUPPLY, DOSE_UNITS)
        operands = ["net_need", "stock_position", "reorder_point"]
    if facts.needed == facts.fresh:
        operation = "positive_part" if len(operands) == 1 else "if_at_or_below"
        sums.step("quantity_needed", operation, operands, DOSE_UNITS)
        sums.step("packs_needed", "round_up_to_packs", ["quantity_needed", *RULE], "packs")
        return
    source = f"{DAMPING:.0%} of a review period's mean demand: a change that does not matter"
    band = sums.given("damping_band", from_thousandths(facts.band), DOSE_UNITS, source)
    standing = sums.given("packs_proposed_before", facts.standing, "packs", "proposed before, not decided yet")
    if len(operands) > 1:
        operands[2] = sums.step("reorder_point_with_band", "sum", ["reorder_point", band], DOSE_UNITS)
    sums.step("quantity_needed", "positive_part" if len(operands) == 1 else "if_at_or_below", operands, DOSE_UNITS)
    low = sums.step("quantity_less_band", "difference", ["quantity_needed", band], DOSE_UNITS)
    high = sums.step("quantity_with_band", "sum", ["quantity_needed", band], DOSE_UNITS)
    low = sums.step("packs_at_least", "round_up_to_packs", [low, *RULE], "packs")
    high = sums.step("packs_at_most", "round_up_to_packs", [high, *RULE], "packs")
    sums.step("packs_needed", "kept_between", [standing, low, high], "packs", known=Fraction(facts.needed))


def tell_shared(sums: Calculation, facts: SharedFacts, packs: str) -> str:
    """What shared limits and a minimum order value make of the packs called `packs`; the name of what is left."""
    if facts.trimmed != facts.before:
        packs = _trim(sums, facts, packs)
    if facts.added:
        source = f"orders of the day from {facts.supplier} come to less than its minimum value"
        value: Any = {"minimum_order_value": str(facts.minimum_value)}
        more = sums.given("packs_for_minimum_order_value", facts.added, "packs", source, **value)
        packs = sums.step("packs_with_minimum_order_value", "sum", [packs, more], "packs")
    return packs


def _trim(sums: Calculation, facts: SharedFacts, packs: str) -> str:
    """A pack stays where its gain is worth the prices of the limits it takes from, or where something was left over."""
    weighed = []
    for number, limit in enumerate(facts.limits, 1):
        unit = "money" if limit.kind == "budget" else "packs"
        told: Any = {"kind": f"{limit.kind} of {limit.name}"}
        sums.given(f"limit_{number}", limit.amount, unit, "policy: limit", **told)
        sums.given(f"limit_{number}_used", limit.used, unit, "orders placed in this period", **told)
        price = f"treatment-days per unit of {unit}"
        source = f"all limits together, {facts.criticality} items"
        weighed += [
            sums.given(f"shadow_price_{number}", Fraction(limit.shadow_price, NANO), price, source, **told),
            sums.given(f"taken_by_a_pack_{number}", limit.use, unit, "product", **told),
        ]
    sums.step("gain_asked_of_a_pack", "weighed", weighed, "treatment-days", known=Fraction(facts.price, NANO))
    days = Fraction(facts.days_per_unit, MILLIONTHS)
    sums.given("treatment_days_per_dose_unit", days, "treatment-days", facts.days_source)
    sums.step("supply_before_order", "sum", SUPPLY, DOSE_UNITS)
    operands = ["demand_until_next_arrival", "supply_before_order", *RULE, packs, "treatment_days_per_dose_unit"]
    operands.append("gain_asked_of_a_pack")
    worth = sums.step("packs_worth_their_room", "packs_worth", operands, "packs", known=Fraction(facts.worth))
    more = sums.given("packs_from_what_is_left", facts.trimmed - facts.worth, "packs", "left over by the limits")
    return sums.step("packs_within_limits", "sum", [worth, more], "packs")
