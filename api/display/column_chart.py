"""Changes by month as a small accessible SVG: a column above the line for more, below it for less."""

import datetime as dt
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT, GAP = 160, 40, 2


def columns(months: Sequence[tuple[dt.date, float]], name: str, show: Callable[[float], str]) -> Markup:
    """The changes as an `svg` element with name and description; nothing without months.

    More and less differ by side as well as by hue.
    """
    if not months:
        return Markup("")
    largest = max(abs(value) for _, value in months) or 1.0
    wide = WIDTH / max(len(months), 6)
    middle = HEIGHT / 2
    parts = []
    for number, (_, value) in enumerate(months):
        tall = abs(value) / largest * (middle - 2)
        top = middle - tall if value > 0 else middle
        kind = "more" if value > 0 else "less"
        parts.append(
            f'<rect class="{kind}" x="{number * wide + GAP:.1f}" y="{top:.1f}" '
            f'width="{wide - 2 * GAP:.1f}" height="{tall:.1f}"/>'
        )
    text = "; ".join(f"{day:%b %Y} {show(value)}" for day, value in months)
    head = (
        f'<svg class="columns" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}">'
        f"<desc>{escape(text)}</desc>"
    )
    axis = f'<line class="axis" x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}"/>'
    return Markup(head + "".join(parts) + axis + "</svg>")
