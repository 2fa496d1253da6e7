"""Changes by month as a small accessible SVG: a column above the line for more, below it for less."""

import datetime as dt
from collections.abc import Callable, Sequence

from markupsafe import Markup

from api.display.charts.svg import Frame, labelled_svg

WIDTH, HEIGHT, GAP = 160, 40, 2


def column_chart(months: Sequence[tuple[dt.date, float]], name: str, show: Callable[[float], str]) -> Markup:
    """The changes as an `svg` element with name and description; nothing without months.

    More and less differ by side as well as by hue.
    """
    if not months:
        return Markup("")
    largest = max(abs(value) for _, value in months) or 1.0
    step = WIDTH / max(len(months), 6)
    middle = HEIGHT / 2
    parts = []
    for place, (_, value) in enumerate(months):
        height = abs(value) / largest * (middle - 2)
        top, classes = (middle - height, "more") if value > 0 else (middle, "less")
        parts.append(
            f'<rect class="{classes}" x="{place * step + GAP:.1f}" y="{top:.1f}" '
            f'width="{step - 2 * GAP:.1f}" height="{height:.1f}"/>'
        )
    parts.append(f'<line class="axis" x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}"/>')
    description = "; ".join(f"{day:%b %Y} {show(value)}" for day, value in months)
    return labelled_svg(Frame(WIDTH, HEIGHT, "columns"), name, description, parts)
