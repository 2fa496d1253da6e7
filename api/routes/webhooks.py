"""Webhooks and their deliveries: for signed-in administrators of every site."""

import json
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request

from api.access.administrator import administrator, changing_administrator
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.fields import LARGEST_INTEGER, PageParameters, Text
from api.http.openapi import refusals
from api.http.paging import Key, filtered, list_page
from api.principal import Principal
from api.webhooks.models import DeliveryFilters, DeliveryOut, DeliveryPage, ReplayIn, WebhookIn, WebhookOut, WebhookPage
from api.webhooks.subscriptions import add_webhook, delivery_row, end_webhook, replay, webhook_resource, webhook_row
from warehouse.schema.ledger import Webhook, WebhookDelivery

router = APIRouter(prefix="/v1", tags=["webhooks"])

DELIVERY_KEYS = [Key(WebhookDelivery.delivery_id, descending=True)]
WEBHOOK_KEYS = [Key(Webhook.webhook_id)]

ADMINISTRATOR = Depends(administrator("webhooks"))
Changing = Annotated[Principal, Depends(changing_administrator("webhooks"))]
DeliveryId = Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]


@router.get("/webhooks", dependencies=[*ONCE_EACH, ADMINISTRATOR], responses=refusals(401, 403))
def list_webhooks(parameters: Annotated[PageParameters, Query()], db: Db) -> WebhookPage:
    """All webhooks, live and ended."""
    return list_page(WebhookPage, db, sa.select(Webhook.__table__), WEBHOOK_KEYS, parameters, item=webhook_resource)


@router.post("/webhooks", status_code=201, dependencies=NO_PARAMETERS, responses=refusals(401, 403, 413, 415))
def create_webhook(webhook: WebhookIn, person: Changing, db: Db, now: Now, request: Request) -> WebhookOut:
    """Have events posted to a URL from now on. Host, scheme and secret must be permitted by the server's settings."""
    number = add_webhook(db, person, webhook, request.app.state.server, now)
    return WebhookOut.model_validate(webhook_resource(webhook_row(db, number)))


@router.delete("/webhooks/{webhook_id}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def delete_webhook(webhook_id: Text, person: Changing, db: Db, now: Now) -> WebhookOut:
    """End a webhook. What still waits for it is given up; its deliveries stay readable."""
    end_webhook(db, person, webhook_id, now)
    return WebhookOut.model_validate(webhook_resource(webhook_row(db, webhook_id)))


@router.get("/webhook-deliveries", dependencies=[*ONCE_EACH, ADMINISTRATOR], responses=refusals(401, 403))
def list_deliveries(filters: Annotated[DeliveryFilters, Query()], db: Db) -> DeliveryPage:
    """What was to be told to whom, newest first."""
    columns = ((WebhookDelivery.webhook_id, filters.webhook_id), (WebhookDelivery.status, filters.status))
    query = filtered(sa.select(WebhookDelivery.__table__), *columns)
    return list_page(DeliveryPage, db, query, DELIVERY_KEYS, filters, item=_delivery_resource)


@router.post(
    "/webhook-deliveries/{delivery_id}/replay",
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 404, 413, 415),
)
def replay_delivery(delivery_id: DeliveryId, _body: ReplayIn, person: Changing, db: Db, now: Now) -> DeliveryOut:
    """Post an event again, also one that was taken, under the same event id."""
    replay(db, person, delivery_id, now)
    return DeliveryOut.model_validate(_delivery_resource(delivery_row(db, delivery_id)))


def _delivery_resource(row: sa.RowMapping) -> dict[str, object]:
    return {**row, "body": json.loads(row["body"])}
