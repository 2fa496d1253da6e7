"""The first part of an order's calculation: from the history over forecast and genetic shift to expected demand."""

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from forecasting.arrays import Floats
from forecasting.procurement.explanation.calculation import HISTORY_RULE, Calculation, json_record
from forecasting.procurement.order.inputs import PreparedInputs, Record
from forecasting.procurement.order.ordered_items import OrderedItems
from forecasting.procurement.packs import THOUSANDTHS, as_decimal
from forecasting.procurement.protection_demand import GENETIC_STEP_COLUMNS, OVERRIDE_COLUMNS

_DAYS = ("wait_days", "lead_time_mean_days", "lead_time_sd_days", "review_days", "closed_days")
_DAYS_STEP = Decimal("0.001")
_USE_STEP = Decimal("0.000001")


@dataclasses.dataclass(frozen=True)
class DemandShift:
    """What one genetic step or override moves over the protection interval, in thousandths of a dose unit."""

    details: dict[str, Any]
    thousandths: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemandPart:
    """Days that the order has to bridge, and the demand of these days in thousandths of a dose unit.

    `history_rules` are the cleaning rules that touched the history, with the number of periods; `shortage` is what of
    `baseline` a shortage moved here.
    """

    days: Mapping[str, Decimal]
    lead_time_source: str
    history_mean_per_day: Decimal
    history_rules: Mapping[str, int]
    baseline: int
    shortage: int
    shortage_reason: str
    genetic: list[DemandShift]
    overrides: list[DemandShift]

    @classmethod
    def of(cls, prepared: PreparedInputs, line: OrderedItems, item: Mapping[str, Any]) -> "DemandPart":
        """The part of one line."""
        demand, row = prepared.demand, int(line.rows)
        shares = line.period_shares
        baseline = _over_interval(demand.baseline_mean[row], shares)
        final = _over_interval(demand.final_mean[row], shares)
        planned = _over_interval(prepared.mean_without_overrides[row], shares)
        # what adding overrides and taking them away leaves of floating point is no genetic shift
        with_overrides = demand.override_steps is not None
        if with_overrides and row not in prepared.genetic_steps_of and abs(planned - baseline) <= 1:
            planned = baseline
        moved = demand.shortage_quantity
        return cls(
            days={name: as_decimal(getattr(line.situation.settings, name)).quantize(_DAYS_STEP) for name in _DAYS},
            lead_time_source=f"lead time: {item['lead_time_source']}, {item['lead_time_observations']} receipts",
            history_mean_per_day=as_decimal(demand.history_mean_per_day[row]).quantize(_USE_STEP),
            history_rules=demand.history_rules[row] if demand.history_rules else {},
            baseline=baseline,
            shortage=0 if moved is None else _over_interval(moved[row], shares),
            shortage_reason=demand.shortage_reasons[row] if demand.shortage_reasons else "",
            genetic=_genetic_shifts(prepared, row, shares, planned - baseline),
            overrides=_override_shifts(prepared, row, shares, final - planned),
        )

    def add_steps(self, calculation: Calculation) -> None:
        """Write down the protection interval and the demand in it."""
        self._add_history(calculation)
        self._add_interval(calculation)
        self._add_baseline(calculation)
        parts = [
            calculation.add_quantity(f"genetic_shift_{number}", shift.thousandths, "genetic step", **shift.details)
            for number, shift in enumerate(self.genetic, 1)
        ]
        calculation.add_step("genetic_shift", "sum", parts)
        self._add_overrides(calculation)
        calculation.add_step("expected_demand", "sum", ["baseline_demand", "genetic_shift", "override"])

    def _add_history(self, calculation: Calculation) -> None:
        use = self.history_mean_per_day
        calculation.add_input("history_mean_per_day", use, "dose units per day", "dispensing history")
        for rule, periods in sorted(self.history_rules.items()):
            calculation.add_input(f"{HISTORY_RULE}{rule}", periods, "periods", "cleaning of the history")

    def _add_interval(self, calculation: Calculation) -> None:
        sources = {
            "wait_days": "order calendar",
            "lead_time_mean_days": self.lead_time_source,
            "lead_time_sd_days": self.lead_time_source,
            "review_days": "order calendar and policy",
        }
        if self.days["closed_days"]:
            sources["closed_days"] = "days the supplier is closed, on average"
        for name, source in sources.items():
            calculation.add_input(name, self.days[name], "days", source)
        means = [name for name in sources if name != "lead_time_sd_days"]
        calculation.add_step("protection_days", "sum", means, "days")
        calculation.add_step("history_demand", "product", ["history_mean_per_day", "protection_days"])

    def _add_baseline(self, calculation: Calculation) -> None:
        if self.shortage:
            before = self.baseline - self.shortage
            calculation.add_quantity("baseline_before_shortage", before, "baseline forecast")
            calculation.add_quantity("shortage_shift", self.shortage, self.shortage_reason)
            calculation.add_step("baseline_demand", "sum", ["baseline_before_shortage", "shortage_shift"])
        else:
            calculation.add_quantity("baseline_demand", self.baseline, "baseline forecast")
        calculation.add_step("change_since_history", "difference", ["baseline_demand", "history_demand"])

    def _add_overrides(self, calculation: Calculation) -> None:
        if not self.overrides:
            calculation.add_quantity("override", 0, "no override")
            return
        parts = []
        for number, shift in enumerate(self.overrides, 1):
            source = f"override {shift.details['override_id']} by {shift.details['decided_by']}"
            parts.append(calculation.add_quantity(f"override_{number}", shift.thousandths, source, **shift.details))
        calculation.add_step("override", "sum", parts)


def _over_interval(per_period: Floats, shares: Floats) -> int:
    """Sum over the protection interval, in thousandths, of dose units per period [period]."""
    return int(np.rint((per_period * shares).sum() * THOUSANDTHS))


def _shifts(records: Sequence[Record], quantity: Floats, shares: Floats, columns: Sequence[str]) -> list[DemandShift]:
    """What each step moves over the interval; `quantity` [step, period] in dose units."""
    return [
        DemandShift(
            json_record({name: record[name] for name in columns}), _over_interval(quantity[record["place"]], shares)
        )
        for record in records
    ]


def _genetic_shifts(prepared: PreparedInputs, row: int, shares: Floats, total: int) -> list[DemandShift]:
    """The genetic steps, adding up to `total`: what they leave is their interaction."""
    records, quantity = prepared.genetic_steps_of.get(row, []), prepared.demand.genetic_quantity
    shifts = [shift for shift in _shifts(records, quantity, shares, GENETIC_STEP_COLUMNS[1:]) if shift.thousandths]
    left = total - sum(shift.thousandths for shift in shifts)
    if left and not (shifts and abs(left) <= len(shifts) + 1):  # more than rounding leaves
        return [*shifts, DemandShift({"label": "interaction"}, left)]
    return _with_rounding(shifts, left)


def _override_shifts(prepared: PreparedInputs, row: int, shares: Floats, total: int) -> list[DemandShift]:
    """The acting overrides, adding up to `total`; also one that moves nothing."""
    records, quantity = prepared.override_steps_of.get(row, []), prepared.demand.override_quantity
    if quantity is None:
        return []
    shifts = _shifts(records, quantity, shares, OVERRIDE_COLUMNS[1:])
    return _with_rounding(shifts, total - sum(shift.thousandths for shift in shifts))


def _with_rounding(shifts: list[DemandShift], left: int) -> list[DemandShift]:
    """The shifts, the largest of them with the thousandths that rounding each of them left over."""
    if not shifts or not left:
        return shifts
    largest = max(range(len(shifts)), key=lambda number: abs(shifts[number].thousandths))
    mended = dataclasses.replace(shifts[largest], thousandths=shifts[largest].thousandths + left)
    return [*shifts[:largest], mended, *shifts[largest + 1 :]]
