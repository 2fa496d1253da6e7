"""Rules of what is routine: which stand, who set them, and for approvers a form to set and to end one."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, Response

from api.access.callers import check_csrf
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.errors import InvalidRequest
from api.http.fields import Text
from api.pages.forms import PageForm, RowNumber, sites_by_name
from api.pages.page_session import Visitor, see_other
from api.principal import Principal
from api.recommendations.routine_rules import LONGEST_PERIOD, RoutineRuleIn, end_rule, may_set, set_rule
from api.settings import ApprovalLimits
from warehouse.queries import worklist
from warehouse.queries.lines import Rows
from warehouse.schema.inputs import Product

router = APIRouter(dependencies=NO_PARAMETERS)

USUAL_PERIOD = dt.timedelta(days=90)


class RuleForm(RoutineRuleIn):
    """A rule as a form sends it."""

    csrf_token: Text

    def rule(self) -> RoutineRuleIn:
        """The rule itself."""
        values = self.model_dump(exclude={"csrf_token"}) | {"expires_on": str(self.expires_on)}
        return RoutineRuleIn.model_validate(values)


class EndForm(PageForm):
    """The button that ends a rule."""

    rule_id: RowNumber


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoutineRulesPage(Page, template="routine_rules.html", menu_entry="worklist"):
    """The rules of what is routine, and the form that sets one."""

    today: dt.date
    rules: Rows  # of the person's sites and of every site, newest first
    in_force: set[int]  # rule_ids that count today
    may_set: bool  # whether the person sets and ends rules
    sites: Rows  # to choose from
    currencies: list[str]  # to choose from
    limit: Decimal | None  # order value above which one approval is not enough; None = no limit
    usual_end: dt.date  # the day that the form proposes
    last_end: dt.date  # the latest day that it takes
    error: InvalidRequest | None = None  # why nothing was saved
    form: RuleForm | None = None  # what was filled in


@router.get("/routine-rules")
def show_rules(person: Visitor, db: Db, now: Now, request: Request) -> HTMLResponse:
    """The rules that stand, and those before them."""
    return render(_page(db, person, now.date(), request))


@router.post("/routine-rules")
def set_rule_on_page(
    form: Annotated[RuleForm, Form()], person: Visitor, db: Db, now: Now, request: Request
) -> Response:
    """Set a rule; when it breaks one itself, the page says which."""
    check_csrf(person, form.csrf_token)
    try:
        set_rule(db, person, form.rule(), now, request.app.state.server.approvals)
    except InvalidRequest as error:
        # nothing has been written at this point: every rule is checked before the first write
        page = dataclasses.replace(_page(db, person, now.date(), request), error=error, form=form)
        return render(page, status=error.status)
    return see_other("/routine-rules")


@router.post("/routine-rules/end")
def end_rule_on_page(form: Annotated[EndForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """End a rule."""
    check_csrf(person, form.csrf_token)
    end_rule(db, person, form.rule_id, now)
    return see_other("/routine-rules")


def _page(db: sa.Connection, person: Principal, today: dt.date, request: Request) -> RoutineRulesPage:
    limits: ApprovalLimits = request.app.state.server.approvals
    return RoutineRulesPage(
        person=person,
        today=today,
        rules=worklist.routine_rules(db, person.sites),
        in_force={rule["rule_id"] for rule in worklist.rules_in_force(db, person.sites, today)},
        may_set=may_set(person),
        sites=sites_by_name(db, person),
        currencies=sorted(currency for currency in db.scalars(sa.select(Product.currency).distinct()) if currency),
        limit=limits.second_above,
        usual_end=today + USUAL_PERIOD,
        last_end=today + LONGEST_PERIOD,
    )
