"""Many lines at once: approve or reject what is chosen on the list, take back, and see what was done today."""

import dataclasses
import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.errors import InvalidRequest, NotAllowed, NotFound, NotPending
from api.http.fields import Note
from api.pages.forms import NextPath, OrBlank, SelectionForm, check_form
from api.pages.page_session import Visitor, local_path, see_other
from api.principal import Principal
from api.recommendations.decisions import UNDOABLE, decide
from api.recommendations.models import DecisionIn
from forecasting.terms import DecisionKind, DecisionReason
from warehouse.queries import lines, worklist
from warehouse.queries.lines import Rows
from warehouse.roles import Permission

router = APIRouter()

NOTHING_CHOSEN = "Nothing was chosen: tick the lines first."


class BulkForm(SelectionForm):
    """A decision about several lines as a form sends it; a change of packs is made line by line."""

    kind: DecisionKind
    reason_code: OrBlank[DecisionReason] = None
    note: OrBlank[Note] = None
    routine: Literal["yes"] | None = None

    def decision(self, version: int) -> DecisionIn:
        """The decision about one of the lines."""
        reason = self.reason_code if self.kind is DecisionKind.REJECT else None
        return DecisionIn(kind=self.kind, version=version, reason_code=reason, note=self.note, packs=None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DonePage(Page, template="done.html", menu_entry="done"):
    """What the person did today, with what could not be done on top."""

    today: dt.date
    decisions: list[dict[str, Any]]  # newest first, each with whether it can be taken back (`undoable`)
    batches: list[list[sa.RowMapping]]  # actions of one form each, newest first
    refusals: Sequence[str]  # sentences about lines on which nothing was done
    back: str  # the list to go back to


@router.post("/decisions", dependencies=NO_PARAMETERS)
def decide_many(form: Annotated[BulkForm, Form()], person: Visitor, db: Db, now: Now, request: Request) -> Response:
    """Decide what was chosen and go on to what was done; a line that another person decided first is left and named."""
    check_form(person, form, Permission.DECIDE, "reads and does not decide")
    if form.kind is DecisionKind.MODIFY:
        raise InvalidRequest.field("kind", "packs are changed line by line")
    if form.kind is DecisionKind.REJECT and form.reason_code is None:
        return done_page(db, person, now, refusals=["Nothing was rejected: choose a reason."], back=form.next)
    refusals = []
    limits, rules = request.app.state.server.approvals, worklist.rules_in_force(db, person.sites, now.date())
    for recommendation_id, version in form.lines():
        try:
            rule_id = _covering_rule_id(db, person, recommendation_id, rules) if form.routine else None
            decide(db, person, recommendation_id, form.decision(version), now, limits, rule_id)
        except (InvalidRequest, NotAllowed, NotFound, NotPending) as error:
            # nothing of this line has been written: every rule is checked before the first write
            refusals.append(with_line_name(db, person, recommendation_id, error))
    if refusals or not form.line:
        return done_page(db, person, now, refusals=refusals or [NOTHING_CHOSEN], back=form.next)
    return see_other(f"/done?back={quote(local_path(form.next), safe='/')}")


@router.get("/done")
def show_done(person: Visitor, db: Db, now: Now, back: NextPath = "/") -> HTMLResponse:
    """What the person decided today, newest first, each to be taken back until it is ordered."""
    return done_page(db, person, now, refusals=[], back=back)


def done_page(
    db: sa.Connection, person: Principal, now: dt.datetime, *, refusals: Sequence[str], back: str
) -> HTMLResponse:
    """What the person did today, with what could not be done on top."""
    midnight = dt.datetime.combine(now.date(), dt.time.min)
    decisions, actions = (
        query(db, person.user_id, midnight, person.sites) if person.user_id is not None else []
        for query in (lines.decisions_by, worklist.actions_by)
    )
    by_form = itertools.groupby(actions, key=lambda row: (row["acted_at"], row["kind"]))
    page = DonePage(
        person=person,
        today=now.date(),
        decisions=_with_undoable(decisions),
        batches=[list(batch) for _, batch in by_form],
        refusals=refusals,
        back="/" if local_path(back).startswith("/done") else local_path(back),
    )
    return render(page, status=409 if refusals else 200)


def _with_undoable(rows: Rows) -> list[dict[str, Any]]:
    """The decisions, and of each whether it is the line's last and can be taken back."""
    decided: set[str] = set()
    decisions = []
    for row in rows:
        last = row["recommendation_id"] not in decided
        decided.add(row["recommendation_id"])
        unchanged = row["line_status"] in UNDOABLE and row["line_version"] == row["version_seen"] + 1
        decisions.append({**row, "undoable": last and unchanged})
    return decisions


def _covering_rule_id(db: sa.Connection, person: Principal, recommendation_id: str, rules: Rows) -> int:
    """Number of the rule by which a line is routine now; a line that no rule covers any more is left for a look."""
    line = lines.recommendation(db, person.sites, recommendation_id, for_update=True)
    rule = None if line is None else worklist.covering_rule(line, rules)
    if rule is None:
        raise NotPending("it is no longer routine: no rule in force covers it", current=None)
    return int(rule["rule_id"])


def with_line_name(db: sa.Connection, person: Principal, recommendation_id: str, error: Exception) -> str:
    """The line on which nothing was done, and why, in one sentence."""
    line = lines.recommendation(db, person.sites, recommendation_id)
    name = f"{line['drug']} for {line['facility_name']}" if line is not None else recommendation_id
    return f"{name}: {getattr(error, 'detail', error)}"
