"""Resources of what inventory systems report, and the answer they get."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.http.fields import MOST_BATCH_ROWS, Strict


def _batch_config(row: dict[str, Any]) -> ConfigDict:
    """Settings of a batch whose example holds this one row."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rows": [row]}]})


class BatchIn(Strict):
    """Rows, each judged on its own."""

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_BATCH_ROWS)


class StockIn(BatchIn):
    """Counted stock, one row per lot."""

    model_config = _batch_config(
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

    model_config = _batch_config(
        {
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "period_start": "2026-11-16",
            "quantity": 612,
        }
    )


class OpenOrdersIn(BatchIn):
    """Packs still to come, one row per order, product and site."""

    model_config = _batch_config(
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

    model_config = _batch_config(
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
