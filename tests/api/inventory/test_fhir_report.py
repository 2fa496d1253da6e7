"""Stock, open orders and receipts read back, and a site's stock as FHIR."""

import datetime as dt
import json

import pytest
import sqlalchemy as sa
from fhir.resources.inventoryreport import InventoryReport

from tests.api.conftest import NOW
from warehouse.engine import writing
from warehouse.queries.lines import table

EVERYTHING = ("stock:read", "open_orders:read", "receipts:read")
DAY = dt.date(2026, 11, 20)


@pytest.fixture
def shelves(database):
    """North has two lots of warfarin, counted twice, and a lot in quarantine; each site an open order and a receipt."""

    def lot(name, quantity, hours, status="available"):
        return {"facility_id": "north", "product_id": "warfarin-1", "lot": name, "quantity": quantity} | {
            "counted_at": NOW - dt.timedelta(hours=hours),
            "expiry_date": dt.date(2027, 8, 31) if name == "A" else None,
            "status": status,
        }

    def order(site):
        return {"order_id": f"PO-{site}", "facility_id": site, "product_id": "warfarin-1", "packs": 4} | {
            "ordered_at": DAY
        }

    with writing(database) as connection:
        counts = [lot("A", 280, 48), lot("A", 252.5, 2), lot("B", 84, 2), lot("C", 28, 2, "quarantined")]
        connection.execute(sa.insert(table("stock")), counts)
        sites = ("north", "south")
        connection.execute(sa.insert(table("open_orders")), [order(one) | {"expected_at": DAY} for one in sites])
        connection.execute(sa.insert(table("receipts")), [order(one) | {"received_at": DAY} for one in sites])
    return database


def items(client, path, headers):
    body = client.get(path, headers=headers).json()
    return body["items"]


def test_the_latest_count_is_told_lot_by_lot_and_all_counts_on_request(shelves, client, key):
    headers = key("stock:read")
    path = "/v1/stock-snapshots?facility_id=north&product_id=warfarin-1"
    assert [(one["lot"], one["quantity"], one["status"]) for one in items(client, path, headers)] == [
        ("A", 252.5, "available"), ("B", 84, "available"), ("C", 28, "quarantined")
    ]  # fmt: skip
    assert len(items(client, f"{path}&latest=false", headers)) == 4
    since = f"{path}&latest=false&counted_since=2026-11-23T00:00:00Z"
    assert len(items(client, since, headers)) == 3
    assert client.get(path, headers=headers).json()["units"]["quantity"] == "dose units"


def test_pages_hold_each_row_once(shelves, client, key):
    headers, cursor, seen = key("stock:read"), "", []
    while cursor is not None:
        body = client.get(f"/v1/stock-snapshots?latest=false&limit=2{cursor and '&cursor=' + cursor}", headers=headers)
        seen += body.json()["items"]
        cursor = body.json()["next_cursor"]
    assert len(seen) == 6
    assert len({(one["facility_id"], one["product_id"], one["counted_at"], one["lot"]) for one in seen}) == 6


@pytest.mark.parametrize("path", ["/v1/stock-snapshots", "/v1/open-orders", "/v1/receipts"])
def test_nothing_of_another_site_is_told(shelves, client, key, path):
    mine = key(*EVERYTHING, sites=["south"])
    found = items(client, path, mine)
    assert found
    assert {one["facility_id"] for one in found} == {"south"}
    assert items(client, f"{path}?facility_id=north", mine) == []
    report = client.get("/v1/stock-snapshots/inventory-report?facility_id=north", headers=mine)
    assert report.status_code == 404


def test_open_orders_and_receipts_are_found_by_number(shelves, client, key):
    headers = key(*EVERYTHING)
    for path in ("/v1/open-orders", "/v1/receipts"):
        (one,) = items(client, f"{path}?order_id=PO-north&order_id=unknown", headers)
        assert (one["order_id"], one["packs"], one["ordered_at"]) == ("PO-north", 4, "2026-11-20")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/stock-snapshots?lot=A", "lot"),
        ("/v1/stock-snapshots?latest=maybe", "latest"),
        ("/v1/stock-snapshots?counted_since=1700000000", "counted_since"),
        ("/v1/open-orders?latest=true", "latest"),
        ("/v1/receipts?cursor=nonsense", "cursor"),
        ("/v1/stock-snapshots/inventory-report", "facility_id"),
    ],
)
def test_a_wrong_filter_is_refused_by_name(shelves, client, key, path, field):
    answer = client.get(path, headers=key(*EVERYTHING))
    assert answer.status_code == 422
    assert field in [one["field"] for one in answer.json()["errors"]]


def test_a_sites_stock_is_a_valid_inventory_report_with_lots_and_codes(shelves, client, key):
    answer = client.get("/v1/stock-snapshots/inventory-report?facility_id=north", headers=key("stock:read"))
    assert answer.headers["content-type"] == "application/fhir+json"
    report = InventoryReport.model_validate_json(answer.text)
    assert (report.status, report.countType) == ("active", "snapshot")
    told = json.loads(answer.text)
    lots = {one["id"]: one for one in told["contained"]}
    found = {}
    for listing in told["inventoryListing"]:
        assert listing["location"]["identifier"]["value"] == "north"
        for item in listing["item"]:
            reference = item["item"].get("reference", {}).get("reference", "#")[1:]
            medication = lots.get(reference)
            concept = medication["code"] if medication else item["item"]["concept"]
            lot = medication["batch"]["lotNumber"] if medication else ""
            expires = medication["batch"].get("expirationDate") if medication else None
            code = concept["coding"][-1]["code"]
            found[code, lot] = (float(item["quantity"]["value"]), listing["itemStatus"]["text"], expires)
    assert found == {
        ("clopidogrel-75", ""): (440, "available", None),
        ("warfarin-1", "A"): (252.5, "available", "2027-08-31"),
        ("warfarin-1", "B"): (84, "available", None),
        ("warfarin-1", "C"): (28, "quarantined", None),
    }


def test_a_site_without_stock_has_an_empty_report(client, key):
    answer = client.get("/v1/stock-snapshots/inventory-report?facility_id=clinic", headers=key("stock:read"))
    assert answer.status_code == 200
    assert InventoryReport.model_validate_json(answer.text).inventoryListing is None
