"""Webhooks and their deliveries: for signed-in administrators of every site."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request

from api.access.roles import Principal
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.fields import PageParameters, Text
from api.http.openapi import refusals
from api.http.paging import LARGEST_INTEGER, Key, page_of
from api.routes.administrator import administrator, changing_administrator
from api.webhooks.models import DeliveryFilters, DeliveryOut, DeliveryPage, ReplayIn, WebhookIn, WebhookOut, WebhookPage
from api.webhooks.subscriptions import add_webhook, delivery_row, end_webhook, replay, told, webhook_row
from warehouse.schema.ledger import Webhook, WebhookDelivery

router = APIRouter(prefix="/v1", tags=["webhooks"])

DELIVERY_KEYS: list[Key] = [("delivery_id", WebhookDelivery.delivery_id, True)]
WEBHOOK_KEYS: list[Key] = [("webhook_id", Webhook.webhook_id, False)]


Administrator = Annotated[Principal, Depends(administrator("webhooks"))]
Changing = Annotated[Principal, Depends(changing_administrator("webhooks"))]
DeliveryId = Annotated[int, Path(ge=1, le=LARGEST_INTEGER)]


@router.get("/webhooks", dependencies=[Depends(refuse_repeated_parameters)], responses=refusals(401, 403))
def list_webhooks(parameters: Annotated[PageParameters, Query()], person: Administrator, db: Db) -> WebhookPage:
    """All webhooks, live and ended."""
    query = sa.select(Webhook.__table__)
    rows, cursor = page_of(db, query, WEBHOOK_KEYS, limit=parameters.limit, cursor=parameters.cursor)
    return WebhookPage.model_validate({"items": [told(row) for row in rows], "next_cursor": cursor, "units": {}})


@router.post(
    "/webhooks", status_code=201, dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 413, 415)
)
def create_webhook(wanted: WebhookIn, person: Changing, db: Db, now: Now, request: Request) -> WebhookOut:
    """Have events posted to a URL from now on. Host, scheme and secret must be permitted by the server's settings."""
    number = add_webhook(db, person, wanted, request.app.state.server, now)
    return WebhookOut.model_validate(told(webhook_row(db, number)))


@router.delete("/webhooks/{webhook_id}", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 404))
def delete_webhook(webhook_id: Text, person: Changing, db: Db, now: Now) -> WebhookOut:
    """End a webhook. What still waits for it is given up; its deliveries stay readable."""
    end_webhook(db, person, webhook_id, now)
    return WebhookOut.model_validate(told(webhook_row(db, webhook_id)))


@router.get("/webhook-deliveries", dependencies=[Depends(refuse_repeated_parameters)], responses=refusals(401, 403))
def list_deliveries(filters: Annotated[DeliveryFilters, Query()], person: Administrator, db: Db) -> DeliveryPage:
    """What was to be told to whom, newest first."""
    query = sa.select(WebhookDelivery.__table__)
    if filters.webhook_id is not None:
        query = query.where(WebhookDelivery.webhook_id == filters.webhook_id)
    if filters.status:
        query = query.where(WebhookDelivery.status.in_(filters.status))
    rows, cursor = page_of(db, query, DELIVERY_KEYS, limit=filters.limit, cursor=filters.cursor)
    return DeliveryPage.model_validate({"items": [_shown(row) for row in rows], "next_cursor": cursor, "units": {}})


@router.post(
    "/webhook-deliveries/{delivery_id}/replay",
    dependencies=[Depends(refuse_parameters)],
    responses=refusals(401, 403, 404, 413, 415),
)
def replay_delivery(delivery_id: DeliveryId, body: ReplayIn, person: Changing, db: Db, now: Now) -> DeliveryOut:
    """Post an event again, also one that was taken, under the same event id."""
    replay(db, person, delivery_id, now)
    return DeliveryOut.model_validate(_shown(dict(delivery_row(db, delivery_id))))


def _shown(row: Mapping[str, Any]) -> dict[str, object]:
    return {**row, "body": json.loads(row["body"])}
