"""What-ifs that the command kept: which there are, and what each would change at the person's sites."""

import json
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from api.display.templating import page
from api.http.context import Db, refuse_parameters
from api.http.errors import NotFound
from api.http.fields import Text
from api.pages.page_session import Visitor
from warehouse.queries.lines import table
from warehouse.scenarios import LINES, SCENARIOS, scenario, scenario_lines_query, scenarios_query

router = APIRouter()

MOST_SCENARIOS = 100
MOST_LINES = 500


@router.get("/scenarios", dependencies=[Depends(refuse_parameters)])
def show_scenarios(person: Visitor, db: Db) -> HTMLResponse:
    """Every what-if, the last computed first."""
    newest = scenarios_query().order_by(SCENARIOS.c.made_at.desc(), SCENARIOS.c.scenario_id).limit(MOST_SCENARIOS)
    rows = [_told(row) for row in db.execute(newest).mappings()]
    return page("scenarios.html", person=person, here="scenarios", scenarios=rows)


@router.get("/scenarios/{scenario_id}", dependencies=[Depends(refuse_parameters)])
def show_scenario(scenario_id: Text, person: Visitor, db: Db) -> HTMLResponse:
    """One what-if: the lines that differ at the person's sites, by site and product."""
    row = scenario(db, scenario_id)
    if row is None:
        raise NotFound(f"there is no scenario {scenario_id}")
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
    shown, more = lines[:MOST_LINES], len(lines) > MOST_LINES
    return page("scenario.html", person=person, here="scenarios", scenario=_told(row), lines=shown, more=more)


def _told(row: Any) -> dict[str, Any]:
    return {**row, "changes": json.loads(row["changes"])}
