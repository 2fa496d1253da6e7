"""Shelves simulated day by day under a rule of ordering: every item at once, in thousandths of a dose unit.

A day: what was ordered for it arrives, what is past its date goes, on an order day the rule orders, then the day's
demand is served, first expired, first out. Demand that the shelf cannot serve is lost: a ward does not wait, it is
helped from elsewhere. A product's deliveries all keep equally long, so that the first to arrive is the first to expire
and the shelf is two running totals, what came in and what went out.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from forecasting.arrays import Floats, Integers
from forecasting.errors import InvalidInput

ORDER_DAYS = 7
"""Days between two chances to order, for every item alike."""

NEVER_EXPIRES = 10**6
"""Days that stock without a shelf life can be used: more than any simulation has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PurchaseTerms:
    """How items are bought [item]: pack sizes in thousandths of a dose unit, `usable_days` of a delivery.

    `lead_days` [item, week] is how long an order of that week takes, whole days, 1 or more; orders can be placed every
    `order_interval_weeks` [item]. Raises `InvalidInput` for times below 1.
    """

    pack_size: Integers
    minimum_order_packs: Integers
    order_multiple_packs: Integers
    usable_days: Integers
    lead_days: Integers
    order_interval_weeks: Integers

    def __post_init__(self) -> None:
        if np.any(self.lead_days < 1) or np.any(self.order_interval_weeks < 1):
            raise InvalidInput("lead times and order intervals of a replay must be 1 or more")

    @property
    def pack_rule(self) -> tuple[Integers, Integers, Integers]:
        """Pack size, minimum and multiple, as `packs.packs_for_thousandths` takes them."""
        return self.pack_size, self.minimum_order_packs, self.order_multiple_packs


@dataclasses.dataclass(frozen=True)
class ShelfView:
    """What a rule may look at on the order day of a `week`: stock and open orders, nothing of what comes.

    `inflow` [item, day] is what had come in up to each day so far, `outflow` [item] what has left since; `on_order`
    [item, week] what was ordered in each earlier week and has not come.
    """

    week: int
    inflow: Integers
    outflow: Integers
    on_order: Integers

    @property
    def day(self) -> int:
        """Days since the simulation began."""
        return self.week * ORDER_DAYS

    @property
    def on_hand(self) -> Integers:
        """Stock on the shelf [item]."""
        return self.inflow[:, -1] - self.outflow

    @property
    def position(self) -> Integers:
        """Stock on the shelf and on order [item]."""
        return self.on_hand + self.on_order.sum(axis=1)

    def arrived_between(self, first: Integers, last: Integers) -> Integers:
        """What is left [item] of what came in on each item's days `first` to `last` [item]."""
        before, after = self._arrived_by(first - 1), self._arrived_by(last)
        return np.maximum(after - np.maximum(before, self.outflow), 0)

    def _arrived_by(self, day: Integers) -> Integers:
        columns = np.minimum(day, self.inflow.shape[1] - 1)
        return np.where(day >= 0, self.inflow[np.arange(len(day)), np.maximum(columns, 0)], 0)


Rule = Callable[[ShelfView], Integers]
"""Packs to order of each item [item], whole and not below 0, from what can be seen on an order day."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulatedShelf:
    """What happened, in thousandths of a dose unit unless said otherwise.

    `unmet`, `expired` and `stock` (at the end of the day) are [item, day], `packs` ordered are [item, week].
    """

    unmet: Integers
    expired: Integers
    stock: Integers
    packs: Integers


def simulate(demand: Integers, terms: PurchaseTerms, opening_stock: Integers, rule: Rule) -> SimulatedShelf:
    """Unmet demand, expiry, stock and orders under `rule`, from `demand` [item, day] and `opening_stock` [item].

    The opening stock is taken to have just arrived; what arrives after the last day does not count. Raises
    `InvalidInput` for negative demand or stock, and for days that are not whole weeks of `terms.lead_days`.

    >>> one = np.array([1])
    >>> terms = PurchaseTerms(pack_size=one * 1000, minimum_order_packs=one, order_multiple_packs=one,
    ...     usable_days=one * NEVER_EXPIRES, lead_days=np.array([[2, 2]]), order_interval_weeks=one)
    >>> shelf = simulate(np.full((1, 14), 1000), terms, one * 3000, lambda view: (9000 - view.position) // 1000)
    >>> shelf.stock[0].tolist()[:4], shelf.packs.tolist(), int(shelf.unmet.sum())
    ([2000, 1000, 6000, 5000], [[6, 7]], 0)
    """
    items, days = demand.shape
    weeks = terms.lead_days.shape[1]
    if days != weeks * ORDER_DAYS or np.any(demand < 0) or np.any(opening_stock < 0):
        raise InvalidInput("a replay needs whole weeks of demand, and demand and stock of 0 or more")
    # days first: a day's row is written and read in one piece
    arriving, unmet, expired, stock = (np.zeros((days, items), dtype=np.int64) for _ in range(4))
    arriving[0] = opening_stock
    inflow, packs = np.zeros((items, days), dtype=np.int64), np.zeros((items, weeks), dtype=np.int64)
    total, outflow = np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.int64)
    daily = np.ascontiguousarray(demand.T)
    for day in range(days):
        total = total + arriving[day]
        inflow[:, day] = total
        expired[day] = _expired(inflow, outflow, terms.usable_days, day)
        outflow = outflow + expired[day]
        if day % ORDER_DAYS == 0:
            week = day // ORDER_DAYS
            view = ShelfView(week, inflow[:, : day + 1], outflow, _on_order(packs, terms, week))
            packs[:, week] = np.where(week % terms.order_interval_weeks == 0, rule(view), 0)
            due = day + terms.lead_days[:, week]
            comes = np.flatnonzero(due < days)
            arriving[due[comes], comes] += (packs[:, week] * terms.pack_size)[comes]
        met = np.minimum(daily[day], total - outflow)
        outflow = outflow + met
        unmet[day], stock[day] = daily[day] - met, total - outflow
    return SimulatedShelf(unmet=unmet.T, expired=expired.T, stock=stock.T, packs=packs)


def _expired(inflow: Integers, outflow: Integers, usable_days: Integers, day: int) -> Integers:
    """What came in so long ago that its last day was yesterday, and is still there [item]."""
    last = day - usable_days - 1
    old = np.flatnonzero(last >= 0)
    expired = np.zeros_like(outflow)
    expired[old] = np.maximum(inflow[old, last[old]] - outflow[old], 0)
    return expired


def _on_order(packs: Integers, terms: PurchaseTerms, week: int) -> Integers:
    """What was ordered in each earlier week and has not come [item, week]."""
    due = np.arange(week) * ORDER_DAYS + terms.lead_days[:, :week]
    return np.where(due > week * ORDER_DAYS, packs[:, :week] * terms.pack_size[:, None], 0)


def order_lead_days(drawn: Floats) -> Integers:
    """Whole days of lead times [item, week] as drawn: at least 1, and no order comes before an earlier one.

    >>> order_lead_days(np.array([[0.2, 16.6, 3.4]]))
    array([[ 1, 17, 10]])
    """
    ordered = np.arange(drawn.shape[1]) * ORDER_DAYS
    due = ordered + np.maximum(np.rint(drawn), 1).astype(np.int64)
    lead: Integers = np.maximum.accumulate(due, axis=1) - ordered
    return lead
