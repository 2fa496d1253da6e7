"""Read queries of the worklist beside the lines: put off, assigned, waiting for a second person, routine, comments.

Like `queries`: each takes the `scope` of who asks and never looks beyond it.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm

from forecasting.terms import ALL_FACILITIES, Criticality, DecisionKind, Reason, RecommendationStatus
from warehouse.queries.lines import Rows, Scope, within
from warehouse.roles import Permission, roles_with
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import Decision, User
from warehouse.schema.results import Recommendation
from warehouse.schema.worklist import Comment, RoutineRule, WorklistAction

Line = Mapping[str, Any] | sa.RowMapping
Item = tuple[str, str]
"""facility_id and product_id."""


@dataclasses.dataclass(frozen=True)
class ItemState:
    """The newest action of each kind on an item, with the names of who acted (`by`) and of whom it was given to."""

    snooze: sa.RowMapping | None = None
    assign: sa.RowMapping | None = None

    def snoozed(self, order_by: dt.date, today: dt.date) -> bool:
        """Whether a line of the item to be ordered by that day is put off today."""
        return self.snooze is not None and snooze_holds(self.snooze, order_by, today)


def snooze_holds(snooze: Line, order_by: dt.date, today: dt.date) -> bool:
    """Whether the item is still put off: its day has not come, and no line must be ordered earlier than was known.

    >>> seen = {"snoozed_until": dt.date(2026, 12, 3), "order_by_seen": dt.date(2026, 12, 9)}
    >>> monday = dt.date(2026, 11, 30)
    >>> [snooze_holds(seen, dt.date(2026, 12, day), monday) for day in (9, 3, 2)]
    [True, True, False]
    >>> snooze_holds(seen, dt.date(2026, 12, 9), dt.date(2026, 12, 3))
    False
    """
    until = snooze["snoozed_until"]
    return until is not None and today < until and order_by >= min(snooze["order_by_seen"], until)


def item_states(connection: sa.Connection, scope: Scope, today: dt.date) -> dict[Item, ItemState]:
    """Items that are put off or somebody's; whom an account no longer signs in has nothing."""
    newest = (
        sa.select(sa.func.max(WorklistAction.action_id))
        .where(within(WorklistAction.facility_id, scope))
        .group_by(WorklistAction.facility_id, WorklistAction.product_id, WorklistAction.kind)
    )
    assignee = sa.orm.aliased(User)
    held = (WorklistAction.snoozed_until > today) | assignee.active
    query = _actions(assignee).where(WorklistAction.action_id.in_(newest), held)
    by_item: dict[Item, dict[str, sa.RowMapping]] = {}
    for row in connection.execute(query).mappings():
        by_item.setdefault((row["facility_id"], row["product_id"]), {})[row["kind"]] = row
    return {item: ItemState(**rows) for item, rows in by_item.items()}


def item_state(connection: sa.Connection, facility_id: str, product_id: str, today: dt.date) -> ItemState:
    """The same of one item."""
    return item_states(connection, frozenset({facility_id}), today).get((facility_id, product_id), ItemState())


def _actions(assignee: Any) -> sa.Select[Any]:
    return (
        sa.select(WorklistAction.__table__, User.display_name.label("by"), assignee.display_name.label("assignee_name"))
        .join(User, User.user_id == WorklistAction.user_id)
        .outerjoin(assignee, assignee.user_id == WorklistAction.assignee_id)
    )


def actions_of_item(connection: sa.Connection, facility_id: str, product_id: str, kind: str, before: int) -> Rows:
    """Actions of a kind on an item up to a number, newest first, two at most: one and what stood before it."""
    query = sa.select(WorklistAction.__table__).where(
        WorklistAction.facility_id == facility_id,
        WorklistAction.product_id == product_id,
        WorklistAction.kind == kind,
        WorklistAction.action_id <= before,
    )
    return connection.execute(query.order_by(WorklistAction.action_id.desc()).limit(2)).mappings().all()


def action(connection: sa.Connection, scope: Scope, action_id: int) -> sa.RowMapping | None:
    """One action with names, and whether it is the newest of its kind on its item (`stands`)."""
    assignee, later = sa.orm.aliased(User), sa.orm.aliased(WorklistAction)
    query = _with_item(_actions(assignee), later).where(
        WorklistAction.action_id == action_id, within(WorklistAction.facility_id, scope)
    )
    return connection.execute(query).mappings().one_or_none()


def actions_by(connection: sa.Connection, user_id: int, since: dt.datetime, scope: Scope) -> Rows:
    """What a person has put off or given to somebody since, newest first; `stands` as with `action`."""
    assignee, later = sa.orm.aliased(User), sa.orm.aliased(WorklistAction)
    query = _with_item(_actions(assignee), later).where(
        WorklistAction.user_id == user_id,
        WorklistAction.acted_at >= since,
        within(WorklistAction.facility_id, scope),
    )
    return connection.execute(query.order_by(WorklistAction.action_id.desc())).mappings().all()


def _with_item(query: sa.Select[Any], later: Any) -> sa.Select[Any]:
    newer = sa.exists().where(
        later.facility_id == WorklistAction.facility_id,
        later.product_id == WorklistAction.product_id,
        later.kind == WorklistAction.kind,
        later.action_id > WorklistAction.action_id,
    )
    names = (Facility.name.label("facility_name"), Product.drug, Product.dose_form)
    return (
        query.add_columns(*names, Product.strength_value, Product.strength_unit, (~newer).label("stands"))
        .join(Facility, Facility.facility_id == WorklistAction.facility_id)
        .join(Product, Product.product_id == WorklistAction.product_id)
    )


def first_approvals(connection: sa.Connection, scope: Scope) -> dict[str, sa.RowMapping]:
    """Approvals that wait for a second one, by recommendation_id, with the first person's name (`by`)."""
    query = (
        sa.select(Decision.__table__, User.display_name.label("by"))
        .join(User, User.user_id == Decision.user_id)
        .join(Recommendation, Recommendation.recommendation_id == Decision.recommendation_id)
        .where(
            Decision.version_seen == Recommendation.version - 1,
            Decision.status_after == RecommendationStatus.PROPOSED.value,
            Decision.kind.in_([DecisionKind.APPROVE.value, DecisionKind.MODIFY.value]),
            Recommendation.status == RecommendationStatus.PROPOSED.value,
            within(Recommendation.facility_id, scope),
        )
        .order_by(Decision.decision_id)
    )
    return {row["recommendation_id"]: row for row in connection.execute(query).mappings()}


def people_with(connection: sa.Connection, permission: Permission) -> Rows:
    """People who may sign in and have the permission: user_id, display_name, role, facility_ids; by name."""
    query = sa.select(User.user_id, User.display_name, User.role, User.facility_ids).where(
        User.active, User.role.in_(roles_with(permission))
    )
    return connection.execute(query.order_by(User.display_name, User.user_id)).mappings().all()


def sees(person: Line, facility_id: str) -> bool:
    """Whether a person's sites hold that one.

    >>> sees({"facility_ids": None}, "north"), sees({"facility_ids": "clinic;south"}, "north")
    (True, False)
    """
    return person["facility_ids"] is None or facility_id in person["facility_ids"].split(";")


def comments_of_item(connection: sa.Connection, facility_id: str, product_id: str) -> Rows:
    """What people said about an item, on this line or an earlier one, oldest first, with the line's origin."""
    query = (
        sa.select(Comment.__table__, User.display_name.label("by"), Recommendation.as_of)
        .join(User, User.user_id == Comment.user_id)
        .join(Recommendation, Recommendation.recommendation_id == Comment.recommendation_id)
        .where(Comment.facility_id == facility_id, Comment.product_id == product_id)
        .order_by(Comment.comment_id)
    )
    return connection.execute(query).mappings().all()


def routine_rules(connection: sa.Connection, scope: Scope) -> Rows:
    """Rules of the caller's sites and of every site, newest first; `by` who set it, `may` whether that person still
    approves."""
    seen = (RoutineRule.facility_id == ALL_FACILITIES) | within(RoutineRule.facility_id, scope)
    may = User.active & User.role.in_(roles_with(Permission.APPROVE_SECOND))
    query = (
        sa.select(RoutineRule.__table__, User.display_name.label("by"), may.label("may"))
        .join(User, User.user_id == RoutineRule.user_id)
        .where(seen)
    )
    return connection.execute(query.order_by(RoutineRule.rule_id.desc())).mappings().all()


def rules_in_force(connection: sa.Connection, scope: Scope, today: dt.date) -> Rows:
    """Those that count today: not ended, not expired, and their author may still approve."""
    rules = routine_rules(connection, scope)
    return [rule for rule in rules if rule["ended_at"] is None and today < rule["expires_on"] and rule["may"]]


def covering_rule(line: Line, rules: Rows) -> sa.RowMapping | None:
    """The newest rule by which a line is routine, or None.

    Routine is what runs low and nothing else: another or a further reason, thin evidence, an unknown price and an item
    of more than standard criticality never are.
    """
    if line["reason"] != Reason.STOCK_OUT_RISK.value or line["other_reasons"] or line["thin_evidence"]:
        return None
    if line["cost"] is None or (line["criticality"] or Criticality.STANDARD) != Criticality.STANDARD:
        return None
    return next((rule for rule in rules if _covers(rule, line)), None)


def _covers(rule: sa.RowMapping, line: Line) -> bool:
    excepted = (rule["except_drugs"] or "").split(";")
    return (
        rule["facility_id"] in (ALL_FACILITIES, line["facility_id"])
        and line["currency"] == rule["currency"]
        and line["cost"] <= rule["most_cost"]
        and line["urgency"] <= rule["most_urgency"]
        and line["drug"] not in excepted
    )
