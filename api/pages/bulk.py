"""Many lines at once: approve or reject what is chosen on the list, take back, and see what was done today."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator, Field

from api.auth import Principal, check_csrf
from api.context import Db, Now, refuse_parameters
from api.decisions import UNDONE, decide
from api.errors import InvalidRequest, NotAllowed, NotFound, NotPending
from api.models import DecisionIn, Note, Strict, Text
from api.pages.visitor import Visitor, local_path, see_other
from api.pages.worklist import blank_is_none
from api.templating import page
from forecasting.terms import DecisionKind, DecisionReason
from warehouse import queries

router = APIRouter()

MOST_LINES = 500
SEEN = r"^[^@]{1,200}@[0-9]{1,9}$"
"""A line as a form names it: its id and the version that was on the screen."""


class BulkForm(Strict):
    """A decision about several lines as a form sends it; a change of packs is made line by line."""

    csrf_token: Text
    kind: DecisionKind
    line: list[Annotated[str, Field(pattern=SEEN)]] = Field(default=[], max_length=MOST_LINES)
    reason_code: Annotated[DecisionReason | None, BeforeValidator(blank_is_none)] = None
    note: Annotated[Note | None, BeforeValidator(blank_is_none)] = None
    next: Annotated[str, Field(max_length=2000)] = "/"

    def lines(self) -> list[tuple[str, int]]:
        """(recommendation_id, version seen), each line once, by id: two people who decide never wait in a ring."""
        seen = {name.rpartition("@")[0]: int(name.rpartition("@")[2]) for name in self.line}
        return sorted(seen.items())

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
        return _done(db, person, now, left=["Nothing was rejected: choose a reason."], back=form.next)
    left = []
    for recommendation_id, version in form.lines():
        try:
            decide(db, person, recommendation_id, form.decision(version), now, request.app.state.server.approvals)
        except (InvalidRequest, NotAllowed, NotFound, NotPending) as error:
            # nothing of this line has been written: every rule is checked before the first write
            left.append(_left(db, person, recommendation_id, error))
    if left or not form.line:
        return _done(db, person, now, left=left or ["Nothing was chosen: tick the lines first."], back=form.next)
    return see_other(f"/done?back={quote(local_path(form.next), safe='/')}")


@router.get("/done")
def show_done(person: Visitor, db: Db, now: Now, back: Annotated[str, Field(max_length=2000)] = "/") -> HTMLResponse:
    """What the person decided today, newest first, each to be taken back until it is ordered."""
    return _done(db, person, now, left=[], back=back)


def _done(db: sa.Connection, person: Principal, now: dt.datetime, *, left: Sequence[str], back: str) -> HTMLResponse:
    midnight = dt.datetime.combine(now.date(), dt.time.min)
    rows = queries.decisions_by(db, person.user_id, midnight, person.sites) if person.user_id is not None else []
    return page(
        "done.html",
        status=409 if left else 200,
        person=person,
        here="done",
        today=now.date(),
        decisions=_with_undo(rows),
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


def _left(db: sa.Connection, person: Principal, recommendation_id: str, error: Exception) -> str:
    line = queries.recommendation_line(db, person.sites, recommendation_id)
    name = f"{line['drug']} for {line['facility_name']}" if line is not None else recommendation_id
    return f"{name}: {getattr(error, 'detail', error)}"
