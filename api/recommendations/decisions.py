"""What may become of a recommendation, and the one function that decides one.

A line is decided by a signed-in person, on the version that person saw. The decision and the line change in the same
transaction, and the decision is never changed or deleted: taking it back, until the line is ordered, is another one.
Where one approval is not enough (`second_approval`), the first leaves the line proposed.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from api.http.errors import InvalidRequest, NotAllowed, NotPending, or_not_found
from api.principal import Principal
from api.recommendations.models import DecisionIn
from api.recommendations.second_approval import check_second_approval, first_approval, needs_second_approval
from api.settings import ApprovalLimits
from api.webhooks.outbox import enqueue
from forecasting.terms import DecisionKind, RecommendationStatus
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries.lines import decisions, recommendation
from warehouse.schema.ledger import Decision
from warehouse.schema.results import Recommendation

_S = RecommendationStatus

TRANSITIONS: dict[RecommendationStatus, frozenset[RecommendationStatus]] = {
    _S.PROPOSED: frozenset({_S.APPROVED, _S.MODIFIED, _S.REJECTED, _S.SUPERSEDED}),
    _S.APPROVED: frozenset({_S.EXPORTED, _S.PROPOSED}),
    _S.MODIFIED: frozenset({_S.EXPORTED, _S.PROPOSED}),
    _S.REJECTED: frozenset({_S.PROPOSED}),
    _S.SUPERSEDED: frozenset({_S.PROPOSED}),
    _S.EXPORTED: frozenset({_S.ACKNOWLEDGED}),
    _S.ACKNOWLEDGED: frozenset({_S.RECEIVED}),
    _S.RECEIVED: frozenset(),
}
"""From each status, where a line may go. Back to proposed leads an undo; only a run supersedes, or proposes the same
line anew; an export of orders (`api.orders.export`), a supplier's answer acknowledges, a receipt receives
(`warehouse.receiving`)."""

STATUS_AFTER: dict[DecisionKind, RecommendationStatus] = {
    DecisionKind.APPROVE: _S.APPROVED,
    DecisionKind.MODIFY: _S.MODIFIED,
    DecisionKind.REJECT: _S.REJECTED,
    DecisionKind.UNDO: _S.PROPOSED,
}

UNDOABLE = (_S.APPROVED, _S.MODIFIED, _S.REJECTED)
"""What can be taken back: a line that was ordered cannot."""

EVENT_OF_STATUS = {
    _S.APPROVED.value: "recommendation.approve",
    _S.MODIFIED.value: "recommendation.modify",
    _S.REJECTED.value: "recommendation.reject",
    _S.PROPOSED.value: "recommendation.first_approval",
}
"""How the audit trail calls a decision, by where it led; an undo has its own name."""
UNDO_EVENT = "recommendation.undo"


def decide(
    connection: sa.Connection,
    person: Principal,
    recommendation_id: str,
    decision: DecisionIn,
    now: dt.datetime,
    limits: ApprovalLimits,
    routine_rule_id: int | None = None,
) -> int:
    """Number of the decision that was written; the line is changed with it, or waits for a second approval.

    Raises `NotFound` for a line of another site, `NotPending` when it was decided already or has changed since it was
    read, `InvalidRequest` when packs, reason or note break a rule.
    """
    if person.user_id is None or not person.may_decide():
        raise NotAllowed("only a signed-in person decides")
    line = recommendation(connection, person.sites, recommendation_id, for_update=True)
    line = or_not_found(line, f"recommendation {recommendation_id}")
    after = STATUS_AFTER[decision.kind]
    _check_pending(line, after, decision)
    packs = _checked_packs(connection, line, decision)
    _check_reason(decision)
    first = first_approval(connection, line)
    if decision.kind is DecisionKind.UNDO:
        pass
    elif first is not None and decision.kind is DecisionKind.APPROVE:
        check_second_approval(person, first)
        after, packs = STATUS_AFTER[DecisionKind(first["kind"])], first["packs_after"]
    elif decision.kind is not DecisionKind.REJECT and needs_second_approval(
        connection, person, line, packs, limits, now
    ):
        after = _S.PROPOSED
    _change_line(connection, line, after, packs, now)
    row = {
        "recommendation_id": recommendation_id,
        "decided_at": now,
        "user_id": person.user_id,
        "kind": decision.kind.value,
        "status_before": line["status"],
        "status_after": after.value,
        "packs_before": line["packs"],
        "packs_after": packs,
        "version_seen": decision.version,
        "reason_code": decision.reason_code,
        "note": (decision.note or "").strip() or None,
        "routine_rule_id": routine_rule_id,
    }
    number = int(connection.execute(sa.insert(Decision).values(row).returning(Decision.decision_id)).scalar_one())
    events = [_event(line, row)]
    enqueue(connection, now, events)
    audit.append(connection, person.actor, now, events)
    return number


def _event(line: sa.RowMapping, row: dict[str, Any]) -> Event:
    before = {"status": line["status"], "packs": line["packs"], "version": line["version"]}
    packs = row["packs_before"] if row["kind"] == DecisionKind.REJECT.value else row["packs_after"]
    after: dict[str, Any] = {"status": row["status_after"], "packs": packs, "version": line["version"] + 1}
    after |= {name: row[name] for name in ("reason_code", "note", "routine_rule_id") if row[name] is not None}
    subject = f"recommendation:{line['recommendation_id']}"
    action = UNDO_EVENT if row["kind"] == DecisionKind.UNDO.value else EVENT_OF_STATUS[row["status_after"]]
    return Event(action, subject, line["facility_id"], before, after)


def _check_pending(line: sa.RowMapping, after: RecommendationStatus, decision: DecisionIn) -> None:
    version, status = decision.version, RecommendationStatus(line["status"])
    current = {name: line[name] for name in ("status", "version", "packs")}
    current["updated_at"] = f"{line['updated_at'].isoformat()}Z"
    if decision.kind is DecisionKind.UNDO and status not in UNDOABLE:
        raise NotPending(f"the line is {line['status']}: there is no decision to take back", current=current)
    if after not in TRANSITIONS[status]:
        raise NotPending(f"the line is {line['status']}: it can no longer be decided", current=current)
    if line["version"] != version:
        raise NotPending(f"the line is at version {line['version']}, the decision saw {version}", current=current)


def _checked_packs(connection: sa.Connection, line: sa.RowMapping, decision: DecisionIn) -> int:
    """Packs after the decision."""
    if decision.kind is not DecisionKind.MODIFY:
        if decision.packs is not None:
            raise InvalidRequest.field("packs", f"does not go with {decision.kind}; use modify to change packs")
        if decision.kind is DecisionKind.UNDO:
            # a decision knows what was proposed before it; what decided a line is always the last one
            return int(decisions(connection, line["recommendation_id"])[-1]["packs_before"])
        return line["packs"] if decision.kind is DecisionKind.APPROVE else 0
    if decision.packs is None:
        raise InvalidRequest.field("packs", "is required to modify")
    rule = broken_pack_rule(line, decision.packs)
    if rule:
        raise InvalidRequest.field("packs", rule)
    return decision.packs


def broken_pack_rule(line: Any, packs: int) -> str | None:
    """The rule that so many packs of the line's product break, or None.

    >>> broken_pack_rule({"packs": 6, "minimum_order_packs": 4, "order_multiple_packs": 2}, 5)
    'must be a multiple of 2 packs (order_multiple_packs)'
    """
    minimum, multiple = line["minimum_order_packs"] or 0, line["order_multiple_packs"] or 1
    if packs < 1:
        return "must be 1 or more; reject the line to order nothing"
    if packs == line["packs"]:
        return f"{packs} is what is proposed; approve it"
    if packs < minimum:
        return f"must be {minimum} packs or more (minimum_order_packs)"
    if packs % multiple:
        return f"must be a multiple of {multiple} packs (order_multiple_packs)"
    return None


def _check_reason(decision: DecisionIn) -> None:
    if decision.kind in (DecisionKind.APPROVE, DecisionKind.UNDO):
        if decision.reason_code is not None:
            raise InvalidRequest.field("reason_code", f"does not go with {decision.kind}")
    elif decision.reason_code is None:
        raise InvalidRequest.field("reason_code", f"is required to {decision.kind}")


def _change_line(
    connection: sa.Connection,
    line: sa.RowMapping,
    after: RecommendationStatus,
    packs: int,
    now: dt.datetime,
) -> None:
    values: dict[str, Any] = {"status": after.value, "version": line["version"] + 1, "updated_at": now}
    if packs != line["packs"] and after is not _S.REJECTED and (after is _S.MODIFIED or line["status"] in UNDOABLE):
        price = line["pack_price"]
        values |= {
            "packs": packs,
            "quantity": packs * line["pack_size"],
            "cost": None if price is None else packs * price,
        }
    same_version = sa.update(Recommendation).where(
        Recommendation.recommendation_id == line["recommendation_id"], Recommendation.version == line["version"]
    )
    if connection.execute(same_version.values(**values)).rowcount != 1:
        raise NotPending("the line changed while it was being decided", current=None)
