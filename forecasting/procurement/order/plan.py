"""The order itself, on arrays: level, minus what is there, minus what is on its way, in packs."""

import dataclasses

import numpy as np

from forecasting.procurement.items import Settings, take
from forecasting.procurement.packs import (
    MILLIONTHS,
    Integers,
    acceptable,
    packs_for_thousandths,
    packs_within_thousandths,
)
from forecasting.procurement.policy.service_level import order_up_to
from forecasting.procurement.policy.stocking_policy import Levels, Stocking, levels_of, order_up_to_alone
from forecasting.procurement.protection_demand import CumulativeDemand, Floats
from forecasting.procurement.supply.open_orders import Supply
from forecasting.procurement.supply.stock import Lots, usable_stock
from forecasting.terms import PolicyKind

NO_LIMIT = np.iinfo(np.int64).max


DAMPING = 0.05
"""An order that would bring less than this share of a review's mean demand waits for the next review."""


@dataclasses.dataclass(frozen=True)
class Situation:
    """What an order answers to, item by item: settings, stocking, stock, supply, and two days drawn.

    `arrival` and `next_arrival` [item, draw]: days from today until an order of the next order day arrives, and until
    the order after it does. `standing` [item] packs were proposed before and wait for a decision. `allocation` [item]
    is the share of an order that a shortage lets through, in millionths (`NO_LIMIT` without one).
    """

    settings: Settings
    stocking: Stocking
    lots: Lots
    supply: Supply
    arrival: Floats
    next_arrival: Floats
    standing: Integers
    allocation: Integers

    @classmethod
    def plain(
        cls, settings: Settings, lots: Lots, supply: Supply, arrival: Floats, next_arrival: Floats
    ) -> "Situation":
        """A situation in which every item is ordered up to its target's level, nothing stands proposed or is short."""
        items = len(arrival)
        nothing = np.zeros(items, dtype=np.int64)
        stocking = order_up_to_alone(items)
        return cls(settings, stocking, lots, supply, arrival, next_arrival, nothing, np.full(items, NO_LIMIT))

    def take(self, rows: slice | Integers) -> "Situation":
        """The same for some items only."""
        parts = (take(one, rows) for one in (self.settings, self.stocking, self.lots, self.supply))
        settings, stocking, lots, supply = parts
        arrays = (self.arrival[rows], self.next_arrival[rows], self.standing[rows], self.allocation[rows])
        return Situation(settings, stocking, lots, supply, *arrays)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Order arithmetic per item, in thousandths of a dose unit; `packs` in packs; samples are [item, draw].

    `lost_until_arrival` and `lost_until_next_arrival` are stock on hand that expires unused by then. `level` is what
    the service target asks for; `reorder_point` and `order_to` what the item's policy makes of it. `usable` is the
    stock on hand less what its expiry adds to the level, `in_time` the counted open orders less what their lateness
    adds to it, `late` what of them has not arrived when the next order does. `band` is the change that does not
    matter, `storage_level` what the site may hold (the largest integer where it sets no limit). `packs_fresh` is what
    the levels alone ask for, `packs_needed` that or the packs that stand proposed, `packs` what limits of the item
    leave of it.
    """

    until_arrival: Integers
    until_next_arrival: Integers
    lost_until_arrival: Integers
    lost_until_next_arrival: Integers
    late: Integers
    level: Integers
    reorder_point: Integers
    order_to: Integers
    usable: Integers
    in_time: Integers
    band: Integers
    storage_level: Integers
    packs_fresh: Integers
    packs_needed: Integers
    packs: Integers

    @property
    def position(self) -> Integers:
        """Usable stock and open orders in time [item]."""
        return self.usable + self.in_time


def plan_orders(demand: CumulativeDemand, situation: Situation) -> Plan:
    """What to order of each item: its level, less usable stock, less open orders in time, in packs.

    Pure and vectorised over items: nothing is read but its arguments, so that a replay of past weeks can call it as a
    run does.
    """
    settings, lots, supply = situation.settings, situation.lots, situation.supply
    first = demand.thousandths_over(situation.arrival)
    second = demand.thousandths_over(situation.next_arrival)
    lost_second = lots.on_hand[:, None] - usable_stock(lots.quantity, lots.last_day, demand, situation.next_arrival)
    lost_first = np.zeros_like(lost_second)
    if lost_second.any():
        lost_first = lots.on_hand[:, None] - usable_stock(lots.quantity, lots.last_day, demand, situation.arrival)
    late = _late(situation, supply)
    level, usable, in_time = _level_and_counted(situation, first, second, lost_first, lost_second, late)
    levels = levels_of(
        situation.stocking, level, first, second, within_life(demand, situation), settings.target, settings.step
    )
    storage_level = _storage_level(demand, situation)
    band = ((second - first).sum(axis=1) * DAMPING).astype(np.int64) // first.shape[1]
    fresh, needed = damped_packs(levels, usable + in_time, band, situation.standing, settings.pack_rule)
    packs = np.minimum(needed, _allowed(situation, storage_level, usable + in_time, needed))
    parts = (level, levels.reorder_point, levels.order_to, usable, in_time, band, storage_level, fresh, needed, packs)
    return Plan(first, second, lost_first, lost_second, late, *parts)


def damped_packs(
    levels: Levels,
    position: Integers,
    band: Integers,
    standing: Integers,
    pack_rule: tuple[Integers, Integers, Integers],
) -> tuple[Integers, Integers]:
    """Packs [item] that the levels ask for at a position, and the same where a change that does not matter is left out.

    `standing` packs stay proposed as long as what is needed, give or take `band`, asks for no fewer and no more; no
    order (0 packs) stands in the same way.
    """
    below = position <= levels.reorder_point + np.where(standing > 0, band, 0)
    net = np.where(below, levels.order_to - position, 0).astype(np.int64)
    fresh, low, high = (packs_for_thousandths(net + change, *pack_rule) for change in (0, -band, band))
    standing = np.where(acceptable(standing, *pack_rule[1:]), standing, 0)
    stands = (low <= standing) & (standing <= high) & (net + band > 0)
    return fresh, np.where(stands, standing, fresh)


def within_life(demand: CumulativeDemand, situation: Situation) -> Integers:
    """Demand until packs of this order would expire [item, draw]; without a shelf life, more than any level."""
    sold = situation.stocking.kind == PolicyKind.NEWSVENDOR.value
    if not sold.any():
        return np.zeros((len(sold), 0), dtype=np.int64)
    shelf = situation.settings.shelf_life_days
    keeps = np.isfinite(shelf)
    days = np.maximum(situation.arrival + np.where(keeps, shelf, 0.0)[:, None], situation.next_arrival)
    return np.where(keeps[:, None], demand.thousandths_over(days), NO_LIMIT)


def _allowed(situation: Situation, storage_level: Integers, position: Integers, needed: Integers) -> Integers:
    """Most packs [item] that the days on hand and a shortage let through."""
    rule = situation.settings.pack_rule
    room = np.where(storage_level == NO_LIMIT, 0, storage_level) - position
    allowed = np.where(storage_level == NO_LIMIT, NO_LIMIT, packs_within_thousandths(room, *rule))
    short = situation.allocation != NO_LIMIT
    delivered = needed * rule[0] * np.where(short, situation.allocation, 0) // MILLIONTHS
    return np.where(short, np.minimum(allowed, packs_within_thousandths(delivered, *rule)), allowed)


def _late(situation: Situation, supply: Supply) -> Integers:
    """Counted open orders that come only after the order that follows this one [item, draw]."""
    late = np.zeros(situation.arrival.shape, dtype=np.int64)
    end = situation.next_arrival
    for order, days in enumerate(supply.arrivals(situation.arrival)):
        late = late + np.where(days >= end, supply.quantity[:, order, None], 0)
    return late


def _level_and_counted(
    situation: Situation,
    first: Integers,
    second: Integers,
    lost_first: Integers,
    lost_second: Integers,
    late: Integers,
) -> tuple[Integers, Integers, Integers]:
    """The level for demand alone; stock on hand and open orders less what expiry, then lateness, add to that level."""
    settings = situation.settings
    kind, target = settings.target_kind, settings.target
    none = np.zeros_like(first)
    level = order_up_to(first, second, kind, target, lost_first=none, lost=none)

    def raised(rows: Integers, gone_first: Integers, gone: Integers) -> Integers:
        parts = (first[rows], second[rows], kind[rows], target[rows])
        return order_up_to(*parts, lost_first=gone_first[rows], lost=gone[rows])

    usable, in_time, with_expiry = situation.lots.on_hand.copy(), situation.supply.total.copy(), level.copy()
    expiring = np.flatnonzero(lost_second.any(axis=1))
    if len(expiring):
        with_expiry[expiring] = raised(expiring, lost_first, lost_second)
        usable -= with_expiry - level
    delayed = np.flatnonzero(late.any(axis=1))
    if len(delayed):
        # what is late at the end was late at the start too
        with_late = raised(delayed, lost_first + late, lost_second + late)
        in_time[delayed] -= with_late - with_expiry[delayed]
    return level, usable, in_time


def _storage_level(demand: CumulativeDemand, situation: Situation) -> Integers:
    """Mean demand until the largest allowed number of days on hand after the arrival is over.

    Newsvendor items are planned by quantity, not by days: they have no such level.
    """
    settings, arrival = situation.settings, situation.arrival
    level = np.full(len(arrival), NO_LIMIT)
    limited = np.isfinite(settings.max_on_hand_days) & (situation.stocking.kind != PolicyKind.NEWSVENDOR.value)
    if limited.any():
        days = arrival + np.where(limited, settings.max_on_hand_days, 0.0)[:, None]
        level = np.where(limited, demand.thousandths_over(days).sum(axis=1) // days.shape[1], level)
    return level
