"""Lists in pages: a cursor names the last row's place in the order, so that rows never repeat or go missing."""

import base64
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from api.http.errors import InvalidRequest

LARGEST_INTEGER = 2**31 - 1

Key = tuple[str, Any, bool]
"""Name in the row, column, and whether it falls. The keys together must be unique."""


def page_of(
    connection: sa.Connection, query: sa.Select[Any], keys: Sequence[Key], *, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of one page and the cursor of the next, None on the last."""
    found, after = rows_of(connection, query, keys, limit=limit, cursor=cursor)
    # plain dicts: a row that looks each name up costs a model more than the copy
    return [dict(row._mapping) for row in found], after


def rows_of(
    connection: sa.Connection, query: sa.Select[Any], keys: Sequence[Key], *, limit: int, cursor: str | None
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """The same as rows, in the order of the query's columns, which hold the keys."""
    if cursor is not None:
        query = query.where(_after(keys, _decoded(cursor, keys)))
    order = [column.desc() if falls else column.asc() for _, column, falls in keys]
    rows = connection.execute(query.order_by(*order).limit(limit + 1)).all()
    more = len(rows) > limit
    return rows[:limit], _encoded(rows[limit - 1], keys) if more else None


def slice_of(rows: Sequence[Any], *, limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
    """The same of rows that are computed and whose order never changes: the cursor is a place.

    >>> slice_of("abc", limit=2, cursor=slice_of("abc", limit=1, cursor=None)[1])
    (['b', 'c'], None)
    """
    first = _place(cursor) if cursor is not None else 0
    more = len(rows) > first + limit
    return list(rows[first : first + limit]), _written({"place": first + limit}) if more else None


def _place(cursor: str) -> int:
    try:
        stored = _read(cursor)
        if list(stored) != ["place"] or type(stored["place"]) is not int or not 0 <= stored["place"] <= LARGEST_INTEGER:
            raise ValueError("of another list")
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidRequest.field("cursor", "is not a next_cursor of this list") from error
    return int(stored["place"])


def _after(keys: Sequence[Key], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Strictly after the values, in the keys' order: (a > x) or (a = x and b > y) or ..."""
    steps = []
    for place, (_, column, falls) in enumerate(keys):
        same = [keys[before][1] == values[before] for before in range(place)]
        steps.append(sa.and_(*same, column < values[place] if falls else column > values[place]))
    return sa.or_(*steps)


def _encoded(row: sa.Row[Any], keys: Sequence[Key]) -> str:
    held = {name: getattr(row, name) for name, _, _ in keys}
    values = {name: one.isoformat() if isinstance(one, dt.date) else one for name, one in held.items()}
    return _written(values)


def _written(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def _decoded(cursor: str, keys: Sequence[Key]) -> list[Any]:
    try:
        stored = _read(cursor)
        if list(stored) != [name for name, _, _ in keys]:
            raise ValueError("of another list")
        return [_typed(stored[name], column) for name, column, _ in keys]
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidRequest.field("cursor", "is not a next_cursor of this list with this sort") from error


def _typed(value: Any, column: Any) -> Any:
    if isinstance(column.type, sa.DateTime):
        return dt.datetime.fromisoformat(value)
    if isinstance(column.type, sa.Date):
        return dt.date.fromisoformat(value)
    if isinstance(column.type, sa.Integer):
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_INTEGER:
            raise ValueError("not of the column's type")
        return value
    if isinstance(value, bool) or not isinstance(value, float if isinstance(column.type, sa.Float) else str):
        raise ValueError("not of the column's type")
    if isinstance(value, str):
        value.encode()
        if "\x00" in value:
            raise ValueError("NUL")
    return value
