"""What every form about ticked lines sends, whichever of its buttons was pressed."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from api.http.fields import Strict, Text
from api.pages.worklist import MOST_LINES, blank_is_none

SEEN = r"^[^@]{1,200}@[0-9]{1,9}$"
"""A line as a form names it: its id and the version that was on the screen."""


class TickedForm(Strict):
    """The lines, and the fields of the form's other buttons, which a button that does not need them leaves alone."""

    csrf_token: Text
    line: list[Annotated[str, Field(pattern=SEEN)]] = Field(default=[], max_length=MOST_LINES)
    next: Annotated[str, Field(max_length=2000)] = "/"
    until: Annotated[dt.date | None, BeforeValidator(blank_is_none)] = None
    why: Annotated[Text | None, BeforeValidator(blank_is_none)] = None
    past_order_by: Literal["yes"] | None = None
    assignee_id: Annotated[int | None, BeforeValidator(blank_is_none), Field(ge=1, le=2**31 - 1)] = None

    def lines(self) -> list[tuple[str, int]]:
        """(recommendation_id, version seen), each line once, by id: two people who decide never wait in a ring."""
        seen = {name.rpartition("@")[0]: int(name.rpartition("@")[2]) for name in self.line}
        return sorted(seen.items())
