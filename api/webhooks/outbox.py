"""The outbox: a delivery is written in the transaction of its change, so that neither is stored without the other."""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence

import sqlalchemy as sa

from warehouse.audit import Event
from warehouse.schema.ledger import Webhook, WebhookDelivery

EVENT_TYPES = {
    "recommendation.approve": "recommendation.approved",
    "recommendation.modify": "recommendation.modified",
    "recommendation.undo": "recommendation.modified",
    "recommendation.export": "recommendation.exported",
}
"""Audited action -> event that is posted. An undo is posted as a change: the status is proposed again."""


def enqueue(connection: sa.Connection, now: dt.datetime, events: Sequence[Event]) -> None:
    """Write a delivery for each webhook that asked for one of the events at the event's site."""
    posted = [event for event in events if event.action in EVENT_TYPES]
    if not posted:
        return
    webhooks = connection.execute(sa.select(Webhook.__table__).where(Webhook.active)).mappings().all()
    rows = [
        {
            "webhook_id": webhook["webhook_id"],
            "event_id": event_id(event),
            "event_type": EVENT_TYPES[event.action],
            "body": body(event, now),
            "status": "waiting",
            "tries": 0,
            "next_try_at": now,
            "created_at": now,
        }
        for event in posted
        for webhook in webhooks
        if _wants(webhook, event)
    ]
    if rows:
        connection.execute(sa.insert(WebhookDelivery), rows)


def event_id(event: Event) -> str:
    """The event's name: a line has each version once, so that the same change always has the same name."""
    version = (event.after or {}).get("version")
    return "evt-" + hashlib.sha256(f"{event.action} {event.subject} {version}".encode()).hexdigest()[:24]


def body(event: Event, now: dt.datetime) -> str:
    """What is posted: type, moment and data, in the form that Standard Webhooks suggests."""
    after = event.after or {}
    data = {"recommendation_id": event.subject.partition(":")[2], "facility_id": event.facility_id}
    data |= {name: after[name] for name in ("status", "version", "packs", "order_number") if name in after}
    message = {"type": EVENT_TYPES[event.action], "timestamp": f"{now.isoformat()}Z", "data": data}
    return json.dumps(message, separators=(",", ":"))


def _wants(webhook: sa.RowMapping, event: Event) -> bool:
    sites = webhook["facility_ids"]
    return EVENT_TYPES[event.action] in webhook["event_types"].split(";") and (
        sites is None or event.facility_id in sites.split(";")
    )
