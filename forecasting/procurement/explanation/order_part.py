"""The fourth part of an order's calculation: from what the level lacks to packs, through every limit, and the cost."""

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from forecasting.procurement.explanation.calculation import PACK_RULE, SUPPLY, Calculation
from forecasting.procurement.explanation.demand_part import DemandPart
from forecasting.procurement.explanation.policy_part import PolicyPart
from forecasting.procurement.explanation.shared_part import SharedPart
from forecasting.procurement.order.ordered_items import OrderedItems
from forecasting.procurement.order.plan import DAMPING, NO_LIMIT
from forecasting.procurement.order.shared_limits import SharedPlan
from forecasting.procurement.packs import MILLIONTHS, as_decimal
from forecasting.terms import PolicyKind


@dataclasses.dataclass(frozen=True)
class OrderPart:
    """The plan, limits and pack price of one line; `item` is it as its document stores it."""

    line: OrderedItems
    item: Mapping[str, Any]
    shared: SharedPart
    pack_price: Decimal | None

    @classmethod
    def of(cls, shared: SharedPlan, line: OrderedItems, item: Mapping[str, Any], price: Any) -> "OrderPart":
        """The part of one line, whose pack has this price (None where it is not known)."""
        return cls(line, item, SharedPart(shared, line, item), None if price is None else as_decimal(price))

    def add_steps(self, calculation: Calculation, demand: DemandPart, policy: PolicyPart) -> None:
        """Write down the packs needed, what limits leave of them, the cost, and the packs without genetic shift."""
        self._add_needed(calculation, policy)
        limits = ["packs_needed", *self._add_storage(calculation), *self._add_allocation(calculation)]
        name = "packs_before_limits" if self.shared.changes_packs else "packs"
        before = Fraction(self.shared.packs_before)
        calculation.add_step(name, "smaller_of", limits, "packs", known=before)
        if self.shared.changes_packs:
            left = self.shared.add_steps(calculation, name)
            calculation.add_step("packs", "sum", [left], "packs", known=Fraction(int(self.line.packs)))
        calculation.add_step("quantity", "product", ["packs", "pack_size"])
        if self.pack_price is not None:
            currency = self.item["currency"] or "currency units"
            calculation.add_input("pack_price", self.pack_price, f"{currency} per pack", "product")
            calculation.add_step("cost", "product", ["packs", "pack_price"], currency)
        if demand.genetic:
            source, without = "the same calculation on demand without the genetic shift", "packs_without_genetic_shift"
            calculation.add_input(without, int(self.line.packs_without_genetic_shift), "packs", source)
            calculation.add_step("packs_from_genetic_shift", "difference", [name, without], "packs")

    def _add_needed(self, calculation: Calculation, policy: PolicyPart) -> None:
        """Packs needed from the level: what it lacks, rounded; or what stands proposed where that differs little."""
        calculation.add_step("net_need", "difference", ["order_up_to_level", *SUPPLY])
        operation, operands = "positive_part", ["net_need"]
        if policy.kind == PolicyKind.REORDER_POINT.value:
            calculation.add_step("stock_position", "sum", SUPPLY)
            operation, operands = "if_at_or_below", ["net_need", "stock_position", "reorder_point"]
        if self.line.plan.packs_needed == self.line.plan.packs_undamped:
            calculation.add_step("quantity_needed", operation, operands)
            calculation.add_step("packs_needed", "round_up_to_packs", ["quantity_needed", *PACK_RULE], "packs")
        else:
            self._add_damping(calculation, operation, operands)

    def _add_damping(self, calculation: Calculation, operation: str, operands: list[str]) -> None:
        """The packs that stand proposed lie between what is needed less, and with, a change that does not matter."""
        source = f"{DAMPING:.0%} of a review period's mean demand: a change that does not matter"
        band = calculation.add_quantity("damping_band", self.line.plan.damping_band, source)
        standing, source = "packs_proposed_before", "proposed before, not decided yet"
        calculation.add_input(standing, int(self.line.situation.standing_packs), "packs", source)
        if operation == "if_at_or_below":
            limit = calculation.add_step("reorder_point_with_band", "sum", ["reorder_point", band])
            operands = [*operands[:-1], limit]
        calculation.add_step("quantity_needed", operation, operands)
        low = calculation.add_step("quantity_less_band", "difference", ["quantity_needed", band])
        high = calculation.add_step("quantity_with_band", "sum", ["quantity_needed", band])
        low = calculation.add_step("packs_at_least", "round_up_to_packs", [low, *PACK_RULE], "packs")
        high = calculation.add_step("packs_at_most", "round_up_to_packs", [high, *PACK_RULE], "packs")
        needed = Fraction(int(self.line.plan.packs_needed))
        calculation.add_step("packs_needed", "kept_between", [standing, low, high], "packs", known=needed)

    def _add_storage(self, calculation: Calculation) -> list[str]:
        """Packs that the item's days on hand let through."""
        if self.line.plan.storage_level == NO_LIMIT:
            return []
        source = f"mean demand until {self.item['max_on_hand_days']} days after arrival"
        calculation.add_quantity("storage_level", self.line.plan.storage_level, source)
        room = calculation.add_step("room", "difference", ["storage_level", *SUPPLY])
        return [calculation.add_step("packs_allowed", "round_down_to_packs", [room, *PACK_RULE], "packs")]

    def _add_allocation(self, calculation: Calculation) -> list[str]:
        """Packs that a shortage lets through."""
        allocation = int(self.line.situation.allocation)
        if allocation == NO_LIMIT:
            return []
        source = f"shortage until {self.item['shortage_ends_on'] or 'an unknown day'}"
        calculation.add_input("allocation_share", Fraction(allocation, MILLIONTHS), "share", source)
        operands = ["packs_needed", "pack_size", "allocation_share"]
        quantity = calculation.add_step("quantity_delivered", "product", operands)
        return [calculation.add_step("packs_delivered", "round_down_to_packs", [quantity, *PACK_RULE], "packs")]
