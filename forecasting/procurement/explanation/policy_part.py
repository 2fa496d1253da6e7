"""The second part of an order's calculation: the level that the service target and the item's policy ask for."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from forecasting.procurement.explanation.calculation import Calculation, dose_units
from forecasting.procurement.order.ordered_items import OrderedItems
from forecasting.procurement.order.plan import NO_LIMIT
from forecasting.procurement.packs import MILLIONTHS
from forecasting.terms import PolicyKind, TargetKind


@dataclasses.dataclass(frozen=True)
class PolicyPart:
    """The plan, settings and stocking of one line, and where its service target comes from."""

    line: OrderedItems
    source: str

    @classmethod
    def of(cls, line: OrderedItems, item: Mapping[str, Any]) -> "PolicyPart":
        """The part of one line."""
        return cls(line, f"policy: {item['policy_source']}")

    @property
    def kind(self) -> str:
        """The kind of policy: a `PolicyKind` value."""
        return str(self.line.situation.stocking.kind)

    @property
    def target_kind(self) -> str:
        """The kind of service target: a `TargetKind` value."""
        return str(self.line.situation.settings.target_kind)

    @property
    def target_level(self) -> str:
        """What the level of the service target is called: it is the order-up-to level unless the policy has another."""
        return "order_up_to_level" if self.kind == PolicyKind.ORDER_UP_TO.value else "target_level"

    def add_steps(self, calculation: Calculation) -> None:
        """Write down the target's level, the pack, and the order-up-to level that the policy makes of it."""
        settings, plan = self.line.situation.settings, self.line.plan
        target = Fraction(int(settings.target), MILLIONTHS)
        calculation.add_input("target", target, "share", self.source, kind=self.target_kind)
        operands = [calculation.add_sample("demand_until_next_arrival", plan.until_next_arrival), "target"]
        if self.target_kind == TargetKind.FILL_RATE:
            operands.insert(0, calculation.add_sample("demand_until_arrival", plan.until_arrival))
        operation, level = f"order_up_to_{self.target_kind}", dose_units(plan.level)
        calculation.add_step(self.target_level, operation, operands, known=level)
        calculation.add_input("pack_size", dose_units(settings.pack_size), "dose units per pack", "product")
        calculation.add_input("minimum_order_packs", int(settings.minimum_order_packs), "packs", "product")
        calculation.add_input("order_multiple_packs", int(settings.order_multiple_packs), "packs", "product")
        self._add_policy_level(calculation)
        calculation.add_step("safety_stock", "difference", ["order_up_to_level", "expected_demand"])

    def _add_policy_level(self, calculation: Calculation) -> None:
        """The order-up-to level from that of the target; nothing where they are the same."""
        if self.kind == PolicyKind.PAR.value:
            par_level = self.line.situation.stocking.par_level
            calculation.add_quantity("par_level", par_level, "policy: par level of the site")
            calculation.add_step("par_difference", "difference", [self.target_level, "par_level"])
            calculation.add_step("order_up_to_level", "sum", ["par_level"])
        elif self.kind == PolicyKind.NEWSVENDOR.value:
            self._add_newsvendor(calculation)
        elif self.kind == PolicyKind.REORDER_POINT.value:
            self._add_reorder_point(calculation)

    def _add_newsvendor(self, calculation: Calculation) -> None:
        stocking, within_life = self.line.situation.stocking, self.line.demand_within_life
        source, unit = "implied by the service target", "relative cost of a dose unit"
        if stocking.has_shortage_cost:
            source = "policy: shortage cost, price and holding rate"
        costs = {
            "cost_short": stocking.shortage_cost,
            "cost_wasted": stocking.waste_cost,
            "cost_held": stocking.holding_cost,
        }
        for name, cost in costs.items():
            calculation.add_input(name, Fraction(int(cost), MILLIONTHS), unit, source)
        operation, operands = "newsvendor_without_expiry", ["demand_until_next_arrival", *costs]
        if within_life.min() != NO_LIMIT:
            operation = "newsvendor"
            operands.insert(1, calculation.add_sample("demand_within_shelf_life", within_life))
        levels = [calculation.add_step("level_worth_its_waste", operation, operands)]
        if not stocking.has_shortage_cost:
            levels.append(self.target_level)
        order_to = dose_units(self.line.plan.order_to)
        calculation.add_step("order_up_to_level", "smaller_of", levels, known=order_to)

    def _add_reorder_point(self, calculation: Calculation) -> None:
        plan, cost = self.line.plan, dose_units(self.line.situation.stocking.order_cost)
        unit, source = "dose units held for a review", "policy: fixed order cost over holding cost"
        operands = [
            "demand_until_next_arrival",
            calculation.add_sample("demand_of_review", plan.until_next_arrival - plan.until_arrival),
            "target",
            calculation.add_input("order_cost_in_holding", cost, unit, source),
            *("pack_size", "order_multiple_packs"),
        ]
        low, high = dose_units(plan.reorder_point), dose_units(plan.order_to)
        calculation.add_step("reorder_point", "least_cost_reorder_point", operands, known=low)
        calculation.add_step("order_up_to_level", "least_cost_order_up_to", operands, known=high)
