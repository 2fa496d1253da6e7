"""Pictures that materialisations show in the Dagster UI, as small SVG drawings."""

import datetime as dt
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

from assets.dagster_io.metadata import svg_picture
from forecasting.terms import ALL_FACILITIES

WIDTH, HEIGHT, MARGIN = 760, 260, 46
MOST_SHOWN_HISTORY = 104


def network_picture(history: pd.DataFrame, forecasts: pd.DataFrame) -> str:
    """Markdown with a fan chart of the product that genotype moves most in the network (else the largest)."""
    network = forecasts[forecasts["facility_id"] == ALL_FACILITIES]
    moved = network.assign(size=network["genetic_shift"].abs()).groupby("product_id")[["size", "mean"]].sum()
    product_id = str(moved.sort_values(["size", "mean"]).index[-1])
    shown = network[network["product_id"] == product_id].sort_values("period_start")
    past = history[history["product_id"] == product_id].sort_values("period_start").tail(MOST_SHOWN_HISTORY)
    title = f"{product_id}, whole network: history, forecast with 80 % band, and baseline at today's testing"
    return svg_picture(fan_chart(past, shown, title), title)


def fan_chart(past: pd.DataFrame, shown: pd.DataFrame, title: str) -> str:
    """SVG of history (quantity), forecast (mean, p10 to p90) and baseline_mean over period_start, dose units."""
    days = pd.concat([past["period_start"], shown["period_start"]]).to_numpy("datetime64[D]").astype(float)
    top = float(max(past["quantity"].max() if len(past) else 0.0, shown["p90"].max(), 1.0)) * 1.05
    left, span = days.min(), max(days.max() - days.min(), 1.0)

    def points(when: pd.Series, values: pd.Series) -> list[str]:
        across = MARGIN + (when.to_numpy("datetime64[D]").astype(float) - left) / span * (WIDTH - MARGIN - 8)
        down = HEIGHT - 30 - np.nan_to_num(values.to_numpy(dtype=float)) / top * (HEIGHT - 60)
        return [f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True)]

    band = points(shown["period_start"], shown["p10"]) + points(shown["period_start"], shown["p90"])[::-1]
    lines = [
        f'<polygon points="{" ".join(band)}" fill="#9ecae1" opacity="0.6"/>',
        _line(points(past["period_start"], past["quantity"]), "#444"),
        _line(points(shown["period_start"], shown["baseline_mean"]), "#d95f02", dashed=True),
        _line(points(shown["period_start"], shown["mean"]), "#08519c"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{MARGIN}" y="16">{title}</text>'
        f'<text x="4" y="34">{top:,.0f}</text><text x="4" y="{HEIGHT - 30}">0</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - 10}">{past["period_start"].min():%Y-%m-%d}</text>'
        f'<text x="{WIDTH - 80}" y="{HEIGHT - 10}">{shown["period_start"].max():%Y-%m-%d}</text>'
        f"{''.join(lines)}</svg>"
    )


COLOURS = ("#08519c", "#d95f02", "#1b9e77", "#7a0177")


def lines_chart(
    starts: Sequence[dt.date],
    quantity: np.ndarray,
    ahead: Sequence[dt.date],
    lines: Mapping[str, np.ndarray],
    title: str,
) -> str:
    """SVG of a history (`quantity` by period start) and named lines over the periods `ahead`."""
    begun, shown = starts[-MOST_SHOWN_HISTORY:], quantity[-MOST_SHOWN_HISTORY:]
    days = np.array([*begun, *ahead], dtype="datetime64[D]").astype(float)
    top = max(float(shown.max()), *(float(line.max()) for line in lines.values()), 1.0) * 1.05
    span = max(days.max() - days.min(), 1.0)

    def points(when: np.ndarray, values: np.ndarray) -> list[str]:
        across = MARGIN + (when - days.min()) / span * (WIDTH - MARGIN - 8)
        down = HEIGHT - 30 - values / top * (HEIGHT - 80)
        return [f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True)]

    body = [_line(points(days[: len(shown)], shown), "#444")]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        body.append(_line(points(days[len(shown) :], line), colour))
        body.append(f'<text x="{MARGIN + 150 * number}" y="34" fill="{colour}">{escape(name)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{MARGIN}" y="16">{escape(title)}</text>'
        f'<text x="4" y="54">{top:,.0f}</text><text x="4" y="{HEIGHT - 30}">0</text>'
        f'<text x="{MARGIN}" y="{HEIGHT - 10}">{begun[0]:%Y-%m-%d}</text>'
        f'<text x="{WIDTH - 80}" y="{HEIGHT - 10}">{ahead[-1]:%Y-%m-%d}</text>'
        f"{''.join(body)}</svg>"
    )


def _line(points: list[str], colour: str, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
