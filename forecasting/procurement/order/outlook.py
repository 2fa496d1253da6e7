"""What an order changes: the chance to run out, days on hand, stock that will expire, and how pressing it is."""

import dataclasses

import numpy as np

from forecasting.arrays import Floats, Integers
from forecasting.procurement.order.plan import Plan, Situation
from forecasting.procurement.packs import MILLIONTHS, THOUSANDTHS
from forecasting.procurement.policy.stocking_policy import CRITICALITY_WEIGHTS
from forecasting.procurement.protection_demand import CumulativeDemand
from forecasting.procurement.supply.stock import usable_stock


@dataclasses.dataclass(frozen=True)
class Outlook:
    """Arrays [item]; before is without this order, after is with it.

    Probabilities are the share of draws with a stock-out in the time that this order is to bridge, from its arrival to
    that of the next one: what happens before it arrives no order of today can mend. Days on hand are the median days
    that usable stock and counted open orders last (after: with this order), NaN if more than half of the draws never
    use them up. `expected_waste` is the mean quantity in dose units of stock, counted open orders and this order that
    passes its date unused; what has no date or shelf life is left out. `urgency` is the harm to expect without this
    order: mean demand that goes unmet, in treatment-days, times the weight of the item's criticality.
    """

    stockout_probability_before: Floats
    stockout_probability_after: Floats
    days_on_hand_before: Floats
    days_on_hand_after: Floats
    expected_waste: Floats
    urgency: Floats


def outlook(demand: CumulativeDemand, situation: Situation, plan: Plan) -> Outlook:
    """The outlook of each planned order."""
    supply = situation.supply
    ordered = (plan.packs * situation.settings.pack_size)[:, None]
    usable = situation.lots.on_hand[:, None] - plan.lost_until_next_arrival
    short_before = _largest_shortage(demand, situation, usable)
    short_after = _largest_shortage(demand, situation, usable + ordered)
    position = usable + supply.total[:, None] - plan.late
    stocking = situation.stocking
    unmet = np.maximum(short_before, 0).mean(axis=1) / THOUSANDTHS * (stocking.days_per_unit / MILLIONTHS)
    return Outlook(
        stockout_probability_before=(short_before > 0).mean(axis=1),
        stockout_probability_after=(short_after > 0).mean(axis=1),
        days_on_hand_before=_median_days(demand, position),
        days_on_hand_after=_median_days(demand, position + ordered),
        expected_waste=_expected_waste(demand, situation, ordered),
        urgency=unmet * CRITICALITY_WEIGHTS[stocking.rank],
    )


def _largest_shortage(demand: CumulativeDemand, situation: Situation, stock: Integers) -> Integers:
    """Demand above supply at its worst [item, draw] in the time the order bridges: before deliveries, at the end.

    `stock` [item, draw] is usable stock and what of this order is counted.
    """
    arrival, end, supply = situation.arrival, situation.next_arrival, situation.supply
    deliveries = list(zip(supply.arrivals(arrival), supply.quantity.T, strict=True))
    moments = [np.where(day > arrival, np.minimum(day, end), end) for day, _ in deliveries]
    worst = np.full(end.shape, np.iinfo(np.int64).min)
    for moment in [*moments, end]:
        available = stock
        for day, quantity in deliveries:
            available = available + np.where(day < moment, quantity[:, None], 0)
        worst = np.maximum(worst, demand.thousandths_over(moment) - available)
    return worst


def _median_days(demand: CumulativeDemand, position: Integers) -> Floats:
    days = np.sort(demand.days_until(position / THOUSANDTHS), axis=1)
    middle = days[:, (days.shape[1] - 1) // 2]
    return np.where(np.isfinite(middle), middle, np.nan)


def _expected_waste(demand: CumulativeDemand, situation: Situation, ordered: Integers) -> Floats:
    """Lots, then deliveries with a full shelf life, used first expired, first out for as long as they keep."""
    settings, lots, supply = situation.settings, situation.lots, situation.supply
    shelf = np.where(np.isnan(settings.shelf_life_days), np.inf, settings.shelf_life_days)[:, None]
    quantity = np.hstack([lots.quantity, supply.quantity, ordered])
    last_day = np.hstack([lots.last_day, supply.arrival_day + shelf, settings.new_order_day[:, None] + shelf])
    order = np.argsort(last_day, axis=1, kind="stable")
    quantity, last_day = np.take_along_axis(quantity, order, axis=1), np.take_along_axis(last_day, order, axis=1)
    used = usable_stock(quantity, last_day, demand, np.full_like(situation.arrival, np.inf))
    return (quantity.sum(axis=1)[:, None] - used).mean(axis=1) / THOUSANDTHS
