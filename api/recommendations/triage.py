"""What a person does with an item on the worklist beside deciding: snooze it, assign it, comment on it.

An action belongs to a site and product, so that it outlives the line it was done on. Rows are only added; taking one
back adds a row that says what stood before.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from api.http.errors import InvalidRequest, NotAllowed, NotPending, or_not_found
from api.http.fields import LARGEST_INTEGER
from api.principal import Principal
from api.recommendations.triage_models import ActionKind, WorklistActionIn
from forecasting.terms import RecommendationStatus
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries import worklist
from warehouse.queries.lines import Rows, recommendation
from warehouse.roles import Permission
from warehouse.schema.worklist import Comment, WorklistAction

LONGEST_SNOOZE = dt.timedelta(days=90)
STORED_KIND = {
    ActionKind.SNOOZE: "snooze",
    ActionKind.WAKE: "snooze",
    ActionKind.ASSIGN: "assign",
    ActionKind.UNASSIGN: "assign",
}
STATE_COLUMNS = ("snoozed_until", "assignee_id")


def act_on_item(
    connection: sa.Connection, person: Principal, recommendation_id: str, action: WorklistActionIn, now: dt.datetime
) -> int:
    """Number of the action that was written, on the item of a line.

    Raises `NotFound` for a line of another site, `NotPending` when it is decided already or the action to take back is
    not the newest, `InvalidRequest` when a field breaks a rule: to put an item off past its last day to order has to
    be asked for by name.
    """
    line = _line(connection, person, recommendation_id)
    if action.kind is ActionKind.UNDO:
        return _undo(connection, person, line, action, now)
    if line["status"] != RecommendationStatus.PROPOSED.value:
        raise NotPending(f"the line is {line['status']}: there is nothing to put off or give away", current=None)
    row: dict[str, Any] = {"snoozed_until": None, "assignee_id": None, "undoes": None}
    row["reason"] = (action.reason or "").strip() or None
    if action.kind is ActionKind.SNOOZE:
        row["snoozed_until"] = _checked_day(action, line, row["reason"], now.date())
    if action.kind is ActionKind.ASSIGN:
        row["assignee_id"] = _checked_assignee(connection, action, line)
    return _write(connection, person, line, action.kind, row | {"kind": STORED_KIND[action.kind]}, now)


def add_comment(
    connection: sa.Connection, person: Principal, recommendation_id: str, text: str, now: dt.datetime
) -> int:
    """Number of the comment that was written on the item of a line, whatever its status."""
    line = _line(connection, person, recommendation_id)
    row = {name: line[name] for name in ("facility_id", "product_id", "recommendation_id")}
    row |= {"text": text, "user_id": person.user_id, "written_at": now}
    number = int(connection.execute(sa.insert(Comment).values(row).returning(Comment.comment_id)).scalar_one())
    event = Event("recommendation.comment", _subject(line), line["facility_id"], after={"text": text})
    audit.append(connection, person.actor, now, [event])
    return number


def possible_assignees(connection: sa.Connection, facility_id: str) -> Rows:
    """People to whom an item of the site can be given."""
    people = worklist.people_with(connection, Permission.DECIDE)
    return [person for person in people if worklist.sees(person, facility_id)]


def _line(connection: sa.Connection, person: Principal, recommendation_id: str) -> sa.RowMapping:
    if person.user_id is None or not person.may_decide():
        raise NotAllowed("only a signed-in person who may decide does this")
    line = recommendation(connection, person.sites, recommendation_id, for_update=True)
    return or_not_found(line, f"recommendation {recommendation_id}")


def _checked_day(action: WorklistActionIn, line: sa.RowMapping, reason: str | None, today: dt.date) -> dt.date:
    until = action.until
    if until is None or not today < until <= today + LONGEST_SNOOZE:
        last = today + LONGEST_SNOOZE
        raise InvalidRequest.field("until", f"must be a day after today ({today}), {last} at the latest")
    if reason is None:
        raise InvalidRequest.field("reason", "is required to put a line off")
    if until > line["order_by"] and not action.past_order_by:
        late = "has passed" if line["order_by"] < today else "comes before that"
        risk = f"stock-out risk without the order {line['stockout_probability_before']:.0%}"
        raise InvalidRequest.field(
            "until",
            f"the last day to order, {line['order_by']}, {late} ({risk}); past_order_by puts it off all the same",
        )
    return until


def _checked_assignee(connection: sa.Connection, action: WorklistActionIn, line: sa.RowMapping) -> int:
    if action.assignee_id not in {other["user_id"] for other in possible_assignees(connection, line["facility_id"])}:
        raise InvalidRequest.field("assignee_id", f"must be a person who decides for {line['facility_name']}")
    assert action.assignee_id is not None
    return action.assignee_id


def _undo(
    connection: sa.Connection, person: Principal, line: sa.RowMapping, action: WorklistActionIn, now: dt.datetime
) -> int:
    item = (line["facility_id"], line["product_id"])
    done = worklist.action(connection, person.sites, action.action_id) if action.action_id is not None else None
    if done is None or (done["facility_id"], done["product_id"]) != item:
        raise InvalidRequest.field("action_id", "must be an action on this item")
    if not done["stands"]:
        raise NotPending("the item was put off, woken or given away again since", current=None)
    before = worklist.actions_of_item(connection, *item, done["kind"], done["action_id"])[1:]
    state = {name: before[0][name] if before else None for name in STATE_COLUMNS}
    row = state | {"kind": done["kind"], "undoes": done["action_id"], "reason": None}
    return _write(connection, person, line, ActionKind.UNDO, row, now)


def _write(
    connection: sa.Connection,
    person: Principal,
    line: sa.RowMapping,
    kind: ActionKind,
    row: dict[str, Any],
    now: dt.datetime,
) -> int:
    item = (line["facility_id"], line["product_id"])
    actions = worklist.actions_of_item(connection, *item, row["kind"], LARGEST_INTEGER)
    before = {name: actions[0][name] for name in STATE_COLUMNS if actions and actions[0][name] is not None}
    after = {name: row[name] for name in (*STATE_COLUMNS, "reason", "undoes") if row[name] is not None}
    values = row | {name: line[name] for name in ("facility_id", "product_id", "recommendation_id")}
    values |= {"order_by_seen": line["order_by"], "user_id": person.user_id, "acted_at": now}
    insert = sa.insert(WorklistAction).values(values).returning(WorklistAction.action_id)
    number = int(connection.execute(insert).scalar_one())
    event = Event(f"recommendation.{kind}", _subject(line), line["facility_id"], before, after | {"action_id": number})
    audit.append(connection, person.actor, now, [event])
    return number


def _subject(line: sa.RowMapping) -> str:
    return f"recommendation:{line['recommendation_id']}"
