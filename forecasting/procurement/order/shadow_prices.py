"""Budgets and room shared by several items: who gives way, by how much, and what a little more would buy.

An order's packs are bought in the order of what they are worth: treatment-days of demand met per unit of what is
scarce. Each limit has a shadow price; of every item the packs are kept whose gain is worth the prices of all limits
they take from. What is left over then goes to the packs that are worth most and still fit. Critical items are served
before important ones, these before standard ones: a class sees what the ones before it leave.

Everett (1963), Operations Research 11:399-417, doi:10.1287/opre.11.3.399: packs so kept are the best that what they
take together can buy.
"""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np

from forecasting.arrays import Floats, Integers, take

ROUNDS = 40
"""Times that a limit's price may be raised: with a few limits the prices settle after a handful."""


@dataclasses.dataclass(frozen=True)
class OrderRequests:
    """Orders before limits, arrays [item].

    `demand` [item, draw] until the next order arrives, `position` (stock and orders that count before this one) and
    `pack_size` in thousandths of a dose unit; `smallest_order` and `step` by which it can grow, in packs; `packs`
    planned; `days_per_unit`: treatment-days of a dose unit, in millionths; `rank`: the class that is served
    first is 0.
    """

    demand: Integers
    position: Integers
    pack_size: Integers
    smallest_order: Integers
    step: Integers
    packs: Integers
    days_per_unit: Integers
    rank: Integers

    def gain(self, before: Integers, after: Integers) -> Integers:
        """Treatment-days of demand met by the packs between, over all draws, in billionths [item]."""
        low = (self.position + before * self.pack_size)[:, None]
        high = (self.position + after * self.pack_size)[:, None]
        met = np.clip(self.demand, low, high) - low
        return met.sum(axis=1) * self.days_per_unit

    @property
    def draws(self) -> int:
        """Draws of demand."""
        return self.demand.shape[1]


@dataclasses.dataclass(frozen=True)
class TrimmedOrders:
    """What limits leave: `packs` [item]; `packs_at_price` [item] are worth their prices, without what was left over.

    `required_gain` [item] is what a pack must gain, in billionths of a treatment-day (0 where nothing is scarce);
    `shadow_price` [rank, limit] in billionths of a treatment-day per unit of the limit.
    """

    packs: Integers
    packs_at_price: Integers
    required_gain: Integers
    shadow_price: Integers


def packs_at_price(requests: OrderRequests, price: Integers) -> Integers:
    """Most packs [item] of which every step gains at least `price` [item] (billionths of a treatment-day) a pack.

    Gains fall from pack to pack, so a bisection finds them. The smallest order counts as one step.

    >>> one = lambda *values: np.array(values)
    >>> requests = OrderRequests(np.array([[3000, 5000]]), *map(one, (0, 1000, 1, 1, 5, 1_000_000, 0)))
    >>> packs_at_price(requests, one(600_000_000)), packs_at_price(requests, one(500_000_000))
    (array([3]), array([5]))
    """
    low = np.full(len(price), -1)
    high = np.maximum(requests.packs - requests.smallest_order, -requests.step) // requests.step + 1
    while np.any(high - low > 1):
        middle, moving = (low + high) // 2, high - low > 1
        after = requests.smallest_order + middle * requests.step
        before = np.where(middle > 0, after - requests.step, 0)
        enough = requests.gain(before, after) >= price * (after - before) * requests.draws
        low, high = np.where(moving & enough, middle, low), np.where(moving & ~enough, middle, high)
    return np.where(low >= 0, requests.smallest_order + low * requests.step, 0)


def trim(requests: OrderRequests, use: Floats, room: Floats) -> TrimmedOrders:
    """Orders within all limits together; `use` [limit, item] is what a pack takes, `room` [limit] what there is.

    Where everything fits nothing is changed. Orders never grow. Raises nothing: room below 0 is no room.
    """
    items, limits = len(requests.packs), len(room)
    ranks = int(requests.rank.max(initial=0)) + 1
    packs, at_price = requests.packs.copy(), requests.packs.copy()
    gain, prices = np.zeros(items, dtype=np.int64), np.zeros((ranks, limits), dtype=np.int64)
    left = np.maximum(room, 0.0)
    for rank in range(ranks):
        rows = np.flatnonzero(requests.rank == rank)
        of_rank = take(requests, rows)
        if np.any(use[:, rows] @ of_rank.packs > left + _slack(left)):
            prices[rank] = _prices(of_rank, use[:, rows], left)
            gain[rows] = _required_gain(prices[rank], use[:, rows])
            at_price[rows] = np.where(gain[rows] > 0, packs_at_price(of_rank, gain[rows]), of_rank.packs)
            packs[rows] = _with_leftover_room(of_rank, use[:, rows], left, at_price[rows])
        left = np.maximum(left - use[:, rows] @ packs[rows], 0.0)
    return TrimmedOrders(packs=packs, packs_at_price=at_price, required_gain=gain, shadow_price=prices)


def _slack(room: Floats) -> Floats:
    return 1e-9 * np.maximum(room, 1.0)


def _required_gain(prices: Integers, use: Floats) -> Integers:
    """What a pack must gain [item], rounded down to billionths; exact, since what a pack takes is a decimal."""
    return np.array(
        [
            int(sum(int(price) * Fraction(str(taken)) for price, taken in zip(prices, use_of_pack, strict=True)))
            for use_of_pack in use.T.tolist()
        ],
        dtype=np.int64,
    )


def _prices(requests: OrderRequests, use: Floats, room: Floats) -> Integers:
    """Shadow prices [limit] under which what is kept fits: raised limit by limit, then lowered as far as it holds."""
    prices = np.zeros(len(room), dtype=np.int64)
    highest = _highest_price(requests, use)

    def taken(trial: Integers) -> Floats:
        gain = _required_gain(trial, use)
        return use @ np.where(gain > 0, packs_at_price(requests, gain), requests.packs)

    def fits(trial: Integers, limit: int | slice = slice(None)) -> bool:
        return bool(np.all((taken(trial) <= room + _slack(room))[limit]))

    for _ in range(ROUNDS):
        over = taken(prices) > room + _slack(room)
        if not over.any():
            break
        limit = int(np.argmax(over))
        prices[limit] = _smallest_price(prices, limit, int(highest[limit]), partial(fits, limit=limit))
    for limit in np.flatnonzero(prices).tolist():
        prices[limit] = _smallest_price(prices, limit, int(prices[limit]), fits, low=-1)
    return prices


def _highest_price(requests: OrderRequests, use: Floats) -> Integers:
    """A price [limit] above which no pack that takes from it is worth having."""
    largest_gain = requests.pack_size * requests.days_per_unit + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        gain_per_unit = np.where(use > 0, largest_gain / use, 0.0)
    return np.ceil(gain_per_unit.max(axis=1, initial=0.0)).astype(np.int64) + 1


def _smallest_price(
    prices: Integers, limit: int, high: int, fits: Callable[[Integers], bool], low: int | None = None
) -> int:
    """Smallest price of one limit with which the others' prices fit."""
    low = int(prices[limit]) if low is None else low
    while high - low > 1:
        middle = (low + int(high)) // 2
        trial = prices.copy()
        trial[limit] = middle
        low, high = (low, middle) if fits(trial) else (middle, high)
    return int(high)


def _with_leftover_room(requests: OrderRequests, use: Floats, room: Floats, packs: Integers) -> Integers:
    """The next steps that gain most for the share of what is left that they take, as long as one fits."""
    packs = packs.copy()
    while True:
        left = room - use @ packs
        more = np.where(packs == 0, requests.smallest_order, requests.step)
        takes = use * more
        fits = (packs + more <= requests.packs) & np.all(takes <= (left + _slack(room))[:, None], axis=0)
        gain = np.where(fits, requests.gain(packs, packs + more), 0)
        if not np.any(gain > 0):
            return packs
        weight = (takes / np.maximum(left, _slack(room))[:, None]).sum(axis=0)
        best = int(np.argmax(np.divide(gain, np.maximum(weight, 1e-12))))
        packs[best] += more[best]
