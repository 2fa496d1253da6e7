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
import numpy.typing as npt

from forecasting.procurement.packs import Integers
from forecasting.procurement.protection_demand import Floats

ROUNDS = 40
Booleans = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Orders before limits, arrays [item].

    `demand` [item, draw] until the next order arrives, `position` (stock and orders that count before this one) and
    `pack_size` in thousandths of a dose unit; `first` and `step`: the smallest order and what follows it, in packs;
    `packs` wanted; `days_per_unit`: treatment-days of a dose unit, in millionths; `rank`: the class that is served
    first is 0.
    """

    demand: Integers
    position: Integers
    pack_size: Integers
    first: Integers
    step: Integers
    packs: Integers
    days_per_unit: Integers
    rank: Integers

    def take(self, rows: npt.NDArray[np.intp]) -> "Wanted":
        """The same for some items only."""
        return Wanted(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

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
class Trimmed:
    """What limits leave: `packs` [item]; `worth` [item] packs that are worth their prices, without what was left over.

    `price` [item] is what a pack must gain, in billionths of a treatment-day (0 where nothing is scarce);
    `shadow_price` [rank, limit] in billionths of a treatment-day per unit of the limit.
    """

    packs: Integers
    worth: Integers
    price: Integers
    shadow_price: Integers


def packs_worth(wanted: Wanted, price: Integers) -> Integers:
    """Most packs [item] of which every step gains at least `price` [item] (billionths of a treatment-day) a pack.

    Gains fall from pack to pack, so a bisection finds them. The smallest order counts as one step.

    >>> one = lambda *values: np.array(values)
    >>> wanted = Wanted(np.array([[3000, 5000]]), *map(one, (0, 1000, 1, 1, 5, 1_000_000, 0)))
    >>> packs_worth(wanted, one(600_000_000)), packs_worth(wanted, one(500_000_000))
    (array([3]), array([5]))
    """
    low, high = np.full(len(price), -1), np.maximum(wanted.packs - wanted.first, -wanted.step) // wanted.step + 1
    while np.any(high - low > 1):
        middle, moving = (low + high) // 2, high - low > 1
        after = wanted.first + middle * wanted.step
        before = np.where(middle > 0, after - wanted.step, 0)
        enough = wanted.gain(before, after) >= price * (after - before) * wanted.draws
        low, high = np.where(moving & enough, middle, low), np.where(moving & ~enough, middle, high)
    return np.where(low >= 0, wanted.first + low * wanted.step, 0)


def trim(wanted: Wanted, use: Floats, room: Floats) -> Trimmed:
    """Orders within all limits together; `use` [limit, item] is what a pack takes, `room` [limit] what there is.

    Where everything fits nothing is changed. Orders never grow. Raises nothing: room below 0 is no room.
    """
    items, limits = len(wanted.packs), len(room)
    ranks = int(wanted.rank.max(initial=0)) + 1
    packs, worth = wanted.packs.copy(), wanted.packs.copy()
    price, shadow = np.zeros(items, dtype=np.int64), np.zeros((ranks, limits), dtype=np.int64)
    left = np.maximum(room, 0.0)
    for rank in range(ranks):
        rows = np.flatnonzero(wanted.rank == rank)
        mine = wanted.take(rows)
        if np.any(use[:, rows] @ mine.packs > left + _slack(left)):
            shadow[rank] = _prices(mine, use[:, rows], left)
            price[rows] = _price_of(shadow[rank], use[:, rows])
            worth[rows] = np.where(price[rows] > 0, packs_worth(mine, price[rows]), mine.packs)
            packs[rows] = _with_what_is_left(mine, use[:, rows], left, worth[rows])
        left = np.maximum(left - use[:, rows] @ packs[rows], 0.0)
    return Trimmed(packs, worth, price, shadow)


def _slack(room: Floats) -> Floats:
    return 1e-9 * np.maximum(room, 1.0)


def _price_of(shadow: Integers, use: Floats) -> Integers:
    """What a pack must gain [item], rounded down to billionths; exact, since what a pack takes is a decimal."""
    return np.array(
        [
            int(sum(int(one) * Fraction(str(taken)) for one, taken in zip(shadow, column, strict=True)))
            for column in use.T.tolist()
        ],
        dtype=np.int64,
    )


def _prices(wanted: Wanted, use: Floats, room: Floats) -> Integers:
    """Shadow prices [limit] under which what is kept fits: raised limit by limit, then lowered as far as it holds."""
    prices = np.zeros(len(room), dtype=np.int64)
    dearest = _dearest(wanted, use)

    def taken(trial: Integers) -> Floats:
        price = _price_of(trial, use)
        return use @ np.where(price > 0, packs_worth(wanted, price), wanted.packs)

    def fits(trial: Integers, limit: int | slice = slice(None)) -> bool:
        return bool(np.all((taken(trial) <= room + _slack(room))[limit]))

    for _ in range(ROUNDS):
        over = taken(prices) > room + _slack(room)
        if not over.any():
            break
        limit = int(np.argmax(over))
        prices[limit] = _least(prices, limit, int(dearest[limit]), partial(fits, limit=limit))
    for limit in np.flatnonzero(prices).tolist():
        prices[limit] = _least(prices, limit, int(prices[limit]), fits, low=-1)
    return prices


def _dearest(wanted: Wanted, use: Floats) -> Integers:
    """A price [limit] above which no pack that takes from it is worth having."""
    most = wanted.pack_size * wanted.days_per_unit + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(use > 0, most / use, 0.0)
    return np.ceil(found.max(axis=1, initial=0.0)).astype(np.int64) + 1


def _least(prices: Integers, limit: int, high: int, fits: Callable[[Integers], bool], low: int | None = None) -> int:
    """Smallest price of one limit with which the others' prices fit."""
    low = int(prices[limit]) if low is None else low
    while high - low > 1:
        middle = (low + int(high)) // 2
        trial = prices.copy()
        trial[limit] = middle
        low, high = (low, middle) if fits(trial) else (middle, high)
    return int(high)


def _with_what_is_left(wanted: Wanted, use: Floats, room: Floats, packs: Integers) -> Integers:
    """The next steps that gain most for the share of what is left that they take, as long as one fits."""
    packs = packs.copy()
    while True:
        left = room - use @ packs
        more = np.where(packs == 0, wanted.first, wanted.step)
        takes = use * more
        fits = (packs + more <= wanted.packs) & np.all(takes <= (left + _slack(room))[:, None], axis=0)
        gain = np.where(fits, wanted.gain(packs, packs + more), 0)
        if not np.any(gain > 0):
            return packs
        weight = (takes / np.maximum(left, _slack(room))[:, None]).sum(axis=0)
        best = int(np.argmax(np.divide(gain, np.maximum(weight, 1e-12))))
        packs[best] += more[best]
