"""Reading and writing tables as frames. The writer validates; every write is part of the caller's one transaction."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from warehouse.frames import from_rows, records, validate
from warehouse.schema import Base

CHUNK_ROWS = 50_000
MOST_BOUND_VALUES = 500


@dataclasses.dataclass(frozen=True)
class UpsertResult:
    """What became of the rows of a write; `replaced` are the changed ones as (before, after)."""

    accepted: int
    unchanged: int
    replaced: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = ()


def column_names(model: type[Base]) -> list[str]:
    """Names of a table's columns, in their order."""
    return [column.name for column in model.__table__.columns]


def read(
    connection: sa.Connection,
    table: sa.Table,
    *conditions: sa.ColumnElement[bool],
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The table's rows that meet all conditions, typed, in the order of its key."""
    names = list(columns) if columns else [column.name for column in table.columns]
    query = sa.select(*(table.columns[name] for name in names)).where(*conditions)
    rows = connection.execute(query.order_by(*table.primary_key.columns)).all()
    return from_rows(list(rows), table, names)


def insert(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame) -> None:
    """Add the rows after validation; a rule that is broken raises `InvalidInput` and nothing is written."""
    checked = validate(frame, table)
    for start in range(0, len(checked), CHUNK_ROWS):
        connection.execute(table.insert(), records(checked.iloc[start : start + CHUNK_ROWS], table))


def replace(
    connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, *conditions: sa.ColumnElement[bool]
) -> None:
    """Put the rows in place of those that meet the conditions: readers see the old set or the new, never half."""
    connection.execute(table.delete().where(*conditions))
    insert(connection, table, frame)


def upsert(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame) -> UpsertResult:
    """Add new rows and put changed ones in place of their predecessors; rows that are already there stay untouched."""
    checked = validate(frame, table)
    keys = [column.name for column in table.primary_key.columns]
    before = {_key(row, keys): row for row in records(_predecessors(connection, table, checked), table)}
    changed = [row for row in records(checked, table) if before.get(_key(row, keys)) != row]
    fresh = [row for row in changed if _key(row, keys) not in before]
    replaced = tuple((before[_key(row, keys)], row) for row in changed if _key(row, keys) in before)
    if fresh:
        connection.execute(table.insert(), fresh)
    if replaced:
        stale = [{_bound(name): value for name, value in row.items()} for _, row in replaced]
        connection.execute(_update_by_key(table, keys), stale)
    return UpsertResult(len(changed), len(checked) - len(changed), replaced)


def _predecessors(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame) -> pd.DataFrame:
    # the first key column bounds what is read; the rest of the key is matched in memory
    first = next(iter(table.primary_key.columns))
    wanted = {row[first.name] for row in records(frame[[first.name]], table)}
    return read(connection, table, *([first.in_(wanted)] if len(wanted) <= MOST_BOUND_VALUES else []))


def _update_by_key(table: sa.Table, keys: list[str]) -> sa.Update:
    values: dict[str, Any] = {
        column.name: sa.bindparam(_bound(column.name)) for column in table.columns if column.name not in keys
    }
    return table.update().where(*(table.columns[name] == sa.bindparam(_bound(name)) for name in keys)).values(values)


def _bound(name: str) -> str:
    # SQLAlchemy keeps the bare column names for itself in an UPDATE
    return f"new_{name}"


def _key(row: dict[str, Any], keys: list[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in keys)
