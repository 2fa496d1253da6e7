"""How fresh the data is, what the last run could not do, how each of it stands, and what was loaded."""

from collections import defaultdict
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from api.access.callers import check_csrf
from api.access.roles import Principal
from api.display import problem_labels
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotAllowed
from api.http.fields import Note, Strict, Text
from api.pages.page_session import Visitor, see_other
from api.pages.worklist import OneName
from forecasting.errors import InvalidInput
from warehouse.problem_states import StateChange, set_problem_states
from warehouse.queries import lines
from warehouse.queries.freshness import input_ages
from warehouse.queries.problems import ReportedProblem, reported_problems

router = APIRouter()

LOADS_SHOWN = 20
MOST_TICKED = 1_000
STATES = {"open": "Open", "addressed": "Being addressed", "resolved": "Resolved"}


class ProblemsParameters(Strict):
    """Whether resolved ones are listed too, and how many were just changed."""

    show: OneName = None
    said: int | None = Field(None, ge=0, le=MOST_TICKED)


class StateForm(Strict):
    """How the ticked problems stand; `every` names a rule of which all that are not resolved are meant."""

    csrf_token: Text
    problem: Annotated[list[Text], Field(max_length=MOST_TICKED)] = []
    every: Text = ""
    state: Literal["open", "addressed", "resolved"]
    note: Note = ""


@router.get("/problems", dependencies=[Depends(refuse_repeated_parameters)])
def show_problems(
    parameters: Annotated[ProblemsParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """Freshness per site, problems of the newest run, last loads. Loads are the network's: all sites must be seen."""
    return _page(db, person, now, parameters)


@router.post("/problems", dependencies=[Depends(refuse_parameters)])
def say_how_it_stands(form: Annotated[StateForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """Write how the ticked problems stand; when a rule is broken, the page again with the reason."""
    check_csrf(person, form.csrf_token)
    if not person.may_decide() or person.user_id is None:
        raise NotAllowed(f"the role {person.role} reads and does not say how problems stand")
    try:
        said = set_problem_states(
            db,
            person.sites,
            form.problem if not form.every else _of_rule(db, person, form.every),
            StateChange(form.state, form.note, person.user_id),
            now=now,
            actor=person.actor,
        )
    except InvalidInput as error:
        # nothing has been written at this point: every rule is checked before the first write
        return _page(db, person, now, ProblemsParameters.model_validate({}), error=str(error))
    return see_other(f"/problems?said={said}")


def _page(
    db: sa.Connection, person: Principal, now: Any, parameters: ProblemsParameters, error: str | None = None
) -> HTMLResponse:
    found = reported_problems(db, person.sites)
    shown = [one for one in found if parameters.show == "all" or one.state != "resolved"]
    return page(
        "problems.html",
        status=422 if error else 200,
        person=person,
        here="problems",
        run=lines.newest_run(db),
        groups=_groups(shown),
        resolved=sum(one.state == "resolved" for one in found),
        parameters=parameters,
        states=STATES,
        severities=problem_labels.SEVERITIES,
        ages=input_ages(db, person.sites, now.date()),
        loads=lines.newest_loads(db, LOADS_SHOWN) if person.sites is None else None,
        error=error,
    )


def _of_rule(db: sa.Connection, person: Principal, rule: str) -> list[str]:
    """Names of the rule's problems that are not resolved; those of all sites only for who sees every site."""
    found = [
        one for one in reported_problems(db, person.sites) if one.problem["rule"] == rule and one.state != "resolved"
    ]
    return [one.name for one in found if person.sites is None or one.problem["facility_id"] is not None]


def _groups(found: list[ReportedProblem]) -> list[dict[str, Any]]:
    """Problems by stage and rule, those that keep something from being planned first."""
    groups: dict[tuple[str, str], list[ReportedProblem]] = defaultdict(list)
    for one in found:
        groups[one.problem["stage"], one.problem["rule"]].append(one)
    order = list(problem_labels.SEVERITIES)
    told = [
        {
            "stage": stage,
            "rule": rule,
            "severity": problem_labels.severity(rule),
            "suggestion": problem_labels.suggestion(rule),
            "problems": of,
        }
        for (stage, rule), of in groups.items()
    ]
    return sorted(told, key=lambda one: (order.index(str(one["severity"])), -len(one["problems"]), str(one["rule"])))
