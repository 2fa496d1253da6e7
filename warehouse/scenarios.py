"""Stored what-ifs: written whole, read within a caller's sites."""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from warehouse import store
from warehouse.queries.lines import Scope, within
from warehouse.schema.scenarios import ScenarioLine, StoredScenario

SCENARIOS: Any = StoredScenario.__table__
LINES: Any = ScenarioLine.__table__


def store_scenario(
    connection: sa.Connection,
    *,
    name: str,
    changes: Sequence[str],
    run_id: str,
    as_of: dt.date,
    lines: pd.DataFrame,
    now: dt.datetime,
) -> str:
    """The id of the what-if, which takes the place of the same one for the same run."""
    scenario_id = "sc-" + hashlib.sha256(repr((name, list(changes), run_id)).encode()).hexdigest()[:16]
    facts = {"scenario_id": scenario_id, "name": name, "run_id": run_id, "as_of": as_of, "made_at": now}
    connection.execute(LINES.delete().where(LINES.c.scenario_id == scenario_id))
    row = pd.DataFrame([facts | {"changes": json.dumps(list(changes))}])
    store.replace(connection, SCENARIOS, row, SCENARIOS.c.scenario_id == scenario_id)
    store.insert(connection, LINES, lines.assign(scenario_id=scenario_id))
    return scenario_id


def scenarios_query() -> sa.Select[Any]:
    """What-ifs; they name no quantity of a site."""
    return sa.select(SCENARIOS)


def scenario(connection: sa.Connection, scenario_id: str) -> sa.RowMapping | None:
    """The what-if of that id."""
    query = scenarios_query().where(SCENARIOS.c.scenario_id == scenario_id)
    return connection.execute(query).mappings().one_or_none()


def scenario_lines_query(scope: Scope, scenario_id: str) -> sa.Select[Any]:
    """Its lines at the caller's sites."""
    return sa.select(LINES).where(LINES.c.scenario_id == scenario_id, within(LINES.c.facility_id, scope))
