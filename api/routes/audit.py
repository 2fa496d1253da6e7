"""What was done: decisions, and the audit trail."""

import datetime as dt
import json
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.access.callers import Caller, reader
from api.access.roles import MAY_AUDIT, Principal
from api.http.context import Db, refuse_repeated_parameters
from api.http.errors import NotAllowed
from api.http.fields import PageOut, PageParameters, Text, UtcIn, UtcOut
from api.http.openapi import refusals
from api.http.paging import Key, page_of
from api.http.units import units_of
from forecasting.terms import DecisionKind, DecisionReason
from warehouse.queries.lines import within
from warehouse.schema.ledger import AuditEvent, Decision, User
from warehouse.schema.results import Recommendation

router = APIRouter(prefix="/v1", tags=["history"], dependencies=[Depends(refuse_repeated_parameters)])

DECISION_KEYS: list[Key] = [("decision_id", Decision.decision_id, False)]
EVENT_KEYS: list[Key] = [("sequence", AuditEvent.sequence, False)]


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
    if filters.recommendation_id is not None:
        query = query.where(Decision.recommendation_id == filters.recommendation_id)
    query = _since(query, Decision.decided_at, filters.updated_since)
    rows, cursor = page_of(db, query, DECISION_KEYS, limit=filters.limit, cursor=filters.cursor)
    return DecisionPage.model_validate({"items": rows, "next_cursor": cursor, "units": units_of("decisions")})


def _auditor(caller: Caller) -> Principal:
    if caller.key_id is not None and "audit:read" not in caller.scopes:
        raise NotAllowed("the key needs the scope audit:read")
    if caller.key_id is None and caller.role not in MAY_AUDIT:
        raise NotAllowed(f"the role {caller.role} does not read the audit trail")
    return caller


@router.get("/audit-events", responses=refusals(401, 403))
def list_audit_events(
    filters: Annotated[EventFilters, Query()], caller: Annotated[Principal, Depends(_auditor)], db: Db
) -> EventPage:
    """Every change of state, oldest first. Who is bound to some sites sees those sites' events only."""
    query = sa.select(AuditEvent.__table__).where(within(AuditEvent.facility_id, caller.sites))
    for column, wanted in ((AuditEvent.subject, filters.subject), (AuditEvent.actor, filters.actor)):
        if wanted is not None:
            query = query.where(column == wanted)
    query = _since(query, AuditEvent.at, filters.updated_since)
    rows, cursor = page_of(db, query, EVENT_KEYS, limit=filters.limit, cursor=filters.cursor)
    items = [{**row} | {name: _decoded(row[name]) for name in ("before", "after")} for row in rows]
    return EventPage.model_validate({"items": items, "next_cursor": cursor, "units": {}})


def _since(query: sa.Select[Any], column: Any, moment: dt.datetime | None) -> sa.Select[Any]:
    return query if moment is None else query.where(column >= moment)


def _decoded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))
