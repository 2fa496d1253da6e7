"""What was done: decisions, and the audit trail."""

import datetime as dt
import json
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.access.callers import Caller, check_may, reader
from api.http.context import ONCE_EACH, Db
from api.http.errors import NotAllowed
from api.http.fields import PageOut, PageParameters, Text, UtcIn, UtcOut
from api.http.openapi import refusals
from api.http.paging import Key, filtered, list_page
from api.http.units import units_of
from api.principal import Principal
from forecasting.terms import DecisionKind, DecisionReason
from warehouse.queries.lines import within
from warehouse.roles import Permission
from warehouse.schema.ledger import AuditEvent, Decision, User
from warehouse.schema.results import Recommendation

router = APIRouter(prefix="/v1", tags=["history"], dependencies=ONCE_EACH)

DECISION_KEYS = [Key(Decision.decision_id)]
EVENT_KEYS = [Key(AuditEvent.sequence)]


class DecisionFilters(PageParameters):
    """Which decisions."""

    recommendation_id: Text | None = Field(None, description="Only of this line.")
    updated_since: UtcIn | None = Field(None, description="Only decided at or after this moment (UTC).")


class PastDecisionOut(BaseModel):
    """What a person decided about a line."""

    decision_id: int
    recommendation_id: str
    facility_id: str
    decided_at: UtcOut
    decided_by: str
    kind: DecisionKind
    status_before: str
    status_after: str
    packs_before: int
    packs_after: int
    version_seen: int
    reason_code: DecisionReason | None
    note: str | None


class DecisionPage(PageOut):
    """A page of decisions, oldest first."""

    items: list[PastDecisionOut]


class EventFilters(PageParameters):
    """Which events."""

    subject: Text | None = Field(None, description="What it was done to, e.g. recommendation:rec-0e34c08a5a7bf1cfd1e3.")
    actor: Text | None = Field(None, description="Who, e.g. user:2 or key:0123456789ab.")
    updated_since: UtcIn | None = Field(None, description="Only at or after this moment (UTC).")


class EventOut(BaseModel):
    """One change of state; its digest covers the event before."""

    sequence: int
    at: UtcOut
    actor: str = Field(examples=["user:2"])
    actor_name: str
    action: str = Field(examples=["recommendation.approve"])
    subject: str = Field(examples=["recommendation:rec-0e34c08a5a7bf1cfd1e3"])
    facility_id: str | None
    request_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous_sha256: str
    sha256: str


class EventPage(PageOut):
    """A page of events, oldest first."""

    items: list[EventOut]


@router.get("/decisions", responses=refusals(401, 403))
def list_decisions(
    filters: Annotated[DecisionFilters, Query()],
    caller: Annotated[Principal, reader("recommendations:read")],
    db: Db,
) -> DecisionPage:
    """What people decided about lines of the caller's sites, oldest first."""
    query = (
        sa.select(Decision.__table__, User.display_name.label("decided_by"), Recommendation.facility_id)
        .join(User, User.user_id == Decision.user_id)
        .join(Recommendation, Recommendation.recommendation_id == Decision.recommendation_id)
        .where(within(Recommendation.facility_id, caller.sites))
    )
    query = filtered(query, (Decision.recommendation_id, filters.recommendation_id))
    query = _since(query, Decision.decided_at, filters.updated_since)
    return list_page(DecisionPage, db, query, DECISION_KEYS, filters, units=units_of("decisions"))


def _auditor(caller: Caller) -> Principal:
    if caller.key_id is not None and "audit:read" not in caller.scopes:
        raise NotAllowed("the key needs the scope audit:read")
    if caller.key_id is None:
        check_may(caller, Permission.AUDIT, "does not read the audit trail")
    return caller


@router.get("/audit-events", responses=refusals(401, 403))
def list_audit_events(
    filters: Annotated[EventFilters, Query()], caller: Annotated[Principal, Depends(_auditor)], db: Db
) -> EventPage:
    """Every change of state, oldest first. Who is bound to some sites sees those sites' events only."""
    query = sa.select(AuditEvent.__table__).where(within(AuditEvent.facility_id, caller.sites))
    query = filtered(query, (AuditEvent.subject, filters.subject), (AuditEvent.actor, filters.actor))
    query = _since(query, AuditEvent.at, filters.updated_since)
    return list_page(EventPage, db, query, EVENT_KEYS, filters, item=_event_resource)


def _since(query: sa.Select[Any], column: Any, moment: dt.datetime | None) -> sa.Select[Any]:
    return query if moment is None else query.where(column >= moment)


def _event_resource(row: sa.RowMapping) -> dict[str, Any]:
    return {**row} | {name: row[name] and json.loads(row[name]) for name in ("before", "after")}
