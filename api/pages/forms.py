"""Fields that forms and addresses of pages share, and what every form is checked for."""

import datetime as dt
from typing import Annotated, Any, Literal, TypeVar

import sqlalchemy as sa
from pydantic import BeforeValidator, Field

from api.access.callers import check_csrf, check_may
from api.http.fields import LARGEST_INTEGER, Strict, Text
from api.principal import Principal
from warehouse.queries.lines import Rows, facilities_query
from warehouse.roles import Permission
from warehouse.schema.inputs import Facility

MOST_LINES = 900
"""Lines that one form decides at once; forms of more than 1,000 fields are not read."""

Value = TypeVar("Value")


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


OrBlank = Annotated[Value | None, BeforeValidator(_blank_is_none)]
"""A field that a form may leave blank: then it is None."""
OptionalText = OrBlank[Text]
NextPath = Annotated[str, Field(max_length=2000)]
"""The page to go on to."""
RowNumber = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
PageNumber = Annotated[int, Field(ge=1, le=10_000)]
SeenLine = Annotated[str, Field(pattern=r"^[^@]{1,200}@[0-9]{1,9}$")]
"""A line as a form names it: its id and the version that was on the screen."""


class PageForm(Strict):
    """A form of a page; `csrf_token` ties it to the session that it was made for."""

    csrf_token: Text


class SelectionForm(PageForm):
    """Ticked lines, and the fields of the form's other buttons, which a button that does not need them leaves alone."""

    line: list[SeenLine] = Field(default=[], max_length=MOST_LINES)
    next: NextPath = "/"
    until: OrBlank[dt.date] = None
    why: OptionalText = None
    past_order_by: Literal["yes"] | None = None
    assignee_id: OrBlank[RowNumber] = None

    def lines(self) -> list[tuple[str, int]]:
        """(recommendation_id, version seen), each line once, by id: two people who decide never wait in a ring."""
        seen = {name.rpartition("@")[0]: int(name.rpartition("@")[2]) for name in self.line}
        return sorted(seen.items())


def check_form(person: Principal, form: PageForm, permission: Permission, refusal: str) -> None:
    """Refuse a form of another session, and a person without the permission; `refusal` says what the role does not."""
    check_csrf(person, form.csrf_token)
    check_may(person, permission, refusal)


def sites_by_name(db: sa.Connection, person: Principal) -> Rows:
    """The person's sites, to choose from."""
    return db.execute(facilities_query(person.sites).order_by(Facility.name)).mappings().all()


def pages_of(count: int, rows_a_page: int) -> int:
    """How many pages so many rows fill.

    >>> pages_of(0, 50), pages_of(51, 50)
    (0, 2)
    """
    return -(-count // rows_a_page)


def select_page(db: sa.Connection, query: sa.Select[Any], page: int, rows_a_page: int) -> tuple[Rows, int]:
    """The rows of a page, the first of which is 1, and how many pages there are."""
    count = int(db.execute(sa.select(sa.func.count()).select_from(query.order_by(None).subquery())).scalar_one())
    rows = db.execute(query.limit(rows_a_page).offset((page - 1) * rows_a_page)).mappings().all()
    return rows, pages_of(count, rows_a_page)
