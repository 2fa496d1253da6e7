"""When one approval is not enough: orders above a limit, and orders of a person who changed what they rest on.

The first approval is kept as a decision that leaves the line proposed, at its next version. It counts as long as the
line stays at that version: whatever changes the line, a new run or another decision, ends it.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from api.http.errors import NotAllowed
from api.principal import Principal
from api.settings import ApprovalLimits
from forecasting.terms import DecisionKind, RecommendationStatus
from warehouse.roles import Permission, roles_with
from warehouse.schema.ledger import AuditEvent, Decision

OWN_CHANGES = ("release.activate", "policy.", "override.")
"""Audited actions that change what a line is computed from; a dot at the end stands for all of the kind."""
OWN_CHANGE_COUNTS_FOR = dt.timedelta(days=90)


def first_approval(connection: sa.Connection, line: Any) -> sa.RowMapping | None:
    """The approval that waits for a second one, or None."""
    query = (
        sa.select(Decision.__table__)
        .where(
            Decision.recommendation_id == line["recommendation_id"],
            Decision.version_seen == line["version"] - 1,
            Decision.status_after == RecommendationStatus.PROPOSED.value,
            Decision.kind.in_([DecisionKind.APPROVE.value, DecisionKind.MODIFY.value]),
        )
        .order_by(Decision.decision_id.desc())
        .limit(1)
    )
    return connection.execute(query).mappings().one_or_none()


def check_second_approval(person: Principal, first: Any) -> None:
    """Refuse a second approval by the person who gave the first, or by a role that may not give it."""
    if person.user_id == first["user_id"]:
        raise NotAllowed("you gave the first approval: a second person has to approve this line")
    if not person.may(Permission.APPROVE_SECOND):
        roles = " or ".join(roles_with(Permission.APPROVE_SECOND))
        raise NotAllowed(f"the second approval is for {roles}, not {person.role}")


def needs_second_approval(
    connection: sa.Connection, person: Principal, line: Any, packs: int, limits: ApprovalLimits, now: dt.datetime
) -> bool:
    """Whether so many packs of the line need a second approval after this person's.

    A price that is not known is not below any limit.
    """
    cost = None if line["pack_price"] is None else packs * line["pack_price"]
    if _above(cost, limits.second_above):
        return True
    return _above(cost, limits.own_change_above) and _changed_its_inputs(connection, person, line, now)


def _above(cost: Decimal | None, limit: Decimal | None) -> bool:
    return limit is not None and (cost is None or cost > limit)


def _changed_its_inputs(connection: sa.Connection, person: Principal, line: Any, now: dt.datetime) -> bool:
    actions = [
        AuditEvent.action.startswith(name, autoescape=True) if name.endswith(".") else AuditEvent.action == name
        for name in OWN_CHANGES
    ]
    changes = sa.select(AuditEvent.sequence).where(
        AuditEvent.actor == person.actor.actor,
        AuditEvent.at >= now - OWN_CHANGE_COUNTS_FOR,
        AuditEvent.facility_id.is_(None) | (AuditEvent.facility_id == line["facility_id"]),
        sa.or_(*actions),
    )
    return connection.execute(changes.limit(1)).first() is not None
