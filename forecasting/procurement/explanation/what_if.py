"""Does it change the order? A stored calculation with other demand, or with other packs, before anybody saves the edit.

The answer starts from the line's own document: its stock, open orders, policy and pack rule stay, its demand samples
are scaled to the changed expected demand of their days. What the next run does beside that (new counts, limits that
lines share) is not foreseen.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from forecasting.arrays import Floats, Integers
from forecasting.procurement.explanation.calculation import OPERATIONS, PACK_RULE, Document, as_text, dose_units
from forecasting.procurement.order.plan import DAMPING, damped_packs
from forecasting.procurement.packs import THOUSANDTHS, PackRule, packs_for
from forecasting.procurement.policy.stocking_policy import Levels
from forecasting.procurement.protection_demand import period_edges, shares_of_periods
from forecasting.terms import Period

ARRIVAL, NEXT = "demand_until_arrival", "demand_until_next_arrival"
LOST = ("demand_and_expiry_", "demand_and_late_orders_")


@dataclasses.dataclass(frozen=True)
class DemandChange:
    """Expected demand of future periods: `starts` of consecutive periods, means `now` and `then` [period]."""

    period: Period
    starts: Sequence[dt.date]
    now: Floats
    then: Floats


@dataclasses.dataclass(frozen=True)
class _Total:
    """Expected demand of some days, in dose units, now and then."""

    now: float
    then: float

    def scaled(self, sample: list[int]) -> list[int]:
        """A demand sample of these days [draw], in thousandths, as it is then."""
        if self.now > 0:
            return [round(value * self.then / self.now) for value in sample]
        return [value + round(self.then * THOUSANDTHS) for value in sample]


@dataclasses.dataclass(frozen=True)
class ReplannedOrder:
    """Packs and expected demand (dose units, over the protection interval) as stored, and with the changed demand.

    `before_limits`: the packs are those before limits that lines share, which are not redone.
    """

    packs_now: int
    packs_then: int
    expected_now: Decimal
    expected_then: Decimal
    before_limits: bool


def order_after_change(document: Document, change: DemandChange, *, standing: bool = True) -> ReplannedOrder:
    """The order that a stored calculation gives with the changed demand.

    `standing`: the line still waits for a decision, so the next run keeps its packs unless the change matters.
    """
    values: dict[str, Any] = {entry["name"]: Fraction(entry["value"]) for entry in document["inputs"]}
    stored = {step["name"]: Fraction(step["value"]) for step in document["steps"]}
    edges = period_edges(change.period, change.starts, dt.date.fromisoformat(document["as_of"]))
    until_next = float(stored["protection_days"])
    until_arrival = until_next - float(values["review_days"])
    totals = {name: _total(change, edges, days) for name, days in ((ARRIVAL, until_arrival), (NEXT, until_next))}
    review = _Total(totals[NEXT].now - totals[ARRIVAL].now, totals[NEXT].then - totals[ARRIVAL].then)
    samples = {sample["name"]: sorted(sample["values"]) for sample in document["samples"]}
    values |= _changed_samples(samples, totals | {"demand_of_review": review})
    if "storage_level" in values:
        storage = _total(change, edges, until_arrival + float(document["item"]["max_on_hand_days"]))
        values["storage_level"] *= Fraction(storage.then / storage.now) if storage.now > 0 else 1
    name = "packs_before_limits" if "packs_before_limits" in stored else "packs"
    waiting, band = int(stored[name]) if standing else 0, int(review.then * DAMPING * THOUSANDTHS)
    moved = Fraction(totals[NEXT].then - totals[NEXT].now).limit_denominator(THOUSANDTHS)
    expected = stored["expected_demand"]
    return ReplannedOrder(
        packs_now=int(stored[name]),
        packs_then=_recalculated(document, values, name, waiting, band),
        expected_now=Decimal(as_text(expected)),
        expected_then=Decimal(float(expected + moved)).quantize(Decimal("0.001")),
        before_limits=name != "packs",
    )


def _total(change: DemandChange, edges: Floats, days: float) -> _Total:
    shares = shares_of_periods(np.array([[days]]), edges)[0]
    return _Total(float(shares @ change.now), float(shares @ change.then))


def _changed_samples(samples: dict[str, list[int]], totals: dict[str, _Total]) -> dict[str, list[int]]:
    """The samples with their demand scaled; what is lost beside demand stays as many dose units as it was."""
    changed: dict[str, list[int]] = {}
    for name, sample in samples.items():
        if name.startswith(LOST):
            days = NEXT if name.endswith("until_next_arrival") else ARRIVAL
            demand = samples.get(days, samples[NEXT])
            lost = [max(both - alone, 0) for both, alone in zip(sample, demand, strict=True)]
            changed[name] = sorted(map(sum, zip(totals[days].scaled(demand), lost, strict=True)))
        else:
            changed[name] = totals.get(name, totals[NEXT]).scaled(sample)
    return changed


def _recalculated(document: Document, values: dict[str, Any], result: str, standing: int, band: int) -> int:
    """The value of the step `result`, each step computed anew from what stands before it."""
    for step in document["steps"]:
        if step["name"] == "packs_needed":
            values["packs_needed"] = Fraction(_needed(values, standing, band))
        elif step["operation"] != "kept_between":
            values[step["name"]] = OPERATIONS[step["operation"]](*(values[name] for name in step["operands"]))
        if step["name"] == result:
            break
    return int(values[result])


def _needed(values: dict[str, Any], standing: int, band: int) -> int:
    """Packs as the plan's own damping rule has them, from the levels and the stock position."""

    def thousandths(value: Fraction) -> Integers:
        return np.array([round(value * THOUSANDTHS)], dtype=np.int64)

    position = thousandths(values["usable_stock"] + values["open_orders_in_time"])
    order_to = thousandths(values["order_up_to_level"])
    levels = Levels(thousandths(values["reorder_point"]) if "reorder_point" in values else order_to, order_to)
    minimum, multiple = (np.array([int(values[name])]) for name in PACK_RULE[1:])
    rule = thousandths(values["pack_size"]), minimum, multiple
    _, needed = damped_packs(levels, position, np.array([band]), np.array([standing]), rule)
    return int(needed[0])


def packs_of(terms: Mapping[Any, Any], quantity: Decimal) -> int:
    """Packs that hold a quantity in dose units; `terms` has pack_size, minimum_order_packs and order_multiple_packs."""
    size, minimum, multiple = (terms[name] for name in PACK_RULE)
    return packs_for(quantity, PackRule(Decimal(str(size)), int(minimum or 0), int(multiple or 1)))


def days_of_use(document: Document, packs: int) -> Decimal | None:
    """How many days of the line's expected demand so many packs are; None where no demand is expected."""
    values = _numbers(document)
    expected, days = values["expected_demand"], values["protection_days"]
    return packs * values["pack_size"] * days / expected if expected > 0 and days > 0 else None


def _numbers(document: Document) -> dict[str, Decimal]:
    return {entry["name"]: Decimal(entry["value"]) for entry in [*document["inputs"], *document["steps"]]}


@dataclasses.dataclass(frozen=True)
class HindsightNeed:
    """What a line would have needed: packs, days that the order had to last, and the dose units dispensed in them."""

    packs: int
    days: float
    demand: float


def needed_in_hindsight(
    document: Document, period: Period, starts: Sequence[dt.date], quantity: Floats
) -> HindsightNeed | None:
    """The stored calculation with what came in place of the expected demand; None where that is not known in full.

    Its safety stock, usable stock, open orders in time and pack rule stay as stored. `quantity` [period] is what was
    dispensed in the consecutive periods `starts`, NaN where it is not known. A shelf that ran empty serves less than
    was asked for, so the packs are rather too few then.
    """
    as_of = dt.date.fromisoformat(document["as_of"])
    values = _numbers(document)
    days = float(values["protection_days"])
    if not starts or as_of < starts[0] or days <= 0 or as_of + dt.timedelta(days=days) > period.step(starts[-1]):
        return None
    shares = shares_of_periods(np.array([[days]]), period_edges(period, starts, as_of))[0]
    if not np.isfinite(quantity[shares > 0]).all():
        return None
    demand = float(shares[shares > 0] @ quantity[shares > 0])
    supply = values["usable_stock"] + values["open_orders_in_time"]
    need = dose_units(round(demand * THOUSANDTHS)) + Fraction(values["safety_stock"]) - Fraction(supply)
    return HindsightNeed(packs_of(values, Decimal(as_text(max(need, Fraction(0))))), days, demand)
