"""What limits that several lines share, and a supplier's minimum order value, did to the packs of one line."""

import dataclasses
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from forecasting.procurement.explanation.calculation import PACK_RULE, SUPPLY, Calculation
from forecasting.procurement.order.ordered_items import OrderedItems
from forecasting.procurement.order.shared_limits import SharedPlan
from forecasting.procurement.packs import BILLIONTHS, MILLIONTHS, as_decimal
from forecasting.procurement.policy.limits import Limit, LimitKind


@dataclasses.dataclass(frozen=True)
class SharedPart:
    """One line of a shared plan; `item` is it as its document stores it."""

    shared: SharedPlan
    line: OrderedItems
    item: Mapping[str, Any]

    @property
    def number(self) -> int:
        """The line's number in the shared plan."""
        return int(self.line.numbers)

    @property
    def packs_before(self) -> int:
        """Packs before shared limits."""
        return int(self.shared.packs_before[self.number])

    @property
    def packs_trimmed(self) -> int:
        """Packs that shared limits leave."""
        return int(self.shared.trimmed.packs[self.number])

    @property
    def packs_added(self) -> int:
        """Packs added for the supplier's minimum order value."""
        return int(self.shared.packs_added[self.number])

    @property
    def changes_packs(self) -> bool:
        """Whether shared limits or a minimum order value changed the packs."""
        return self.packs_trimmed != self.packs_before or self.packs_added != 0

    def add_steps(self, calculation: Calculation, packs: str) -> str:
        """Write down what is left of the packs called `packs`; the name of what is left."""
        if self.packs_trimmed != self.packs_before:
            packs = self._add_trim(calculation, packs)
        if self.packs_added:
            name, value = "packs_for_minimum_order_value", str(self.shared.minimum_order_value[self.number])
            source = f"orders of the day from {self.item['supplier_id']} come to less than its minimum value"
            calculation.add_input(name, self.packs_added, "packs", source, minimum_order_value=value)
            packs = calculation.add_step("packs_with_minimum_order_value", "sum", [packs, name], "packs")
        return packs

    def _add_trim(self, calculation: Calculation, packs: str) -> str:
        """A pack stays where its gain is worth the prices of the limits it takes from, or where something is left."""
        trimmed = self.shared.trimmed
        at_price, gain = int(trimmed.packs_at_price[self.number]), int(trimmed.required_gain[self.number])
        prices = list(self._add_limits(calculation))
        calculation.add_step(
            "gain_asked_of_a_pack", "weighed", prices, "treatment-days", known=Fraction(gain, BILLIONTHS)
        )
        source = "strength over usual daily dose" if self.item["usual_daily_dose"] else "default: a dose unit a day"
        days = Fraction(int(self.line.situation.stocking.days_per_unit), MILLIONTHS)
        calculation.add_input("treatment_days_per_dose_unit", days, "treatment-days", source)
        calculation.add_step("supply_before_order", "sum", SUPPLY)
        operands = ["demand_until_next_arrival", "supply_before_order", *PACK_RULE, packs]
        operands += ["treatment_days_per_dose_unit", "gain_asked_of_a_pack"]
        names = ["packs_worth_their_room", "packs_from_what_is_left"]
        calculation.add_step(names[0], "packs_worth", operands, "packs", known=Fraction(at_price))
        calculation.add_input(names[1], self.packs_trimmed - at_price, "packs", "left over by the limits")
        return calculation.add_step("packs_within_limits", "sum", names, "packs")

    def _add_limits(self, calculation: Calculation) -> Iterator[str]:
        """Write each limit down that the line takes from: the names of its shadow price and of what a pack takes."""
        shared, source = self.shared, f"all limits together, {self.item['criticality']} items"
        for number, (place, limit) in enumerate(self._limits(), 1):
            unit, kind = "money" if limit.kind is LimitKind.BUDGET else "packs", f"{limit.kind} of {limit.name}"
            price = Fraction(int(shared.trimmed.shadow_price[shared.rank[self.number], place]), BILLIONTHS)
            use = as_decimal(float(shared.use[place, self.number]))
            used, spent = as_decimal(round(limit.used, 6)), "orders placed in this period"
            calculation.add_input(f"limit_{number}", as_decimal(limit.amount), unit, "policy: limit", kind=kind)
            calculation.add_input(f"limit_{number}_used", used, unit, spent, kind=kind)
            per_unit = f"treatment-days per unit of {unit}"
            yield calculation.add_input(f"shadow_price_{number}", price, per_unit, source, kind=kind)
            yield calculation.add_input(f"taken_by_a_pack_{number}", use, unit, "product", kind=kind)

    def _limits(self) -> list[tuple[int, Limit]]:
        """The limits that the line takes from, with their places among all."""
        use = self.shared.use[:, self.number]
        return [(place, limit) for place, limit in enumerate(self.shared.limits) if use[place] > 0]
