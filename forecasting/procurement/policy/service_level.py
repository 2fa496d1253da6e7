"""Order-up-to levels from demand draws, and the settings a site may leave to us.

Periodic review: an order placed now arrives after the lead time L and must last until the next one arrives, a review
period R later. Demand up to those two moments, drawn with a random L, is all that a level needs. Levels are whole
thousandths of a dose unit, found exactly.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from forecasting.arrays import Booleans, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.packs import MILLIONTHS, as_decimal
from forecasting.terms import Criticality, PolicyKind, TargetKind

OLD_COUNT_DAYS = 31
"""Sites count at least once a month: an older stock count was missed, and orders that rest on it need a look."""


@dataclasses.dataclass(frozen=True)
class PolicyDefaults:
    """Settings for items whose policy leaves them open; an explanation then says "default"."""

    target_kind: TargetKind = TargetKind.FILL_RATE
    target: float = 0.98
    policy_kind: PolicyKind = PolicyKind.ORDER_UP_TO
    criticality: Criticality = Criticality.STANDARD
    holding_rate_per_year: float = 0.2
    stock_count_old_days: int = OLD_COUNT_DAYS
    overdue_order_days: int = 30


def target_in_millionths(target: object) -> int:
    """The service target as an integer number of millionths.

    Raises `InvalidInput` unless it lies between 0 and 1, ends excluded: certainty would need endless stock.

    >>> target_in_millionths(0.98)
    980000
    """
    number = as_decimal(target)
    millionths = number * MILLIONTHS
    if not 0 < number < 1 or millionths != int(millionths):
        raise InvalidInput(f"target {target} must lie between 0 and 1, with at most six decimals")
    return int(millionths)


def order_up_to_cycle_service(until_next_arrival: Integers, target: Integers) -> Integers:
    """Smallest level that covers the demand until the next arrival in at least the target share of draws [item].

    `until_next_arrival` [item, draw] in thousandths of a dose unit, `target` [item] in millionths.

    >>> order_up_to_cycle_service(np.arange(1000, 11_000, 1000)[None, :], np.array([900_000]))
    array([9000])
    """
    draws = until_next_arrival.shape[1]
    rank = -(-target * draws // MILLIONTHS)
    return np.take_along_axis(np.sort(until_next_arrival, axis=1), rank[:, None] - 1, axis=1)[:, 0]


def order_up_to_fill_rate(
    until_arrival: Integers,
    until_next_arrival: Integers,
    target: Integers,
    *,
    lost_first: Integers | int = 0,
    lost: Integers | int = 0,
) -> Integers:
    """Smallest level S that serves at least the target share of the demand of one review period from stock [item].

    With D1 = demand until this order arrives and D2 = demand until the next one does, both [item, draw] in thousandths
    of a dose unit and D1 <= D2, S is the smallest whole thousandth with

        1 - (E[(D2 - S)+] - E[(D1 - S)+]) / E[D2 - D1] >= target       (target [item] in millionths)

    The subtracted term counts shortages that were there before this order could arrive: Hadley & Whitin (1963),
    "Analysis of Inventory Systems", section 5-2; Silver, Pyke & Thomas (2017), "Inventory and Production Management in
    Supply Chains", 4th ed., chapter 6. What is lost beside demand by the two arrivals counts in the shortages alone.

    >>> order_up_to_fill_rate(np.array([[0, 0]]), np.array([[4000, 8000]]), np.array([750_000]))
    array([5000])
    """
    allowed = (MILLIONTHS - target) * (until_next_arrival - until_arrival).sum(axis=1) // MILLIONTHS
    needed_first, needed = until_arrival + lost_first, until_next_arrival + lost

    def is_enough(level: Integers) -> Booleans:
        short = np.maximum(needed - level[:, None], 0).sum(axis=1)
        return short - np.maximum(needed_first - level[:, None], 0).sum(axis=1) <= allowed

    return smallest_level(is_enough, needed.max(axis=1, initial=0))


def smallest_level(is_enough: Callable[[Integers], Booleans], most: Integers) -> Integers:
    """Smallest level of 0 or more [item] that is enough, found exactly by bisection; `most` [item] is enough."""
    low, high = np.full(len(most), -1), most
    while np.any(high - low > 1):
        middle = (low + high) // 2
        enough = is_enough(middle) & (middle >= 0)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def order_up_to(
    demand_first: Integers,
    demand: Integers,
    kind: np.ndarray,
    target: Integers,
    *,
    lost_first: Integers | int = 0,
    lost: Integers | int = 0,
) -> Integers:
    """Stock and orders needed [item] so that each item's own kind of target is met although some stock expires.

    `demand_first` and `demand` [item, draw] until this order arrives and until the next one does, `lost_first` and
    `lost` what expires unused by then, all in thousandths of a dose unit; `kind` [item] holds `TargetKind` values. What
    expires is needed on top of demand, draw by draw: where demand is high, little expires.
    """
    level, lost_first, lost = np.zeros(len(target), dtype=np.int64), lost_first + 0 * demand, lost + 0 * demand
    fill = kind == TargetKind.FILL_RATE.value
    level[fill] = order_up_to_fill_rate(
        demand_first[fill], demand[fill], target[fill], lost_first=lost_first[fill], lost=lost[fill]
    )
    level[~fill] = order_up_to_cycle_service((demand + lost)[~fill], target[~fill])
    return level
