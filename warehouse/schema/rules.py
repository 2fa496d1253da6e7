"""Rules of a column that describe themselves and check themselves, in SQL and on frames alike.

What belongs here: rules about one value. References between tables are foreign keys or `Refers`; keys are primary keys.
"""

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

import pandas as pd


@dataclasses.dataclass(frozen=True)
class Rule:
    """A condition on one column; missing values are never a violation (nullability is the column's own)."""

    @property
    def name(self) -> str:
        """Short name, part of the constraint's name."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The condition as the user reads it."""
        raise NotImplementedError

    def sql(self, column: str) -> str | None:
        """The condition in SQL, or None where SQL has none."""
        raise NotImplementedError

    def violated(self, values: pd.Series) -> pd.Series:
        """Boolean mask of the values that break the rule."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Bound(Rule):
    """The value lies on the right side of a limit; each kind has the condition in SQL and in a sentence."""

    limit: float

    operator: ClassVar[str]
    slug: ClassVar[str]
    phrase: ClassVar[str]
    comparison: ClassVar[str]

    @property
    def name(self) -> str:
        return f"{self.slug}_{self.limit:g}"

    @property
    def text(self) -> str:
        return f"must be {self.phrase.format(f'{self.limit:g}')}"

    def sql(self, column: str) -> str:
        return f"{column} {self.operator} {self.limit:g}"

    def violated(self, values: pd.Series) -> pd.Series:
        numbers = _numbers(values)
        kept: pd.Series = getattr(numbers, self.comparison)(self.limit)
        return numbers.notna() & ~kept


class AtLeast(Bound):
    """The value is not below the limit.

    >>> AtLeast(0).violated(pd.Series([-1.0, 0.0, None])).tolist()
    [True, False, False]
    """

    operator, comparison, slug, phrase = ">=", "ge", "at_least", "{} or more"


class MoreThan(Bound):
    """The value is above the limit."""

    operator, comparison, slug, phrase = ">", "gt", "more_than", "more than {}"


class AtMost(Bound):
    """The value is not above the limit."""

    operator, comparison, slug, phrase = "<=", "le", "at_most", "{} or less"


@dataclasses.dataclass(frozen=True)
class OneOf(Rule):
    """The value is a word of a vocabulary."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, vocabulary: type[StrEnum]) -> "OneOf":
        """The rule for a vocabulary of `forecasting.terms`."""
        return cls(tuple(str(word) for word in vocabulary))

    @property
    def name(self) -> str:
        return "one_of"

    @property
    def text(self) -> str:
        return f"must be one of: {', '.join(self.words)}"

    def sql(self, column: str) -> str:
        quoted = ", ".join("'" + word.replace("'", "''") + "'" for word in self.words)
        return f"{column} IN ({quoted})"

    def violated(self, values: pd.Series) -> pd.Series:
        return (values.notna() & ~values.isin(self.words)).astype(bool)


@dataclasses.dataclass(frozen=True)
class NotBlank(Rule):
    """The text has at least one character."""

    @property
    def name(self) -> str:
        return "not_blank"

    @property
    def text(self) -> str:
        return "must not be blank"

    def sql(self, column: str) -> str:
        return f"{column} <> ''"

    def violated(self, values: pd.Series) -> pd.Series:
        return values.notna() & (values.astype("string").str.strip() == "").fillna(False)


@dataclasses.dataclass(frozen=True)
class Refers(Rule):
    """The value is a key of another table, or one of the stated wildcards. The loader checks it; SQL cannot."""

    table: str
    column: str
    wildcards: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"refers_{self.table}"

    @property
    def text(self) -> str:
        wildcard = "".join(f" or {word!r}" for word in self.wildcards)
        return f"must be a {self.column} of {self.table}{wildcard}"

    def sql(self, column: str) -> None:  # noqa: ARG002 (every rule is asked alike)
        return None

    def violated(self, values: pd.Series) -> pd.Series:
        return pd.Series(False, index=values.index)

    def unknown(self, values: pd.Series, known: Sequence[str] | set[str]) -> pd.Series:
        """Boolean mask of the values that are neither known keys nor wildcards."""
        return values.notna() & ~values.isin(set(known) | set(self.wildcards))


def _numbers(values: pd.Series) -> pd.Series:
    if values.dtype == object:  # exact decimals
        return values.map(lambda value: float(value) if isinstance(value, Decimal | int | float) else None).astype(
            float
        )
    return values.astype("float64")
