"""Problems of the newest day, with the states that people set."""

import dataclasses
import datetime as dt
import hashlib
import json
from typing import Any

import sqlalchemy as sa

from warehouse.queries.lines import Scope, newest_problems, newest_run
from warehouse.schema.ledger import User
from warehouse.schema.problem_states import ProblemState

IDENTITY = ("stage", "asset", "rule", "facility_id", "subject")
"""What makes a problem the same in every run; its sentence has numbers that change."""


@dataclasses.dataclass(frozen=True)
class ReportedProblem:
    """A problem of the newest day, its state, and the row in which a person set the state last.

    `reported_again` is true when it was called resolved and a run that began later reports it: then it is open.
    """

    problem: sa.RowMapping
    name: str
    state: str = "open"
    reported_again: bool = False
    last_set: sa.RowMapping | None = None


def problem_name(row: Any) -> str:
    """The short name of a problem, the same in every run."""
    return hashlib.sha256(json.dumps([row[column] for column in IDENTITY]).encode()).hexdigest()[:20]


def reported_problems(connection: sa.Connection, scope: Scope) -> list[ReportedProblem]:
    """Problems of the newest day that the caller may see, with their states."""
    states, run = _newest_states(connection), newest_run(connection)
    run_began = None if run is None else run["started_at"]
    rows = newest_problems(connection, scope)
    return [_reported_problem(row, states.get(problem_name(row)), run_began) for row in rows]


def _newest_states(connection: sa.Connection) -> dict[str, sa.RowMapping]:
    query = (
        sa.select(ProblemState.__table__, User.display_name)
        .join(User, User.user_id == ProblemState.user_id)
        .order_by(ProblemState.state_id)
    )
    return {problem_name(row): row for row in connection.execute(query).mappings()}


def _reported_problem(
    row: sa.RowMapping, last_set: sa.RowMapping | None, run_began: dt.datetime | None
) -> ReportedProblem:
    if last_set is None:
        return ReportedProblem(row, problem_name(row))
    again = last_set["state"] == "resolved" and run_began is not None and run_began > last_set["set_at"]
    return ReportedProblem(row, problem_name(row), "open" if again else last_set["state"], again, last_set)
