"""Pictures of forecasts that materialisations show in the Dagster UI, as small SVG drawings."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from assets.dagster_io.metadata import svg_picture
from assets.pictures.svg import days, plain_document, points, polyline
from forecasting.terms import ALL_FACILITIES

WIDTH, HEIGHT, MARGIN, BOTTOM = 760, 260, 46, 30
MOST_HISTORY_PERIODS = 104
COLOURS = ("#08519c", "#d95f02", "#1b9e77", "#7a0177")


def network_picture(history: pd.DataFrame, forecasts: pd.DataFrame) -> str:
    """Markdown with a fan chart of the product that genotype moves most in the network (else the largest)."""
    network = forecasts[forecasts["facility_id"] == ALL_FACILITIES]
    moved = network.assign(size=network["genetic_shift"].abs()).groupby("product_id")[["size", "mean"]].sum()
    product_id = str(moved.sort_values(["size", "mean"]).index[-1])
    forecast = network[network["product_id"] == product_id].sort_values("period_start")
    past = history[history["product_id"] == product_id].sort_values("period_start").tail(MOST_HISTORY_PERIODS)
    title = f"{product_id}, whole network: history, forecast with 80 % band, and baseline at today's testing"
    return svg_picture(fan_chart(past, forecast, title), title)


def fan_chart(past: pd.DataFrame, forecast: pd.DataFrame, title: str) -> str:
    """SVG of history (quantity), forecast (mean, p10 to p90) and baseline_mean over period_start, dose units."""
    begun, ahead = days(past["period_start"]), days(forecast["period_start"])
    top = float(max(past["quantity"].max() if len(past) else 0.0, forecast["p90"].max(), 1.0)) * 1.05
    corners = _scale(np.concatenate([begun, ahead]), top, headroom=60)

    def ahead_line(name: str) -> list[str]:
        return corners(ahead, forecast[name].to_numpy(dtype=float))

    band = ahead_line("p10") + ahead_line("p90")[::-1]
    body = [
        f'<polygon points="{" ".join(band)}" fill="#9ecae1" opacity="0.6"/>',
        polyline(corners(begun, past["quantity"].to_numpy(dtype=float)), "#444"),
        polyline(ahead_line("baseline_mean"), "#d95f02", dash="5 3"),
        polyline(ahead_line("mean"), "#08519c"),
    ]
    first, last = past["period_start"].min(), forecast["period_start"].max()
    return plain_document([*_axes(title, top, 34, first, last), *body], WIDTH, HEIGHT)


def lines_chart(
    starts: Sequence[dt.date],
    quantity: np.ndarray,
    ahead: Sequence[dt.date],
    lines: Mapping[str, np.ndarray],
    title: str,
) -> str:
    """SVG of a history (`quantity` by period start) and named lines over the periods `ahead`."""
    begun, past = starts[-MOST_HISTORY_PERIODS:], quantity[-MOST_HISTORY_PERIODS:]
    top = max(float(past.max()), *(float(values.max()) for values in lines.values()), 1.0) * 1.05
    corners = _scale(days([*begun, *ahead]), top, headroom=80)
    body = [polyline(corners(days(begun), past), "#444")]
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        body.append(polyline(corners(days(ahead), values), colour))
        body.append(f'<text x="{MARGIN + 150 * number}" y="34" fill="{colour}">{escape(name)}</text>')
    return plain_document([*_axes(escape(title), top, 54, begun[0], ahead[-1]), *body], WIDTH, HEIGHT)


def _scale(x: np.ndarray, top: float, headroom: float) -> Callable[[np.ndarray, np.ndarray], list[str]]:
    """A function from (days, values) to points of the drawing; values reach from 0 to `top`."""
    span = max(x.max() - x.min(), 1.0)

    def corners(when: np.ndarray, values: np.ndarray) -> list[str]:
        across = MARGIN + (when - x.min()) / span * (WIDTH - MARGIN - 8)
        return points(across, HEIGHT - BOTTOM - np.nan_to_num(values) / top * (HEIGHT - headroom))

    return corners


def _axes(title: str, top: float, top_label_y: int, first: dt.date, last: dt.date) -> list[str]:
    """The title, the largest value and 0 at the left, the first and the last day below."""
    return [
        f'<text x="{MARGIN}" y="16">{title}</text>',
        f'<text x="4" y="{top_label_y}">{top:,.0f}</text><text x="4" y="{HEIGHT - BOTTOM}">0</text>',
        f'<text x="{MARGIN}" y="{HEIGHT - 10}">{first:%Y-%m-%d}</text>',
        f'<text x="{WIDTH - 80}" y="{HEIGHT - 10}">{last:%Y-%m-%d}</text>',
    ]
