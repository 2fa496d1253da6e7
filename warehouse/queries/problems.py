"""Problems of the newest day with what people said of them, and saying it."""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.queries.lines import Scope, newest_problems, newest_run
from warehouse.schema.ledger import User
from warehouse.schema.problem_states import PROBLEM_STATES, ProblemState

IDENTITY = ("stage", "asset", "rule", "facility_id", "subject")
"""What makes a problem the same in every run; its sentence has numbers that change."""


@dataclasses.dataclass(frozen=True)
class ReportedProblem:
    """A problem of the newest day and how it stands. `again` is true when it was called resolved and a run that began
    later reports it all the same: then it is open."""

    problem: sa.RowMapping
    name: str
    state: str = "open"
    again: bool = False
    said: sa.RowMapping | None = None


def problem_name(row: Any) -> str:
    """The short name of a problem, the same in every run."""
    return hashlib.sha256(json.dumps([row[one] for one in IDENTITY]).encode()).hexdigest()[:20]


def reported_problems(connection: sa.Connection, scope: Scope) -> list[ReportedProblem]:
    """Problems of the newest day that the caller may see, with how each stands."""
    found, said = newest_problems(connection, scope), _newest_states(connection)
    run = newest_run(connection)
    return [_told(row, said.get(problem_name(row)), None if run is None else run["started_at"]) for row in found]


def set_problem_states(
    connection: sa.Connection,
    scope: Scope,
    names: Iterable[str],
    state: str,
    note: str,
    *,
    user_id: int,
    now: dt.datetime,
    actor: Actor,
) -> int:
    """Write how problems stand, all or none; how many. `InvalidInput` where one is not reported to the caller, or
    concerns all sites and the caller sees some, or is called resolved without a note."""
    if state not in PROBLEM_STATES:
        raise InvalidInput(f"state {state!r}: must be one of {', '.join(PROBLEM_STATES)}")
    if state == "resolved" and not note.strip():
        raise InvalidInput("say in the note how it was resolved")
    wanted, here = list(dict.fromkeys(names)), {one.name: one for one in reported_problems(connection, scope)}
    if not wanted:
        raise InvalidInput("tick the problems that you speak of")
    if any(name not in here for name in wanted):
        raise InvalidInput("the newest run no longer reports one of these problems: load the page again")
    mine = [here[name] for name in wanted]
    if scope is not None and any(one.problem["facility_id"] is None for one in mine):
        raise InvalidInput("a problem of all sites is for a person who sees every site")
    _write(connection, mine, state, note.strip() or None, user_id, now)
    events = [
        Event(
            "problem.state",
            f"problem:{one.name}",
            one.problem["facility_id"],
            before={"state": one.state},
            after={"state": state, "note": note.strip() or None, "rule": one.problem["rule"]},
        )
        for one in mine
    ]
    audit.append(connection, actor, now, events)
    return len(mine)


def _write(
    connection: sa.Connection,
    mine: Sequence[ReportedProblem],
    state: str,
    note: str | None,
    user_id: int,
    now: dt.datetime,
) -> None:
    said = {"state": state, "note": note, "user_id": user_id, "set_at": now}
    rows = [{one: told.problem[one] for one in IDENTITY} | said for told in mine]
    connection.execute(sa.insert(ProblemState), rows)


def _newest_states(connection: sa.Connection) -> dict[str, sa.RowMapping]:
    query = (
        sa.select(ProblemState.__table__, User.display_name)
        .join(User, User.user_id == ProblemState.user_id)
        .order_by(ProblemState.state_id)
    )
    return {problem_name(row): row for row in connection.execute(query).mappings()}


def _told(row: sa.RowMapping, said: sa.RowMapping | None, run_began: dt.datetime | None) -> ReportedProblem:
    if said is None:
        return ReportedProblem(row, problem_name(row))
    again = said["state"] == "resolved" and run_began is not None and run_began > said["set_at"]
    return ReportedProblem(row, problem_name(row), "open" if again else said["state"], again, said)
