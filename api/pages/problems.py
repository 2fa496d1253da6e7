"""How fresh the data is, what the last run could not do, the status of each problem, and what was loaded."""

import dataclasses
import datetime as dt
from collections import defaultdict
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from api.display.labels import choices
from api.display.problem_labels import ProblemRule, Severity, problem_rule
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import NotAllowed
from api.http.fields import Note, Strict, Text
from api.pages.forms import OptionalText, PageForm, check_form
from api.pages.page_session import Visitor, see_other
from api.principal import Principal
from forecasting.errors import InvalidInput
from warehouse.problem_states import StateChange, set_problem_states
from warehouse.queries import lines
from warehouse.queries.freshness import Age, input_ages
from warehouse.queries.problems import ReportedProblem, reported_problems
from warehouse.roles import Permission
from warehouse.schema.problem_states import ProblemStatus

router = APIRouter()

LOADS_SHOWN = 20
MOST_TICKED = 1_000


class ProblemsParameters(Strict):
    """Whether resolved ones are listed too, and how many were just changed."""

    show: OptionalText = None
    said: Annotated[int, Field(ge=0, le=MOST_TICKED)] | None = None


class StatusForm(PageForm):
    """The status of the ticked problems; `every` names a rule of which all that are not resolved are meant."""

    problem: Annotated[list[Text], Field(max_length=MOST_TICKED)] = []
    every: Text = ""
    state: ProblemStatus
    note: Note = ""


@dataclasses.dataclass(frozen=True)
class ProblemGroup:
    """Problems of one stage and rule."""

    stage: str
    rule: str
    advice: ProblemRule
    problems: list[ReportedProblem]

    def order(self) -> tuple[int, int, str]:
        """What keeps something from being planned comes first, then the larger groups."""
        return list(Severity).index(self.advice.severity), -len(self.problems), self.rule


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProblemsPage(Page, template="problems.html", menu_entry="problems"):
    """Freshness by site, problems of the newest run, last loads."""

    run: sa.RowMapping | None  # the last run
    groups: list[ProblemGroup]
    resolved: int  # how many problems are resolved
    parameters: ProblemsParameters
    statuses: list[tuple[str, str]]  # code and label, to choose from
    ages: list[Age]  # of each input at each site
    loads: lines.Rows | None  # the last ones; None for who sees some sites only: a load is of every site
    error: str | None = None  # why nothing was saved


@router.get("/problems", dependencies=ONCE_EACH)
def show_problems(
    parameters: Annotated[ProblemsParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """Freshness by site, problems of the newest run, last loads."""
    return render(_page(db, person, now.date(), parameters))


@router.post("/problems", dependencies=NO_PARAMETERS)
def set_status_on_page(form: Annotated[StatusForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """Keep the status of the ticked problems; when a rule is broken, the page again with the reason."""
    check_form(person, form, Permission.DECIDE, "reads and does not change the status of problems")
    if person.user_id is None:
        raise NotAllowed("only a signed-in person changes the status of problems")
    names = _unresolved(db, person, form.every) if form.every else form.problem
    try:
        change = StateChange(form.state, form.note, person.user_id)
        changed = set_problem_states(db, person.sites, names, change, now=now, actor=person.actor)
    except InvalidInput as error:
        # nothing has been written at this point: every rule is checked before the first write
        page = _page(db, person, now.date(), ProblemsParameters())
        return render(dataclasses.replace(page, error=str(error)), status=422)
    return see_other(f"/problems?said={changed}")


def _page(db: sa.Connection, person: Principal, today: dt.date, parameters: ProblemsParameters) -> ProblemsPage:
    reported = reported_problems(db, person.sites)
    listed = [item for item in reported if parameters.show == "all" or item.state != ProblemStatus.RESOLVED]
    return ProblemsPage(
        person=person,
        run=lines.newest_run(db),
        groups=_groups(listed),
        resolved=sum(item.state == ProblemStatus.RESOLVED for item in reported),
        parameters=parameters,
        statuses=choices(ProblemStatus),
        ages=input_ages(db, person.sites, today),
        loads=lines.newest_loads(db, LOADS_SHOWN) if person.sites is None else None,
    )


def _unresolved(db: sa.Connection, person: Principal, rule: str) -> list[str]:
    """Names of the rule's problems that are not resolved; those of all sites only for who sees every site."""
    return [
        item.name
        for item in reported_problems(db, person.sites)
        if item.problem["rule"] == rule
        and item.state != ProblemStatus.RESOLVED
        and (person.sites is None or item.problem["facility_id"] is not None)
    ]


def _groups(listed: list[ReportedProblem]) -> list[ProblemGroup]:
    by_rule: dict[tuple[str, str], list[ReportedProblem]] = defaultdict(list)
    for item in listed:
        by_rule[item.problem["stage"], item.problem["rule"]].append(item)
    groups = [ProblemGroup(stage, rule, problem_rule(rule), items) for (stage, rule), items in by_rule.items()]
    return sorted(groups, key=ProblemGroup.order)
