"""Types of fields that every resource shares: text, whole numbers, days, instants, pages."""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.config import JsonDict

MOST_ROWS_A_PAGE = 500
MOST_PACKS = 1_000_000
MOST_BATCH_ROWS = 10_000
LARGEST_INTEGER = 2**31 - 1
"""What a database keeps as INTEGER."""


def clean_text(text: str) -> str:
    """The text, which must not hold what a database cannot."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _not_boolean_or_text(value: Any) -> Any:
    # JSON's true is not the number 1, and "5" is not a number
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


def _iso_date_text(value: Any) -> Any:
    # a bare number would be read as seconds since 1970
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be written as in 2026-11-23")
    return value


def _utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:
        # the first and the last hours of the calendar have no UTC; they are before and after everything as they stand
        return moment.replace(tzinfo=None)


Text = Annotated[str, AfterValidator(clean_text), Field(max_length=200)]
Note = Annotated[str, AfterValidator(clean_text), Field(max_length=1000)]
Whole = Annotated[int, BeforeValidator(_not_boolean_or_text)]
DayIn = Annotated[dt.date, BeforeValidator(_iso_date_text)]
UtcIn = Annotated[dt.datetime, BeforeValidator(_iso_date_text), AfterValidator(_utc)]
UtcOut = Annotated[
    dt.datetime, PlainSerializer(lambda moment: f"{moment.isoformat()}Z", return_type=str, when_used="json")
]
Names = Annotated[list[Text], Field(max_length=100)]


def with_examples(*bodies: JsonDict) -> ConfigDict:
    """The settings of a body whose examples these are; it takes nothing that it does not know, as `Strict`."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [*bodies]})


class Strict(BaseModel):
    """A body or parameter set that takes nothing it does not know."""

    model_config = ConfigDict(extra="forbid")


class PageParameters(Strict):
    """How much of a list, and where to go on."""

    limit: int = Field(100, ge=1, le=MOST_ROWS_A_PAGE, description="Rows a page.")
    cursor: Text | None = Field(None, description="`next_cursor` of the page before; the other parameters unchanged.")


class PageOut(BaseModel):
    """A page of a list; `next_cursor` is null on the last one."""

    next_cursor: str | None
    units: dict[str, str] = Field(description="Field -> unit.")
