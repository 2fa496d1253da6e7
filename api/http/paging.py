"""Lists in pages: a cursor names the last row's place in the order, so that rows never repeat or go missing."""

import base64
import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from api.http.errors import InvalidRequest
from api.http.fields import LARGEST_INTEGER, PageOut, PageParameters

Answer = TypeVar("Answer", bound=PageOut)


@dataclasses.dataclass(frozen=True)
class Key:
    """A column of a list's order, rising unless `descending`. The keys of a list together must be unique."""

    column: Any
    descending: bool = False

    @property
    def name(self) -> str:
        """The column's name in a row."""
        return str(self.column.key)


def list_page(
    model: type[Answer],
    connection: sa.Connection,
    query: sa.Select[Any],
    keys: Sequence[Key],
    parameters: PageParameters,
    **members: Any,
) -> Answer:
    """A page of a list as its model; `members` are those beside items and cursor: `units`, unless there are none.

    An `item` among them is the function that makes an item of a row.
    """
    rows, next_cursor = rows_of(connection, query, keys, parameters)
    item = members.pop("item", dict)
    # plain dicts: a row that looks each name up costs a model more than the copy
    items = [item(row._mapping) for row in rows]
    return model.model_validate({"items": items, "next_cursor": next_cursor, "units": {}} | members)


def rows_of(
    connection: sa.Connection, query: sa.Select[Any], keys: Sequence[Key], parameters: PageParameters
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """The rows of one page, whose columns hold the keys, and the cursor of the next page, None on the last."""
    if parameters.cursor is not None:
        query = query.where(_after(keys, _decoded(parameters.cursor, keys)))
    order = [key.column.desc() if key.descending else key.column.asc() for key in keys]
    rows = connection.execute(query.order_by(*order).limit(parameters.limit + 1)).all()
    more = len(rows) > parameters.limit
    return rows[: parameters.limit], _encoded(rows[parameters.limit - 1], keys) if more else None


def slice_of(rows: Sequence[Any], parameters: PageParameters) -> tuple[list[Any], str | None]:
    """The same of rows that are computed and whose order never changes: the cursor is a place.

    >>> first = slice_of("abc", PageParameters(limit=1))
    >>> slice_of("abc", PageParameters(limit=2, cursor=first[1]))
    (['b', 'c'], None)
    """
    first = _place(parameters.cursor) if parameters.cursor is not None else 0
    after = first + parameters.limit
    return list(rows[first:after]), _cursor({"place": after}) if len(rows) > after else None


def filtered(query: sa.Select[Any], *filters: tuple[Any, Any]) -> sa.Select[Any]:
    """The query with the rows whose column is the wanted value, or one of a list; None and an empty list = any."""
    for column, wanted in filters:
        if isinstance(wanted, list | tuple):
            query = query.where(column.in_([*wanted])) if wanted else query
        elif wanted is not None:
            query = query.where(column == wanted)
    return query


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
    for place, (key, value) in enumerate(zip(keys, values, strict=True)):
        same = [keys[before].column == values[before] for before in range(place)]
        steps.append(sa.and_(*same, key.column < value if key.descending else key.column > value))
    return sa.or_(*steps)


def _encoded(row: sa.Row[Any], keys: Sequence[Key]) -> str:
    values = {key.name: getattr(row, key.name) for key in keys}
    return _cursor({name: v.isoformat() if isinstance(v, dt.date) else v for name, v in values.items()})


def _cursor(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def _decoded(cursor: str, keys: Sequence[Key]) -> list[Any]:
    try:
        stored = _read(cursor)
        if list(stored) != [key.name for key in keys]:
            raise ValueError("of another list")
        return [_typed(stored[key.name], key.column) for key in keys]
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
