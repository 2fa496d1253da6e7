"""The order itself, on arrays: level, minus what is there, minus what is on its way, in packs."""

import dataclasses

import numpy as np

from forecasting.procurement.interval import CumulativeDemand, Floats
from forecasting.procurement.packs import Integers, packs_for_thousandths, packs_within_thousandths
from forecasting.procurement.policy import order_up_to
from forecasting.procurement.settings import Settings, take
from forecasting.procurement.stock import Lots, usable_stock
from forecasting.procurement.supply import Supply

NO_LIMIT = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Situation:
    """What an order answers to, item by item: settings, stock, supply, and two days drawn.

    `arrival` and `next_arrival` [item, draw]: days from today until an order of the next order day arrives, and until
    the order after it does.
    """

    settings: Settings
    lots: Lots
    supply: Supply
    arrival: Floats
    next_arrival: Floats

    def take(self, rows: slice | Integers) -> "Situation":
        """The same for some items only."""
        settings, lots, supply = take(self.settings, rows), take(self.lots, rows), take(self.supply, rows)
        return Situation(settings, lots, supply, self.arrival[rows], self.next_arrival[rows])


@dataclasses.dataclass(frozen=True)
class Plan:
    """Order arithmetic per item, in thousandths of a dose unit; `packs` in packs; samples are [item, draw].

    `lost_until_arrival` and `lost_until_next_arrival` are stock on hand that expires unused by then. `usable` is the
    stock on hand less what its expiry adds to the level, `in_time` the counted open orders less what their lateness
    adds to it, `late` what of them has not arrived when the next order does. `storage_level` is what the site may hold
    (the largest integer where it sets no limit), and `packs_needed` what the target alone asks for.
    """

    until_arrival: Integers
    until_next_arrival: Integers
    lost_until_arrival: Integers
    lost_until_next_arrival: Integers
    late: Integers
    level: Integers
    usable: Integers
    in_time: Integers
    storage_level: Integers
    packs_needed: Integers
    packs: Integers


def plan_orders(demand: CumulativeDemand, situation: Situation) -> Plan:
    """What to order of each item: level, less usable stock, less open orders in time, in packs."""
    settings, lots, supply = situation.settings, situation.lots, situation.supply
    first = demand.thousandths_over(situation.arrival)
    second = demand.thousandths_over(situation.next_arrival)
    lost_second = lots.on_hand[:, None] - usable_stock(lots.quantity, lots.last_day, demand, situation.next_arrival)
    lost_first = np.zeros_like(lost_second)
    if lost_second.any():
        lost_first = lots.on_hand[:, None] - usable_stock(lots.quantity, lots.last_day, demand, situation.arrival)
    late = _late(situation, supply)
    level, usable, in_time = _level_and_counted(situation, first, second, lost_first, lost_second, late)
    storage_level = _storage_level(demand, settings, situation.arrival)
    position = usable + in_time
    needed = packs_for_thousandths(level - position, *settings.pack_rule)
    allowed = packs_within_thousandths(storage_level - position, *settings.pack_rule)
    packs = np.where(storage_level == NO_LIMIT, needed, np.minimum(needed, allowed))
    return Plan(first, second, lost_first, lost_second, late, level, usable, in_time, storage_level, needed, packs)


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


def _storage_level(demand: CumulativeDemand, settings: Settings, arrival: Floats) -> Integers:
    """Mean demand until the largest allowed number of days on hand after the arrival is over."""
    level = np.full(len(arrival), NO_LIMIT)
    limited = np.isfinite(settings.max_on_hand_days)
    if limited.any():
        days = arrival + np.where(limited, settings.max_on_hand_days, 0.0)[:, None]
        level = np.where(limited, demand.thousandths_over(days).sum(axis=1) // days.shape[1], level)
    return level
