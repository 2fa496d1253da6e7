"""Frames in and out of tables: types and checks derived from the schema, nothing declared a second time."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.schema.base import ExactDecimal
from warehouse.schema.rules import Rule

TRUE_WORDS = frozenset({"true", "t", "yes", "y", "1"})
FALSE_WORDS = frozenset({"false", "f", "no", "n", "0"})
DUPLICATE_KEY = "duplicate key"

# what PostgreSQL's INTEGER and NUMERIC(24, 6) hold; SQLite gets the same, so that both databases store one value
LARGEST_INTEGER = 2**31 - 1
LARGEST_DECIMAL = Decimal(10) ** 18
DECIMAL_STEP = Decimal("0.000001")
ISO_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ].+)?"


@dataclasses.dataclass(frozen=True)
class Violation:
    """Rows (positions in the frame) whose value in `column` breaks `rule`."""

    column: str
    rule: str
    rows: np.ndarray


def required_columns(table: sa.Table) -> list[str]:
    """Columns a frame must have: those that are neither nullable, nor defaulted, nor numbered by the database."""
    return [
        column.name
        for column in table.columns
        if not column.nullable and column.default is None and not _numbered(column)
    ]


def coerce(frame: pd.DataFrame, table: sa.Table) -> tuple[pd.DataFrame, list[Violation]]:
    """The frame with the table's columns and types, and the values that could not be read as their type.

    Text columns stay text (leading zeros survive); dates accept ISO text, dates and timestamps. Absent nullable columns
    are added as missing; defaults fill blanks of defaulted columns. A missing required column raises `InvalidInput`.
    """
    absent = [name for name in required_columns(table) if name not in frame.columns]
    if absent:
        raise InvalidInput(f"{table.name}: missing column {', '.join(absent)}")
    read: dict[str, pd.Series] = {}
    violations: list[Violation] = []
    for column in table.columns:
        if column.name not in frame.columns:
            if not _numbered(column):
                read[column.name] = pd.Series(
                    [_default(column)] * len(frame), index=frame.index, dtype=_kind(column).dtype
                )
            continue
        values, unreadable = _read(frame[column.name], column)
        if column.default is not None:
            values = values.astype(object).where(values.notna(), _default(column)).astype(_kind(column).dtype)
        read[column.name] = values
        if unreadable.any():
            violations.append(Violation(column.name, f"must be {_kind(column).text}", np.flatnonzero(unreadable)))
    return pd.DataFrame(read, index=frame.index), violations


def violations(frame: pd.DataFrame, table: sa.Table) -> list[Violation]:
    """What a coerced frame breaks: blanks where a value is required, the columns' rules, duplicate keys."""
    broken = []
    for column in table.columns:
        if column.name not in frame.columns:
            continue
        values = frame[column.name]
        if not column.nullable:
            broken.append(Violation(column.name, "must not be blank", np.flatnonzero(values.isna())))
        rules: tuple[Rule, ...] = column.info.get("rules", ())
        broken += [Violation(column.name, rule.text, np.flatnonzero(rule.violated(values))) for rule in rules]
    keys = [column.name for column in table.primary_key.columns]
    if keys and set(keys) <= set(frame.columns):
        repeated = frame.duplicated(subset=keys, keep="first")
        broken.append(Violation(", ".join(keys), DUPLICATE_KEY, np.flatnonzero(repeated)))
    return [violation for violation in broken if len(violation.rows)]


def validate(frame: pd.DataFrame, table: sa.Table) -> pd.DataFrame:
    """The frame as the table takes it; the first broken rule raises `InvalidInput` with its value.

    This is the writer's guard for computed frames. Files go through `coerce` and `violations`, which name every row.
    """
    unknown = sorted(set(frame.columns) - {column.name for column in table.columns})
    if unknown:
        raise InvalidInput(f"{table.name}: unknown column {', '.join(unknown)}")
    read, unreadable = coerce(frame.reset_index(drop=True), table)
    for violation in unreadable + violations(read, table):
        first = violation.rows[0]
        names = violation.column.split(", ")
        value = frame.reset_index(drop=True).loc[first, [name for name in names if name in frame.columns]].tolist()
        raise InvalidInput(
            f"{table.name}.{violation.column} = {value}: {violation.rule} ({len(violation.rows)} of {len(frame)} rows)"
        )
    return read


def records(frame: pd.DataFrame, table: sa.Table) -> list[dict[str, Any]]:
    """The rows as dictionaries of plain Python values, missing as None: what a driver takes."""
    columns = {name: _plain(frame[name], table.columns[name]) for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def from_rows(rows: list[Any], table: sa.Table, names: list[str]) -> pd.DataFrame:
    """A typed frame of query rows; columns keep the table's types also when there are no rows."""
    raw = pd.DataFrame([tuple(row) for row in rows], columns=names, dtype=object)
    return pd.DataFrame({name: _typed(raw[name], table.columns[name]) for name in names})


def _numbered(column: sa.Column[Any]) -> bool:
    return column.primary_key and column.autoincrement is True


def _default(column: sa.Column[Any]) -> Any:
    return None if column.default is None else column.default.arg  # type: ignore[attr-defined]


def _read(values: pd.Series, column: sa.Column[Any]) -> tuple[pd.Series, pd.Series]:
    """The typed values and a mask of those that are not blank and cannot be read."""
    blank = values.isna()
    if values.dtype == object or isinstance(values.dtype, pd.StringDtype):
        blank = blank | (values.astype("string").str.strip() == "").fillna(False)
    typed = _kind(column).read(values.where(~blank, None))
    return typed, (~blank & typed.isna()).astype(bool)


def _read_text(values: pd.Series) -> pd.Series:
    text = values.astype("string").str.strip()
    # PostgreSQL's text cannot hold it
    return text.mask(text.str.contains("\x00", regex=False).fillna(False))


def _read_number(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def _read_integer(values: pd.Series) -> pd.Series:
    numbers = _read_number(values)
    is_whole = (numbers == numbers.round()) & (numbers.abs() <= LARGEST_INTEGER)
    return numbers.where(is_whole).astype("Int64")


def _read_decimal(values: pd.Series) -> pd.Series:
    return pd.Series([_decimal(value) for value in values], index=values.index, dtype=object)


def _decimal(value: Any) -> Decimal | None:
    if value is None or value is pd.NA or value != value:
        return None
    try:
        exact = Decimal(str(value).strip().replace("_", "?"))  # Python would read 1_000
    except InvalidOperation:
        return None
    if not exact.is_finite() or abs(exact) >= LARGEST_DECIMAL:
        return None
    return exact.quantize(DECIMAL_STEP) if int(exact.as_tuple().exponent) < -6 else exact


def _read_boolean(values: pd.Series) -> pd.Series:
    text = values.astype("string").str.strip().str.lower()
    read = pd.Series(pd.NA, index=values.index, dtype="boolean")
    return read.mask(text.isin(TRUE_WORDS).fillna(False), True).mask(text.isin(FALSE_WORDS).fillna(False), False)


def _read_date(values: pd.Series) -> pd.Series:
    return _read_timestamp(values).dt.normalize()


def _read_timestamp(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        stamps = values
    else:
        codes, distinct = pd.factorize(values)  # few dates, many rows
        text = pd.Series(
            [value.isoformat() if isinstance(value, dt.date) else value for value in distinct], dtype="string"
        )
        text = text.str.strip()
        text = text.where(text.str.fullmatch(ISO_DATE).fillna(False))
        parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
        stamps = parsed.reindex(codes).set_axis(values.index)  # missing values have the code -1, which is no label
    if getattr(stamps.dt, "tz", None) is not None:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    return stamps.astype("datetime64[us]")


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A type of columns: its type in frames, what a value must be, and how values are read."""

    column_type: Any
    dtype: Any
    text: str
    read: Callable[[pd.Series], pd.Series]


# the first that a column's type is an instance of counts
KINDS = (
    _Kind(ExactDecimal, object, "a decimal number", _read_decimal),
    _Kind(sa.Float, "float64", "a finite number", _read_number),
    _Kind(sa.Integer, "Int64", "a whole number", _read_integer),
    _Kind(sa.Boolean, "boolean", "true or false", _read_boolean),
    _Kind(sa.DateTime, "datetime64[us]", "an ISO date and time (YYYY-MM-DDTHH:MM)", _read_timestamp),
    _Kind(sa.Date, "datetime64[us]", "an ISO date (YYYY-MM-DD)", _read_date),
    _Kind(sa.String, "string", "text", _read_text),
)


def _kind(column: sa.Column[Any]) -> _Kind:
    return next(kind for kind in KINDS if isinstance(column.type, kind.column_type))


def _plain(values: pd.Series, column: sa.Column[Any]) -> list[Any]:
    if isinstance(column.type, sa.Date | sa.DateTime):
        stamps = values.astype("datetime64[us]").astype(object)
        day_only = isinstance(column.type, sa.Date)
        return [None if s is pd.NaT else s.date() if day_only else s.to_pydatetime() for s in stamps]
    missing = values.isna().to_numpy()
    return [None if gone else value for value, gone in zip(values.astype(object).tolist(), missing, strict=True)]


def _typed(values: pd.Series, column: sa.Column[Any]) -> pd.Series:
    if isinstance(column.type, sa.Date | sa.DateTime):
        return pd.to_datetime(values).astype("datetime64[us]")
    return values.astype(_kind(column).dtype)
