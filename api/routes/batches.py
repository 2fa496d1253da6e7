"""What systems push: stock counts, dispensing, open orders and receipts, up to 10,000 rows at a time."""

from typing import Annotated

from fastapi import APIRouter

from api.access.callers import writer_key
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.openapi import refusals
from api.inventory import batches
from api.inventory.models import BatchReport, DispensingIn, OpenOrdersIn, ReceiptsIn, StockIn
from api.principal import Principal
from warehouse.receiving import receive_lines

router = APIRouter(prefix="/v1", tags=["batches"], dependencies=NO_PARAMETERS)

REFUSALS = refusals(401, 403, 413, 415)


@router.post("/stock-snapshots", responses=REFUSALS)
def push_stock(body: StockIn, caller: Annotated[Principal, writer_key("stock:write")], db: Db, now: Now) -> BatchReport:
    """Keep counted stock. Refused rows are reported and keep no other row from being kept.

    `counted_at` without an offset is UTC. Sending the same rows again changes nothing.
    """
    return batches.store_rows(db, batches.STOCK, body.rows, caller, now)


@router.post("/dispensing", responses=REFUSALS)
def push_dispensing(
    body: DispensingIn, caller: Annotated[Principal, writer_key("dispensing:write")], db: Db, now: Now
) -> BatchReport:
    """Keep what was dispensed per site, product and period, in dose units; negative = return.

    A row of the same site, product and period takes the place of the one before. `patients` below 11 is kept as
    unknown.
    """
    return batches.store_rows(db, batches.DISPENSING, body.rows, caller, now)


@router.post("/open-orders", responses=REFUSALS)
def push_open_orders(
    body: OpenOrdersIn, caller: Annotated[Principal, writer_key("open_orders:write")], db: Db, now: Now
) -> BatchReport:
    """Keep what is on order, in packs still to come; 0 packs = nothing more will come.

    An exported order that is pushed back under its order number is counted once.
    """
    return batches.store_rows(db, batches.OPEN_ORDERS, body.rows, caller, now)


@router.post("/receipts", responses=REFUSALS)
def push_receipts(
    body: ReceiptsIn, caller: Annotated[Principal, writer_key("receipts:write")], db: Db, now: Now
) -> BatchReport:
    """Keep what arrived, in packs. Lines of that order that came in full become received."""
    report = batches.store_rows(db, batches.RECEIPTS, body.rows, caller, now)
    receive_lines(db, caller.actor, now)
    return report
