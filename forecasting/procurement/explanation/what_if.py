"""Does it change the order? A stored calculation with other demand, or with other packs, before anybody saves the edit.

The answer starts from the line's own document: its stock, open orders, policy and pack rule stay, its demand samples
are scaled to the changed expected demand of their days. What the next run does beside that (new counts, limits that
lines share) is not foreseen.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from forecasting.procurement.arrays import Floats
from forecasting.procurement.explanation.calculation import OPERATIONS, Document, as_text
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
class ReplannedOrder:
    """Packs and expected demand (dose units, over the protection interval) as stored, and with the changed demand.

    `before_limits`: the packs are those before limits that lines share, which are not redone.
    """

    packs_now: int
    packs_then: int
    expected_now: Decimal
    expected_then: Decimal
    before_limits: bool


def order_after_change(document: Document, demand: DemandChange, *, standing: bool = True) -> ReplannedOrder:
    """The order that a stored calculation gives with the changed demand.

    `standing`: the line still waits for a decision, so the next run keeps its packs unless the change matters.
    """
    values: dict[str, Any] = {one["name"]: Fraction(one["value"]) for one in document["inputs"]}
    samples = {one["name"]: sorted(one["values"]) for one in document["samples"]}
    edges = period_edges(demand.period, demand.starts, dt.date.fromisoformat(document["as_of"]))
    stored = {one["name"]: Fraction(one["value"]) for one in document["steps"]}
    until_next = float(stored["protection_days"])
    until_arrival = until_next - float(values["review_days"])
    totals = {name: _totals(demand, edges, days) for name, days in ((ARRIVAL, until_arrival), (NEXT, until_next))}
    values |= _changed_samples(samples, totals)
    if "storage_level" in values:
        days = until_arrival + float(document["item"]["max_on_hand_days"])
        now, then = _totals(demand, edges, days)
        values["storage_level"] *= Fraction(then / now) if now > 0 else 1
    name = "packs_before_limits" if "packs_before_limits" in stored else "packs"
    waiting = int(stored[name]) if standing else 0
    moved = Fraction(totals[NEXT][1] - totals[NEXT][0]).limit_denominator(THOUSANDTHS)
    packs = _redone(document, values, name, waiting, _band(totals))
    expected = stored["expected_demand"]
    return ReplannedOrder(
        int(stored[name]),
        packs,
        Decimal(as_text(expected)),
        Decimal(float(expected + moved)).quantize(Decimal("0.001")),
        name != "packs",
    )


def _totals(demand: DemandChange, edges: Floats, days: float) -> tuple[float, float]:
    """Expected demand of so many days from today, now and then."""
    shares = shares_of_periods(np.array([[days]]), edges)[0]
    return float(shares @ demand.now), float(shares @ demand.then)


def _scaled(sample: list[int], now: float, then: float) -> list[int]:
    if now > 0:
        return [round(value * then / now) for value in sample]
    return [value + round(then * THOUSANDTHS) for value in sample]


def _changed_samples(samples: dict[str, list[int]], totals: dict[str, tuple[float, float]]) -> dict[str, list[int]]:
    """The samples with their demand scaled; what is lost beside demand stays as many dose units as it was."""
    changed: dict[str, list[int]] = {}
    review = (totals[NEXT][0] - totals[ARRIVAL][0], totals[NEXT][1] - totals[ARRIVAL][1])
    for name, sample in samples.items():
        if name.startswith(LOST):
            plain = NEXT if name.endswith("until_next_arrival") else ARRIVAL
            demand = samples[plain] if plain in samples else samples[NEXT]
            scaled = _scaled(demand, *totals[plain])
            beside = [max(both - alone, 0) for both, alone in zip(sample, demand, strict=True)]
            changed[name] = sorted(one + lost for one, lost in zip(scaled, beside, strict=True))
        else:
            changed[name] = _scaled(sample, *(review if name == "demand_of_review" else totals.get(name, totals[NEXT])))
    return changed


def _band(totals: dict[str, tuple[float, float]]) -> int:
    """The change that does not matter, in thousandths: a share of the mean demand of a review."""
    review = totals[NEXT][1] - totals[ARRIVAL][1]
    return int(review * DAMPING * THOUSANDTHS)


def _redone(document: Document, values: dict[str, Any], wanted: str, standing: int, band: int) -> int:
    """The value of the step `wanted`, each step computed anew from what stands before it."""
    for step in document["steps"]:
        if step["name"] == "packs_needed":
            values["packs_needed"] = Fraction(_needed(values, standing, band))
        elif step["operation"] != "kept_between":
            values[step["name"]] = OPERATIONS[step["operation"]](*(values[name] for name in step["operands"]))
        if step["name"] == wanted:
            break
    return int(values[wanted])


def _needed(values: dict[str, Any], standing: int, band: int) -> int:
    """Packs as the plan's own damping rule has them, from the levels and the stock position."""

    def thousandths(value: Fraction) -> np.ndarray:
        return np.array([round(value * THOUSANDTHS)], dtype=np.int64)

    position = thousandths(values["usable_stock"] + values["open_orders_in_time"])
    order_to = thousandths(values["order_up_to_level"])
    levels = Levels(thousandths(values["reorder_point"]) if "reorder_point" in values else order_to, order_to)
    rule = (
        thousandths(values["pack_size"]),
        *(np.array([int(values[name])]) for name in ("minimum_order_packs", "order_multiple_packs")),
    )
    _, needed = damped_packs(levels, position, np.array([band]), np.array([standing]), rule)  # type: ignore[arg-type]
    return int(needed[0])


def packs_of(document: Document, quantity: Decimal) -> int:
    """Packs that hold a quantity in dose units, by the rule that rounded the line's own packs."""
    values = {one["name"]: one["value"] for one in document["inputs"]}
    minimum, multiple = (int(values[name]) for name in ("minimum_order_packs", "order_multiple_packs"))
    rule = PackRule(Decimal(values["pack_size"]), minimum, multiple)
    return packs_for(quantity, rule)


def days_of_use(document: Document, packs: int) -> Decimal | None:
    """How many days of the line's expected demand so many packs are; None where no demand is expected."""
    values = {one["name"]: Decimal(one["value"]) for one in [*document["inputs"], *document["steps"]]}
    expected, days = values["expected_demand"], values["protection_days"]
    return packs * values["pack_size"] * days / expected if expected > 0 and days > 0 else None


@dataclasses.dataclass(frozen=True)
class Hindsight:
    """What a line would have needed: packs, days that the order had to last, and the dose units dispensed in them."""

    packs: int
    days: float
    demand: float


def needed_in_hindsight(
    document: Document, period: Period, starts: Sequence[dt.date], quantity: Floats
) -> Hindsight | None:
    """The stored calculation with what came in place of the expected demand; None where that is not known in full.

    Its safety stock, usable stock, open orders in time and pack rule stay as stored. `quantity` [period] is what was
    dispensed in the consecutive periods `starts`, NaN where it is not known. A shelf that ran empty serves less than
    was asked for, so the packs are rather too few then.
    """
    as_of = dt.date.fromisoformat(document["as_of"])
    values = {one["name"]: Fraction(one["value"]) for one in [*document["inputs"], *document["steps"]]}
    days = float(values["protection_days"])
    if not starts or as_of < starts[0] or days <= 0 or as_of + dt.timedelta(days=days) > period.step(starts[-1]):
        return None
    shares = shares_of_periods(np.array([[days]]), period_edges(period, starts, as_of))[0]
    if not np.isfinite(quantity[shares > 0]).all():
        return None
    demand = float(shares[shares > 0] @ quantity[shares > 0])
    need = Fraction(round(demand * THOUSANDTHS), THOUSANDTHS) + values["safety_stock"]
    need -= values["usable_stock"] + values["open_orders_in_time"]
    return Hindsight(packs_of(document, Decimal(as_text(max(need, Fraction(0))))), days, demand)
