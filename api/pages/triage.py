"""Snoozed, assigned, taken back and commented on: the worklist's forms beside decisions."""

from typing import Annotated
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Form
from fastapi.responses import Response
from pydantic import Field

from api.access.callers import check_csrf
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.errors import InvalidRequest, NotFound, NotPending
from api.http.fields import Text
from api.pages.bulk import NOTHING_CHOSEN, done_page, with_line_name
from api.pages.forms import MOST_LINES, OrBlank, PageForm, RowNumber, SelectionForm, check_form
from api.pages.page_session import Visitor, local_path, see_other
from api.recommendations.triage import act_on_item, add_comment
from api.recommendations.triage_models import ActionKind, CommentText, WorklistActionIn
from warehouse.queries import worklist
from warehouse.queries.lines import Scope
from warehouse.roles import Permission

router = APIRouter(dependencies=NO_PARAMETERS)


class ActionForm(SelectionForm):
    """An action on ticked lines, or the taking back of actions by their numbers."""

    action: ActionKind
    undo: list[RowNumber] = Field(default=[], max_length=MOST_LINES)
    # the other buttons' fields
    reason_code: OrBlank[Annotated[str, Field(max_length=80)]] = None

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


class CommentForm(PageForm):
    """A comment as a form sends it."""

    text: CommentText


@router.post("/worklist-actions")
def act_on_many(form: Annotated[ActionForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """Act on every line and go back to the list, or on to what was done; a line that was left is named."""
    check_form(person, form, Permission.DECIDE, "reads and does not decide")
    targets = _targets(form, db, person.sites)
    refusals, done = [], []
    for recommendation_id, action_id in targets:
        try:
            done.append(act_on_item(db, person, recommendation_id, form.action_in(action_id), now))
        except (InvalidRequest, NotFound, NotPending) as error:
            # nothing of this line has been written: every rule is checked before the first write
            refusals.append(with_line_name(db, person, recommendation_id, error))
    if refusals or not targets:
        return done_page(db, person, now, refusals=refusals or [NOTHING_CHOSEN], back=form.next)
    back = local_path(form.next)
    if len(done) > 1 or back.startswith("/done"):
        return see_other(f"/done?back={quote(back, safe='/')}")
    return see_other(f"{back}{'&' if '?' in back else '?'}acted={done[0]}")


def _targets(form: ActionForm, db: sa.Connection, sites: Scope) -> list[tuple[str, int | None]]:
    """The lines to act on, each with the action that is taken back, if one is."""
    if form.action is not ActionKind.UNDO:
        return [(recommendation_id, None) for recommendation_id, _ in form.lines()]
    actions = [worklist.action(db, sites, number) for number in form.undo]
    return sorted((action["recommendation_id"], action["action_id"]) for action in actions if action is not None)


@router.post("/recommendations/{recommendation_id}/comments")
def comment_on_page(
    recommendation_id: Text, form: Annotated[CommentForm, Form()], person: Visitor, db: Db, now: Now
) -> Response:
    """Keep the comment and show the line again, where the comments are."""
    check_csrf(person, form.csrf_token)
    add_comment(db, person, recommendation_id, form.text, now)
    return see_other(f"/recommendations/{quote(recommendation_id, safe='')}#comments")
