"""Parts that charts share: the accessible frame of a drawing, and the axes of quantities over days."""

import dataclasses
import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup, escape

from api.display.formatting import local

Row = Mapping[str, Any] | sa.RowMapping
"""A row by column name."""

TEXT_HEIGHT = 12
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 34
LABEL_PX, HALF_LABEL_PX = 70, 28
WIDE_FROM_PX = 500
"""A drawing wider than that is for a wide screen."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """Size of a drawing in its own points, its style classes, and the prefix that keeps its ids apart on a page."""

    width: float
    height: float
    classes: str
    key: str = ""


def titled_svg(frame: Frame, title: str, description: str, parts: Iterable[str]) -> Markup:
    """A drawing that scales down and carries its own title and description."""
    return Markup(
        f'<svg class="{frame.classes}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-labelledby="{frame.key}-title {frame.key}-text"><title id="{frame.key}-title">{escape(title)}</title>'
        f'<desc id="{frame.key}-text">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def labelled_svg(frame: Frame, label: str, description: str, parts: Iterable[str]) -> Markup:
    """A small drawing beside its numbers: named by a label, without ids."""
    return Markup(
        f'<svg class="{frame.classes}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(label)}"><desc>{escape(description)}</desc>{"".join(parts)}</svg>'
    )


@dataclasses.dataclass(frozen=True)
class Plane:
    """The area of a drawing between two days and from 0 to a highest value."""

    width: float
    height: float
    first: dt.date
    last: dt.date
    highest: float

    @property
    def right(self) -> float:
        """The right edge, in points."""
        return self.width - RIGHT

    @property
    def bottom(self) -> float:
        """The axis of days, in points."""
        return self.height - BOTTOM

    def x(self, day: dt.date) -> float:
        """How far from the left a day lies, in points."""
        return LEFT + (self.right - LEFT) * (day - self.first).days / max((self.last - self.first).days, 1)

    def y(self, value: float) -> float:
        """How far from the top a value lies, in points."""
        return TOP + (self.bottom - TOP) * (1 - max(value, 0.0) / self.highest)

    def point(self, day: dt.date, value: float) -> str:
        """A day and value as SVG writes a point."""
        return f"{self.x(day):.1f},{self.y(value):.1f}"


def nice_ceiling(value: float) -> float:
    """The first of 1, 2, 4, 6 or 8 times a power of ten that is not below the value: quarters of it are round.

    >>> nice_ceiling(171), nice_ceiling(0), nice_ceiling(0.31)
    (200.0, 1.0, 0.4)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def month_starts(first: dt.date, last: dt.date, most: int) -> list[dt.date]:
    """Month starts between two days, evenly thinned to at most `most`.

    >>> [str(day) for day in month_starts(dt.date(2026, 1, 15), dt.date(2026, 12, 20), 4)]
    ['2026-04-01', '2026-07-01', '2026-10-01']
    """
    months = [dt.date(n // 12, n % 12 + 1, 1) for n in range(_month(first) + (first.day > 1), _month(last) + 1)]
    every = next((step for step in (1, 2, 3, 6, 12, 24, 60) if len(months) <= step * most), 120)
    return [day for day in months if _month(day) % every == 0]


def _month(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def axes(plane: Plane, unit: str) -> list[str]:
    """Grid lines at quarters of the highest value, marks at month starts, their labels, and the unit above."""
    return [
        *(part for quarter in range(5) for part in _value_mark(plane, plane.highest * quarter / 4)),
        *(part for day in _marked_days(plane) for part in _day_mark(plane, day)),
        f'<text class="unit" x="4" y="{TEXT_HEIGHT}">{escape(unit)}</text>',
    ]


def _value_mark(plane: Plane, value: float) -> list[str]:
    y = plane.y(value)
    return [
        f'<line class="grid" x1="{LEFT}" x2="{plane.right}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{local(f"{value:,.4g}")}</text>',
    ]


def _marked_days(plane: Plane) -> list[dt.date]:
    return month_starts(plane.first, plane.last, max(int((plane.right - LEFT) // LABEL_PX), 2))


def _day_mark(plane: Plane, day: dt.date) -> list[str]:
    x = plane.x(day)
    anchor, label_x = ("end", plane.right) if x > plane.right - HALF_LABEL_PX else ("middle", x)
    return [
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{plane.bottom}" y2="{plane.bottom + 5}"/>',
        f'<text class="tick {anchor}" x="{label_x:.1f}" y="{plane.bottom + 19}">{day:%b %Y}</text>',
    ]


def arrival_marks(plane: Plane, arrivals: Sequence[tuple[dt.date, str]]) -> list[str]:
    """A triangle under the axis for each arrival on a day that is drawn."""
    return [
        f'<path class="arrival" d="M{plane.x(day):.1f} {plane.bottom - 9:.1f} l6 10 h-12 z">'
        f"<title>{escape(text)}</title></path>"
        for day, text in arrivals
        if LEFT <= plane.x(day) <= plane.right
    ]


def today_line(plane: Plane, today: dt.date) -> list[str]:
    """The line of today, nothing where today is not drawn."""
    x = plane.x(today)
    if not LEFT <= x <= plane.right:
        return []
    anchor, shift = ("end", -5) if x > (LEFT + plane.right) / 2 else ("start", 5)
    return [
        f'<line class="today" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{plane.bottom}"/>',
        f'<text class="tick {anchor}" x="{x + shift:.1f}" y="{TOP - 1}">today</text>',
    ]


@dataclasses.dataclass(frozen=True)
class Band:
    """The area between two lines over the days; `title` says what it is when it is pointed at."""

    days: Sequence[dt.date]
    lower: Sequence[float]
    upper: Sequence[float]
    classes: str
    title: str = ""


def band_polygon(plane: Plane, band: Band) -> str:
    """The band as a polygon: along the upper line and back along the lower."""
    edge = [plane.point(day, value) for day, value in zip(band.days, band.upper, strict=True)]
    edge += [plane.point(day, value) for day, value in zip(band.days, band.lower, strict=True)][::-1]
    title = f"<title>{escape(band.title)}</title>" if band.title else ""
    return f'<polygon class="{band.classes}" points="{" ".join(edge)}">{title}</polygon>'


def polylines(plane: Plane, points: Sequence[tuple[dt.date, float | None]], classes: str) -> list[str]:
    """One line per stretch of known values: a gap is not bridged."""
    stretches: list[list[str]] = [[]]
    for day, value in points:
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(plane.point(day, value))
    return [f'<polyline class="{classes}" points="{" ".join(points)}"/>' for points in stretches if points]
