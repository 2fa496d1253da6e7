"""A shelf lived through day by day under a rule of ordering: every item at once, in whole thousandths of a dose unit.

A day: what was ordered for it arrives, what is past its date goes, on an order day the rule orders, then the day's
demand is served, first expired, first out. Demand that the shelf cannot serve is lost: a ward does not wait, it is
helped from elsewhere. A product's deliveries all keep equally long, so that the first to arrive is the first to expire
and the shelf is two running totals, what came in and what went out.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from forecasting.errors import InvalidInput
from forecasting.procurement.arrays import Floats, Integers

ORDER_DAYS = 7
"""Days between two chances to order, for every item alike."""

FOREVER = 10**6
"""Days that stock without a shelf life keeps."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """How items are bought [item]: pack sizes in thousandths of a dose unit, `keeps_days` a delivery can be used.

    `lead_days` [item, week] is how long an order of that week takes, whole days, 1 or more; `every` [item] orders can
    be placed in every so many weeks. Raises `InvalidInput` for times below 1.
    """

    pack_size: Integers
    minimum_order_packs: Integers
    order_multiple_packs: Integers
    keeps_days: Integers
    lead_days: Integers
    every: Integers

    def __post_init__(self) -> None:
        if np.any(self.lead_days < 1) or np.any(self.every < 1):
            raise InvalidInput("lead times and order intervals of a replay must be 1 or more")

    @property
    def pack_rule(self) -> tuple[Integers, Integers, Integers]:
        """Pack size, minimum and multiple, as `packs.packs_for_thousandths` takes them."""
        return self.pack_size, self.minimum_order_packs, self.order_multiple_packs


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a rule may look at on the order day of a `week`: the shelf and what is on its way, nothing of what comes.

    `inflow` [item, day] is what had come in up to each day so far, `gone` [item] what has left since; `waiting`
    [item, week] what was ordered in each earlier week and has not come.
    """

    week: int
    inflow: Integers
    gone: Integers
    waiting: Integers

    @property
    def day(self) -> int:
        """Days since the walk began."""
        return self.week * ORDER_DAYS

    @property
    def on_hand(self) -> Integers:
        """Stock on the shelf [item]."""
        return self.inflow[:, -1] - self.gone

    @property
    def position(self) -> Integers:
        """Stock on the shelf and on its way [item]."""
        return self.on_hand + self.waiting.sum(axis=1)

    def arrived_between(self, first: Integers, last: Integers) -> Integers:
        """What is left [item] of what came in on each item's days `first` to `last` [item]."""
        before, after = self._came_in_by(first - 1), self._came_in_by(last)
        return np.maximum(after - np.maximum(before, self.gone), 0)

    def _came_in_by(self, day: Integers) -> Integers:
        columns = np.minimum(day, self.inflow.shape[1] - 1)
        return np.where(day >= 0, self.inflow[np.arange(len(day)), np.maximum(columns, 0)], 0)


Rule = Callable[[Seen], Integers]
"""Packs to order of each item [item], whole and not below 0, from what can be seen on an order day."""


@dataclasses.dataclass(frozen=True)
class Walked:
    """What happened, in thousandths of a dose unit unless said otherwise.

    `unmet`, `expired` and `stock` (at the end of the day) are [item, day], `packs` ordered are [item, week].
    """

    unmet: Integers
    expired: Integers
    stock: Integers
    packs: Integers


def walk(demand: Integers, terms: Terms, opening: Integers, rule: Rule) -> Walked:
    """Live through `demand` [item, day] from the stock `opening` [item], which is taken to have just arrived.

    What arrives after the last day is not seen. Raises `InvalidInput` for negative demand or stock, and for days that
    are not whole weeks of `terms.lead_days`.

    >>> one = np.array([1])
    >>> terms = Terms(one * 1000, one, one, one * FOREVER, np.array([[2, 2]]), one)
    >>> walked = walk(np.full((1, 14), 1000), terms, one * 3000, lambda seen: (9000 - seen.position) // 1000)
    >>> walked.stock[0].tolist()[:4], walked.packs.tolist(), int(walked.unmet.sum())
    ([2000, 1000, 6000, 5000], [[6, 7]], 0)
    """
    items, days = demand.shape
    weeks = terms.lead_days.shape[1]
    if days != weeks * ORDER_DAYS or np.any(demand < 0) or np.any(opening < 0):
        raise InvalidInput("a replay needs whole weeks of demand, and demand and stock of 0 or more")
    inflow, arriving = np.zeros((items, days), dtype=np.int64), np.zeros((days, items), dtype=np.int64)
    arriving[0] = opening
    unmet, expired, stock = (np.zeros((days, items), dtype=np.int64) for _ in range(3))
    packs, there = np.zeros((items, weeks), dtype=np.int64), np.arange(items)
    total, gone = np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.int64)
    daily = np.ascontiguousarray(demand.T)
    for day in range(days):
        total = total + arriving[day]
        inflow[:, day] = total
        expired[day] = _past_its_date(inflow, gone, terms.keeps_days, day)
        gone = gone + expired[day]
        if day % ORDER_DAYS == 0:
            week = day // ORDER_DAYS
            seen = Seen(week, inflow[:, : day + 1], gone, _waiting(packs, terms, week))
            packs[:, week] = np.where(week % terms.every == 0, rule(seen), 0)
            due = day + terms.lead_days[:, week]
            comes = due < days
            arriving[due[comes], there[comes]] += (packs[:, week] * terms.pack_size)[comes]
        met = np.minimum(daily[day], total - gone)
        gone = gone + met
        unmet[day], stock[day] = daily[day] - met, total - gone
    return Walked(unmet.T, expired.T, stock.T, packs)


def _past_its_date(inflow: Integers, gone: Integers, keeps_days: Integers, day: int) -> Integers:
    """What came in so long ago that its last day was yesterday, and is still there [item]."""
    last = day - keeps_days - 1
    old = np.flatnonzero(last >= 0)
    expired = np.zeros_like(gone)
    expired[old] = np.maximum(inflow[old, last[old]] - gone[old], 0)
    return expired


def _waiting(packs: Integers, terms: Terms, week: int) -> Integers:
    """What was ordered in each earlier week and has not come [item, week]."""
    due = np.arange(week) * ORDER_DAYS + terms.lead_days[:, :week]
    return np.where(due > week * ORDER_DAYS, packs[:, :week] * terms.pack_size[:, None], 0)


def lead_time_of_orders(drawn: Floats) -> Integers:
    """Whole days of lead times [item, week] as drawn: at least 1, and no order comes before an earlier one.

    >>> lead_time_of_orders(np.array([[0.2, 16.6, 3.4]]))
    array([[ 1, 17, 10]])
    """
    ordered = np.arange(drawn.shape[1]) * ORDER_DAYS
    due = ordered + np.maximum(np.rint(drawn), 1).astype(np.int64)
    lead: Integers = np.maximum.accumulate(due, axis=1) - ordered
    return lead
