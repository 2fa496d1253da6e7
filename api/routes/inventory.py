"""Stock, open orders and receipts as they stand here: what systems pushed and files brought."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response

from api.access.callers import reader
from api.http.context import ONCE_EACH, Db, Now
from api.http.errors import or_not_found
from api.http.openapi import documents, refusals
from api.http.paging import Key, filtered, list_page
from api.http.units import units_of
from api.inventory.fhir_report import write_inventory_report
from api.inventory.models import (
    InventoryFilters,
    OpenOrderFilters,
    OpenOrderPage,
    ReceiptPage,
    ReportParameters,
    StockFilters,
    StockPage,
)
from api.orders.fhir_order import FHIR_TYPE
from api.principal import Principal
from warehouse.queries.lines import Scope, table, within
from warehouse.schema.inputs import Facility, OpenOrder, Product, Receipt, Stock

router = APIRouter(prefix="/v1", tags=["inventory"], dependencies=ONCE_EACH)

PRODUCT_TERMS = ("drug", "strength_value", "strength_unit", "dose_form", "code_system", "code")
MOST_LOTS = 50_000


STOCK_KEYS = [Key(column) for column in (Stock.facility_id, Stock.product_id, Stock.counted_at, Stock.lot)]
OPEN_ORDER_KEYS = [Key(column) for column in (OpenOrder.order_id, OpenOrder.product_id, OpenOrder.facility_id)]
RECEIPT_KEYS = [
    Key(column) for column in (Receipt.order_id, Receipt.product_id, Receipt.facility_id, Receipt.received_at)
]


@router.get("/stock-snapshots", responses=refusals(401, 403))
def list_stock(
    filters: Annotated[StockFilters, Query()],
    caller: Annotated[Principal, reader("stock:read", "stock:write")],
    db: Db,
) -> StockPage:
    """Counted stock per lot; unless asked otherwise the latest count of each site and product."""
    query = _rows_at_sites(Stock, filters, caller.sites)
    if filters.latest:
        query = query.where(_is_latest())
    if filters.counted_since is not None:
        query = query.where(Stock.counted_at >= filters.counted_since)
    return list_page(StockPage, db, query, STOCK_KEYS, filters, units=units_of("stock"))


@router.get("/stock-snapshots/inventory-report", responses=refusals(401, 403, 404) | documents(FHIR_TYPE))
def read_inventory_report(
    parameters: Annotated[ReportParameters, Query()],
    caller: Annotated[Principal, reader("stock:read", "stock:write")],
    db: Db,
    now: Now,
) -> Response:
    """The latest counts of one site as a FHIR R5 InventoryReport."""
    name = parameters.facility_id
    sites = sa.select(Facility.__table__).where(within(Facility.facility_id, caller.sites))
    facility = db.execute(sites.where(Facility.facility_id == name)).mappings().one_or_none()
    facility = or_not_found(facility, f"facility {name}")
    terms = (table("products").columns[term] for term in PRODUCT_TERMS)
    query = sa.select(*Stock.__table__.columns, *terms).join(Product, Product.product_id == Stock.product_id)
    rows = db.execute(query.where(Stock.facility_id == name, _is_latest()).limit(MOST_LOTS)).mappings().all()
    return Response(write_inventory_report(facility, rows, now), media_type=FHIR_TYPE)


@router.get("/open-orders", responses=refusals(401, 403))
def list_open_orders(
    filters: Annotated[OpenOrderFilters, Query()],
    caller: Annotated[Principal, reader("open_orders:read", "open_orders:write")],
    db: Db,
) -> OpenOrderPage:
    """Orders that systems and files call open; what was exported here is under /v1/orders."""
    query = filtered(_rows_at_sites(OpenOrder, filters, caller.sites), (OpenOrder.order_id, filters.order_id))
    return list_page(OpenOrderPage, db, query, OPEN_ORDER_KEYS, filters, units=units_of("open_orders"))


@router.get("/receipts", responses=refusals(401, 403))
def list_receipts(
    filters: Annotated[OpenOrderFilters, Query()],
    caller: Annotated[Principal, reader("receipts:read", "receipts:write")],
    db: Db,
) -> ReceiptPage:
    """What arrived when."""
    query = filtered(_rows_at_sites(Receipt, filters, caller.sites), (Receipt.order_id, filters.order_id))
    return list_page(ReceiptPage, db, query, RECEIPT_KEYS, filters, units=units_of("receipts"))


def _rows_at_sites(kind: Any, filters: InventoryFilters, sites: Scope) -> sa.Select[Any]:
    query = sa.select(kind.__table__).where(within(kind.facility_id, sites))
    return filtered(query, (kind.facility_id, filters.facility_id), (kind.product_id, filters.product_id))


def _is_latest() -> sa.ColumnElement[bool]:
    other = sa.orm.aliased(Stock)
    same = (other.facility_id == Stock.facility_id) & (other.product_id == Stock.product_id)
    return Stock.counted_at == sa.select(sa.func.max(other.counted_at)).where(same).scalar_subquery()
