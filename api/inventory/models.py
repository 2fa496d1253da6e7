"""Resources of what inventory systems report and of what they read back."""

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.http.fields import (
    MOST_BATCH_ROWS,
    Names,
    PageOut,
    PageParameters,
    Strict,
    Text,
    UtcIn,
    UtcOut,
    with_examples,
)
from forecasting.terms import StockStatus


def _with_row(row: JsonDict) -> ConfigDict:
    """Settings of a batch whose example holds this one row."""
    return with_examples({"rows": [row]})


class BatchIn(Strict):
    """Rows, each judged on its own."""

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_BATCH_ROWS)


class StockIn(BatchIn):
    """Counted stock, one row per lot."""

    model_config = _with_row(
        {
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "counted_at": "2026-11-23T06:00:00Z",
            "lot": "A123",
            "quantity": 280,
            "expiry_date": "2027-08-31",
            "status": "available",
        }
    )


class DispensingIn(BatchIn):
    """Quantity dispensed in dose units, one row per site, product and period; negative = return."""

    model_config = _with_row(
        {
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "period_start": "2026-11-16",
            "quantity": 612,
        }
    )


class OpenOrdersIn(BatchIn):
    """Packs still to come, one row per order, product and site."""

    model_config = _with_row(
        {
            "order_id": "PGX00000012",
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "packs": 40,
            "ordered_at": "2026-11-23",
            "expected_at": "2026-11-25",
        }
    )


class ReceiptsIn(BatchIn):
    """Packs that arrived, one row per order, product, site and day."""

    model_config = _with_row(
        {
            "order_id": "PGX00000012",
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "packs": 40,
            "ordered_at": "2026-11-23",
            "received_at": "2026-11-25",
        }
    )


class RefusedRow(BaseModel):
    """A row that was refused: which (the first is 1), which field, which rule."""

    row: int
    field: str
    reason: str


class BatchReport(BaseModel):
    """What became of the rows. Rows that are there already are `unchanged`: sending twice changes nothing."""

    accepted: int
    unchanged: int
    rejected: int
    rejected_rows: list[RefusedRow]


class InventoryFilters(PageParameters):
    """Which rows."""

    facility_id: Names = Field([], description="Sites.")
    product_id: Names = Field([], description="Products.")


class StockFilters(InventoryFilters):
    """Which counts."""

    latest: bool = Field(True, description="Only the latest count of each site and product; false: all counts kept.")
    counted_since: UtcIn | None = Field(None, description="Only counted at or after this moment (UTC).")


class OpenOrderFilters(InventoryFilters):
    """Which open orders."""

    order_id: Names = Field([], description="Order numbers.")


class StockOut(BaseModel):
    """Counted stock of one lot."""

    facility_id: str
    product_id: str
    counted_at: UtcOut
    lot: str = Field(description="Blank when lots are not kept.")
    quantity: float = Field(description="Dose units; negative is a count error.")
    expiry_date: dt.date | None
    status: StockStatus
    committed: float | None = Field(description="Of the quantity, promised to someone else.")


class StockPage(PageOut):
    """A page of counts."""

    items: list[StockOut]


class OpenOrderOut(BaseModel):
    """A line that was ordered and has not arrived."""

    order_id: str
    facility_id: str
    product_id: str
    packs: int
    ordered_at: dt.date
    expected_at: dt.date


class OpenOrderPage(PageOut):
    """A page of open orders."""

    items: list[OpenOrderOut]


class ReceiptOut(BaseModel):
    """What arrived when."""

    order_id: str
    facility_id: str
    product_id: str
    received_at: dt.date
    ordered_at: dt.date
    packs: int


class ReceiptPage(PageOut):
    """A page of receipts."""

    items: list[ReceiptOut]


class ReportParameters(Strict):
    """Of which site."""

    facility_id: Text = Field(description="The site.")
