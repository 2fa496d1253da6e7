"""Shares of a gene's phenotypes with their intervals as accessible SVG."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from api.display.charts.svg import WIDE_FROM_PX, Frame, Row, titled_svg
from api.display.formatting import share

ROW = 26
SMALLEST_SHOWN = 0.005
"""Phenotypes rarer than that are in the table only."""


def phenotype_chart(gene: str, rows: Sequence[Row], *, width: int, name: str) -> Markup:
    """A bar a phenotype up to its mean, with its 90 % interval as a line; rows have result, mean, low and high."""
    shown = [row for row in rows if row["mean"] >= SMALLEST_SHOWN] or list(rows)
    wide = width > WIDE_FROM_PX
    left, room, label_height = (200, width - 300, 0) if wide else (8, width - 100, 16)
    highest = max(row["high"] for row in shown)
    step = ROW + label_height
    parts = []
    for place, row in enumerate(shown):
        y = place * step + 4
        top = y + label_height
        mean, low, high = (left + room * row[part] / highest for part in ("mean", "low", "high"))
        anchor, label_x, baseline = ("end", left - 8, 15) if wide else ("start", left, 11)
        parts += [
            f'<text class="tick {anchor}" x="{label_x}" y="{y + baseline}">{escape(row["result"])}</text>',
            f'<rect class="share" x="{left}" y="{top + 3}" width="{mean - left:.1f}" height="14" rx="2"/>',
            f'<path class="interval" d="M{low:.1f} {top + 5} v10 m0 -5 H{high:.1f} m0 -5 v10"/>',
            f'<text class="tick value" x="{high + 6:.1f}" y="{top + 15}">{share(row["mean"])}</text>',
        ]
    key = f"{name}-{''.join(letter for letter in gene if letter.isalnum())}"
    frame = Frame(width, step * len(shown) + 8, f"fan genes {name}", key)
    return titled_svg(frame, f"{gene}: shares of phenotypes", description(rows), parts)


def description(rows: Sequence[Row]) -> str:
    """The chart in words, for who cannot see it."""
    shares = [f"{row['result']} {share(row['mean'])} ({share(row['low'])} to {share(row['high'])})" for row in rows]
    return f"Shares of the people served, with 90 % intervals: {'; '.join(shares)}."
