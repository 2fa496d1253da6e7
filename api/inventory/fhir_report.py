"""A site's counted stock as a FHIR R5 InventoryReport."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any

from api.orders.fhir_order import FACILITY_SYSTEM, coded, number, plain

LOT_NOT_KEPT = ""


def write_inventory_report(facility: Any, rows: Sequence[Any], now: dt.datetime) -> str:
    """A site's latest counts as an InventoryReport, one listing per status and moment of counting.

    A lot is a contained Medication with its batch: the report itself has no place for lot and expiry date.
    """
    from fhir.resources.inventoryreport import InventoryReport

    identifier = {"system": FACILITY_SYSTEM, "value": facility["facility_id"]}
    location: dict[str, Any] = {"identifier": identifier, "display": plain(facility["name"])}
    ordered = sorted(rows, key=lambda row: (row["status"], row["counted_at"], row["product_id"], row["lot"]))
    lots = [(f"lot-{place}", row) for place, row in enumerate(ordered, 1)]
    listings = [
        {
            "location": location,
            "itemStatus": {"text": status},
            "countingDateTime": _instant(counted_at),
            "item": [_item(name, row) for name, row in group],
        }
        for (status, counted_at), group in groupby(lots, key=lambda lot: (lot[1]["status"], lot[1]["counted_at"]))
    ]
    report: dict[str, Any] = {
        "resourceType": "InventoryReport",
        "status": "active",
        "countType": "snapshot",
        "reportedDateTime": _instant(max((row["counted_at"] for row in rows), default=now)),
        "contained": [_medication(name, row) for name, row in lots if row["lot"] != LOT_NOT_KEPT],
        "inventoryListing": listings,
    }
    known = {name: value for name, value in report.items() if value != []}
    return InventoryReport.model_validate(known).model_dump_json(indent=2) + "\n"


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


def _concept(row: Any) -> dict[str, Any]:
    text = f"{row['drug']} {row['strength_value']:g} {row['strength_unit']} {row['dose_form']}"
    return coded(row["code_system"], row["code"], row["product_id"], text)


def _instant(moment: dt.datetime) -> str:
    return f"{moment.isoformat(timespec='seconds')}Z"
