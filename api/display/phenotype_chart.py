"""Shares of a gene's phenotypes with their intervals as accessible SVG."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from api.display.fan_chart import Row
from api.display.labels import share

ROW = 26
SMALLEST_SHOWN = 0.005
"""Phenotypes rarer than that are in the table only."""


def phenotype_chart(gene: str, rows: Sequence[Row], *, width: int, name: str) -> Markup:
    """A bar a phenotype up to its mean, with its 90 % interval as a line; rows have result, mean, low and high."""
    shown = [row for row in rows if row["mean"] >= SMALLEST_SHOWN] or list(rows)
    left, room = (200, width - 300) if width > 500 else (8, width - 100)
    above = 0 if width > 500 else 16
    high = max(row["high"] for row in shown)
    step = ROW + above
    parts = []
    for place, row in enumerate(shown):
        y = place * step + 4
        top = y + above
        mean, low, most = (left + room * row[part] / high for part in ("mean", "low", "high"))
        anchor, at, down = ("start", left, 11) if above else ("end", left - 8, 15)
        parts += [
            f'<text class="tick {anchor}" x="{at}" y="{y + down}">{escape(row["result"])}</text>',
            f'<rect class="share" x="{left}" y="{top + 3}" width="{mean - left:.1f}" height="14" rx="2"/>',
            f'<path class="interval" d="M{low:.1f} {top + 5} v10 m0 -5 H{most:.1f} m0 -5 v10"/>',
            f'<text class="tick value" x="{most + 6:.1f}" y="{top + 15}">{share(row["mean"])}</text>',
        ]
    key = f"{name}-{''.join(letter for letter in gene if letter.isalnum())}"
    head = (
        f'<svg class="fan genes {name}" viewBox="0 0 {width} {step * len(shown) + 8}" role="img" '
        f'aria-labelledby="{key}-title {key}-text"><title id="{key}-title">{escape(gene)}: shares of phenotypes</title>'
        f'<desc id="{key}-text">{escape(description(rows))}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")


def description(rows: Sequence[Row]) -> str:
    """The chart in words, for who cannot see it."""
    told = [f"{row['result']} {share(row['mean'])} ({share(row['low'])} to {share(row['high'])})" for row in rows]
    return f"Shares of the people served, with 90 % intervals: {'; '.join(told)}."
