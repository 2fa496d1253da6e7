"""The order itself, on arrays: level, minus what is there, minus what is on its way, in packs."""

import dataclasses

import numpy as np

from forecasting.procurement.interval import CumulativeDemand, Floats
from forecasting.procurement.packs import Integers, packs_for_thousandths, packs_within_thousandths
from forecasting.procurement.policy import order_up_to
from forecasting.procurement.settings import Settings
from forecasting.procurement.stock import Lots, usable_stock
from forecasting.procurement.supply import Supply

NO_LIMIT = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Plan:
    """Order arithmetic per item, in thousandths of a dose unit; `packs` in packs; samples are [item, draw].

    `storage_level` is what the site may hold (the largest integer where it sets no limit), and `packs_needed` what the
    target alone asks for.
    """

    until_arrival: Integers
    until_next_arrival: Integers
    usable_by_draw: Integers
    level: Integers
    usable: Integers
    storage_level: Integers
    packs_needed: Integers
    packs: Integers


def plan_orders(
    demand: CumulativeDemand, settings: Settings, lots: Lots, supply: Supply, lead_time_days: Floats
) -> Plan:
    """What to order of each item; `lead_time_days` [item, draw].

    Usable stock is the stock on hand less what expires unused before the next order arrives, on average over the draws
    (rounded down to a thousandth).
    """
    arrival = settings.wait_days[:, None] + lead_time_days
    next_arrival = arrival + settings.review_days[:, None]
    until_arrival, until_next = demand.thousandths_over(arrival), demand.thousandths_over(next_arrival)
    level = order_up_to(until_arrival, until_next, settings.target_kind, settings.target)
    by_draw = usable_stock(lots.quantity, lots.last_day, demand, next_arrival)
    usable = lots.on_hand - (lots.on_hand[:, None] - by_draw).sum(axis=1) // by_draw.shape[1]
    storage_level = _storage_level(demand, settings, arrival)
    position = usable + supply.total
    rule = (settings.pack_size, settings.minimum_order_packs, settings.order_multiple_packs)
    needed = packs_for_thousandths(level - position, *rule)
    allowed = packs_within_thousandths(storage_level - position, *rule)
    packs = np.where(storage_level == NO_LIMIT, needed, np.minimum(needed, allowed))
    return Plan(until_arrival, until_next, by_draw, level, usable, storage_level, needed, packs)


def _storage_level(demand: CumulativeDemand, settings: Settings, arrival: Floats) -> Integers:
    """Mean demand until the largest allowed number of days on hand after the arrival is over."""
    level = np.full(len(arrival), NO_LIMIT)
    limited = np.isfinite(settings.max_on_hand_days)
    if limited.any():
        days = arrival + np.where(limited, settings.max_on_hand_days, 0.0)[:, None]
        level = np.where(limited, demand.thousandths_over(days).sum(axis=1) // days.shape[1], level)
    return level
