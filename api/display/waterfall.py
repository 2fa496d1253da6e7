"""The calculation of a quantity as a waterfall: from past use to what is ordered, bar by bar.

The bars are read from the stored document. Each total is one of its values, and what its named parts do not explain is
a bar of its own, so that the bars always add up.
"""

import dataclasses
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from api.display import labels

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


LEGS: tuple[tuple[str, tuple[tuple[str, str, int], ...], str], ...] = (
    # total that the leg ends at; its parts (value, words, sign), of which those that the document has count
    (
        "expected_demand",
        (
            ("change_since_history", "Baseline against use so far", 1),
            ("shortage_shift", "Moved by a shortage", 1),
            ("genetic_shift", "Genetic shift", 1),
            ("override", "Override", 1),
        ),
        "Other changes of demand",
    ),
    ("order_up_to_level", (("safety_stock", "Safety stock", 1),), "Limits on what is held"),
    (
        "quantity",
        (
            ("stock_on_hand", "Stock on hand", -1),
            ("expires_unused", "Of it, expires before use", 1),
            ("open_orders_in_time", "Open orders in time", -1),
            ("not_needed", "More than needed", 1),
            ("whole_packs", "To whole packs, minimum and multiple", 1),
        ),
        "Limits, and what lines share",
    ),
)
STARTS = ("history_demand", "baseline_demand")


def waterfall(document: dict[str, Any]) -> list[Bar]:
    """The bars of a stored calculation, empty where it has no total to begin with or to end at.

    Zero parts are left out.
    """
    values = _values(document)
    begin = next((name for name in STARTS if name in values), None)
    if begin is None or "quantity" not in values:
        return []
    at = values[begin]
    bars = [Bar(labels.plain(begin, labels.NAMES), ZERO, at, total=True)]
    for total, parts, rest in LEGS:
        if total not in values:
            continue
        for name, label, sign in parts:
            if values.get(name, ZERO):
                bars.append(Bar(label, at, at + sign * values[name]))
                at = bars[-1].end
        if at != values[total]:
            bars.append(Bar(rest, at, values[total]))
            at = values[total]
        bars.append(Bar(labels.plain(total, labels.NAMES), ZERO, at, total=True))
    return bars


def _values(document: Mapping[str, Any]) -> dict[str, Decimal]:
    entries = [*document.get("inputs", []), *document.get("steps", [])]
    found = {one["name"]: Decimal(str(one["value"])) for one in entries}
    parts = [value for name, value in found.items() if name.startswith("genetic_shift_")]
    if parts:
        found.setdefault("genetic_shift", sum(parts, ZERO))
    if {"net_need", "packs_needed", "pack_size"} <= set(found):
        needed = max(found["net_need"], ZERO)
        found["not_needed"] = needed - found["net_need"]
        found["whole_packs"] = found["packs_needed"] * found["pack_size"] - needed
    return found


def waterfall_chart(bars: list[Bar], *, width: int, name: str) -> Markup:
    """The bars as an `svg` element with its own title and description; there must be at least one.

    Wide drawings have the label beside the bar, narrow ones above it.
    """
    wide = width > 500
    left, row, label_height = (250, 30, 0) if wide else (8, 42, 17)
    room = width - left - 90
    low = min(ZERO, *(bar.end for bar in bars))
    high = max(Decimal(1), *(bar.end for bar in bars))

    def x(value: Decimal) -> float:
        return left + room * float((value - low) / (high - low))

    scale = _Scale(x, left, row, label_height)
    parts = [f'<line class="grid" x1="{x(ZERO):.1f}" x2="{x(ZERO):.1f}" y1="4" y2="{row * len(bars)}"/>']
    for place, bar in enumerate(bars):
        parts += _drawn(bar, place, scale, last=place + 1 == len(bars))
    head = (
        f'<svg class="fan fall {name}" viewBox="0 0 {width} {row * len(bars) + 6}" role="img" '
        f'aria-labelledby="fall-{name}-title fall-{name}-text"><title id="fall-{name}-title">From past use to the '
        f'order, in dose units</title><desc id="fall-{name}-text">{escape(description(bars))}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")


@dataclasses.dataclass(frozen=True)
class _Scale:
    """From dose units to points across, and how high a row and its label are; labels lie above where that is not 0."""

    x: Callable[[Decimal], float]
    left: float
    row: int
    label_height: int


def _drawn(bar: Bar, place: int, scale: _Scale, *, last: bool) -> list[str]:
    """A bar with its label, its number, and the line to the bar below."""
    y = place * scale.row + 6
    top = y + scale.label_height
    begin, end = sorted((scale.x(bar.start), scale.x(bar.end)))
    kind = "total" if bar.total else "more" if bar.change > 0 else "less"
    beside = scale.label_height == 0
    anchor, at = ("end", scale.left - 10) if beside else ("start", scale.left)
    told = labels.number(bar.end, 1) if bar.total else _signed(bar.change)
    parts = [
        f'<text class="tick {anchor}" x="{at}" y="{y + (14 if beside else 11)}">{escape(bar.label)}</text>',
        f'<rect class="{kind}" x="{begin:.1f}" y="{top}" width="{max(end - begin, 1.5):.1f}" height="19" rx="2"/>',
        f'<text class="tick value" x="{end + 6:.1f}" y="{top + 14}">{told}</text>',
    ]
    if not last:
        link = scale.x(bar.end)
        below = f'y1="{top + 19}" y2="{top + scale.row}"'
        parts.append(f'<line class="link" x1="{link:.1f}" x2="{link:.1f}" {below}/>')
    return parts


def description(bars: list[Bar]) -> str:
    """The bars in words, for who cannot see them."""
    told = [f"{bar.label} {labels.number(bar.end, 1) if bar.total else _signed(bar.change)}" for bar in bars]
    return f"{'; '.join(told)}. The table below has every number."


def _signed(value: Decimal) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{labels.number(abs(value), 1)}"
