"""The stored calculation of a line: inputs with source and age, steps with their numbers, and how to redo it.

A document is plain JSON (version 1). Numbers are decimal text, exact; demand samples are sorted whole thousandths of a
dose unit, rounded before anything was computed from them. `recompute` needs the document alone: it looks each operation
up in a table, nothing is evaluated.

    {"version": 1, "as_of", "context", "rules", "item", "dates",
     "inputs":  [{"name", "value", "unit", "source", "as_of", "age_days", ...details}],
     "samples": [{"name", "unit", "values"}],
     "steps":   [{"name", "operation", "operands", "value", "unit"}],
     "not_counted": [...], "outlook": [{"name", "value", "unit"}], "result": {...}}
"""

import bisect
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.packs import (
    BILLIONTHS,
    MILLIONTHS,
    THOUSANDTHS,
    PackRule,
    packs_for,
    packs_within,
    require_acceptable,
)
from forecasting.procurement.policy.least_cost import reorder_levels

VERSION = 1

_DECIMALS = {
    2**twos * 5**fives: max(twos, fives) for twos in range(19) for fives in range(19) if 2**twos * 5**fives <= 10**18
}
"""Decimals that a number of this denominator needs."""

DOSE_UNITS = "dose units"
SUPPLY = ["usable_stock", "open_orders_in_time"]
"""Names of what counts as supply before an order."""

PACK_RULE = ["pack_size", "minimum_order_packs", "order_multiple_packs"]
"""Names of how packs are rounded."""

HISTORY_RULE = "history_periods_"
"""Begins the name of an input that counts the periods a cleaning rule touched."""

Document = dict[str, Any]
Value = Fraction | list[int]


def dose_units(thousandths: Any) -> Fraction:
    """Dose units of whole thousandths, exact.

    >>> dose_units(22_500)
    Fraction(45, 2)
    """
    return Fraction(int(thousandths), THOUSANDTHS)


def as_text(value: Fraction | Decimal | int) -> str:
    """A number as decimal text, exact; `ValueError` for one that never ends (a third).

    >>> as_text(Fraction(225, 10)), as_text(Decimal("280.0"))
    ('22.5', '280')
    """
    fraction = value if type(value) is Fraction else Fraction(value)
    decimals = _DECIMALS.get(fraction.denominator)
    if decimals is not None:
        digits = abs(fraction.numerator) * (10**decimals // fraction.denominator)
        whole, rest = divmod(digits, 10**decimals)
        text = f"{whole}.{rest:0{decimals}d}" if decimals else str(whole)
        return f"-{text}" if fraction.numerator < 0 else text
    with localcontext() as context:
        context.prec = 60
        number = Decimal(fraction.numerator) / Decimal(fraction.denominator)
        if Fraction(number) != fraction:
            raise ValueError(f"{fraction} has no finite decimal form")
        return f"{number.normalize():f}"


def _difference(first: Fraction, *rest: Fraction) -> Fraction:
    return first - sum(rest)


def _level_with_losses(
    needed_first: list[int], needed: list[int], first: list[int], second: list[int], target: Fraction
) -> Fraction:
    """Smallest whole thousandth that leaves the share `1 - target` of the demand between first and second unmet."""
    allowed = math.floor((1 - target) * (sum(second) - sum(first)))
    next_short, first_short = _shortages(needed), _shortages(needed_first)
    return _smallest_level(needed, lambda level: next_short(level) - first_short(level) <= allowed)


def _smallest_level(needed: list[int], is_enough: Callable[[int], bool]) -> Fraction:
    """Smallest whole thousandth that is enough; the largest quantity needed is."""
    return dose_units(bisect.bisect_left(range(max(needed)), True, key=is_enough))


def _shortages(sample: list[int]) -> Callable[[int], int]:
    """Total shortage over a sorted sample as a function of the level."""
    above = [0, *itertools.accumulate(reversed(sample))][::-1]

    def total(level: int) -> int:
        first = bisect.bisect_right(sample, level)
        return above[first] - level * (len(sample) - first)

    return total


def _level_for_cycle_service(until_next: list[int], target: Fraction) -> Fraction:
    return dose_units(until_next[math.ceil(target * len(until_next)) - 1])


def _rule(pack_size: Fraction, minimum: Fraction, multiple: Fraction) -> PackRule:
    return PackRule(Decimal(as_text(pack_size)), int(minimum), int(multiple))


def _newsvendor(needed: list[int], within_life: list[int], *costs: Fraction) -> Fraction:
    """Smallest whole thousandth beyond which one more is not worth its waste."""
    short, wasted, held = costs

    def is_enough(level: int) -> bool:
        left, expires = bisect.bisect_right(needed, level), bisect.bisect_right(within_life, level)
        return short * (len(needed) - left) <= wasted * expires + held * left

    return _smallest_level(needed, is_enough)


def _least_cost(needed: list[int], of_review: list[int], *operands: Fraction) -> tuple[Fraction, Fraction]:
    target, order_cost, pack_size, multiple = operands
    ratio, setup, step = (
        np.array([int(value)])
        for value in (target * MILLIONTHS, order_cost * THOUSANDTHS, pack_size * multiple * THOUSANDTHS)
    )
    low, high = reorder_levels(np.array([needed]), np.array([of_review]), ratio, setup, step)
    return dose_units(low[0]), dose_units(high[0])


def _kept_between(standing: Fraction, low: Fraction, high: Fraction) -> Fraction:
    if not low <= standing <= high:
        raise InvalidInput(f"explanation: {standing} packs do not stand, {low} to {high} are needed")
    return standing


def _weighed(*pairs: Fraction) -> Fraction:
    """Sum of prices times what is taken, rounded down to billionths."""
    total = sum((price * taken for price, taken in zip(pairs[::2], pairs[1::2], strict=True)), Fraction(0))
    return Fraction(math.floor(total * BILLIONTHS), BILLIONTHS)


def _packs_at_price(needed: list[int], *operands: Fraction) -> Fraction:
    """Most packs of which every step gains what is asked of a pack; the smallest order is one step."""
    position, pack_size, minimum, multiple, most, days_per_unit, required_gain = operands
    step = int(multiple)
    first = math.ceil(max(minimum, Fraction(1)) / multiple) * step
    short = _shortages(needed)

    def gains(before: int, after: int) -> bool:
        low, high = (int((position + packs * pack_size) * THOUSANDTHS) for packs in (before, after))
        met = dose_units(short(low) - short(high)) * days_per_unit
        return met >= required_gain * (after - before) * len(needed)

    packs = 0
    while packs + (step if packs else first) <= most and gains(packs, packs + (step if packs else first)):
        packs += step if packs else first
    return Fraction(packs)


OPERATIONS: dict[str, Callable[..., Fraction]] = {
    "sum": lambda *terms: sum(terms, Fraction(0)),
    "difference": _difference,
    "product": lambda *factors: math.prod(factors, start=Fraction(1)),
    "positive_part": lambda value: max(value, Fraction(0)),
    "smaller_of": lambda *values: min(values),
    "order_up_to_fill_rate": lambda first, second, target: _level_with_losses(first, second, first, second, target),
    "order_up_to_fill_rate_with_expiry": _level_with_losses,
    "order_up_to_cycle_service": _level_for_cycle_service,
    "newsvendor": _newsvendor,
    "newsvendor_without_expiry": lambda needed, *costs: _newsvendor(needed, [], *costs),
    "least_cost_reorder_point": lambda *operands: _least_cost(*operands)[0],
    "least_cost_order_up_to": lambda *operands: _least_cost(*operands)[1],
    "if_at_or_below": lambda value, position, limit: max(value, Fraction(0)) if position <= limit else Fraction(0),
    "kept_between": _kept_between,
    "weighed": _weighed,
    "packs_worth": _packs_at_price,
    "round_up_to_packs": lambda quantity, *rule: Fraction(packs_for(quantity, _rule(*rule))),
    "round_down_to_packs": lambda quantity, *rule: Fraction(packs_within(quantity, _rule(*rule))),
}
"""Everything a step can do. The first operand of "difference" is what the others are taken from."""


class Calculation:
    """Inputs, samples and steps while they are written down; each step is computed from what stands before it."""

    def __init__(self) -> None:
        self.inputs: list[Document] = []
        self.samples: list[Document] = []
        self.steps: list[Document] = []
        self._values: dict[str, Value] = {}

    def add_input(
        self,
        name: str,
        value: Fraction | Decimal | int,
        unit: str,
        source: str,
        *,
        age_days: int | None = None,
        **details: Any,
    ) -> str:
        """Write an input down and return its name."""
        exact = Fraction(value)
        self._values[name] = exact
        entry = {"name": name, "value": as_text(exact), "unit": unit, "source": source, "age_days": age_days}
        self.inputs.append(entry | details)
        return name

    def add_quantity(self, name: str, thousandths: Any, source: str, **details: Any) -> str:
        """Write a quantity of thousandths of a dose unit (an integer) down as an input, and return its name."""
        return self.add_input(name, dose_units(thousandths), DOSE_UNITS, source, **details)

    def add_sample(self, name: str, thousandths: Integers) -> str:
        """Write a demand sample [draw] down, sorted, and return its name."""
        values = np.sort(thousandths).tolist()
        self._values[name] = values
        self.samples.append({"name": name, "unit": "thousandths of a dose unit", "values": values})
        return name

    def add_step(
        self, name: str, operation: str, operands: list[str], unit: str = DOSE_UNITS, known: Fraction | None = None
    ) -> str:
        """Compute a step (or take its `known` value, which `recompute` will test) and return its name."""
        value = OPERATIONS[operation](*(self._values[o] for o in operands)) if known is None else known
        self._values[name] = value
        entry = {"name": name, "operation": operation, "operands": operands, "value": as_text(value), "unit": unit}
        self.steps.append(entry)
        return name

    def value(self, name: str) -> Fraction:
        """The number that stands behind a name."""
        value = self._values[name]
        if isinstance(value, list):
            raise TypeError(f"{name} is a sample")
        return value


def recompute(document: Document) -> dict[str, Any]:
    """Packs (int), quantity (Decimal dose units), cost (Decimal or None) and level, from the document alone.

    Raises `InvalidInput` for another version, an unknown operation or name, wherever a stored value is not what its
    step gives, and for packs that break the minimum or multiple that the document states.
    """
    if document.get("version") != VERSION:
        raise InvalidInput(f"explanation version {document.get('version')!r} is not known; this is {VERSION}")
    try:
        values = _recomputed_values(document)
        result = document["result"]
        recomputed = {
            "packs": int(values["packs"]),
            "quantity": Decimal(as_text(values["quantity"])),
            "cost": Decimal(as_text(values["cost"])) if "cost" in values else None,
            "order_up_to_level": Decimal(as_text(values["order_up_to_level"])),
        }
        rule = _rule(*(values[name] for name in ("pack_size", "minimum_order_packs", "order_multiple_packs")))
        stored = {name: result[name] for name in ("packs", "quantity", "cost")}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InvalidInput(f"explanation cannot be recomputed: {error!r}") from error
    require_acceptable(int(values["packs"]), rule)
    for name, text in stored.items():
        if (None if text is None else Decimal(str(text))) != recomputed[name]:
            raise InvalidInput(f"explanation: stored {name} {text} is not the recomputed {recomputed[name]}")
    return recomputed


def _recomputed_values(document: Document) -> dict[str, Any]:
    values: dict[str, Any] = {entry["name"]: Fraction(entry["value"]) for entry in document["inputs"]}
    values |= {entry["name"]: sorted(entry["values"]) for entry in document["samples"]}
    for step in document["steps"]:
        if step["operation"] not in OPERATIONS:
            raise InvalidInput(f"explanation: operation {step['operation']!r} is not known")
        value = OPERATIONS[step["operation"]](*(values[name] for name in step["operands"]))
        if value != Fraction(step["value"]):
            raise InvalidInput(f"explanation: step {step['name']} says {step['value']}, its operands give {value}")
        values[step["name"]] = value
    return values


def recommendation_id(document: Document) -> str:
    """A stable name for the line: the same day, item, numbers and releases give the same id.

    >>> recommendation_id({"version": 1})
    'rec-2430f1a2ad2982d00678'
    """
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return f"rec-{hashlib.sha256(canonical.encode()).hexdigest()[:20]}"


def json_value(value: Any) -> Any:
    """Numbers of numpy as Python's, decimals and dates as text, missing as null.

    >>> json_value(np.float64(2.0)), json_value(pd.NA)
    (2, None)
    """
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)


def json_record(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a frame with each value as JSON holds it."""
    return {str(name): json_value(value) for name, value in row.items()}
