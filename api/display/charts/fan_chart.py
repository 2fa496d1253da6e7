"""The fan chart of a forecast as accessible SVG, made here: no script, no inline style, colours by class."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from markupsafe import Markup

from api.display.charts import svg
from api.display.formatting import number

BANDS = (("p025", "p975", "band-95"), ("p10", "p90", "band-80"), ("p25", "p75", "band-50"))


@dataclasses.dataclass(frozen=True)
class Fan:
    """What the chart shows: history (None = unknown), forecast rows by period, the day it is looked at.

    `arrivals` are the days on which open orders are expected, each with its text. The forecast must not be empty.
    """

    history: Sequence[tuple[dt.date, float | None]]
    forecast: Sequence[svg.Row]
    today: dt.date
    unit: str
    arrivals: Sequence[tuple[dt.date, str]] = ()

    def known(self) -> list[tuple[dt.date, float]]:
        """The periods of the history whose quantity is known."""
        return [(day, value) for day, value in self.history if value is not None]

    def plane(self, width: int, height: int) -> svg.Plane:
        """The plane that holds all of it."""
        days = [day for day, _ in self.history] + [row["period_start"] for row in self.forecast]
        highest = max([value for _, value in self.known()] + [row["p975"] for row in self.forecast], default=0.0)
        return svg.Plane(width, height, min(days), max(days), svg.nice_ceiling(highest))


def fan_chart(fan: Fan, *, width: int, name: str) -> Markup:
    """The chart as an `svg` element; `name` keeps ids apart where several charts stand on one page."""
    height = 300 if width > svg.WIDE_FROM_PX else 260
    plane = fan.plane(width, height)
    days = [row["period_start"] for row in fan.forecast]

    def column(quantile: str) -> list[float]:
        return [row[quantile] for row in fan.forecast]

    parts = [
        *svg.axes(plane, fan.unit),
        *(svg.band_polygon(plane, svg.Band(days, column(low), column(high), kind)) for low, high, kind in BANDS),
        *svg.polylines(plane, fan.history, "line-history"),
        *svg.polylines(plane, list(zip(days, column("baseline_mean"), strict=True)), "line-baseline"),
        *svg.polylines(plane, list(zip(days, column("mean"), strict=True)), "line-forecast"),
        *svg.today_line(plane, fan.today),
        *svg.arrival_marks(plane, fan.arrivals),
    ]
    frame = svg.Frame(width, height, f"fan {name}", name)
    return svg.titled_svg(frame, "Demand: history and forecast", description(fan), parts)


def description(fan: Fan) -> str:
    """The chart in words, for who cannot see it."""
    known = fan.known()
    start, end = fan.forecast[0], fan.forecast[-1]
    past = ""
    if known:
        quantities = [value for _, value in known]
        past = (
            f"Use from {known[0][0]} to {known[-1][0]} between {number(min(quantities), 0)} and "
            f"{number(max(quantities), 0)} {fan.unit}. "
        )
    arrivals = "; ".join(f"{text} on {day}" for day, text in fan.arrivals)
    return (
        f"{past}Forecast mean {number(start['mean'], 0)} for {start['period_start']}, {number(end['mean'], 0)} for "
        f"{end['period_start']} (80 % band {number(end['p10'], 0)} to {number(end['p90'], 0)}); "
        f"baseline without a change in testing {number(end['baseline_mean'], 0)}. "
        f"{f'Open orders: {arrivals}. ' if arrivals else ''}The table below has every number."
    )
