"""Order exports, orders with their documents, and suppliers' acknowledgements."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.access.callers import Caller, check_csrf, check_may, reader
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import InvalidRequest, NotAllowed
from api.http.fields import Strict, Text
from api.http.middleware import X12_TYPE
from api.http.openapi import documents, refusals
from api.http.paging import Key, filtered, rows_of
from api.orders.acknowledgement import acknowledge
from api.orders.documents import DOCUMENT_KINDS, MEDIA_TYPES
from api.orders.export import export_orders
from api.orders.models import (
    AcknowledgedOrderOut,
    AcknowledgementIn,
    DocumentFormat,
    OrderExportIn,
    OrderExportOut,
    OrderFilters,
    OrderPage,
)
from api.orders.order import OrderDocument
from api.orders.queries import ORDER_UNITS, export_resource, order_lines, order_resource, order_row, visible
from api.orders.x12_855 import answers_for, read_855
from api.principal import Principal
from warehouse.roles import Permission
from warehouse.schema.ledger import Order

router = APIRouter(prefix="/v1", tags=["orders"])

Reader = Annotated[Principal, reader("orders:read", "orders:write")]

KEYS = [Key(Order.order_number, descending=True)]
CSRF = Header(description="For signed-in people: `csrf_token` of /v1/session.")


def _orderer(caller: Caller, x_csrf_token: Annotated[str | None, CSRF] = None) -> Principal:
    if caller.key_id is not None:
        if "orders:write" not in caller.scopes:
            raise NotAllowed("this needs an API key with the scope orders:write")
        return caller
    check_may(caller, Permission.DECIDE, "reads and does not order")
    check_csrf(caller, x_csrf_token)
    return caller


Orderer = Annotated[Principal, Depends(_orderer)]
IdempotencyKey = Annotated[
    str,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The caller's own name for this hand-off; sent again, the same answer comes.",
    ),
]


class DocumentParameters(Strict):
    """Which document."""

    format: DocumentFormat = DocumentFormat.CSV


@router.post(
    "/order-exports",
    status_code=201,
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 409, 413, 415),
)
def create_order_export(
    request: OrderExportIn,
    idempotency_key: IdempotencyKey,
    caller: Orderer,
    db: Db,
    now: Now,
    response: Response,
) -> OrderExportOut:
    """Lock the approved lines of the caller's sites into one order per supplier: each line once, ever.

    409 when no line can be ordered (the key stays free) or the key stands for another request.
    """
    export_id, replayed = export_orders(db, caller, idempotency_key, request, now)
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return OrderExportOut.model_validate(export_resource(db, caller.sites, export_id))


@router.get("/order-exports/{export_id}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def read_order_export(export_id: Text, caller: Reader, db: Db) -> OrderExportOut:
    """What one hand-off locked, as it was handed off."""
    return OrderExportOut.model_validate(export_resource(db, caller.sites, export_id))


@router.get("/orders", dependencies=ONCE_EACH, responses=refusals(401, 403))
def list_orders(filters: Annotated[OrderFilters, Query()], caller: Reader, db: Db) -> OrderPage:
    """Orders whose lines are all of the caller's sites, newest first."""
    query = filtered(sa.select(Order.__table__).where(visible(caller.sites)), (Order.supplier_id, filters.supplier_id))
    rows, cursor = rows_of(db, query, KEYS, filters)
    lines = order_lines(db, [row.order_number for row in rows])
    resources = [order_resource(row._mapping, lines[row.order_number]) for row in rows]
    items = [{**resource, "lines": len(resource["lines"])} for resource in resources]
    return OrderPage.model_validate({"items": items, "next_cursor": cursor, "units": ORDER_UNITS})


@router.get("/orders/{order_number}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def read_order(order_number: Text, caller: Reader, db: Db) -> AcknowledgedOrderOut:
    """One order, with what the supplier said and what became of each line."""
    return _order(db, caller, order_number)


@router.get(
    "/orders/{order_number}/document",
    dependencies=ONCE_EACH,
    response_class=Response,
    responses=refusals(401, 403, 404) | documents(*MEDIA_TYPES),
)
def read_order_document(
    order_number: Text,
    parameters: Annotated[DocumentParameters, Query()],
    caller: Reader,
    db: Db,
    request: Request,
) -> Response:
    """The order as CSV, as a FHIR bundle of SupplyRequests, or as an X12 850: always the same bytes."""
    order = order_row(db, caller.sites, order_number)
    kind = DOCUMENT_KINDS[parameters.format]
    lines = order_lines(db, [order_number])[order_number]
    text = kind.write(OrderDocument.from_rows(order, lines, request.app.state.x12_sender_id))
    name = f'attachment; filename="{order_number}.{kind.file_ending}"'
    return Response(text, media_type=kind.media_type, headers={"Content-Disposition": name})


@router.post(
    "/orders/{order_number}/acknowledgement",
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 404, 413, 415),
)
def acknowledge_order(
    order_number: Text, body: AcknowledgementIn, caller: Orderer, db: Db, now: Now
) -> AcknowledgedOrderOut:
    """Keep the supplier's answer. All lines or none; the same answer again changes nothing."""
    acknowledge(db, caller, order_number, body.lines, now)
    return _order(db, caller, order_number)


X12_BODY = {"requestBody": {"required": True, "content": {X12_TYPE: {"schema": {"type": "string"}}}}}


async def _x12_text(request: Request) -> str:
    try:
        return (await request.body()).decode("ascii")
    except UnicodeDecodeError as error:
        raise InvalidRequest.field("body", "X12 is plain ASCII") from error


@router.post(
    "/x12-acknowledgements",
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 404, 413, 415),
    openapi_extra=X12_BODY,
)
def acknowledge_by_x12(
    text: Annotated[str, Depends(_x12_text)], caller: Orderer, db: Db, now: Now
) -> AcknowledgedOrderOut:
    """Keep the supplier's answer from an X12 855. Envelope, counts and control numbers must be right."""
    answer = read_855(text)
    number = answer.order_number
    order_row(db, caller.sites, number)
    packs = {line["line_number"]: line["packs"] for line in order_lines(db, [number])[number]}
    acknowledge(db, caller, number, answers_for(answer, packs), now)
    return _order(db, caller, number)


def _order(db: sa.Connection, caller: Principal, order_number: str) -> AcknowledgedOrderOut:
    order = order_row(db, caller.sites, order_number)
    lines = order_lines(db, [order_number])[order_number]
    return AcknowledgedOrderOut.model_validate({**order_resource(order, lines), "units": ORDER_UNITS})
