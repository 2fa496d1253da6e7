"""The kinds of columns that many tables have: each with what it means, and unit and rules that go with the kind."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from warehouse.schema.base import ExactDecimal, column
from warehouse.schema.rules import AtLeast, AtMost, NotBlank, Rule


def text(comment: str, *rules: Rule, **options: Any) -> Any:
    """A short text."""
    return column(sa.String, comment, *rules, **options)


def day(comment: str, *rules: Rule, **options: Any) -> Any:
    """A date."""
    return column(sa.Date, comment, *rules, **options)


def moment(comment: str, *rules: Rule, **options: Any) -> Any:
    """A date and time, in UTC."""
    return column(sa.DateTime, comment, *rules, **options)


def flag(comment: str, *rules: Rule, **options: Any) -> Any:
    """True or false."""
    return column(sa.Boolean, comment, *rules, **options)


def share(comment: str, **options: Any) -> Any:
    """A share from 0 to 1."""
    return column(sa.Float, comment, AtLeast(0), AtMost(1), unit="share", **options)


def amount(comment: str, unit: str, **options: Any) -> Any:
    """A measured number of 0 or more, in a unit."""
    return column(sa.Float, comment, AtLeast(0), unit=unit, **options)


def exact_amount(comment: str, unit: str, **options: Any) -> Any:
    """A decimal number of 0 or more that stays exact, in a unit."""
    return column(ExactDecimal, comment, AtLeast(0), unit=unit, **options)


def whole_number(comment: str, unit: str, **options: Any) -> Any:
    """A count of 0 or more, in a unit."""
    return column(sa.Integer, comment, AtLeast(0), unit=unit, **options)


def origin() -> Mapped[dt.date]:
    """The origin day, part of the key of every result."""
    return day("Origin: the first day that the run looks ahead from.", primary_key=True)


def site(comment: str = "Site.") -> Mapped[str]:
    """The site of a result, part of its key."""
    return text(comment, NotBlank(), primary_key=True)


def product(**options: Any) -> Mapped[str]:
    """The product of a result, part of its key."""
    return text("Product.", NotBlank(), primary_key=True, **options)
