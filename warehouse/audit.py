"""The audit trail: every change of state, append-only, each row's digest covering the row before.

Whoever changes a row, or takes one away, breaks the chain at that place, and `verify` names it. What a chain alone
cannot show is a tail that was cut off: keep the newest digest elsewhere and hand it to `verify`.
"""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.schema.ledger import AuditEvent

START = "0" * 64
"""What the first row names as the digest before it."""

# any number, as long as every process takes the same
CHAIN_LOCK = 7_263_552
ROWS_AT_ONCE = 5_000
_COVERED = (
    "sequence",
    "at",
    "actor",
    "actor_name",
    "action",
    "subject",
    "facility_id",
    "request_id",
    "before",
    "after",
)


@dataclasses.dataclass(frozen=True)
class Actor:
    """Who does something, with a name and the request it came in.

    `actor` is `user:<number>`, `key:<key_id>`, `run:<run_id>` or `command`.
    """

    actor: str
    name: str
    request_id: str | None = None


COMMAND = Actor("command", "command line")


@dataclasses.dataclass(frozen=True)
class Event:
    """One change: `subject` is `kind:id`; `before` and `after` hold what changed, nothing secret."""

    action: str
    subject: str
    facility_id: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Verified:
    """How long the chain is, and the digest at its end."""

    events: int
    head: str


def append(connection: sa.Connection, actor: Actor, now: dt.datetime, events: Sequence[Event]) -> None:
    """Add the events in the caller's write transaction. Do it last: other writers wait until that transaction ends."""
    if not events:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(CHAIN_LOCK)))
    last = connection.execute(
        sa.select(AuditEvent.sequence, AuditEvent.sha256).order_by(AuditEvent.sequence.desc()).limit(1)
    ).first()
    sequence, previous = last or (0, START)
    rows = []
    for event in events:
        sequence += 1
        row: dict[str, Any] = {
            "sequence": sequence,
            "at": now,
            "actor": actor.actor,
            "actor_name": actor.name,
            "action": event.action,
            "subject": event.subject,
            "facility_id": event.facility_id,
            "request_id": actor.request_id,
            "before": _json(event.before),
            "after": _json(event.after),
            "previous_sha256": previous,
        }
        previous = digest(row)
        rows.append(row | {"sha256": previous})
    connection.execute(sa.insert(AuditEvent), rows)


def verify(connection: sa.Connection, *, known_head: str | None = None) -> Verified:
    """The chain's length and end. `InvalidInput` names the first row that was changed, or that another is missing
    before; also when `known_head`, a digest noted earlier, is not in the chain."""
    place, previous, seen = 0, START, known_head is None
    while True:
        query = sa.select(AuditEvent.__table__).where(AuditEvent.sequence > place).order_by(AuditEvent.sequence)
        rows = connection.execute(query.limit(ROWS_AT_ONCE)).mappings().all()
        for row in rows:
            if row["sequence"] != place + 1 or row["previous_sha256"] != previous:
                raise InvalidInput(f"audit trail: event {place + 1} is missing, or the one before was replaced")
            if row["sha256"] != digest(row):
                raise InvalidInput(f"audit trail: event {row['sequence']} was changed after it was written")
            place, previous = row["sequence"], row["sha256"]
            seen = seen or previous == known_head
        if not rows:
            break
    if not seen:
        raise InvalidInput(f"audit trail: the digest {known_head} is not in it: its end was cut off or replaced")
    return Verified(events=place, head=previous)


def digest(row: Any) -> str:
    """SHA-256 of a row's content and of the digest before it."""
    covered = [row[name].isoformat() if name == "at" else row[name] for name in _COVERED]
    text = json.dumps([*covered, row["previous_sha256"]], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _json(values: dict[str, Any] | None) -> str | None:
    return None if values is None else json.dumps(values, sort_keys=True, ensure_ascii=True, default=str)
