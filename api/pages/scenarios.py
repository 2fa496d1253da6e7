"""What-ifs that the command kept: which there are, and what each would change at the person's sites."""

import dataclasses
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, Db
from api.http.errors import or_not_found
from api.http.fields import Text
from api.pages.page_session import Visitor
from api.routes.scenarios import scenario_resource
from warehouse.queries.lines import Rows, table
from warehouse.scenarios import LINES, SCENARIOS, scenario, scenario_lines_query, scenarios_query

router = APIRouter(dependencies=NO_PARAMETERS)

MOST_SCENARIOS = 100
MOST_LINES = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScenariosPage(Page, template="scenarios.html", menu_entry="scenarios"):
    """Every what-if, the last computed first."""

    scenarios: list[dict[str, Any]]  # rows with their changes as a list


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScenarioPage(Page, template="scenario.html", menu_entry="scenarios"):
    """One what-if."""

    scenario: dict[str, Any]
    lines: Rows  # the lines that differ, by site and product
    more: bool  # whether there are more lines than are shown


@router.get("/scenarios")
def show_scenarios(person: Visitor, db: Db) -> HTMLResponse:
    """Every what-if, the last computed first."""
    newest = scenarios_query().order_by(SCENARIOS.c.made_at.desc(), SCENARIOS.c.scenario_id).limit(MOST_SCENARIOS)
    scenarios = [scenario_resource(row) for row in db.execute(newest).mappings()]
    return render(ScenariosPage(person=person, scenarios=scenarios))


@router.get("/scenarios/{scenario_id}")
def show_scenario(scenario_id: Text, person: Visitor, db: Db) -> HTMLResponse:
    """One what-if: the lines that differ at the person's sites, by site and product."""
    row = or_not_found(scenario(db, scenario_id), f"scenario {scenario_id}")
    facilities = table("facilities").c
    query = (
        scenario_lines_query(person.sites, scenario_id)
        .add_columns(facilities.name.label("facility_name"))
        .join(table("facilities"), facilities.facility_id == LINES.c.facility_id)
        .where(LINES.c.cause.is_not(None))
        .order_by(facilities.name, LINES.c.product_id)
        .limit(MOST_LINES + 1)
    )
    lines = db.execute(query).mappings().all()
    more = len(lines) > MOST_LINES
    return render(ScenarioPage(person=person, scenario=scenario_resource(row), lines=lines[:MOST_LINES], more=more))
