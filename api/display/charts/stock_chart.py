"""The stock projection as accessible SVG: lots on top of each other, demand that is not met below the axis."""

import datetime as dt
from collections.abc import Sequence

from markupsafe import Markup, escape

from api.display.charts import svg
from api.display.charts.stock_projection import SMALLEST_UNMET, LotPath, Projection
from api.display.formatting import counted, day, number

SHADES = 4
"""Counted lots take turns of so many shades, each with an edge, so that neighbours differ."""


def stock_chart(projection: Projection, today: dt.date, *, width: int, name: str) -> Markup:
    """The chart as an `svg` element with its own title and description. The projection must have days."""
    height = 280 if width > svg.WIDE_FROM_PX else 250
    days = projection.days
    totals = [sum(path.left[place] for path in projection.paths) for place in range(len(days))]
    plane = svg.Plane(width, height, days[0], days[-1], svg.nice_ceiling(max(totals, default=0.0)))
    arrivals = [(path.lot.arrives_on, path.lot.name) for path in _arriving(projection.paths)]
    parts = [
        *svg.axes(plane, "dose units on the shelf"),
        *_layers(plane, projection),
        *_expiries(plane, projection),
        *_unmet_days(plane, projection),
        *svg.today_line(plane, today),
        *svg.arrival_marks(plane, arrivals),
    ]
    frame = svg.Frame(width, height, f"fan {name}", f"stock-{name}")
    return svg.titled_svg(frame, "Stock by lot", description(projection), parts)


def description(projection: Projection) -> str:
    """The chart in words, for who cannot see it."""
    counted_lots = [path for path in projection.paths if path.lot.kind == "counted"]
    on_hand = sum(path.lot.quantity for path in counted_lots)
    expired = sum(path.expired for path in projection.paths)
    first_unmet = projection.first_unmet()
    sentences = [f"{number(on_hand)} dose units in {counted(len(counted_lots), 'lot')} on {day(projection.days[0])}"]
    sentences += [
        f"{number(path.lot.quantity)} more ({path.lot.name}) on {day(path.lot.arrives_on)}"
        for path in _arriving(projection.paths)
    ]
    sentences.append(f"{number(expired)} expire unused" if expired > 0 else "nothing expires unused")
    sentences.append(
        f"the shelf is empty on {day(first_unmet)}" if first_unmet else "the shelf is not empty in this time"
    )
    return f"At the mean forecast: {'; '.join(sentences)}. The table below has every lot."


def shade(path: LotPath, place: int) -> str:
    """The class that colours a lot, in the chart and in the table."""
    return f"lot-{place % SHADES}" if path.lot.kind == "counted" else f"lot-{path.lot.kind}"


def _arriving(paths: Sequence[LotPath]) -> list[LotPath]:
    return [path for path in paths if path.lot.kind != "counted"]


def _layers(plane: svg.Plane, projection: Projection) -> list[str]:
    """One area a lot; what is used first lies on top, so that it goes first."""
    below = [0.0] * len(projection.days)
    shapes = []
    for place, path in reversed(list(enumerate(projection.paths))):
        above = [under + units for under, units in zip(below, path.left, strict=True)]
        stocked = [number for number, units in enumerate(path.left) if units > 0]
        if stocked:
            # up to the day on which nothing is left: no slope is cut off
            days = slice(stocked[0], stocked[-1] + 2)
            classes = f"lot {shade(path, place)}"
            layer = svg.Band(projection.days[days], below[days], above[days], classes, path.lot.name)
            shapes.append(svg.band_polygon(plane, layer))
        below = above
    return shapes


def _expiries(plane: svg.Plane, projection: Projection) -> list[str]:
    """A cross on the axis where a lot expires with something left."""
    return [
        f'<path class="expiry" d="M{plane.x(path.lot.expires_on):.1f} {plane.bottom:.1f} m-5 -5 l10 10 m0 -10 l-10 10">'
        f"<title>{escape(path.lot.name)}: {number(path.expired)} expire</title></path>"
        for path in projection.paths
        if path.expired > 0 and path.lot.expires_on is not None and path.lot.expires_on >= projection.days[0]
    ]


def _unmet_days(plane: svg.Plane, projection: Projection) -> list[str]:
    """A bar along the axis for each stretch of days whose demand is not met in full."""
    stretches: list[list[dt.date]] = []
    for unmet_day, units in zip(projection.days, projection.unmet, strict=True):
        if units <= SMALLEST_UNMET:
            continue
        if stretches and (unmet_day - stretches[-1][-1]).days == 1:
            stretches[-1].append(unmet_day)
        else:
            stretches.append([unmet_day])
    return [
        f'<line class="short" x1="{plane.x(days[0]):.1f}" x2="{max(plane.x(days[-1]), plane.x(days[0]) + 2):.1f}" '
        f'y1="{plane.bottom}" y2="{plane.bottom}"><title>not met from {days[0]} to {days[-1]}</title></line>'
        for days in stretches
    ]
