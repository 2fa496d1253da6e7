"""Where a shelf stands day by day if demand comes as its mean forecast says: by lot, first expired first out.

This is arithmetic on stored rows for a page, not a plan: the plan looks at sample paths of demand and lead time.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from api.display.charts.svg import Row

NEVER = dt.date.max
SMALLEST_UNMET = 1e-9
"""Dose units below which a rest of demand is rounding and counts as met."""


@dataclasses.dataclass(frozen=True)
class Lot:
    """Dose units that come on a day and may be used up to and including `expires_on` (None = no date is known).

    `kind` says what it is: counted, ordered, or proposed by the line.
    """

    name: str
    kind: str
    quantity: float
    arrives_on: dt.date
    expires_on: dt.date | None = None


@dataclasses.dataclass(frozen=True)
class LotPath:
    """What becomes of a lot: `left` at the end of each day, `expired` dose units, and the day it is used up."""

    lot: Lot
    left: list[float]
    expired: float
    used_up_on: dt.date | None


@dataclasses.dataclass(frozen=True)
class Projection:
    """The shelf: `days`, each lot's path in the order of use, and demand that no lot could serve by day."""

    days: list[dt.date]
    paths: list[LotPath]
    unmet: list[float]

    def until(self, days: int) -> "Projection":
        """The same up to so many days, or as many as there are."""
        paths = [dataclasses.replace(path, left=path.left[:days]) for path in self.paths]
        return Projection(self.days[:days], paths, self.unmet[:days])

    def last_in_stock(self) -> int:
        """Number of days up to the last one that ends with something on the shelf."""
        stocked = [place for path in self.paths for place, units in enumerate(path.left) if units > 0]
        return max(stocked, default=-1) + 1

    def first_unmet(self) -> dt.date | None:
        """First day on which demand is not met in full; None = none."""
        return next((day for day, units in zip(self.days, self.unmet, strict=True) if units > SMALLEST_UNMET), None)


def project(lots: Sequence[Lot], first: dt.date, demand: Sequence[float]) -> Projection:
    """The shelf from the day `first` on, one day for each entry of `demand` (dose units a day).

    A day's arrivals may be used that day; a lot's last day is its expiry date, what is left after it is expired.

    >>> lots = [Lot("a", "counted", 5.0, dt.date(2026, 1, 1), dt.date(2026, 1, 2))]
    >>> shelf = project(lots, dt.date(2026, 1, 1), [2.0, 2.0, 2.0])
    >>> shelf.paths[0].left, shelf.paths[0].expired, shelf.unmet
    ([3.0, 1.0, 0.0], 1.0, [0.0, 0.0, 2.0])
    """
    order = sorted(lots, key=lambda lot: (lot.expires_on or NEVER, lot.arrives_on, lot.name))
    left, expired = [lot.quantity for lot in order], [0.0] * len(order)
    days = [first + dt.timedelta(days=number) for number in range(len(demand))]
    paths: list[list[float]] = [[] for _ in order]
    unmet = []
    for day, wanted in zip(days, demand, strict=True):
        for place, lot in enumerate(order):
            if day > (lot.expires_on or NEVER):
                expired[place] += left[place]
                left[place] = 0.0
            elif lot.arrives_on <= day:
                taken = min(left[place], wanted)
                left[place] -= taken
                wanted -= taken
            paths[place].append(left[place] if lot.arrives_on <= day else 0.0)
        unmet.append(wanted)
    lot_paths = [
        LotPath(lot, path, lost, _used_up(days, lot, path, lost))
        for lot, path, lost in zip(order, paths, expired, strict=True)
    ]
    return Projection(days, lot_paths, unmet)


def _used_up(days: list[dt.date], lot: Lot, left: list[float], expired: float) -> dt.date | None:
    if expired > 0 or lot.quantity <= 0:
        return None
    return next(
        (day for day, units in zip(days, left, strict=True) if day >= lot.arrives_on and units <= SMALLEST_UNMET), None
    )


def daily_demand(forecast: Sequence[Row], first: dt.date) -> list[float]:
    """Dose units a day from the day `first` to the last forecast period's end, each period's mean spread evenly.

    The last period is as long as the one before it, or a week where it is the only one. Days before the first period
    take its rate. `forecast` has `period_start` and `mean` by period, and must not be empty.
    """
    starts = [row["period_start"] for row in forecast]
    length = (starts[-1] - starts[-2]).days if len(starts) > 1 else 7
    edges = [*starts, starts[-1] + dt.timedelta(days=length)]
    rates = [row["mean"] / (after - start).days for row, start, after in zip(forecast, edges, edges[1:], strict=False)]
    before = [rates[0]] * max((starts[0] - first).days, 0)
    spread = [
        rate
        for rate, start, after in zip(rates, edges, edges[1:], strict=False)
        for day in range((after - start).days)
        if start + dt.timedelta(days=day) >= first
    ]
    return before + spread


def counted_lots(rows: Sequence[Row], as_of: dt.date, values: Mapping[str, float]) -> list[Lot]:
    """The counted lots as they stand at the origin: commitments and use since the count are taken off, first expired
    first; what came in since the count is a lot of its own. `values` are the calculation's, by name, in dose units.
    """
    lots = [
        [row["lot"] or "no lot number", max(row["quantity"], 0.0) - (row["committed"] or 0.0), row["expiry_date"]]
        for row in sorted(rows, key=lambda row: (row["expiry_date"] or NEVER, row["lot"]))
        if row["status"] == "available"
    ]
    if values.get("received_since_count", 0.0) > 0:
        lots.append(["received since the count", values["received_since_count"], None])
    used = values.get("used_since_count", 0.0)
    for lot in lots:
        taken = min(lot[1], used)
        lot[1], used = lot[1] - taken, used - taken
    return [
        Lot(str(name), "counted", quantity, as_of, expires)
        for name, quantity, expires in lots
        if quantity > 0 and (expires is None or expires >= as_of)
    ]
