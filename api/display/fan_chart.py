"""The fan chart of a forecast as accessible SVG, made here: no script, no inline style, colours by class."""

import dataclasses
import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup, escape

from api.display.formatting import local, number

BANDS = (("p025", "p975", "band-95"), ("p10", "p90", "band-80"), ("p25", "p75", "band-50"))
TEXT_HEIGHT = 12
Row = Mapping[str, Any] | sa.RowMapping
"""A forecast row by column name."""

LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 34
LABEL_PX, HALF_LABEL_PX = 70, 28


@dataclasses.dataclass(frozen=True)
class Fan:
    """What the chart shows: history (None = unknown), forecast rows by period, the day it is looked at.

    `arrivals` are the days on which open orders are expected, each with its words.
    """

    history: Sequence[tuple[dt.date, float | None]]
    forecast: Sequence[Row]
    today: dt.date
    unit: str
    arrivals: Sequence[tuple[dt.date, str]] = ()


@dataclasses.dataclass(frozen=True)
class Plane:
    """From days and quantities to points of the drawing."""

    x: Callable[[dt.date], float]
    y: Callable[[float], float]
    left: float
    right: float
    top: float
    bottom: float


def fan_chart(fan: Fan, *, width: int, name: str) -> Markup:
    """The chart as an `svg` element that scales down and carries its own title and description.

    `name` keeps ids apart where several charts stand on one page. The forecast must not be empty.
    """
    height = 300 if width > 500 else 260
    first, last = _span(fan)
    top = nice_ceiling(_highest(fan))
    plane = plane_of(width, height, first, last, top)
    parts = [
        *value_axis(plane, top),
        *date_axis(plane, first, last),
        *(_band(plane, fan.forecast, *band) for band in BANDS),
        *lines(plane, [(day, value) for day, value in fan.history], "line-history"),
        *lines(plane, [(row["period_start"], row["baseline_mean"]) for row in fan.forecast], "line-baseline"),
        *lines(plane, [(row["period_start"], row["mean"]) for row in fan.forecast], "line-forecast"),
        *today_line(plane, fan.today),
        *arrival_marks(plane, fan.arrivals),
        f'<text class="unit" x="4" y="{TEXT_HEIGHT}">{escape(fan.unit)}</text>',
    ]
    head = (
        f'<svg class="fan {name}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-text"><title id="{name}-title">Demand: history and forecast</title>'
        f'<desc id="{name}-text">{escape(description(fan))}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")


def description(fan: Fan) -> str:
    """The chart in words, for who cannot see it."""
    known = [(day, value) for day, value in fan.history if value is not None]
    start, end = fan.forecast[0], fan.forecast[-1]
    before = ""
    if known:
        before = (
            f"Use from {known[0][0]} to {known[-1][0]} between {number(min(value for _, value in known), 0)} and "
            f"{number(max(value for _, value in known), 0)} {fan.unit}. "
        )
    return (
        f"{before}Forecast mean {number(start['mean'], 0)} for {start['period_start']}, {number(end['mean'], 0)} for "
        f"{end['period_start']} (80 % band {number(end['p10'], 0)} to {number(end['p90'], 0)}); "
        f"baseline without a change in testing {number(end['baseline_mean'], 0)}. "
        f"{_arriving(fan.arrivals)}The table below has every number."
    )


def _arriving(arrivals: Sequence[tuple[dt.date, str]]) -> str:
    told = "; ".join(f"{words} on {day}" for day, words in arrivals)
    return f"Open orders: {told}. " if told else ""


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


def _span(fan: Fan) -> tuple[dt.date, dt.date]:
    days = [day for day, _ in fan.history] + [row["period_start"] for row in fan.forecast]
    return min(days), max(days)


def _highest(fan: Fan) -> float:
    return max(
        [value for _, value in fan.history if value is not None] + [row["p975"] for row in fan.forecast], default=0.0
    )


def plane_of(width: int, height: int, first: dt.date, last: dt.date, top: float) -> Plane:
    """The plane of a drawing between two days and from 0 to the top value."""
    days = max((last - first).days, 1)
    across, down = width - LEFT - RIGHT, height - TOP - BOTTOM
    return Plane(
        x=lambda day: LEFT + across * (day - first).days / days,
        y=lambda value: TOP + down * (1 - max(value, 0.0) / top),
        left=LEFT,
        right=width - RIGHT,
        top=TOP,
        bottom=height - BOTTOM,
    )


def arrival_marks(plane: Plane, arrivals: Sequence[tuple[dt.date, str]]) -> list[str]:
    """A triangle under the axis for each arrival that is shown."""
    return [
        f'<path class="arrival" d="M{plane.x(day):.1f} {plane.bottom - 9:.1f} l6 10 h-12 z">'
        f"<title>{escape(words)}</title></path>"
        for day, words in arrivals
        if plane.left <= plane.x(day) <= plane.right
    ]


def value_axis(plane: Plane, top: float) -> list[str]:
    """Grid lines and labels at the quarters of the top value."""
    parts = []
    for quarter in range(5):
        value = top * quarter / 4
        y = plane.y(value)
        parts.append(f'<line class="grid" x1="{plane.left}" x2="{plane.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{plane.left - 6}" y="{y + 4:.1f}">{local(f"{value:,.4g}")}</text>')
    return parts


def date_axis(plane: Plane, first: dt.date, last: dt.date) -> list[str]:
    """Marks and labels at month starts."""
    most = max(int((plane.right - plane.left) // LABEL_PX), 2)
    parts = []
    for day in month_starts(first, last, most):
        x = plane.x(day)
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{plane.bottom}" y2="{plane.bottom + 5}"/>')
        anchor, at = ("end", plane.right) if x > plane.right - HALF_LABEL_PX else ("middle", x)
        parts.append(f'<text class="tick {anchor}" x="{at:.1f}" y="{plane.bottom + 19}">{day:%b %Y}</text>')
    return parts


def _band(plane: Plane, rows: Sequence[Row], low: str, high: str, kind: str) -> str:
    upper = [f"{plane.x(row['period_start']):.1f},{plane.y(row[high]):.1f}" for row in rows]
    lower = [f"{plane.x(row['period_start']):.1f},{plane.y(row[low]):.1f}" for row in reversed(rows)]
    return f'<polygon class="{kind}" points="{" ".join(upper + lower)}"/>'


def lines(plane: Plane, points: Sequence[tuple[dt.date, float | None]], kind: str) -> list[str]:
    """One line per stretch of known values: a gap is not bridged."""
    stretches: list[list[str]] = [[]]
    for day, value in points:
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append(f"{plane.x(day):.1f},{plane.y(value):.1f}")
    return [f'<polyline class="{kind}" points="{" ".join(points)}"/>' for points in stretches if points]


def today_line(plane: Plane, today: dt.date) -> list[str]:
    """The line of today, nothing where today is not shown."""
    x = plane.x(today)
    if not plane.left <= x <= plane.right:
        return []
    side = "end" if x > (plane.left + plane.right) / 2 else "start"
    shift = -5 if side == "end" else 5
    return [
        f'<line class="today" x1="{x:.1f}" x2="{x:.1f}" y1="{plane.top - 6}" y2="{plane.bottom}"/>',
        f'<text class="tick {side}" x="{x + shift:.1f}" y="{plane.top - 1}">today</text>',
    ]
