"""A small trend picture as accessible SVG: the shape only, for the numbers stand beside it and in its description."""

import datetime as dt
from collections.abc import Callable, Sequence

from markupsafe import Markup

from api.display.charts.svg import Frame, labelled_svg
from api.display.formatting import day

WIDTH, HEIGHT, EDGE = 160, 36, 4
FEWEST = 3
"""With fewer known weeks there is no trend to see."""
Trend = Sequence[tuple[dt.date, float | None]]


def sparkline(trend: Trend, name: str, show: Callable[[float], str]) -> Markup:
    """The trend as an `svg` element with title and description; nothing where fewer than three values are known.

    `name` is what it shows and `show` writes a value. A week that is not known is a gap, a lone week a dot.
    """
    known = [value for _, value in trend if value is not None]
    if len(known) < FEWEST:
        return Markup("")
    stretches = _stretches(trend, known)
    lines = [f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in part)}"/>' for part in stretches if part[1:]]
    lone = [part[0] for part in stretches if len(part) == 1]
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in lone]
    x, y = stretches[-1][-1]
    last = f'<circle class="last" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    return labelled_svg(Frame(WIDTH, HEIGHT, "spark"), name, description(trend, show), [*lines, *dots, last])


def description(trend: Trend, show: Callable[[float], str]) -> str:
    """The trend in words.

    >>> from api.display.formatting import percent
    >>> weeks = [dt.date(2026, 11, 2), dt.date(2026, 11, 9), dt.date(2026, 11, 16)]
    >>> description(list(zip(weeks, [0.2, None, 0.1])), percent)
    'Weekly from 2 Nov 2026 to 16 Nov 2026: lowest 10 %, highest 20 %, last known 10 %; not known in 1 of 3 weeks.'
    """
    known = [value for _, value in trend if value is not None]
    missing = f"; not known in {len(trend) - len(known)} of {len(trend)} weeks" if len(known) < len(trend) else ""
    return (
        f"Weekly from {day(trend[0][0])} to {day(trend[-1][0])}: lowest {show(min(known))}, "
        f"highest {show(max(known))}, last known {show(known[-1])}{missing}."
    )


def _stretches(trend: Trend, known: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Stretches of known weeks as points; the axis starts at zero, so that a small change looks small."""
    top = max(max(known), 0.0) or 1.0
    low = min(min(known), 0.0)
    across, down = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    stretches: list[list[tuple[float, float]]] = [[]]
    for place, (_, value) in enumerate(trend):
        if value is None:
            stretches.append([])
        else:
            x = EDGE + across * place / max(len(trend) - 1, 1)
            stretches[-1].append((x, EDGE + down * (top - value) / (top - low)))
    return [points for points in stretches if points]
