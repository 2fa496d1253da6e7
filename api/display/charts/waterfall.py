"""The calculation of a quantity as a waterfall: from past use to what is ordered, bar by bar.

The bars are read from the stored document. Each total is one of its values, and what its named parts do not explain is
a bar of its own, so that the bars always add up.
"""

import dataclasses
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from api.display.calculation_labels import VALUE_NAMES
from api.display.charts.svg import WIDE_FROM_PX, Frame, titled_svg
from api.display.formatting import number
from api.display.labels import plain

ZERO = Decimal(0)


@dataclasses.dataclass(frozen=True)
class Bar:
    """One bar, in dose units: a change from `start` to `end`, or a total from 0 to `end`."""

    label: str
    start: Decimal
    end: Decimal
    total: bool = False

    @property
    def change(self) -> Decimal:
        """What the bar adds; negative = takes away."""
        return self.end - self.start


@dataclasses.dataclass(frozen=True)
class Leg:
    """The bars up to a total: its named parts (value and label), of which those that the document has count.

    `taken_away` names the parts that make the total smaller; `rest` is the label of what no part explains.
    """

    total: str
    parts: dict[str, str]
    rest: str
    taken_away: tuple[str, ...] = ()


LEGS = (
    Leg(
        "expected_demand",
        {
            "change_since_history": "Baseline against use so far",
            "shortage_shift": "Moved by a shortage",
            "genetic_shift": "Genetic shift",
            "override": "Override",
        },
        "Other changes of demand",
    ),
    Leg("order_up_to_level", {"safety_stock": "Safety stock"}, "Limits on what is held"),
    Leg(
        "quantity",
        {
            "stock_on_hand": "Stock on hand",
            "expires_unused": "Of it, expires before use",
            "open_orders_in_time": "Open orders in time",
            "not_needed": "More than needed",
            "whole_packs": "To whole packs, minimum and multiple",
        },
        "Limits, and what lines share",
        taken_away=("stock_on_hand", "open_orders_in_time"),
    ),
)
STARTS = ("history_demand", "baseline_demand")


def waterfall(document: dict[str, Any]) -> list[Bar]:
    """The bars of a stored calculation, empty where it has no total to begin with or to end at.

    Zero parts are left out.
    """
    values = _values(document)
    first_total = next((name for name in STARTS if name in values), None)
    if first_total is None or "quantity" not in values:
        return []
    level = values[first_total]
    bars = [Bar(plain(first_total, VALUE_NAMES), ZERO, level, total=True)]
    for leg in LEGS:
        if leg.total not in values:
            continue
        for name, label in leg.parts.items():
            change = -values.get(name, ZERO) if name in leg.taken_away else values.get(name, ZERO)
            if change:
                bars.append(Bar(label, level, level + change))
                level += change
        if level != values[leg.total]:
            bars.append(Bar(leg.rest, level, values[leg.total]))
            level = values[leg.total]
        bars.append(Bar(plain(leg.total, VALUE_NAMES), ZERO, level, total=True))
    return bars


def _values(document: Mapping[str, Any]) -> dict[str, Decimal]:
    entries = [*document.get("inputs", []), *document.get("steps", [])]
    values = {entry["name"]: Decimal(str(entry["value"])) for entry in entries}
    shifts = [value for name, value in values.items() if name.startswith("genetic_shift_")]
    if shifts:
        values.setdefault("genetic_shift", sum(shifts, ZERO))
    if {"net_need", "packs_needed", "pack_size"} <= set(values):
        needed = max(values["net_need"], ZERO)
        values["not_needed"] = needed - values["net_need"]
        values["whole_packs"] = values["packs_needed"] * values["pack_size"] - needed
    return values


def waterfall_chart(bars: list[Bar], *, width: int, name: str) -> Markup:
    """The bars as an `svg` element with its own title and description; there must be at least one.

    Wide drawings have the label beside the bar, narrow ones above it.
    """
    wide = width > WIDE_FROM_PX
    left, row, label_height = (250, 30, 0) if wide else (8, 42, 17)
    room = width - left - 90
    low = min(ZERO, *(bar.end for bar in bars))
    high = max(Decimal(1), *(bar.end for bar in bars))

    def x(value: Decimal) -> float:
        return left + room * float((value - low) / (high - low))

    scale = _Scale(x, left, row, label_height)
    parts = [f'<line class="grid" x1="{x(ZERO):.1f}" x2="{x(ZERO):.1f}" y1="4" y2="{row * len(bars)}"/>']
    for place, bar in enumerate(bars):
        parts += _bar_parts(bar, place, scale, last=place + 1 == len(bars))
    frame = Frame(width, row * len(bars) + 6, f"fan fall {name}", f"fall-{name}")
    return titled_svg(frame, "From past use to the order, in dose units", description(bars), parts)


@dataclasses.dataclass(frozen=True)
class _Scale:
    """From dose units to points across, and how high a row and its label are; labels lie above where that is not 0."""

    x: Callable[[Decimal], float]
    left: float
    row: int
    label_height: int


def _bar_parts(bar: Bar, place: int, scale: _Scale, *, last: bool) -> list[str]:
    """A bar with its label, its number, and the line to the bar below."""
    y = place * scale.row + 6
    top = y + scale.label_height
    left, right = sorted((scale.x(bar.start), scale.x(bar.end)))
    classes = "total" if bar.total else "more" if bar.change > 0 else "less"
    beside = scale.label_height == 0
    anchor, label_x = ("end", scale.left - 10) if beside else ("start", scale.left)
    parts = [
        f'<text class="tick {anchor}" x="{label_x}" y="{y + (14 if beside else 11)}">{escape(bar.label)}</text>',
        f'<rect class="{classes}" x="{left:.1f}" y="{top}" width="{max(right - left, 1.5):.1f}" height="19" rx="2"/>',
        f'<text class="tick value" x="{right + 6:.1f}" y="{top + 14}">{_number(bar)}</text>',
    ]
    if not last:
        x = scale.x(bar.end)
        below = f'y1="{top + 19}" y2="{top + scale.row}"'
        parts.append(f'<line class="link" x1="{x:.1f}" x2="{x:.1f}" {below}/>')
    return parts


def description(bars: list[Bar]) -> str:
    """The bars in words, for who cannot see them."""
    return f"{'; '.join(f'{bar.label} {_number(bar)}' for bar in bars)}. The table below has every number."


def _number(bar: Bar) -> str:
    if bar.total:
        return number(bar.end, 1)
    return f"{'+' if bar.change > 0 else '−' if bar.change < 0 else ''}{number(abs(bar.change), 1)}"
