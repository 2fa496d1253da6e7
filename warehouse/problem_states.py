"""Setting the states of problems that a run reported."""

import dataclasses
import datetime as dt
from collections.abc import Iterable

import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.queries.lines import Scope
from warehouse.queries.problems import IDENTITY, reported_problems
from warehouse.schema.problem_states import ProblemState, ProblemStatus


@dataclasses.dataclass(frozen=True)
class StateChange:
    """The new state of problems, with the person's note and number."""

    state: ProblemStatus
    note: str
    user_id: int


def set_problem_states(
    connection: sa.Connection,
    scope: Scope,
    names: Iterable[str],
    change: StateChange,
    *,
    now: dt.datetime,
    actor: Actor,
) -> int:
    """Number of problems whose state was written, all or none.

    `InvalidInput` where one is not reported to the caller, or concerns all sites and the caller sees some, or is called
    resolved without a note.
    """
    note = change.note.strip() or None
    if change.state is ProblemStatus.RESOLVED and note is None:
        raise InvalidInput("say in the note how it was resolved")
    chosen, reported = (
        list(dict.fromkeys(names)),
        {problem.name: problem for problem in reported_problems(connection, scope)},
    )
    if not chosen:
        raise InvalidInput("tick the problems that you speak of")
    if any(name not in reported for name in chosen):
        raise InvalidInput("the newest run no longer reports one of these problems: load the page again")
    problems = [reported[name] for name in chosen]
    if scope is not None and any(problem.problem["facility_id"] is None for problem in problems):
        raise InvalidInput("a problem of all sites is for a person who sees every site")
    state = {"state": change.state.value, "note": note, "user_id": change.user_id, "set_at": now}
    rows = [{column: problem.problem[column] for column in IDENTITY} | state for problem in problems]
    connection.execute(sa.insert(ProblemState), rows)
    events = [
        Event(
            "problem.state",
            f"problem:{problem.name}",
            problem.problem["facility_id"],
            before={"state": problem.state},
            after={"state": change.state.value, "note": note, "rule": problem.problem["rule"]},
        )
        for problem in problems
    ]
    audit.append(connection, actor, now, events)
    return len(problems)
