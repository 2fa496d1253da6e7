"""Stock, open orders and receipts as they stand here: what systems pushed and files brought."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response

from api.access.callers import reader
from api.access.roles import Principal
from api.http.context import Db, Now, refuse_repeated_parameters
from api.http.errors import NotFound
from api.http.fields import PageParameters
from api.http.openapi import documents, refusals
from api.http.paging import Key, page_of
from api.http.units import units_of
from api.inventory.fhir_report import (
    InventoryFilters,
    OpenOrderFilters,
    OpenOrderPage,
    ReceiptPage,
    ReportParameters,
    StockFilters,
    StockPage,
    write_inventory_report,
)
from warehouse.queries.lines import Scope, table, within
from warehouse.schema.inputs import Facility, OpenOrder, Product, Receipt, Stock

router = APIRouter(prefix="/v1", tags=["inventory"], dependencies=[Depends(refuse_repeated_parameters)])

FHIR_TYPE = "application/fhir+json"
PRODUCT_WORDS = ("drug", "strength_value", "strength_unit", "dose_form", "code_system", "code")
MOST_LOTS = 50_000


def _keys(kind: Any, *names: str) -> list[Key]:
    return [(name, getattr(kind, name), False) for name in names]


STOCK_KEYS = _keys(Stock, "facility_id", "product_id", "counted_at", "lot")
OPEN_ORDER_KEYS = _keys(OpenOrder, "order_id", "product_id", "facility_id")
RECEIPT_KEYS = _keys(Receipt, "order_id", "product_id", "facility_id", "received_at")


@router.get("/stock-snapshots", responses=refusals(401, 403))
def list_stock(
    filters: Annotated[StockFilters, Query()],
    caller: Annotated[Principal, reader("stock:read", "stock:write")],
    db: Db,
) -> StockPage:
    """Counted stock per lot; unless asked otherwise the latest count of each site and product."""
    query = _of(Stock, filters, caller.sites)
    if filters.latest:
        query = query.where(_is_latest())
    if filters.counted_since is not None:
        query = query.where(Stock.counted_at >= filters.counted_since)
    return StockPage.model_validate(_page(db, query, STOCK_KEYS, filters, "stock"))


@router.get("/stock-snapshots/inventory-report", responses=refusals(401, 403, 404) | documents(FHIR_TYPE))
def read_inventory_report(
    parameters: Annotated[ReportParameters, Query()],
    caller: Annotated[Principal, reader("stock:read", "stock:write")],
    db: Db,
    now: Now,
) -> Response:
    """The latest counts of one site as a FHIR R5 InventoryReport."""
    name = parameters.facility_id
    mine = sa.select(Facility.__table__).where(Facility.facility_id == name, within(Facility.facility_id, caller.sites))
    facility = db.execute(mine).mappings().one_or_none()
    if facility is None:
        raise NotFound(f"there is no facility {name}")
    words = (table("products").columns[word] for word in PRODUCT_WORDS)
    query = sa.select(*Stock.__table__.columns, *words).join(Product, Product.product_id == Stock.product_id)
    rows = db.execute(query.where(Stock.facility_id == name, _is_latest()).limit(MOST_LOTS)).mappings().all()
    return Response(write_inventory_report(facility, rows, now), media_type=FHIR_TYPE)


@router.get("/open-orders", responses=refusals(401, 403))
def list_open_orders(
    filters: Annotated[OpenOrderFilters, Query()],
    caller: Annotated[Principal, reader("open_orders:read", "open_orders:write")],
    db: Db,
) -> OpenOrderPage:
    """Orders that systems and files call open; what was exported here is under /v1/orders."""
    query = _of(OpenOrder, filters, caller.sites)
    if filters.order_id:
        query = query.where(OpenOrder.order_id.in_(filters.order_id))
    return OpenOrderPage.model_validate(_page(db, query, OPEN_ORDER_KEYS, filters, "open_orders"))


@router.get("/receipts", responses=refusals(401, 403))
def list_receipts(
    filters: Annotated[OpenOrderFilters, Query()],
    caller: Annotated[Principal, reader("receipts:read", "receipts:write")],
    db: Db,
) -> ReceiptPage:
    """What arrived when."""
    query = _of(Receipt, filters, caller.sites)
    if filters.order_id:
        query = query.where(Receipt.order_id.in_(filters.order_id))
    return ReceiptPage.model_validate(_page(db, query, RECEIPT_KEYS, filters, "receipts"))


def _of(kind: Any, filters: InventoryFilters, sites: Scope) -> sa.Select[Any]:
    query = sa.select(kind.__table__).where(within(kind.facility_id, sites))
    for column, wanted in ((kind.facility_id, filters.facility_id), (kind.product_id, filters.product_id)):
        if wanted:
            query = query.where(column.in_(wanted))
    return query


def _is_latest() -> sa.ColumnElement[bool]:
    other = sa.orm.aliased(Stock)
    same = (other.facility_id == Stock.facility_id) & (other.product_id == Stock.product_id)
    return Stock.counted_at == sa.select(sa.func.max(other.counted_at)).where(same).scalar_subquery()


def _page(
    db: sa.Connection, query: sa.Select[Any], keys: list[Key], parameters: PageParameters, name: str
) -> dict[str, Any]:
    rows, cursor = page_of(db, query, keys, limit=parameters.limit, cursor=parameters.cursor)
    return {"items": rows, "next_cursor": cursor, "units": units_of(name)}
