"""Put off, woken, given away, taken back and commented: the worklist's forms beside decisions."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form
from fastapi.responses import Response
from pydantic import BeforeValidator, Field

from api.access.callers import check_csrf
from api.http.context import Db, Now, refuse_parameters
from api.http.errors import InvalidRequest, NotAllowed, NotFound, NotPending
from api.http.fields import Strict, Text
from api.pages.bulk import done_page, left_line
from api.pages.page_session import Visitor, local_path, see_other
from api.pages.selection import TickedForm
from api.pages.worklist import MOST_LINES, blank_is_none
from api.recommendations.triage import act, say
from api.recommendations.triage_models import ActionKind, CommentText, WorklistActionIn
from warehouse.queries.worklist import action as action_of

router = APIRouter()


class ActionForm(TickedForm):
    """An action on ticked lines, or the taking back of actions by their numbers."""

    action: ActionKind
    undo: list[Annotated[int, Field(ge=1, le=2**31 - 1)]] = Field(default=[], max_length=MOST_LINES)
    # the other buttons' fields
    reason_code: Annotated[str | None, BeforeValidator(blank_is_none), Field(max_length=80)] = None

    def action_in(self, action_id: int | None = None) -> WorklistActionIn:
        """The action on one of the lines: only the fields that go with it."""
        snooze, assign = self.action is ActionKind.SNOOZE, self.action is ActionKind.ASSIGN
        return WorklistActionIn.model_validate(
            {
                "kind": self.action,
                "until": str(self.until) if snooze and self.until else None,
                "past_order_by": snooze and self.past_order_by == "yes",
                "assignee_id": self.assignee_id if assign else None,
                "reason": self.why if snooze or assign else None,
                "action_id": action_id,
            }
        )


class CommentForm(Strict):
    """A comment as a form sends it."""

    csrf_token: Text
    text: CommentText


@router.post("/worklist-actions", dependencies=[Depends(refuse_parameters)])
def act_on_many(form: Annotated[ActionForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """Do it to every line and go back to the list, or on to what was done; what could not be done is told by line."""
    check_csrf(person, form.csrf_token)
    if not person.may_decide():
        raise NotAllowed(f"the role {person.role} reads and does not decide")
    wanted = _wanted(form, db, person.sites)
    left, done = [], []
    for recommendation_id, action_id in wanted:
        try:
            done.append(act(db, person, recommendation_id, form.action_in(action_id), now))
        except (InvalidRequest, NotFound, NotPending) as error:
            # nothing of this line has been written: every rule is checked before the first write
            left.append(left_line(db, person, recommendation_id, error))
    if left or not wanted:
        return done_page(db, person, now, left=left or ["Nothing was chosen: tick the lines first."], back=form.next)
    back = local_path(form.next)
    if len(done) > 1 or back.startswith("/done"):
        return see_other(f"/done?back={quote(back, safe='/')}")
    return see_other(f"{back}{'&' if '?' in back else '?'}acted={done[0]}")


def _wanted(form: ActionForm, db: Db, sites: frozenset[str] | None) -> list[tuple[str, int | None]]:
    """The lines to act on, each with the action that is taken back, if one is."""
    if form.action is not ActionKind.UNDO:
        return [(recommendation_id, None) for recommendation_id, _ in form.lines()]
    known = [action_of(db, sites, number) for number in form.undo]
    return sorted((one["recommendation_id"], one["action_id"]) for one in known if one is not None)


@router.post("/recommendations/{recommendation_id}/comments", dependencies=[Depends(refuse_parameters)])
def comment_on_page(
    recommendation_id: Text, form: Annotated[CommentForm, Form()], person: Visitor, db: Db, now: Now
) -> Response:
    """Keep the comment and show the line again, where the comments are."""
    check_csrf(person, form.csrf_token)
    say(db, person, recommendation_id, form.text, now)
    return see_other(f"/recommendations/{quote(recommendation_id, safe='')}#comments")
