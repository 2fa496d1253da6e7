"""Pictures that materialisations show in the Dagster UI, as small SVG drawings."""

import numpy as np
import pandas as pd

from assets.metadata import svg_picture
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


def _line(points: list[str], colour: str, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    return f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>'
