"""Order days: which day an order is placed, and how long until the next chance."""

import dataclasses
import datetime as dt

import numpy as np

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WORKING_WEEK = frozenset(range(5))
"""Order days of a supplier that states none: Monday to Friday."""


@dataclasses.dataclass(frozen=True)
class OrderDays:
    """The day to order on, and the days that this order has to bridge until the next one can be placed."""

    order_by: dt.date
    next_order: dt.date

    @property
    def review_days(self) -> int:
        """Days from this order to the next."""
        return (self.next_order - self.order_by).days


def parse_weekdays(order_weekdays: str | None) -> frozenset[int]:
    """Weekday numbers (Monday 0) of `Mon;Thu`; blank is Monday to Friday.

    Raises `InvalidInput` for a word that is no weekday.

    >>> sorted(parse_weekdays("Mon;Thu")), len(parse_weekdays(""))
    ([0, 3], 5)
    """
    names = [name[:3].title() for name in _listed(order_weekdays)]
    for name in names:
        if name not in WEEKDAYS:
            raise InvalidInput(f"order_weekdays {order_weekdays!r}: {name!r} is none of {';'.join(WEEKDAYS)}")
    return frozenset(map(WEEKDAYS.index, names)) or WORKING_WEEK


def _listed(text: str | None) -> list[str]:
    """What stands between the semicolons, blanks left out."""
    return [part.strip() for part in (text or "").split(";") if part.strip()]


def parse_closed_dates(closed_dates: str | None) -> frozenset[dt.date]:
    """Days of `2026-12-25;2026-12-26`, on which a supplier neither takes orders nor delivers; blank is none.

    Raises `InvalidInput` for a word that is no date.

    >>> parse_closed_dates("2026-12-25")
    frozenset({datetime.date(2026, 12, 25)})
    """
    try:
        return frozenset(map(dt.date.fromisoformat, _listed(closed_dates)))
    except ValueError as error:
        raise InvalidInput(f"closed_dates {closed_dates!r}: dates are written YYYY-MM-DD, separated by ';'") from error


def parse_cutoff(order_cutoff: str | None) -> dt.time | None:
    """The time of day `14:30` until which a day's orders are taken; blank is the end of the day.

    Raises `InvalidInput` for anything that is no time.

    >>> parse_cutoff("14:30")
    datetime.time(14, 30)
    """
    if not (order_cutoff or "").strip():
        return None
    try:
        return dt.time.fromisoformat(str(order_cutoff).strip())
    except ValueError as error:
        raise InvalidInput(f"order_cutoff {order_cutoff!r} is no time of day (HH:MM)") from error


def order_day_from(
    day: dt.date, weekdays: frozenset[int], closed: frozenset[dt.date] = frozenset(), cutoff_passed: bool = False
) -> dt.date:
    """The first order day that is not before `day`, nor `day` itself if its cut-off has passed.

    Raises `InvalidInput` if no day of the following year is one.

    >>> order_day_from(dt.date(2026, 11, 24), frozenset({0, 3}))
    datetime.date(2026, 11, 26)
    >>> order_day_from(dt.date(2026, 12, 24), frozenset({0, 3}), frozenset({dt.date(2026, 12, 24)}))
    datetime.date(2026, 12, 28)
    """
    for ahead in range(int(cutoff_passed), 366):
        later = day + dt.timedelta(days=ahead)
        if later.weekday() in weekdays and later not in closed:
            return later
    raise InvalidInput(f"no order day within a year of {day}: the supplier is closed on all of them")


def days_to_open(closed: frozenset[dt.date], as_of: dt.date, days: Floats) -> Floats:
    """Moments in days from `as_of`, those on closed days moved to the start of the next day that is not closed.

    >>> days_to_open(frozenset({dt.date(2026, 12, 25)}), dt.date(2026, 12, 24), np.array([0.5, 1.2, 2.0]))
    array([0.5, 2. , 2. ])
    """
    for day in sorted(closed):
        offset = (day - as_of).days
        days = np.where((days >= offset) & (days < offset + 1), offset + 1.0, days)
    return days


def order_days(
    as_of: dt.date,
    order_weekdays: str | None,
    review_period_days: int | None = None,
    closed_dates: str | None = None,
    order_cutoff: str | None = None,
    at: dt.time | None = None,
) -> OrderDays:
    """The next order day, and the one after it: the first that lies a review period later (a day, if none is set).

    Days in `closed_dates` are none. If it is later than `order_cutoff` already (`at`; blank is the start of the day),
    today is none. Raises `InvalidInput` for a review period below one day.

    >>> order_days(dt.date(2026, 11, 24), "Mon;Thu")
    OrderDays(order_by=datetime.date(2026, 11, 26), next_order=datetime.date(2026, 11, 30))
    >>> order_days(dt.date(2026, 11, 23), "Mon;Thu", review_period_days=7).review_days
    7
    """
    if review_period_days is not None and review_period_days < 1:
        raise InvalidInput(f"review_period_days {review_period_days} is below 1")
    weekdays = parse_weekdays(order_weekdays)
    closed, cutoff = parse_closed_dates(closed_dates), parse_cutoff(order_cutoff)
    passed = at is not None and cutoff is not None and at > cutoff
    order_by = order_day_from(as_of, weekdays, closed, passed)
    after = order_by + dt.timedelta(days=review_period_days or 1)
    return OrderDays(order_by, order_day_from(after, weekdays, closed))
