"""The order itself, on arrays: level, minus usable stock, minus open orders in time, in packs."""

import dataclasses

import numpy as np

from forecasting.arrays import Floats, Integers
from forecasting.procurement.items import Settings
from forecasting.procurement.packs import MILLIONTHS, acceptable, packs_for_thousandths, packs_within_thousandths
from forecasting.procurement.policy.service_level import order_up_to
from forecasting.procurement.policy.stocking_policy import Levels, Stocking, levels_of, order_up_to_alone
from forecasting.procurement.protection_demand import CumulativeDemand
from forecasting.procurement.supply.open_orders import Supply
from forecasting.procurement.supply.stock import Lots, usable_stock
from forecasting.terms import PolicyKind

NO_LIMIT = np.iinfo(np.int64).max
"""Stands for "no limit" in arrays of quantities and shares."""

DAMPING = 0.05
"""An order that would bring less than this share of a review's mean demand waits for the next review."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """What an order answers to, item by item: settings, stocking, stock, supply, and two days drawn.

    `arrival` and `next_arrival` [item, draw]: days from today until an order of the next order day arrives, and until
    the order after it does. `standing_packs` [item] were proposed before and wait for a decision. `allocation` [item]
    is the share of an order that a shortage lets through, in millionths (`NO_LIMIT` without one).
    """

    settings: Settings
    stocking: Stocking
    lots: Lots
    supply: Supply
    arrival: Floats
    next_arrival: Floats
    standing_packs: Integers
    allocation: Integers

    @classmethod
    def plain(
        cls, settings: Settings, lots: Lots, supply: Supply, arrival: Floats, next_arrival: Floats
    ) -> "Situation":
        """A situation in which every item is ordered up to its target's level, nothing stands proposed or is short."""
        return cls(
            settings=settings,
            stocking=order_up_to_alone(len(arrival)),
            lots=lots,
            supply=supply,
            arrival=arrival,
            next_arrival=next_arrival,
            standing_packs=np.zeros(len(arrival), dtype=np.int64),
            allocation=np.full(len(arrival), NO_LIMIT),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntervalDemand:
    """Demand until two arrivals, and what is lost beside it, in thousandths of a dose unit [item, draw].

    `lost_until_arrival` and `lost_until_next_arrival` are stock on hand that expires unused by then, `late` what of
    the counted open orders has not arrived when the next order does.
    """

    until_arrival: Integers
    until_next_arrival: Integers
    lost_until_arrival: Integers
    lost_until_next_arrival: Integers
    late: Integers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan(IntervalDemand):
    """Order arithmetic per item, in thousandths of a dose unit; what begins with `packs` in packs.

    `level` is what the service target asks for; `reorder_point` and `order_to` what the item's policy makes of it.
    `usable` is the stock on hand less what its expiry adds to the level, `in_time` the counted open orders less what
    their lateness adds to it. `damping_band` is the change that does not matter, `storage_level` what the site may hold
    (`NO_LIMIT` where it sets none). `packs_undamped` is what the levels alone ask for, `packs_needed` that or the packs
    that stand proposed, `packs` what limits of the item leave of it.
    """

    level: Integers
    reorder_point: Integers
    order_to: Integers
    usable: Integers
    in_time: Integers
    damping_band: Integers
    storage_level: Integers
    packs_undamped: Integers
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
    settings = situation.settings
    needs = _interval_demand(demand, situation)
    level, usable, in_time = _level_and_counted(situation, needs)
    levels = levels_of(
        situation.stocking,
        level,
        needs.until_arrival,
        needs.until_next_arrival,
        within_life(demand, situation),
        settings.target,
        settings.step,
    )
    storage_level = _storage_level(demand, situation)
    of_review = needs.until_next_arrival - needs.until_arrival
    band = (of_review.sum(axis=1) * DAMPING).astype(np.int64) // of_review.shape[1]
    undamped, needed = damped_packs(levels, usable + in_time, band, situation.standing_packs, settings.pack_rule)
    return Plan(
        **vars(needs),
        level=level,
        reorder_point=levels.reorder_point,
        order_to=levels.order_to,
        usable=usable,
        in_time=in_time,
        damping_band=band,
        storage_level=storage_level,
        packs_undamped=undamped,
        packs_needed=needed,
        packs=np.minimum(needed, _allowed(situation, storage_level, usable + in_time, needed)),
    )


def _interval_demand(demand: CumulativeDemand, situation: Situation) -> IntervalDemand:
    lost_until_next_arrival = _expired_by(demand, situation, situation.next_arrival)
    lost_until_arrival = np.zeros_like(lost_until_next_arrival)
    if lost_until_next_arrival.any():
        lost_until_arrival = _expired_by(demand, situation, situation.arrival)
    return IntervalDemand(
        until_arrival=demand.thousandths_over(situation.arrival),
        until_next_arrival=demand.thousandths_over(situation.next_arrival),
        lost_until_arrival=lost_until_arrival,
        lost_until_next_arrival=lost_until_next_arrival,
        late=_late(situation),
    )


def _expired_by(demand: CumulativeDemand, situation: Situation, days: Floats) -> Integers:
    """Stock on hand that expires unused within `days` [item, draw]."""
    lots = situation.lots
    return lots.on_hand[:, None] - usable_stock(lots.quantity, lots.last_day, demand, days)


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
    undamped, low, high = (packs_for_thousandths(net + change, *pack_rule) for change in (0, -band, band))
    standing = np.where(acceptable(standing, *pack_rule[1:]), standing, 0)
    stands = (low <= standing) & (standing <= high) & (net + band > 0)
    return undamped, np.where(stands, standing, undamped)


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
    settings = situation.settings
    rule = settings.pack_rule
    room = np.where(storage_level == NO_LIMIT, 0, storage_level) - position
    allowed = np.where(storage_level == NO_LIMIT, NO_LIMIT, packs_within_thousandths(room, *rule))
    short = situation.allocation != NO_LIMIT
    delivered = needed * settings.pack_size * np.where(short, situation.allocation, 0) // MILLIONTHS
    return np.where(short, np.minimum(allowed, packs_within_thousandths(delivered, *rule)), allowed)


def _late(situation: Situation) -> Integers:
    """Counted open orders that come only after the order that follows this one [item, draw]."""
    late, supply = np.zeros(situation.arrival.shape, dtype=np.int64), situation.supply
    for order, days in enumerate(supply.arrivals(situation.arrival)):
        late = late + np.where(days >= situation.next_arrival, supply.quantity[:, order, None], 0)
    return late


def _level_and_counted(situation: Situation, needs: IntervalDemand) -> tuple[Integers, Integers, Integers]:
    """The level for demand alone; stock on hand and open orders less what expiry, then lateness, add to that level."""
    level = _level_with(situation, needs, slice(None))
    usable, in_time, with_expiry = situation.lots.on_hand.copy(), situation.supply.total.copy(), level.copy()
    lost_first, lost = needs.lost_until_arrival, needs.lost_until_next_arrival
    expiring = np.flatnonzero(lost.any(axis=1))
    if len(expiring):
        with_expiry[expiring] = _level_with(situation, needs, expiring, lost_first[expiring], lost[expiring])
        usable -= with_expiry - level
    late = np.flatnonzero(needs.late.any(axis=1))
    if len(late):
        # what is late at the end was late at the start too
        both = (lost_first + needs.late)[late], (lost + needs.late)[late]
        in_time[late] -= _level_with(situation, needs, late, *both) - with_expiry[late]
    return level, usable, in_time


def _level_with(
    situation: Situation,
    needs: IntervalDemand,
    rows: Integers | slice,
    lost_first: Integers | int = 0,
    lost: Integers | int = 0,
) -> Integers:
    """The level of some items that meets their target although so much [item, draw] is lost by the two arrivals."""
    settings = situation.settings
    return order_up_to(
        needs.until_arrival[rows],
        needs.until_next_arrival[rows],
        settings.target_kind[rows],
        settings.target[rows],
        lost_first=lost_first,
        lost=lost,
    )


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
