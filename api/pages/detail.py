"""One line: what is recommended, how it was computed, what genotype does to it, who decided what."""

import datetime as dt
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator, Field

from api.access.callers import check_csrf
from api.access.roles import MAY_AUDIT, Principal
from api.display import calculation_table, line_pictures
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters
from api.http.errors import InvalidRequest, NotAllowed, NotFound, NotPending
from api.http.fields import MOST_PACKS, Note, Strict, Text
from api.pages.page_session import Visitor, local_path, see_other
from api.pages.worklist import NO_STATE, blank_is_none, lines_with_state
from api.recommendations.decisions import decide
from api.recommendations.models import DecisionIn
from api.recommendations.triage import LONGEST_SNOOZE, may_take
from api.recommendations.triage_models import MOST_COMMENT
from forecasting.terms import DecisionKind, DecisionReason, RecommendationStatus
from warehouse.queries import lines
from warehouse.queries.line_page import audit_events
from warehouse.queries.worklist import comments_of_item

router = APIRouter()


class DecisionForm(Strict):
    """A decision as a form sends it."""

    csrf_token: Text
    kind: DecisionKind
    version: int = Field(ge=1, le=2**31 - 1)
    packs: Annotated[int | None, BeforeValidator(blank_is_none), Field(ge=0, le=MOST_PACKS)] = None
    reason_code: Annotated[DecisionReason | None, BeforeValidator(blank_is_none)] = None
    note: Annotated[Note | None, BeforeValidator(blank_is_none)] = None
    next: Annotated[str, Field(max_length=2000)] = "/"

    def decision(self) -> DecisionIn:
        """The decision itself: packs count for a change only, a reason for a change or a rejection."""
        changes = self.kind is DecisionKind.MODIFY
        reason = None if self.kind is DecisionKind.APPROVE else self.reason_code
        return DecisionIn(
            kind=self.kind,
            version=self.version,
            packs=self.packs if changes else None,
            reason_code=reason,
            note=self.note,
        )


@router.get("/recommendations/{recommendation_id}", dependencies=[Depends(refuse_parameters)])
def show_recommendation(recommendation_id: Text, person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """The line with its calculation."""
    return _page(db, person, recommendation_id, now)


@router.post("/recommendations/{recommendation_id}/decision", dependencies=[Depends(refuse_parameters)])
def decide_on_page(
    recommendation_id: Text, form: Annotated[DecisionForm, Form()], person: Visitor, db: Db, now: Now, request: Request
) -> Response:
    """Decide and go back to the list; when a rule is broken or somebody was first, the line again with the reason."""
    check_csrf(person, form.csrf_token)
    if not person.may_decide():
        raise NotAllowed(f"the role {person.role} reads and does not decide")
    try:
        decide(db, person, recommendation_id, form.decision(), now, request.app.state.server.approvals)
    except (InvalidRequest, NotPending) as error:
        # nothing has been written at this point: every rule is checked before the first write
        return _page(db, person, recommendation_id, now, error=error, form=form)
    back = local_path(form.next)
    return see_other(f"{back}{'&' if '?' in back else '?'}decided={recommendation_id}")


def _page(
    db: sa.Connection,
    person: Principal,
    recommendation_id: str,
    now: dt.datetime,
    error: InvalidRequest | NotPending | None = None,
    form: DecisionForm | None = None,
) -> HTMLResponse:
    line = lines.recommendation(db, person.sites, recommendation_id)
    if line is None:
        raise NotFound(f"there is no recommendation {recommendation_id}")
    proposed = line["status"] == RecommendationStatus.PROPOSED.value
    state = lines_with_state(db, person, [dict(line) | NO_STATE], now)[0] if proposed else NO_STATE
    told = lines.explanation(db, recommendation_id)
    run = lines.planning_run(db, told["run_id"]) if told else None
    return page(
        "detail.html",
        status=error.status if error else 200,
        person=person,
        here="worklist",
        today=now.date(),
        line=line,
        paragraph=told["paragraph"] if told else None,
        paragraph_by=told["paragraph_by"] if told else None,
        calculation=calculation_table.told(told["document"]) if told else None,
        run=run,
        shown=line_pictures.pictures(
            db, line, told["document"] if told else None, now.date(), run["period"] if run else None
        ),
        genetics=line_pictures.genetics(db, line),
        drug_problems=lines.drug_problems(db, line["as_of"], line["facility_id"], line["drug"]),
        decisions=lines.decisions(db, recommendation_id),
        first_approval=state["first"],
        state=state,
        assignees=may_take(db, line["facility_id"]) if person.may_decide() else [],
        latest_snooze=now.date() + LONGEST_SNOOZE,
        comments=comments_of_item(db, line["facility_id"], line["product_id"]),
        most_comment=MOST_COMMENT,
        events=audit_events(db, recommendation_id) if person.role in MAY_AUDIT else None,
        decision_reasons=[reason.value for reason in DecisionReason],
        error=error,
        form=form,
    )
