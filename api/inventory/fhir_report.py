"""What is known of stock, open orders and receipts: parameters, answers, and a site's stock as FHIR R5."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from pydantic import BaseModel, Field

from api.http.fields import Names, PageOut, PageParameters, Strict, Text, UtcIn, UtcOut
from api.orders.fhir_order import FACILITY_SYSTEM, coded, number, plain
from forecasting.terms import StockStatus

LOT_NOT_KEPT = ""


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


def write_inventory_report(facility: Any, rows: Sequence[Any], now: dt.datetime) -> str:
    """A site's latest counts as an InventoryReport, one listing per status and moment of counting.

    A lot is a contained Medication with its batch: the report itself has no place for lot and expiry date.
    """
    from fhir.resources.inventoryreport import InventoryReport

    where: dict[str, Any] = {"identifier": {"system": FACILITY_SYSTEM, "value": facility["facility_id"]}}
    where["display"] = plain(facility["name"])
    ordered = sorted(rows, key=lambda row: (row["status"], row["counted_at"], row["product_id"], row["lot"]))
    lots = [(f"lot-{place}", row) for place, row in enumerate(ordered, 1)]
    listings = [
        {
            "location": where,
            "itemStatus": {"text": status},
            "countingDateTime": _instant(counted_at),
            "item": [_item(name, row) for name, row in of],
        }
        for (status, counted_at), of in groupby(lots, key=lambda one: (one[1]["status"], one[1]["counted_at"]))
    ]
    report: dict[str, Any] = {
        "resourceType": "InventoryReport",
        "status": "active",
        "countType": "snapshot",
        "reportedDateTime": _instant(max((row["counted_at"] for row in rows), default=now)),
        "contained": [_medication(name, row) for name, row in lots if row["lot"] != LOT_NOT_KEPT],
        "inventoryListing": listings,
    }
    found = InventoryReport.model_validate({name: value for name, value in report.items() if value != []})
    return found.model_dump_json(indent=2) + "\n"


def _item(name: str, row: Any) -> dict[str, Any]:
    quantity = {"value": number(Decimal(str(row["quantity"]))), "unit": plain(row["dose_form"])}
    if row["lot"] == LOT_NOT_KEPT:
        return {"quantity": quantity, "item": {"concept": _concept(row)}}
    return {"quantity": quantity, "item": {"reference": {"reference": f"#{name}"}}}


def _medication(name: str, row: Any) -> dict[str, Any]:
    batch = {"lotNumber": plain(row["lot"])}
    if row["expiry_date"] is not None:
        batch["expirationDate"] = row["expiry_date"].isoformat()
    return {"resourceType": "Medication", "id": name, "code": _concept(row), "batch": batch}


class _Described:
    """A stock row with what `coded` reads of an order line."""

    def __init__(self, row: Any) -> None:
        self.product_id = row["product_id"]
        self.description = f"{row['drug']} {row['strength_value']:g} {row['strength_unit']} {row['dose_form']}"


def _concept(row: Any) -> dict[str, Any]:
    return coded(row["code_system"], row["code"], _Described(row))


def _instant(moment: dt.datetime) -> str:
    return f"{moment.isoformat(timespec='seconds')}Z"
