"""The third part of an order's calculation: stock that can be used, and open orders that come in time."""

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Integers
from forecasting.procurement.explanation.calculation import Calculation, dose_units, json_record
from forecasting.procurement.explanation.policy_part import PolicyPart
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.order.ordered_items import OrderedItems


@dataclasses.dataclass(frozen=True)
class StockPart:
    """The plan, lots and open orders of one line; `use_source` says where the use since the count comes from."""

    line: OrderedItems
    use_source: str
    open_orders: list[dict[str, Any]]

    @classmethod
    def of(cls, prepared: PreparedInputs, line: OrderedItems, item: Mapping[str, Any]) -> "StockPart":
        """The part of one line."""
        orders = prepared.open_orders_of.get(int(line.rows), [])
        use_source = prepared.use_source.get((item["facility_id"], item["product_id"]), "nothing")
        return cls(line, use_source, [_open_order(order) for order in orders])

    @property
    def not_counted(self) -> list[dict[str, Any]]:
        """Open orders that do not count."""
        return [order for order in self.open_orders if not order["counted"]]

    def add_steps(self, calculation: Calculation, policy: PolicyPart) -> None:
        """Write down usable stock and open orders in time, less what expiry and lateness add to the level."""
        self._add_on_hand(calculation)
        expiring = [self._add_expiry(calculation, policy)] if self.line.plan.lost_until_next_arrival.any() else []
        calculation.add_step("usable_stock", "difference", ["stock_on_hand", *expiring])
        self._add_open_orders(calculation)
        before = "level_with_expiry" if expiring else policy.target_level
        late = [self._add_lateness(calculation, policy, before)] if self.line.plan.late.any() else []
        calculation.add_step("open_orders_in_time", "difference", ["open_order_quantity", *late])

    def _add_on_hand(self, calculation: Calculation) -> None:
        """The count, what moved since it, and what of it cannot be used."""
        lots = self.line.situation.lots
        age = None if np.isnan(lots.count_age_days) else int(lots.count_age_days)
        there = [calculation.add_quantity("stock_counted", lots.booked, "stock count", age_days=age)]
        if lots.received:
            there.append(calculation.add_quantity("received_since_count", lots.received, "receipts since the count"))
        calculation.add_step("stock_there", "sum", there)
        deductions = {
            "used_since_count": (lots.used, self.use_source),
            "stock_committed": (lots.committed, "committed in the stock count"),
            "stock_expired": (lots.expired, "expiry dates"),
        }
        taken = [
            calculation.add_quantity(name, quantity, source)
            for name, (quantity, source) in deductions.items()
            if quantity
        ]
        calculation.add_step("stock_on_hand", "difference", ["stock_there", *taken])

    def _add_open_orders(self, calculation: Calculation) -> None:
        names = []
        for number, order in enumerate((order for order in self.open_orders if order["counted"]), 1):
            details = {name: order[name] for name in ("id", "expected_at", "rule")}
            name = f"open_order_{number}"
            names.append(calculation.add_input(name, order["packs"], "packs", order["kind"], **details))
        calculation.add_step("open_order_packs", "sum", names, "packs")
        calculation.add_step("open_order_quantity", "product", ["open_order_packs", "pack_size"])

    def _add_expiry(self, calculation: Calculation, policy: PolicyPart) -> str:
        """What stock that expires unused adds to the level: the level for demand and losses, less that for demand."""
        plan = self.line.plan
        level = dose_units(plan.level + self.line.situation.lots.on_hand - plan.usable)
        self._add_level_with(calculation, policy, "expiry", 0, level)
        operands = ["level_with_expiry", policy.target_level]
        return calculation.add_step("expires_unused", "difference", operands)

    def _add_lateness(self, calculation: Calculation, policy: PolicyPart, before: str) -> str:
        """What open orders that come too late in some draws add to the level called `before`."""
        level = (
            calculation.value(before) + calculation.value("open_order_quantity") - dose_units(self.line.plan.in_time)
        )
        self._add_level_with(calculation, policy, "late_orders", self.line.plan.late, level)
        return calculation.add_step("late_orders", "difference", ["level_with_late_orders", before])

    def _add_level_with(
        self, calculation: Calculation, policy: PolicyPart, loss: str, late: Integers | int, level: Fraction
    ) -> None:
        """The level for demand and what is lost beside it; the target speaks of demand alone."""
        plan, operation = self.line.plan, f"order_up_to_{policy.target_kind}"
        needed = plan.until_next_arrival + plan.lost_until_next_arrival + late
        operands = [calculation.add_sample(f"demand_and_{loss}_until_next_arrival", needed)]
        if operation == "order_up_to_fill_rate":
            operation = "order_up_to_fill_rate_with_expiry"
            needed_first = plan.until_arrival + plan.lost_until_arrival + late
            operands.insert(0, calculation.add_sample(f"demand_and_{loss}_until_arrival", needed_first))
            operands += ["demand_until_arrival", "demand_until_next_arrival"]
        calculation.add_step(f"level_with_{loss}", operation, [*operands, "target"], known=level)


def _open_order(order: dict[Any, Any]) -> dict[str, Any]:
    """A judged open order as documents hold it."""
    day = order["expected_at"]
    record = json_record({name: order[name] for name in ("id", "kind", "packs", "rule", "counted")})
    return record | {"expected_at": None if pd.isna(day) else f"{pd.Timestamp(day).date()}"}
