"""Rules of what is routine: which stand, who set them, and for approvers a form to set and to end one."""

import datetime as dt
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from api.access.callers import check_csrf
from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters
from api.http.errors import InvalidRequest
from api.http.fields import Strict, Text
from api.pages.page_session import Visitor, see_other
from api.recommendations.routine_rules import LONGEST, RoutineRuleIn, end_rule, may_set, set_rule
from api.recommendations.second_approval import SECOND_ROLES
from api.settings import ApprovalLimits
from warehouse.queries import worklist
from warehouse.queries.lines import facilities_query
from warehouse.schema.inputs import Facility, Product

router = APIRouter()

USUAL = dt.timedelta(days=90)


class RuleForm(RoutineRuleIn):
    """A rule as a form sends it."""

    csrf_token: Text

    def rule(self) -> RoutineRuleIn:
        """The rule itself."""
        values = self.model_dump(exclude={"csrf_token"}) | {"expires_on": str(self.expires_on)}
        return RoutineRuleIn.model_validate(values)


class EndForm(Strict):
    """The button that ends a rule."""

    csrf_token: Text
    rule_id: int = Field(ge=1, le=2**31 - 1)


@router.get("/routine-rules", dependencies=[Depends(refuse_parameters)])
def show_rules(person: Visitor, db: Db, now: Now, request: Request) -> HTMLResponse:
    """The rules that stand, and those before them."""
    return _page(db, person, now, request)


@router.post("/routine-rules", dependencies=[Depends(refuse_parameters)])
def set_on_page(form: Annotated[RuleForm, Form()], person: Visitor, db: Db, now: Now, request: Request) -> Response:
    """Set a rule; when it breaks one itself, the page says which."""
    check_csrf(person, form.csrf_token)
    try:
        set_rule(db, person, form.rule(), now, request.app.state.server.approvals)
    except InvalidRequest as error:
        # nothing has been written at this point: every rule is checked before the first write
        return _page(db, person, now, request, error=error, form=form)
    return see_other("/routine-rules")


@router.post("/routine-rules/end", dependencies=[Depends(refuse_parameters)])
def end_on_page(form: Annotated[EndForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """End a rule."""
    check_csrf(person, form.csrf_token)
    end_rule(db, person, form.rule_id, now)
    return see_other("/routine-rules")


def _page(
    db: sa.Connection,
    person: Principal,
    now: dt.datetime,
    request: Request,
    error: InvalidRequest | None = None,
    form: RuleForm | None = None,
) -> HTMLResponse:
    limits: ApprovalLimits = request.app.state.server.approvals
    rules = worklist.routine_rules(db, person.sites, SECOND_ROLES)
    today = now.date()
    in_force = {rule["rule_id"] for rule in worklist.rules_in_force(db, person.sites, today, SECOND_ROLES)}
    return page(
        "routine.html",
        status=error.status if error else 200,
        person=person,
        here="worklist",
        today=today,
        rules=rules,
        in_force=in_force,
        may_set=may_set(person),
        sites=db.execute(facilities_query(person.sites).order_by(Facility.name)).mappings().all(),
        currencies=sorted({one for one in db.scalars(sa.select(Product.currency).distinct()) if one}),
        limit=limits.second_above,
        usual_end=today + USUAL,
        last_end=today + LONGEST,
        error=error,
        form=form,
    )
