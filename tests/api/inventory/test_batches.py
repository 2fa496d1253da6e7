"""Dispensing, open orders and receipts that systems push: judged row by row, kept once, by the right key."""

import datetime as dt

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.access.keys import SCOPES, create_api_key
from api.app import create_app
from warehouse import audit
from warehouse.engine import writing
from warehouse.queries.lines import table

PLACE = {"facility_id": "north", "product_id": "warfarin-1"}
ORDER = PLACE | {"order_id": "PO-1", "packs": 40, "ordered_at": "2026-11-20"}
GOOD = {
    "dispensing": PLACE | {"period_start": "2026-11-16", "quantity": 612.5, "patients": 40},
    "open-orders": ORDER | {"expected_at": "2026-11-25"},
    "receipts": ORDER | {"received_at": "2026-11-22"},
}
SCOPE = {"dispensing": "dispensing:write", "open-orders": "open_orders:write", "receipts": "receipts:write"}
TABLE = {"dispensing": "dispensing", "open-orders": "open_orders", "receipts": "receipts"}
MOMENT = {"dispensing": "period_start", "open-orders": "ordered_at", "receipts": "received_at"}


@pytest.fixture
def push(each_database, clock):
    """A function that pushes rows to a resource, on each kind of database."""
    client = TestClient(create_app(each_database, clock=clock), base_url="http://localhost")

    def push(resource, *rows, scopes=None, sites=None):
        with writing(each_database) as connection:
            text = create_api_key(
                connection, name="robot", scopes=scopes or [SCOPE[resource]], facility_ids=sites, expires_at=None,
                now=clock.now,
            )  # fmt: skip
        headers = {"Authorization": f"Bearer {text}"}
        return client.post(f"/v1/{resource}", json={"rows": list(rows)}, headers=headers)

    push.engine = each_database
    return push


def rows(engine, name):
    with engine.begin() as connection:
        return connection.execute(sa.select(table(name))).mappings().all()


@pytest.mark.parametrize("resource", list(GOOD))
def test_good_rows_are_kept_once_and_bad_ones_named(push, resource):
    good = GOOD[resource]
    before = len(rows(push.engine, TABLE[resource]))
    bad = [
        good | {"product_id": "nothing"},
        good | {"facility_id": "nowhere"},
        good | {MOMENT[resource]: "2027-11-23"},
        good | {"patient": "x"},
        {name: value for name, value in good.items() if name != MOMENT[resource]},
    ]
    if "order_id" in good:
        bad = [one | {"order_id": f"PO-{at}"} for at, one in enumerate(bad, 2)]
    report = push(resource, good, *bad).json()
    assert (report["accepted"], report["rejected"]) == (1, 5), report
    assert [(one["row"], one["field"]) for one in report["rejected_rows"]] == [
        (2, "product_id"), (3, "facility_id"), (4, MOMENT[resource]), (5, "patient"), (6, MOMENT[resource])
    ]  # fmt: skip
    again = push(resource, good, *bad).json()
    assert (again["accepted"], again["unchanged"], again["rejected_rows"]) == (0, 1, report["rejected_rows"])
    assert len(rows(push.engine, TABLE[resource])) == before + 1
    with push.engine.begin() as connection:
        audit.verify(connection)
    assert [one["action"] for one in rows(push.engine, "audit_events")].count(f"{TABLE[resource]}.push") == 1


@pytest.mark.parametrize("resource", list(GOOD))
def test_another_resources_scope_and_another_site_are_not_enough(push, resource):
    others = [scope for scope in SCOPES if scope != SCOPE[resource]]
    assert push(resource, GOOD[resource], scopes=others).status_code == 403
    report = push(resource, GOOD[resource], sites=["south"]).json()
    assert (report["accepted"], report["rejected_rows"][0]["field"]) == (0, "facility_id")


def test_a_few_patients_are_kept_as_unknown(push):
    push("dispensing", *(GOOD["dispensing"] | {"product_id": one, "patients": count} for one, count in FEW.items()))
    kept = {one["product_id"]: one["patients"] for one in rows(push.engine, "dispensing")}
    assert {name: kept[name] for name in FEW} == {"warfarin-1": None, "warfarin-5": 0, "prasugrel-10": 11}


FEW = {"warfarin-1": 10, "warfarin-5": 0, "prasugrel-10": 11}


def test_the_threshold_of_the_site_decides_which_number_of_patients_is_small(push, monkeypatch):
    monkeypatch.setenv("PGX_SUPPLY_SMALL_CELL_THRESHOLD", "20")
    counts = {"warfarin-1": 15, "warfarin-5": 20}
    push("dispensing", *(GOOD["dispensing"] | {"product_id": one, "patients": count} for one, count in counts.items()))
    kept = {one["product_id"]: one["patients"] for one in rows(push.engine, "dispensing")}
    assert {name: kept[name] for name in counts} == {"warfarin-1": None, "warfarin-5": 20}


def test_packs_are_whole(push):
    report = push("receipts", GOOD["receipts"] | {"packs": 1.5}).json()
    assert (report["accepted"], report["rejected_rows"][0]["field"]) == (0, "packs")


def test_a_receipt_in_full_closes_the_line_of_its_order(push, clock):
    exporting = TestClient(create_app(push.engine, clock=clock), base_url="http://localhost")
    with writing(push.engine) as connection:
        text = create_api_key(
            connection, name="robot", scopes=["orders:write"], facility_ids=None, expires_at=None, now=clock.now
        )
    headers = {"Authorization": f"Bearer {text}", "Idempotency-Key": "one"}
    order = exporting.post("/v1/order-exports", json={}, headers=headers).json()["orders"][0]
    line = order["lines"][0]
    place = {name: line[name] for name in ("facility_id", "product_id")}
    came = place | {"order_id": order["order_number"], "ordered_at": "2026-11-23", "received_at": "2026-11-23"}
    push("receipts", came | {"packs": line["packs"] - 1})
    path = f"/v1/orders/{order['order_number']}"
    assert exporting.get(path, headers=headers).json()["lines"][0]["status"] == "exported"
    push("receipts", came | {"packs": 1, "received_at": "2026-11-22"})
    assert exporting.get(path, headers=headers).json()["lines"][0]["status"] == "received"


def test_ten_thousand_rows_of_dispensing_fit(push):
    days = [dt.date(2006, 1, 2) + dt.timedelta(weeks=week) for week in range(1000)]
    some = [
        PLACE | {"product_id": product, "facility_id": site, "period_start": day.isoformat(), "quantity": 1}
        for product in ("warfarin-1", "warfarin-5", "clopidogrel-75", "ticagrelor-90", "prasugrel-10")
        for site in ("north", "south")
        for day in days
    ]
    assert push("dispensing", *some).json()["accepted"] == 10_000


def test_a_quantity_that_a_batch_changes_is_kept_as_it_was(push):
    push("dispensing", GOOD["dispensing"] | {"quantity": 5})
    push("dispensing", GOOD["dispensing"] | {"quantity": 7})
    push("dispensing", GOOD["dispensing"] | {"quantity": 7})
    kept = rows(push.engine, "dispensing_revisions")
    assert [(one["quantity_before"], one["quantity_after"]) for one in kept][-1] == (5, 7)
