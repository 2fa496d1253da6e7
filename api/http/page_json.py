"""A page of rows written straight to JSON, as its model would write it: most of the time of a large page.

The model stays what the OpenAPI document says and what tests hold these bytes against.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec
import sqlalchemy as sa

from api.http.fields import PageOut
from warehouse.schema.base import ExactDecimal, exact_text


class PageWriter:
    """How rows of a page's model are selected and written.

    >>> from api.routes.reference import FacilityPage
    >>> PageWriter(FacilityPage).names
    ('facility_id', 'name', 'network', 'closed_on', 'successor_id')
    """

    def __init__(self, page: type[PageOut]) -> None:
        item = get_args(page.model_fields["items"].annotation)[0]
        self.names = tuple(item.model_fields)
        self._item = msgspec.defstruct(item.__name__, self.names)
        self._instants = [name for name, field in item.model_fields.items() if field.annotation is dt.datetime]

    def select(self, query: sa.Select[Any], *further: str) -> sa.Select[Any]:
        """The query with the model's columns alone, ready to write, in its order, and `further` ones after them."""
        by_name = {column.key: column for column in query.selected_columns}
        columns = (by_name[name] for name in (*self.names, *further))
        ready = (exact_text(c).label(c.key) if isinstance(c.type, ExactDecimal) else c for c in columns)
        return query.with_only_columns(*ready, maintain_column_froms=True)

    def write(self, rows: Sequence[sa.Row[Any]], next_cursor: str | None, units: Mapping[str, str]) -> bytes:
        """JSON of the page; each row begins with the columns that `select` leaves."""
        count = len(self.names)
        items = [self._item(*row[:count]) for row in rows]
        for name in self._instants:
            for item in items:
                setattr(item, name, getattr(item, name).replace(tzinfo=dt.UTC))
        return msgspec.json.encode({"next_cursor": next_cursor, "units": units, "items": items})
