"""Exact conversions between dose units and packs. No float ever becomes an order.

What is needed is rounded by the rule "at_least", version 1: the smallest number of packs that holds the quantity asked,
is not below the minimum order and is a whole multiple of the order multiple. Nothing asked gives no packs, whatever the
minimum. What a limit leaves room for is rounded by "at_most", version 1: the most packs that hold no more than the
room and keep minimum and multiple, else none. After every later step `require_acceptable` tests the packs again.
"""

import dataclasses
import math
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

import numpy as np

from forecasting.arrays import Booleans, Integers
from forecasting.errors import InvalidInput

ROUNDING_RULE = "at_least"
LIMIT_RULE = "at_most"
ROUNDING_VERSION = 1

THOUSANDTHS = 1000
"""Order arithmetic counts thousandths of a dose unit, as integers."""

MILLIONTHS = 1_000_000
"""Service targets are counted in millionths, as integers."""

Exact = int | Decimal | Fraction


@dataclasses.dataclass(frozen=True)
class PackRule:
    """How a product is bought: dose units in a pack, and what the supplier accepts.

    Raises `InvalidInput` for a pack of nothing, a negative minimum or a multiple below 1.
    """

    pack_size: Decimal
    minimum_order_packs: int = 1
    order_multiple_packs: int = 1
    rounding: str = ROUNDING_RULE

    def __post_init__(self) -> None:
        if not (self.pack_size.is_finite() and self.pack_size > 0):
            raise InvalidInput(f"pack_size {self.pack_size} is not a number of dose units above 0")
        if self.minimum_order_packs < 0:
            raise InvalidInput(f"minimum_order_packs {self.minimum_order_packs} is below 0")
        if self.order_multiple_packs < 1:
            raise InvalidInput(f"order_multiple_packs {self.order_multiple_packs} is below 1")
        if self.rounding != ROUNDING_RULE:
            raise InvalidInput(f"rounding {self.rounding!r} is not known; use {ROUNDING_RULE!r}")


def packs_for(quantity: Exact, rule: PackRule) -> int:
    """Packs to order so that at least `quantity` dose units arrive: 0, or at least the minimum and a multiple.

    >>> packs_for(Decimal("29"), PackRule(Decimal("28"), minimum_order_packs=3, order_multiple_packs=2))
    4
    >>> packs_for(0, PackRule(Decimal("28"), minimum_order_packs=3))
    0
    """
    if quantity <= 0:
        return 0
    packs = max(math.ceil(Fraction(quantity) / Fraction(rule.pack_size)), rule.minimum_order_packs)
    return math.ceil(Fraction(packs, rule.order_multiple_packs)) * rule.order_multiple_packs


def packs_within(quantity: Exact, rule: PackRule) -> int:
    """Most packs that hold no more than `quantity` dose units: 0 when even the minimum order holds more.

    >>> packs_within(Decimal("100"), PackRule(Decimal("28"), order_multiple_packs=2))
    2
    """
    if quantity <= 0:
        return 0
    multiples = Fraction(quantity) / (Fraction(rule.pack_size) * rule.order_multiple_packs)
    packs = math.floor(multiples) * rule.order_multiple_packs
    return packs if packs >= rule.minimum_order_packs else 0


def packs_for_thousandths(quantity: Integers, pack_size: Integers, minimum: Integers, multiple: Integers) -> Integers:
    """`packs_for` over arrays; `quantity` and `pack_size` in thousandths of a dose unit.

    >>> packs_for_thousandths(*(np.array([v]) for v in (29_000, 28_000, 3, 2)))
    array([4])
    """
    packs = np.maximum(-(-quantity // pack_size), minimum)
    return np.where(quantity > 0, -(-packs // multiple) * multiple, 0)


def packs_within_thousandths(
    quantity: Integers, pack_size: Integers, minimum: Integers, multiple: Integers
) -> Integers:
    """`packs_within` over arrays; `quantity` and `pack_size` in thousandths of a dose unit.

    >>> packs_within_thousandths(*(np.array([v]) for v in (100_000, 28_000, 0, 2)))
    array([2])
    """
    packs = quantity // (pack_size * multiple) * multiple
    return np.where((quantity > 0) & (packs >= minimum), packs, 0)


def acceptable(packs: Integers, minimum: Integers, multiple: Integers) -> Booleans:
    """Whether the supplier takes so many packs [item]: none at all, or the minimum and a whole multiple.

    >>> acceptable(np.array([0, 2, 4, 5]), np.array([3] * 4), np.array([2] * 4))
    array([ True, False,  True, False])
    """
    return (packs == 0) | ((packs > 0) & (packs >= minimum) & (packs % multiple == 0))


def require_acceptable(packs: int, rule: PackRule) -> None:
    """Raise `InvalidInput`, with the rule that is broken, for packs that the supplier would not take.

    >>> require_acceptable(4, PackRule(Decimal(28), minimum_order_packs=3, order_multiple_packs=2))
    """
    if packs < 0 or 0 < packs < rule.minimum_order_packs:
        raise InvalidInput(f"{packs} packs are below the minimum order of {rule.minimum_order_packs}")
    if packs % rule.order_multiple_packs:
        raise InvalidInput(f"{packs} packs are no multiple of {rule.order_multiple_packs}")


def as_decimal(value: object) -> Decimal:
    """The number as it is written: floats by their shortest text, so 0.1 is 0.1.

    Raises `InvalidInput` for anything that is not a finite number.

    >>> as_decimal(7.5)
    Decimal('7.5')
    """
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation as error:
        raise InvalidInput(f"{value!r} is not a number") from error
    if not number.is_finite():
        raise InvalidInput(f"{value!r} is not a finite number")
    return number


def to_thousandths(values: Iterable[object]) -> Integers:
    """Dose units as whole thousandths [item].

    Raises `InvalidInput` for a value with more than three decimals: rounding it would change what is bought.

    >>> to_thousandths([Decimal("7.5"), 28])
    array([ 7500, 28000])
    """
    numbers = [as_decimal(value) * THOUSANDTHS for value in values]
    for number in numbers:
        if number != int(number):
            raise InvalidInput(f"quantity {number / THOUSANDTHS} has more than three decimals")
    return np.array([int(number) for number in numbers], dtype=np.int64)


def from_thousandths(value: int) -> Decimal:
    """Dose units of whole thousandths, exact and without trailing zeros.

    >>> from_thousandths(22_500), from_thousandths(280_000)
    (Decimal('22.5'), Decimal('280'))
    """
    whole, rest = divmod(abs(int(value)), THOUSANDTHS)
    text = f"{whole}.{rest:03d}".rstrip("0").rstrip(".")
    return Decimal(f"-{text}" if value < 0 else text)


BILLIONTHS = 1_000_000_000
"""Gains and prices are compared in billionths of a treatment-day, as integers."""


def treatment_days(strength_value: float, usual_daily_dose: float) -> int:
    """Treatment-days of a dose unit in millionths; a dose unit a day where the usual dose is not known.

    >>> treatment_days(75.0, 75.0), treatment_days(500.0, 3000.0), treatment_days(75.0, float("nan"))
    (1000000, 166667, 1000000)
    """
    if not usual_daily_dose > 0:
        return MILLIONTHS
    return max(round(strength_value / usual_daily_dose * MILLIONTHS), 1)
