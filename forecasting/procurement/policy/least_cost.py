"""Order quantities that balance money: fixed cost of an order, holding, shortage and waste, on demand draws.

Pure functions over arrays of items. Levels lie on a grid of equal steps (a step is what can be ordered at once), so
that the least cost is found by looking at every pair of levels, not by a formula that assumes a distribution.
"""

import numpy as np

from forecasting.arrays import Booleans, Floats, Integers
from forecasting.procurement.packs import MILLIONTHS
from forecasting.procurement.policy.service_level import smallest_level

MOST_STEPS = 240
"""Steps in a grid; wider ranges take coarser steps."""


def expected_cost(levels: Integers, demand: Integers, target: Integers) -> Floats:
    """Mean cost of holding and shortage at each level, in dose units held [item, level].

    `levels` [item, level] and `demand` [item, draw] in thousandths of a dose unit, `target` [item] in millionths: the
    critical ratio, so that a unit short costs target / (1 - target) times a unit held. All costs are times 1 - target.

    >>> expected_cost(np.array([[0, 2000]]), np.array([[1000, 3000]]), np.array([750_000]))
    array([[1.5, 0.5]])
    """
    draws = demand.shape[1]
    ordered = np.sort(demand, axis=1)
    total = np.concatenate([np.zeros((len(demand), 1), dtype=np.int64), np.cumsum(ordered, axis=1)], axis=1)
    below = np.stack(
        [np.searchsorted(row, of_item, side="right") for row, of_item in zip(ordered, levels, strict=True)]
    )
    used = np.take_along_axis(total, below, axis=1)
    over = levels * below - used
    short = (total[:, -1:] - used) - levels * (draws - below)
    ratio = (target / MILLIONTHS)[:, None]
    return ((1 - ratio) * over + ratio * short) / (draws * 1000)


def steps_of_demand(demand: Integers, step: Integers, steps: int) -> Floats:
    """Probability that the demand takes 0, 1, 2, ... steps [item, steps]; a part of a step is shared between two.

    `demand` [item, draw] and `step` [item] in thousandths of a dose unit. Means are kept, so slow items are too.

    >>> steps_of_demand(np.array([[500, 1000]]), np.array([1000]), 3)
    array([[0.25, 0.75, 0.  ]])
    """
    whole, rest = np.divmod(demand, step[:, None])
    share = rest / step[:, None]
    probability = np.zeros((len(demand), steps))
    rows = np.repeat(np.arange(len(demand)), demand.shape[1])
    for place, weight in ((whole, 1 - share), (whole + 1, share)):
        np.add.at(probability, (rows, np.minimum(place, steps - 1).ravel()), weight.ravel())
    return probability / demand.shape[1]


def renewals(probability: Floats) -> Floats:
    """Expected visits to 0, 1, 2, ... steps below the order-up-to level between two orders [item, steps].

    `probability` [item, steps] of the demand of one review. An item without demand counts one visit, to its level.

    >>> renewals(np.array([[0.5, 0.5, 0.0]]))
    array([[2., 2., 2.]])
    """
    visits = np.zeros_like(probability)
    moves = 1 - probability[:, 0]
    stays = np.divide(1.0, moves, out=np.ones_like(moves), where=moves > 1e-12)
    visits[:, 0] = stays
    for step in range(1, probability.shape[1]):
        visits[:, step] = (probability[:, 1 : step + 1] * visits[:, :step][:, ::-1]).sum(axis=1) * stays
    return visits


def least_cost_levels(cost: Floats, visits: Floats, order_cost: Floats) -> tuple[Integers, Integers]:
    """Grid numbers (s, S) of least mean cost [item]: a position at or below s is raised to S.

    `cost` [item, level] of one review period that starts at that level, `visits` [item, steps] as `renewals` gives,
    `order_cost` [item] in the unit of `cost`. With `visits` of 1 and the cost of orders per unit time, they are
    (R, R + Q) of a continuous review. Every pair on the grid is looked at.

    References
    ----------
    Zheng & Federgruen (1991), Operations Research 39:654-665, doi:10.1287/opre.39.4.654; Federgruen & Zheng (1992),
    Operations Research 40:808-813, doi:10.1287/opre.40.4.808.

    >>> least_cost_levels(np.array([[4.0, 1.0, 0.0, 1.0, 4.0]]), np.ones((1, 5)), np.array([1.5]))
    (array([0]), array([3]))
    """
    items, levels = cost.shape
    best, low, high = np.full(items, np.inf), np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.int64)
    held, passed = np.zeros_like(cost), np.zeros(items)
    for steps in range(1, levels):
        weight = visits[:, steps - 1]
        held[:, steps:] += weight[:, None] * cost[:, 1 : levels - steps + 1]
        passed = passed + weight
        mean = (order_cost[:, None] + held[:, steps:]) / passed[:, None]
        place = np.argmin(mean, axis=1)
        value = np.take_along_axis(mean, place[:, None], axis=1)[:, 0]
        better = value < best - 1e-12 * np.abs(value)
        best = np.where(better, value, best)
        low, high = np.where(better, place, low), np.where(better, place + steps, high)
    return low, high


def reorder_levels(
    until_next_arrival: Integers, of_review: Integers, target: Integers, order_cost: Integers, step: Integers
) -> tuple[Integers, Integers]:
    """Reorder point and order-up-to level of least cost [item], in thousandths of a dose unit.

    `until_next_arrival` and `of_review` [item, draw]: demand until the order after this one arrives, and between two
    orders; `target` [item] in millionths, the critical ratio; `order_cost` [item] the cost of placing an order over
    that of holding a dose unit for one review; `step` [item] what an order is a multiple of. All but the target in
    thousandths of a dose unit. Where no step of demand is ever seen, both levels are 0.
    """
    start, wide = _grid(until_next_arrival, of_review, order_cost, step)
    levels = start[:, None] + wide[:, None] * np.arange(MOST_STEPS)
    cost = expected_cost(levels, until_next_arrival, target)
    visits = renewals(steps_of_demand(of_review, wide, MOST_STEPS))
    setup = order_cost / 1000 * (1 - target / MILLIONTHS)
    low, high = least_cost_levels(cost, visits, setup)
    moves = of_review.max(axis=1) > 0
    rows = np.arange(len(step))
    return np.where(moves, levels[rows, low], 0), np.where(moves, levels[rows, high], 0)


def _grid(
    until_next_arrival: Integers, of_review: Integers, order_cost: Integers, step: Integers
) -> tuple[Integers, Integers]:
    """First level and step of each item's grid: from below the least demand to above the most plus two orders."""
    draws = of_review.shape[1]
    mean = of_review.sum(axis=1) / draws
    order = np.ceil(np.sqrt(2.0 * order_cost * mean)).astype(np.int64)
    start = np.maximum(until_next_arrival.min(axis=1) - 2 * order, -step)
    reach = until_next_arrival.max(axis=1) + 2 * order + 2 * step - start
    coarse = np.maximum(-(-reach // (step * (MOST_STEPS - 1))), 1)
    return start, step * coarse


def newsvendor_level(
    until_next_arrival: Integers, within_life: Integers, short: Integers, wasted: Integers, held: Integers
) -> Integers:
    """Stock of least expected cost for what expires [item], in thousandths of a dose unit.

    `until_next_arrival` [item, draw] is the demand that stock must serve, `within_life` [item, draw] (not smaller) that
    until an order of today would expire. `short`, `wasted` and `held` [item] are the costs of a dose unit that is
    missing, that expires, and that is left at the next arrival, in any one unit of money. One more unit is worth having
    while short x P(needed) > wasted x P(expires) + held x P(left). Where stock expires at the next arrival, this is
    the newsvendor's critical ratio short / (short + wasted + held).

    References
    ----------
    Arrow, Harris & Marschak (1951), Econometrica 19:250-272, doi:10.2307/1906813.

    >>> demand = np.array([[1000, 2000, 3000, 4000]])
    >>> newsvendor_level(demand, demand, np.array([3]), np.array([1]), np.array([0]))
    array([3000])
    """
    draws = until_next_arrival.shape[1]

    def is_enough(level: Integers) -> Booleans:
        left = (until_next_arrival <= level[:, None]).sum(axis=1)
        expires = (within_life <= level[:, None]).sum(axis=1)
        return short * (draws - left) <= wasted * expires + held * left

    return smallest_level(is_enough, until_next_arrival.max(axis=1, initial=0))
