"""Stock that systems push: good rows kept, bad rows named, nothing twice, no other site's."""

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.access.keys import create_api_key
from api.app import create_app
from warehouse.engine import writing
from warehouse.queries.lines import table

GOOD = {"facility_id": "north", "product_id": "warfarin-1", "counted_at": "2026-11-23T06:00:00Z", "quantity": 280}


def push(client, headers, *rows):
    return client.post("/v1/stock-snapshots", json={"rows": list(rows)}, headers=headers)


def count(engine, name):
    with engine.begin() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table(name))).scalar_one()


def test_the_same_rows_twice_change_nothing_on_either_database(each_database, clock):
    client = TestClient(create_app(each_database, clock=clock), base_url="http://localhost")
    with writing(each_database) as connection:
        text = create_api_key(
            connection, name="robot", scopes=["stock:write"], facility_ids=None, expires_at=None, now=clock.now
        )
    headers = {"Authorization": f"Bearer {text}"}
    rows = [GOOD | {"lot": "A1", "expiry_date": "2027-08-31"}, GOOD | {"lot": "A2", "status": "quarantined"}]
    before = {name: count(each_database, name) for name in ("stock", "loads")}
    assert push(client, headers, *rows).json() == {
        "accepted": 2, "unchanged": 0, "rejected": 0, "rejected_rows": []
    }  # fmt: skip
    assert push(client, headers, *rows).json()["unchanged"] == 2
    assert count(each_database, "stock") == before["stock"] + 2
    assert count(each_database, "loads") == before["loads"] + 1
    assert push(client, headers, rows[0] | {"quantity": 12.5}).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"facility_id": "nowhere"}, "facility_id", "site that this key writes for"),
        ({"product_id": "nothing"}, "product_id", "must be a product_id"),
        ({"quantity": "many"}, "quantity", "finite number"),
        ({"quantity": None}, "quantity", "must not be blank"),
        ({"quantity": True}, "quantity", "text or a number"),
        ({"quantity": [1]}, "quantity", "text or a number"),
        ({"counted_at": "yesterday"}, "counted_at", "ISO date"),
        ({"counted_at": "2027-11-23"}, "counted_at", "future"),
        ({"counted_at": "99999-01-01"}, "counted_at", "ISO date"),
        ({"status": "lost"}, "status", "must be one of"),
        ({"lot": "\x00"}, "lot", "valid text"),
        ({"patient": "x"}, "patient", "unknown field"),
    ],
)
def test_a_bad_row_is_named_and_the_good_one_kept(client, key, database, change, field, rule):
    report = push(client, key("stock:write"), GOOD, GOOD | {"lot": "2"} | change).json()
    assert (report["accepted"], report["rejected"]) == (1, 1)
    assert [(one["row"], one["field"]) for one in report["rejected_rows"]] == [(2, field)]
    assert rule in report["rejected_rows"][0]["reason"]
    with database.begin() as connection:
        rejected = connection.execute(sa.select(table("rejected_rows"))).mappings().one()
    assert (rejected["line"], rejected["column_name"]) == (2, field)


def test_half_a_surrogate_pair_is_a_bad_row_and_not_a_fault(client, key):
    body = b'{"rows": [{"facility_id": "\\ud800", "product_id": "x", "counted_at": "2026-11-23", "quantity": 1}]}'
    headers = key("stock:write") | {"Content-Type": "application/json"}
    answer = client.post("/v1/stock-snapshots", content=body, headers=headers)
    assert answer.status_code in (200, 422)
    assert answer.json().get("accepted", 0) == 0


def test_a_row_that_comes_twice_is_kept_once(client, key):
    report = push(client, key("stock:write"), GOOD, GOOD).json()
    assert (report["accepted"], report["rejected_rows"][0]["reason"]) == (1, "duplicate key")


def test_a_key_writes_for_its_sites_only(client, key, database):
    before = count(database, "stock")
    report = push(client, key("stock:write", sites=["south"]), GOOD).json()
    assert (report["accepted"], report["rejected"]) == (0, 1)
    assert count(database, "stock") == before


def test_who_may_push(client, key, signed_in):
    assert push(client, {}, GOOD).status_code == 401
    assert push(client, key("recommendations:read"), GOOD).status_code == 403
    assert push(signed_in("ben"), {}, GOOD).status_code == 403


@pytest.mark.parametrize("rows", [[], [GOOD] * 10_001, ["text"], "text"])
def test_a_body_of_another_shape_is_refused(client, key, rows):
    answer = client.post("/v1/stock-snapshots", json={"rows": rows}, headers=key("stock:write"))
    assert answer.status_code == 422


def test_ten_thousand_rows_fit(client, key):
    rows = [
        {"facility_id": "north", "product_id": "warfarin-1", "counted_at": "2026-11-23T06:00Z", "lot": f"{lot}"}
        | {"quantity": lot}
        for lot in range(10_000)
    ]
    report = push(client, key("stock:write"), *rows).json()
    assert (report["accepted"], report["rejected"]) == (10_000, 0)
