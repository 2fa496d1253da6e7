"""One line: what is recommended, how it was computed, what genotype does to it, who decided what."""

import dataclasses
import datetime as dt
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from api.display.calculation_table import calculation_rows
from api.display.charts.line_pictures import LinePictures, line_genetics, line_pictures
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.errors import InvalidRequest, NotPending, or_not_found
from api.http.fields import MOST_PACKS, Note, Text
from api.pages.forms import NextPath, OrBlank, PageForm, RowNumber, check_form
from api.pages.page_session import Visitor, local_path, see_other
from api.pages.worklist import NO_STATE, Line, lines_with_state
from api.principal import Principal
from api.recommendations.decisions import decide
from api.recommendations.models import DecisionIn
from api.recommendations.triage import LONGEST_SNOOZE, possible_assignees
from api.recommendations.triage_models import MOST_COMMENT
from forecasting.terms import DecisionKind, DecisionReason, RecommendationStatus
from warehouse.queries import lines
from warehouse.queries.line_page import audit_events
from warehouse.queries.lines import Rows
from warehouse.queries.worklist import comments_of_item
from warehouse.roles import Permission

router = APIRouter(dependencies=NO_PARAMETERS)

Packs = Annotated[int, Field(ge=0, le=MOST_PACKS)]


class EditForm(PageForm):
    """Fields of the form that changes a line's packs, whichever of its buttons was pressed."""

    version: RowNumber
    packs: OrBlank[Packs] = None
    reason_code: OrBlank[DecisionReason] = None
    note: OrBlank[Note] = None
    next: NextPath = "/"


class DecisionForm(EditForm):
    """A decision as a form sends it."""

    kind: DecisionKind

    def decision(self) -> DecisionIn:
        """The decision itself: packs count for a change only, a reason for a change or a rejection."""
        packs = self.packs if self.kind is DecisionKind.MODIFY else None
        reason = None if self.kind is DecisionKind.APPROVE else self.reason_code
        return DecisionIn(kind=self.kind, version=self.version, packs=packs, reason_code=reason, note=self.note)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetailPage(Page, template="detail.html", menu_entry="worklist"):
    """One line with its calculation."""

    today: dt.date
    line: sa.RowMapping
    paragraph: str | None  # the calculation in plain language
    paragraph_by: str | None  # who wrote it: the template or a model
    calculation: dict[str, Any] | None  # rows of `calculation_rows`
    run: sa.RowMapping | None  # the run that proposed the line
    pictures: LinePictures
    genetics: dict[str, Any]  # shifts and genes of `line_genetics`
    drug_problems: list[str]  # what the run could not do with the drug's guidance or genetics
    decisions: Rows  # oldest first
    state: Line  # what people did beside deciding (`lines_with_state`)
    assignees: Rows  # people to whom the item can be given
    latest_snooze: dt.date
    comments: Rows  # on the item, oldest first
    most_comment: int  # longest comment, in characters
    events: Rows | None  # audit trail, oldest first; None for who may not read it
    error: InvalidRequest | NotPending | None = None  # why nothing was saved
    form: DecisionForm | None = None  # what was filled in


@router.get("/recommendations/{recommendation_id}")
def show_recommendation(recommendation_id: Text, person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """The line with its calculation."""
    return render(_page(db, person, recommendation_id, now))


@router.post("/recommendations/{recommendation_id}/decision")
def decide_on_page(
    recommendation_id: Text, form: Annotated[DecisionForm, Form()], person: Visitor, db: Db, now: Now, request: Request
) -> Response:
    """Decide and go back to the list; when a rule is broken or another person was first, the line with the reason."""
    check_form(person, form, Permission.DECIDE, "reads and does not decide")
    try:
        decide(db, person, recommendation_id, form.decision(), now, request.app.state.server.approvals)
    except (InvalidRequest, NotPending) as error:
        # nothing has been written at this point: every rule is checked before the first write
        page = dataclasses.replace(_page(db, person, recommendation_id, now), error=error, form=form)
        return render(page, status=error.status)
    back = local_path(form.next)
    return see_other(f"{back}{'&' if '?' in back else '?'}decided={recommendation_id}")


def _page(db: sa.Connection, person: Principal, recommendation_id: str, now: dt.datetime) -> DetailPage:
    line = lines.recommendation(db, person.sites, recommendation_id)
    line = or_not_found(line, f"recommendation {recommendation_id}")
    proposed = line["status"] == RecommendationStatus.PROPOSED.value
    stored = lines.explanation(db, recommendation_id) or {}
    document = stored.get("document")
    run = lines.planning_run(db, stored["run_id"]) if stored else None
    return DetailPage(
        person=person,
        today=now.date(),
        line=line,
        paragraph=stored.get("paragraph"),
        paragraph_by=stored.get("paragraph_by"),
        calculation=calculation_rows(document) if document else None,
        run=run,
        pictures=line_pictures(db, line, document, now.date(), run["period"] if run else None),
        genetics=line_genetics(db, line),
        drug_problems=lines.drug_problems(db, line["as_of"], line["facility_id"], line["drug"]),
        decisions=lines.decisions(db, recommendation_id),
        state=lines_with_state(db, person, [dict(line) | NO_STATE], now.date())[0] if proposed else NO_STATE,
        assignees=possible_assignees(db, line["facility_id"]) if person.may_decide() else [],
        latest_snooze=now.date() + LONGEST_SNOOZE,
        comments=comments_of_item(db, line["facility_id"], line["product_id"]),
        most_comment=MOST_COMMENT,
        events=audit_events(db, recommendation_id) if person.may(Permission.AUDIT) else None,
    )
