"""Order days: which day an order is placed, and how long until the next chance."""

import dataclasses
import datetime as dt

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
    words = [word.strip()[:3].title() for word in (order_weekdays or "").split(";") if word.strip()]
    for word in words:
        if word not in WEEKDAYS:
            raise InvalidInput(f"order_weekdays {order_weekdays!r}: {word!r} is none of {';'.join(WEEKDAYS)}")
    return frozenset(map(WEEKDAYS.index, words)) or WORKING_WEEK


def order_day_from(day: dt.date, weekdays: frozenset[int]) -> dt.date:
    """The first order day that is not before `day`.

    >>> order_day_from(dt.date(2026, 11, 24), frozenset({0, 3}))
    datetime.date(2026, 11, 26)
    """
    return next(later for days in range(7) if (later := day + dt.timedelta(days=days)).weekday() in weekdays)


def order_days(as_of: dt.date, order_weekdays: str | None, review_period_days: int | None = None) -> OrderDays:
    """The next order day, and the one after it: the first that lies a review period later (a day, if none is set).

    Raises `InvalidInput` for a review period below one day.

    >>> order_days(dt.date(2026, 11, 24), "Mon;Thu")
    OrderDays(order_by=datetime.date(2026, 11, 26), next_order=datetime.date(2026, 11, 30))
    >>> order_days(dt.date(2026, 11, 23), "Mon;Thu", review_period_days=7).review_days
    7
    """
    if review_period_days is not None and review_period_days < 1:
        raise InvalidInput(f"review_period_days {review_period_days} is below 1")
    weekdays = parse_weekdays(order_weekdays)
    order_by = order_day_from(as_of, weekdays)
    return OrderDays(order_by, order_day_from(order_by + dt.timedelta(days=review_period_days or 1), weekdays))
