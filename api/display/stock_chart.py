"""The stock projection as accessible SVG: lots on top of each other, demand that is not met below the axis."""

import datetime as dt
from collections.abc import Sequence

from markupsafe import Markup, escape

from api.display.fan_chart import (
    TEXT_HEIGHT,
    Plane,
    arrival_marks,
    date_axis,
    nice_ceiling,
    plane_of,
    today_line,
    value_axis,
)
from api.display.labels import counted, day, number
from api.display.stock_projection import LotPath, Projection

SHADES = 4
"""Counted lots take turns of so many shades, each with an edge, so that neighbours are told apart."""


def stock_chart(projection: Projection, today: dt.date, *, width: int, name: str) -> Markup:
    """The chart as an `svg` element with its own title and description. The projection must have days."""
    height = 280 if width > 500 else 250
    days = projection.days
    totals = [sum(path.left[place] for path in projection.paths) for place in range(len(days))]
    top = nice_ceiling(max(totals, default=0.0))
    plane = plane_of(width, height, days[0], days[-1], top)
    parts = [
        *value_axis(plane, top),
        *date_axis(plane, days[0], days[-1]),
        *_layers(plane, projection),
        *_expiries(plane, projection),
        *_short(plane, projection),
        *today_line(plane, today),
        *arrival_marks(plane, [(path.lot.arrives_on, path.lot.name) for path in _coming(projection.paths)]),
        f'<text class="unit" x="4" y="{TEXT_HEIGHT}">dose units on the shelf</text>',
    ]
    head = (
        f'<svg class="fan {name}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="stock-{name}-title stock-{name}-text"><title id="stock-{name}-title">Stock by lot</title>'
        f'<desc id="stock-{name}-text">{escape(description(projection))}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")


def description(projection: Projection) -> str:
    """The chart in words, for who cannot see it."""
    counted_now = [path for path in projection.paths if path.lot.kind == "counted"]
    now = sum(path.lot.quantity for path in counted_now)
    expired = sum(path.expired for path in projection.paths)
    short = projection.first_short()
    told = [f"{number(now)} dose units in {counted(len(counted_now), 'lot')} on {day(projection.days[0])}"]
    told += [
        f"{number(path.lot.quantity)} more ({path.lot.name}) on {day(path.lot.arrives_on)}"
        for path in _coming(projection.paths)
    ]
    told.append(f"{number(expired)} expire unused" if expired > 0 else "nothing expires unused")
    told.append(f"the shelf is empty on {day(short)}" if short else "the shelf is not empty in this time")
    return f"At the mean forecast: {'; '.join(told)}. The table below has every lot."


def shade(path: LotPath, place: int) -> str:
    """The class that colours a lot, in the chart and in the table."""
    return f"lot-{place % SHADES}" if path.lot.kind == "counted" else f"lot-{path.lot.kind}"


def _coming(paths: Sequence[LotPath]) -> list[LotPath]:
    return [path for path in paths if path.lot.kind != "counted"]


def _layers(plane: Plane, projection: Projection) -> list[str]:
    """One area a lot; what is used first lies on top, so that it goes first."""
    below = [0.0] * len(projection.days)
    shapes = []
    for place, path in reversed(list(enumerate(projection.paths))):
        above = [under + units for under, units in zip(below, path.left, strict=True)]
        shown = [number for number, units in enumerate(path.left) if units > 0]
        if shown:
            # from the day before, where it is not the first, to the day on which nothing is left: no slope is cut off
            days = range(max(shown[0], 0), min(shown[-1] + 2, len(below)))
            upper = [f"{plane.x(projection.days[at]):.1f},{plane.y(above[at]):.1f}" for at in days]
            lower = [f"{plane.x(projection.days[at]):.1f},{plane.y(below[at]):.1f}" for at in reversed(days)]
            shapes.append(
                f'<polygon class="lot {shade(path, place)}" points="{" ".join(upper + lower)}">'
                f"<title>{escape(path.lot.name)}</title></polygon>"
            )
        below = above
    return shapes


def _expiries(plane: Plane, projection: Projection) -> list[str]:
    """A cross on the axis where a lot expires with something left."""
    return [
        f'<path class="expiry" d="M{plane.x(path.lot.expires_on):.1f} {plane.bottom:.1f} m-5 -5 l10 10 m0 -10 l-10 10">'
        f"<title>{escape(path.lot.name)}: {number(path.expired)} expire</title></path>"
        for path in projection.paths
        if path.expired > 0 and path.lot.expires_on is not None and path.lot.expires_on >= projection.days[0]
    ]


def _short(plane: Plane, projection: Projection) -> list[str]:
    """A bar along the axis for each stretch of days whose demand is not met in full."""
    stretches: list[list[dt.date]] = []
    for one, units in zip(projection.days, projection.short, strict=True):
        if units <= 1e-9:
            continue
        if stretches and (one - stretches[-1][-1]).days == 1:
            stretches[-1].append(one)
        else:
            stretches.append([one])
    return [
        f'<line class="short" x1="{plane.x(of[0]):.1f}" x2="{max(plane.x(of[-1]), plane.x(of[0]) + 2):.1f}" '
        f'y1="{plane.bottom}" y2="{plane.bottom}"><title>not met from {of[0]} to {of[-1]}</title></line>'
        for of in stretches
    ]
