"""Many lines at once: approve or reject what is chosen on the list, take back, and see what was done today."""

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator, Field

from api.access.callers import check_csrf
from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters
from api.http.errors import InvalidRequest, NotAllowed, NotFound, NotPending
from api.http.fields import Note
from api.pages.page_session import Visitor, local_path, see_other
from api.pages.selection import TickedForm
from api.pages.worklist import blank_is_none
from api.recommendations.decisions import UNDONE, decide
from api.recommendations.models import DecisionIn
from api.recommendations.routine_rules import rules_today
from forecasting.terms import DecisionKind, DecisionReason
from warehouse.queries import lines
from warehouse.queries.lines import Rows
from warehouse.queries.worklist import actions_by, covering_rule

router = APIRouter()


class BulkForm(TickedForm):
    """A decision about several lines as a form sends it; a change of packs is made line by line."""

    kind: DecisionKind
    reason_code: Annotated[DecisionReason | None, BeforeValidator(blank_is_none)] = None
    note: Annotated[Note | None, BeforeValidator(blank_is_none)] = None
    routine: Literal["yes"] | None = None

    def decision(self, version: int) -> DecisionIn:
        """The decision about one of the lines."""
        reason = self.reason_code if self.kind is DecisionKind.REJECT else None
        return DecisionIn(kind=self.kind, version=version, reason_code=reason, note=self.note, packs=None)


@router.post("/decisions", dependencies=[Depends(refuse_parameters)])
def decide_many(form: Annotated[BulkForm, Form()], person: Visitor, db: Db, now: Now, request: Request) -> Response:
    """Decide what was chosen and go on to what was done; a line that somebody else was first at is left and told."""
    check_csrf(person, form.csrf_token)
    if not person.may_decide():
        raise NotAllowed(f"the role {person.role} reads and does not decide")
    if form.kind is DecisionKind.MODIFY:
        raise InvalidRequest.field("kind", "packs are changed line by line")
    if form.kind is DecisionKind.REJECT and form.reason_code is None:
        return done_page(db, person, now, left=["Nothing was rejected: choose a reason."], back=form.next)
    left = []
    limits, rules = request.app.state.server.approvals, rules_today(db, person, now)
    for recommendation_id, version in form.lines():
        try:
            rule_id = _routine_by(db, person, recommendation_id, rules) if form.routine else None
            decide(db, person, recommendation_id, form.decision(version), now, limits, rule_id)
        except (InvalidRequest, NotAllowed, NotFound, NotPending) as error:
            # nothing of this line has been written: every rule is checked before the first write
            left.append(left_line(db, person, recommendation_id, error))
    if left or not form.line:
        return done_page(db, person, now, left=left or ["Nothing was chosen: tick the lines first."], back=form.next)
    return see_other(f"/done?back={quote(local_path(form.next), safe='/')}")


@router.get("/done")
def show_done(person: Visitor, db: Db, now: Now, back: Annotated[str, Field(max_length=2000)] = "/") -> HTMLResponse:
    """What the person decided today, newest first, each to be taken back until it is ordered."""
    return done_page(db, person, now, left=[], back=back)


def done_page(
    db: sa.Connection, person: Principal, now: dt.datetime, *, left: Sequence[str], back: str
) -> HTMLResponse:
    """What the person did today, with what could not be done on top."""
    midnight = dt.datetime.combine(now.date(), dt.time.min)
    rows = lines.decisions_by(db, person.user_id, midnight, person.sites) if person.user_id is not None else []
    return page(
        "done.html",
        status=409 if left else 200,
        person=person,
        here="done",
        today=now.date(),
        decisions=_with_undo(rows),
        batches=_batches(actions_by(db, person.user_id, midnight, person.sites) if person.user_id is not None else []),
        left=left,
        back="/" if local_path(back).startswith("/done") else local_path(back),
    )


def _with_undo(rows: Sequence[sa.RowMapping]) -> list[dict[str, Any]]:
    """The decisions, and of each whether it is the one that stands and can be taken back."""
    standing: set[str] = set()
    told = []
    for row in rows:
        last = row["recommendation_id"] not in standing
        standing.add(row["recommendation_id"])
        stands = last and row["line_status"] in UNDONE and row["line_version"] == row["version_seen"] + 1
        told.append({**row, "undo": stands})
    return told


def _batches(rows: Sequence[sa.RowMapping]) -> list[list[sa.RowMapping]]:
    """Actions of one form together, newest first."""
    return [list(of) for _, of in itertools.groupby(rows, key=lambda row: (row["acted_at"], row["kind"]))]


def _routine_by(db: sa.Connection, person: Principal, recommendation_id: str, rules: Rows) -> int:
    """Number of the rule by which a line is routine now; a line that no rule covers any more is left for a look."""
    line = lines.recommendation(db, person.sites, recommendation_id, for_update=True)
    rule = None if line is None else covering_rule(line, rules)
    if rule is None:
        raise NotPending("it is no longer routine: no rule in force covers it", current=None)
    return int(rule["rule_id"])


def left_line(db: sa.Connection, person: Principal, recommendation_id: str, error: Exception) -> str:
    """The line that was left, and why, in one sentence."""
    line = lines.recommendation(db, person.sites, recommendation_id)
    name = f"{line['drug']} for {line['facility_name']}" if line is not None else recommendation_id
    return f"{name}: {getattr(error, 'detail', error)}"
