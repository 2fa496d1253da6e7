"""Webhooks: an administrator adds and ends them, and has an event posted again."""

import datetime as dt
import secrets
from typing import Any

import sqlalchemy as sa

from api.access.keys import stored_sites
from api.http.errors import InvalidRequest, or_not_found
from api.principal import Principal
from api.settings import ServerSettings
from api.webhooks.models import WebhookIn
from api.webhooks.targets import ForbiddenTarget, checked_url
from warehouse import audit
from warehouse.audit import Event
from warehouse.schema.ledger import Webhook, WebhookDelivery


def add_webhook(
    connection: sa.Connection, person: Principal, webhook: WebhookIn, server: ServerSettings, now: dt.datetime
) -> str:
    """Number of the new webhook; `InvalidRequest` names a URL or secret that is not permitted."""
    try:
        checked_url(webhook.url, server)
    except ForbiddenTarget as error:
        raise InvalidRequest.field("url", str(error)) from error
    if webhook.secret_name not in server.webhook_secrets:
        raise InvalidRequest.field("secret_name", "is not a secret that the server's environment holds")
    webhook_id = f"wh-{secrets.token_hex(8)}"
    row: dict[str, Any] = {
        "webhook_id": webhook_id,
        "url": webhook.url,
        "event_types": ";".join(sorted(set(webhook.event_types))),
        "secret_name": webhook.secret_name,
        "facility_ids": stored_sites(connection, webhook.facility_ids),
        "active": True,
        "created_at": now,
        "created_by": person.actor.actor,
    }
    connection.execute(sa.insert(Webhook).values(row))
    after = {name: row[name] for name in ("url", "event_types", "secret_name", "facility_ids")}
    audit.append(connection, person.actor, now, [Event("webhook.add", f"webhook:{webhook_id}", after=after)])
    return webhook_id


def end_webhook(connection: sa.Connection, person: Principal, webhook_id: str, now: dt.datetime) -> None:
    """End a webhook and give up what still waits for it; ending it again changes nothing."""
    webhook_row(connection, webhook_id)
    live = sa.update(Webhook).where(Webhook.webhook_id == webhook_id, Webhook.active).values(active=False)
    if not connection.execute(live).rowcount:
        return
    undelivered = (WebhookDelivery.webhook_id == webhook_id) & (WebhookDelivery.status == "waiting")
    given_up = {"status": "dead", "error": "the webhook was ended"}
    count = connection.execute(sa.update(WebhookDelivery).where(undelivered).values(**given_up)).rowcount
    audit.append(
        connection, person.actor, now, [Event("webhook.end", f"webhook:{webhook_id}", after={"given_up": count})]
    )


def replay(connection: sa.Connection, person: Principal, delivery_id: int, now: dt.datetime) -> None:
    """Have an event posted again, under the same event id, as if it had just happened."""
    row = delivery_row(connection, delivery_id)
    if not webhook_row(connection, row["webhook_id"])["active"]:
        raise InvalidRequest.field("delivery_id", f"its webhook {row['webhook_id']} has ended")
    waiting = {"status": "waiting", "tries": 0, "next_try_at": now}
    waiting |= dict.fromkeys(("error", "status_code", "delivered_at"))
    connection.execute(sa.update(WebhookDelivery).where(WebhookDelivery.delivery_id == delivery_id).values(**waiting))
    subject, before = f"webhook_delivery:{delivery_id}", {"status": row["status"], "tries": row["tries"]}
    audit.append(connection, person.actor, now, [Event("webhook.replay", subject, before=before)])


def webhook_row(connection: sa.Connection, webhook_id: str) -> sa.RowMapping:
    """The webhook of that number, live or ended, or `NotFound`."""
    query = sa.select(Webhook.__table__).where(Webhook.webhook_id == webhook_id)
    return or_not_found(connection.execute(query).mappings().one_or_none(), f"webhook {webhook_id}")


def delivery_row(connection: sa.Connection, delivery_id: int) -> sa.RowMapping:
    """The delivery of that number, or `NotFound`."""
    query = sa.select(WebhookDelivery.__table__).where(WebhookDelivery.delivery_id == delivery_id).with_for_update()
    return or_not_found(connection.execute(query).mappings().one_or_none(), f"delivery {delivery_id}")


def webhook_resource(webhook: Any) -> dict[str, Any]:
    """A webhook with its lists as lists."""
    sites = webhook["facility_ids"]
    return {
        **webhook,
        "event_types": webhook["event_types"].split(";"),
        "facility_ids": None if sites is None else sites.split(";"),
    }
