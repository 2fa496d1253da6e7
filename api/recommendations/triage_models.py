"""Bodies and answers for what people do on the worklist beside deciding."""

import datetime as dt
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from api.http.fields import DayIn, PageOut, Strict, Text, UtcOut, Whole, clean_text, with_examples
from api.recommendations.models import RecommendationOut

MOST_COMMENT = 2000


def _comment_text(text: str) -> str:
    if not clean_text(text).strip():
        raise ValueError("must not be blank")
    return text.strip()


CommentText = Annotated[str, AfterValidator(_comment_text), Field(max_length=MOST_COMMENT)]


class ActionKind(StrEnum):
    """What a person does with an item on the worklist."""

    SNOOZE = "snooze"
    WAKE = "wake"
    ASSIGN = "assign"
    UNASSIGN = "unassign"
    UNDO = "undo"


class WorklistActionIn(Strict):
    """What a signed-in person does with the item of a proposed line, beside deciding it."""

    model_config = with_examples(
        {"kind": "snooze", "until": "2026-11-27", "reason": "ask the ward first"},
        {"kind": "assign", "assignee_id": 2, "reason": "knows the supplier"},
        {"kind": "undo", "action_id": 7},
    )

    kind: ActionKind = Field(description="undo takes an action back, as long as it is the item's newest of its kind.")
    until: DayIn | None = Field(None, description="For snooze: the day it comes back by itself.")
    past_order_by: bool = Field(False, description="For snooze: also past the last day to order.")
    assignee_id: Whole | None = Field(None, ge=1, le=2**31 - 1, description="For assign: the person.")
    reason: Text | None = Field(None, description="Why; required to snooze.")
    action_id: Whole | None = Field(None, ge=1, le=2**31 - 1, description="For undo: what is taken back.")


class WorklistActionOut(BaseModel):
    """The item after the action."""

    action_id: int
    snoozed_until: dt.date | None = Field(description="null = not put off.")
    assignee: str | None = Field(description="null = nobody's.")
    recommendation: RecommendationOut


class CommentIn(Strict):
    """What a signed-in person says about the item of a line."""

    model_config = with_examples({"text": "Ward 4 opens ten beds."})

    text: CommentText = Field(description="Plain text; no patient's name or number.")


class CommentOut(BaseModel):
    """What a person said, on this line or on an earlier one of the same site and product."""

    comment_id: int
    recommendation_id: str
    by: str
    written_at: UtcOut
    text: str


class CommentPage(PageOut):
    """All comments on an item, oldest first."""

    items: list[CommentOut]
