"""What-ifs as the command `scenario` computed and kept them."""

import datetime as dt
import json
from decimal import Decimal
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.access.callers import reader
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db
from api.http.errors import or_not_found
from api.http.fields import Names, PageOut, PageParameters, Text, UtcOut
from api.http.openapi import refusals
from api.http.paging import Key, filtered, list_page
from api.http.units import units_of
from api.principal import Principal
from warehouse.scenarios import LINES, SCENARIOS, scenario, scenario_lines_query, scenarios_query

router = APIRouter(prefix="/v1/scenarios", tags=["scenarios"])

READER = reader("forecasts:read")
Reader = Annotated[Principal, READER]

SCENARIO_KEYS = [Key(SCENARIOS.c.made_at, descending=True), Key(SCENARIOS.c.scenario_id)]
LINE_KEYS = [Key(LINES.c.facility_id), Key(LINES.c.product_id)]


class ScenarioOut(BaseModel):
    """A what-if, and the plan that it was compared with."""

    scenario_id: str = Field(examples=["sc-0e34c08a5a7bf1cf"])
    name: str = Field(examples=["Go-live a quarter later"])
    as_of: dt.date = Field(description="Origin day of the plan.")
    changes: list[str] = Field(examples=[["go-live of CYP2C19 on 2027-03-01"]])
    made_at: UtcOut


class ScenarioPage(PageOut):
    """A page of what-ifs."""

    items: list[ScenarioOut]


class ScenarioLineFilters(PageParameters):
    """Which lines of a what-if."""

    facility_id: Names = Field([], description="Sites.")
    product_id: Names = Field([], description="Products.")
    all_lines: bool = Field(False, description="Also the lines that do not differ.")


class ScenarioLineOut(BaseModel):
    """A site's product: as planned (`_now`) and under the what-if (`_then`)."""

    facility_id: str
    product_id: str
    drug: str
    units_per_week_now: float
    units_per_week_then: float
    packs_now: int = Field(description="Packs to order now.")
    packs_then: int
    cost_now: Decimal | None = Field(description="In `currency`; null = price unknown.")
    cost_then: Decimal | None
    currency: str | None
    stockout_probability_now: float | None = Field(description="After the order; null = stock never counted.")
    stockout_probability_then: float | None
    cause: str | None = Field(description="Changes that move the line when made alone; null = nothing differs.")


class ScenarioLinePage(PageOut):
    """A page of a what-if's lines."""

    items: list[ScenarioLineOut]


@router.get("", dependencies=[*ONCE_EACH, READER], responses=refusals(401, 403))
def list_scenarios(parameters: Annotated[PageParameters, Query()], db: Db) -> ScenarioPage:
    """What-ifs, the last computed first."""
    return list_page(ScenarioPage, db, scenarios_query(), SCENARIO_KEYS, parameters, item=scenario_resource)


@router.get("/{scenario_id}", dependencies=[*NO_PARAMETERS, READER], responses=refusals(401, 403, 404))
def read_scenario(scenario_id: Text, db: Db) -> ScenarioOut:
    """One what-if."""
    return ScenarioOut.model_validate(scenario_resource(_stored(db, scenario_id)))


@router.get("/{scenario_id}/lines", dependencies=ONCE_EACH, responses=refusals(401, 403, 404))
def read_lines(
    scenario_id: Text, filters: Annotated[ScenarioLineFilters, Query()], caller: Reader, db: Db
) -> ScenarioLinePage:
    """Its lines at the caller's sites: those that differ from the plan, or all."""
    _stored(db, scenario_id)
    query = scenario_lines_query(caller.sites, scenario_id)
    if not filters.all_lines:
        query = query.where(LINES.c.cause.is_not(None))
    query = filtered(query, (LINES.c.facility_id, filters.facility_id), (LINES.c.product_id, filters.product_id))
    return list_page(ScenarioLinePage, db, query, LINE_KEYS, filters, units=units_of("scenario_lines"))


def _stored(db: sa.Connection, scenario_id: str) -> sa.RowMapping:
    return or_not_found(scenario(db, scenario_id), f"scenario {scenario_id}")


def scenario_resource(row: Any) -> dict[str, Any]:
    """A what-if with its changes as a list."""
    return {**row, "changes": json.loads(row["changes"])}
