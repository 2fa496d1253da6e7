"""Put an item off, give it to somebody, comment on it: what people do on the worklist beside deciding."""

from typing import Annotated

from fastapi import APIRouter

from api.access.callers import CsrfToken, Decider, check_csrf, reader
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.errors import or_not_found
from api.http.fields import Text
from api.http.openapi import refusals
from api.principal import Principal
from api.recommendations.triage import act_on_item, add_comment
from api.recommendations.triage_models import CommentIn, CommentOut, CommentPage, WorklistActionIn, WorklistActionOut
from warehouse.queries.lines import recommendation
from warehouse.queries.worklist import comments_of_item, item_state

router = APIRouter(
    prefix="/v1/recommendations/{recommendation_id}",
    tags=["recommendations"],
    dependencies=NO_PARAMETERS,
)


@router.post("/worklist-action", responses=refusals(401, 403, 404, 409, 413, 415))
def act_on_recommendation(
    recommendation_id: Text,
    action: WorklistActionIn,
    person: Decider,
    db: Db,
    now: Now,
    x_csrf_token: CsrfToken = None,
) -> WorklistActionOut:
    """Put the line's item off until a day, bring it back, give it to a person who decides for its site, or take that
    back. A signed-in person only. The action stays with the site and product when a run proposes a new line.
    """
    check_csrf(person, x_csrf_token)
    number = act_on_item(db, person, recommendation_id, action, now)
    line = recommendation(db, person.sites, recommendation_id)
    assert line is not None
    state = item_state(db, line["facility_id"], line["product_id"], now.date())
    return WorklistActionOut.model_validate(
        {
            "action_id": number,
            "snoozed_until": state.snooze["snoozed_until"] if state.snooze else None,
            "assignee": state.assign["assignee_name"] if state.assign else None,
            "recommendation": line,
        }
    )


@router.get("/comments", responses=refusals(401, 403, 404))
def list_comments(
    recommendation_id: Text, caller: Annotated[Principal, reader("recommendations:read")], db: Db
) -> CommentPage:
    """What people said about the line's item, on this line and earlier ones, oldest first."""
    line = recommendation(db, caller.sites, recommendation_id)
    line = or_not_found(line, f"recommendation {recommendation_id}")
    rows = comments_of_item(db, line["facility_id"], line["product_id"])
    return CommentPage.model_validate({"items": rows, "next_cursor": None, "units": {}})


@router.post("/comments", responses=refusals(401, 403, 404, 413, 415))
def comment_on_recommendation(
    recommendation_id: Text, comment: CommentIn, person: Decider, db: Db, now: Now, x_csrf_token: CsrfToken = None
) -> CommentOut:
    """Say something about the line's item, as plain text: a signed-in person only. Comments are never changed."""
    check_csrf(person, x_csrf_token)
    number = add_comment(db, person, recommendation_id, comment.text, now)
    return CommentOut.model_validate(
        {"comment_id": number, "recommendation_id": recommendation_id, "by": person.name, "written_at": now}
        | {"text": comment.text}
    )
