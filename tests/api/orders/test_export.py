"""Order exports: what is locked, by whom, exactly once; and what the planner then counts as on order."""

import datetime as dt
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.access.keys import create_api_key
from api.app import create_app
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import COMMAND
from warehouse.engine import writing
from warehouse.publication import ordered_lines
from warehouse.queries.lines import table
from warehouse.receiving import receive_lines

AS_OF = dt.date(2026, 11, 23)
NOW = dt.datetime.fromisoformat("2026-11-23T09:00")


@pytest.fixture
def shop(each_database, clock):
    """A client with a key that may order, on each kind of database."""
    return _caller(each_database, clock)


def _caller(engine, clock, sites=None, scopes=("orders:write", "recommendations:read", "audit:read")):
    app = create_app(engine, clock=clock)
    client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    client.headers["Authorization"] = f"Bearer {_key(engine, sites, scopes)}"
    client.engine = engine
    return client


def _key(engine, sites=None, scopes=("orders:write",)):
    with writing(engine) as connection:
        return create_api_key(connection, name="robot", scopes=scopes, facility_ids=sites, expires_at=None, now=NOW)


def export(client, name="first", **wanted):
    return client.post("/v1/order-exports", json=wanted, headers={"Idempotency-Key": name})


def rows(engine, name):
    with engine.begin() as connection:
        return connection.execute(sa.select(table(name))).mappings().all()


def status_of(engine, number):
    with engine.begin() as connection:
        lines = table("recommendations")
        return connection.scalar(sa.select(lines.c.status).where(lines.c.recommendation_id == f"rec-{number:02d}"))


def approve(engine, *numbers, **values):
    with writing(engine) as connection:
        lines = table("recommendations")
        names = [f"rec-{number:02d}" for number in numbers]
        connection.execute(
            lines.update().where(lines.c.recommendation_id.in_(names)).values(status="approved", **values)
        )


def on_order(engine):
    with engine.begin() as connection:
        found = ordered_lines(connection, AS_OF)
    return dict(zip(found["recommendation_id"], found["packs"], strict=True))


def test_approved_lines_become_one_order_a_supplier_and_the_same_key_gives_the_same_answer(shop):
    first = export(shop, account_type="340b")
    assert first.status_code == 201, first.text
    body = first.json()
    assert [(one["supplier_id"], len(one["lines"]), one["cost"]) for one in body["orders"]] == [
        ("alpha", 1, "19.6"),
        ("beta", 1, "51"),
    ]
    line = body["orders"][0]["lines"][0]
    assert (line["recommendation_id"], line["packs"], line["quantity"], line["account_type"]) == (
        *("rec-11", 20, "560"),
        "340b",
    )
    assert body["units"]["packs"] == "packs"
    assert {status_of(shop.engine, number) for number in (10, 11)} == {"exported"}
    again = export(shop, account_type="340b")
    assert (again.status_code, again.json()) == (201, body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert shop.get(f"/v1/order-exports/{body['export_id']}").json() == body


def test_field_note_13__nothing_is_left_for_a_second_key_and_the_key_stays_free(shop):
    export(shop)
    late = export(shop, "second", recommendation_id=["rec-10", "rec-01", "rec-99"])
    assert late.status_code == 409
    reasons = {one["recommendation_id"]: one["reason"] for one in late.json()["not_exported"]}
    assert "exported already, as PGX00000002" in reasons["rec-10"]
    assert "proposed" in reasons["rec-01"]
    assert "no such" in reasons["rec-99"]
    approve(shop.engine, 1)
    assert export(shop, "second", recommendation_id=["rec-01"]).status_code == 201
    assert len(rows(shop.engine, "order_lines")) == 3


def test_a_key_for_another_request_is_refused(shop):
    assert export(shop).status_code == 201
    other = export(shop, supplier_id=["alpha"])
    assert other.status_code == 409
    assert other.json()["type"].endswith("idempotency-key-reused")
    assert export(shop, "\x01").status_code == 422
    assert shop.post("/v1/order-exports", json={}).status_code == 422
    assert export(shop, "x", surprise=1).status_code == 422


def test_a_line_without_supplier_is_named_and_left(shop):
    approve(shop.engine, 1, supplier_id=None)
    assert export(shop).json()["not_exported"] == [
        {"recommendation_id": "rec-01", "reason": "no supplier is named for it"}
    ]
    assert status_of(shop.engine, 1) == "approved"


def test_currencies_are_not_mixed_on_one_order(shop):
    approve(shop.engine, 1, currency="EUR")
    approve(shop.engine, 2)
    orders = export(shop, supplier_id=["alpha"]).json()["orders"]
    assert [(one["currency"], len(one["lines"])) for one in orders] == [("EUR", 1), ("GBP", 2)]


def test_a_key_of_one_site_orders_for_it_and_reads_no_other_order(each_database, clock):
    south = _caller(each_database, clock, sites=["south"])
    everyone = _caller(each_database, clock)
    mine = export(south)
    assert [line["facility_id"] for one in mine.json()["orders"] for line in one["lines"]] == ["south"]
    other = export(everyone).json()
    number = other["orders"][0]["order_number"]
    for path in (f"orders/{number}", f"orders/{number}/document", f"order-exports/{other['export_id']}"):
        assert south.get(f"/v1/{path}").status_code == 404, path
        assert everyone.get(f"/v1/{path}").status_code == 200, path
    assert [one["order_number"] for one in south.get("/v1/orders").json()["items"]] == ["PGX00000001"]
    assert len(everyone.get("/v1/orders").json()["items"]) == 2
    answer = {"lines": [{"line_number": 1, "status": "accepted"}]}
    assert south.post(f"/v1/orders/{number}/acknowledgement", json=answer).status_code == 404


def test_who_may_export(client, key, signed_in):
    headers = {"Idempotency-Key": "x"}
    assert client.post("/v1/order-exports", json={}, headers=headers).status_code == 401
    reading = key("recommendations:read", "orders:read")
    assert client.post("/v1/order-exports", json={}, headers=headers | reading).status_code == 403
    assert client.get("/v1/orders", headers=key("stock:write")).status_code == 403
    vera, ben = signed_in("vera"), signed_in("ben")
    token = {"X-CSRF-Token": vera.csrf_token}
    assert vera.post("/v1/order-exports", json={}, headers=headers | token).status_code == 403
    assert ben.post("/v1/order-exports", json={}, headers=headers).status_code == 403
    token = {"X-CSRF-Token": ben.csrf_token}
    assert ben.post("/v1/order-exports", json={}, headers=headers | token).status_code == 201


def test_what_is_ordered_stays_on_order_until_it_is_received_and_less_what_the_supplier_refuses(shop):
    engine = shop.engine
    assert on_order(engine) == {"rec-10": 12, "rec-11": 20}
    numbers = {one["supplier_id"]: one["order_number"] for one in export(shop).json()["orders"]}
    assert on_order(engine) == {"rec-10": 12, "rec-11": 20}
    path = f"/v1/orders/{numbers['alpha']}/acknowledgement"
    less = {"lines": [{"line_number": 1, "status": "changed", "packs_confirmed": 15, "expected_at": "2026-11-26"}]}
    answer = shop.post(path, json=less)
    assert answer.json()["lines"][0]["status"] == "acknowledged"
    assert on_order(engine) == {"rec-10": 12, "rec-11": 15}
    events = len(rows(engine, "audit_events"))
    assert shop.post(path, json=less).json() == answer.json()
    assert len(rows(engine, "audit_events")) == events
    receive(engine, numbers["alpha"], "south", "warfarin-5", 5)
    assert on_order(engine) == {"rec-10": 12, "rec-11": 10}
    assert status_of(engine, 11) == "acknowledged"
    receive(engine, numbers["alpha"], "south", "warfarin-5", 10, day=22)
    assert (status_of(engine, 11), on_order(engine)) == ("received", {"rec-10": 12})
    assert shop.post(path, json=less).status_code == 422
    refused = {"lines": [{"line_number": 1, "status": "rejected"}]}
    shop.post(f"/v1/orders/{numbers['beta']}/acknowledgement", json=refused)
    assert on_order(engine) == {}


def receive(engine, order_id, facility_id, product_id, packs, day=23):
    row = {"order_id": order_id, "facility_id": facility_id, "product_id": product_id, "packs": packs}
    with writing(engine) as connection:
        days = {"ordered_at": AS_OF.replace(day=1), "received_at": AS_OF.replace(day=day)}
        connection.execute(table("receipts").insert(), row | days)
        receive_lines(connection, COMMAND, NOW)


def test_an_order_that_comes_back_as_an_open_order_is_not_counted_twice(shop):
    numbers = {one["supplier_id"]: one["order_number"] for one in export(shop).json()["orders"]}
    row = {"order_id": numbers["alpha"], "facility_id": "south", "product_id": "warfarin-5", "packs": 20}
    with writing(shop.engine) as connection:
        connection.execute(table("open_orders").insert(), row | {"ordered_at": AS_OF, "expected_at": AS_OF})
    assert on_order(shop.engine) == {"rec-10": 12}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ({"line_number": 2, "status": "accepted"}, "not on this order"),
        ({"line_number": 1, "status": "changed"}, "packs_confirmed is required"),
        ({"line_number": 1, "status": "changed", "packs_confirmed": 21}, "more than was authorised"),
        ({"line_number": 1, "status": "accepted", "packs_confirmed": 3}, "say changed"),
        ({"line_number": 1, "status": "rejected", "packs_confirmed": 3}, "must be 0"),
        ({"line_number": 1, "status": "lost"}, "should be"),
        ({"line_number": True, "status": "accepted"}, "whole number"),
    ],
)
def test_field_note_26__an_acknowledgement_that_breaks_a_rule_changes_nothing(database, clock, line, rule):
    shop = _caller(database, clock)
    export(shop)
    before = rows(database, "order_lines")
    answer = shop.post("/v1/orders/PGX00000001/acknowledgement", json={"lines": [line]})
    assert answer.status_code == 422
    assert rule in answer.text
    assert rows(database, "order_lines") == before


def test_every_change_is_in_the_audit_trail_with_before_and_after(shop):
    export(shop)
    shop.post("/v1/orders/PGX00000001/acknowledgement", json={"lines": [{"line_number": 1, "status": "accepted"}]})
    events = {one["action"]: one for one in rows(shop.engine, "audit_events")}
    exported = events["recommendation.export"]
    assert (exported["actor_name"], json.loads(exported["before"])["status"]) == ("robot", "approved")
    assert json.loads(exported["after"]) == {
        "status": "exported", "version": 2, "order_number": "PGX00000002", "packs": 12
    }  # fmt: skip
    assert exported["request_id"]
    assert json.loads(events["recommendation.acknowledge"]["after"])["packs_confirmed"] == 20
    with shop.engine.begin() as connection:
        assert audit.verify(connection).events == len(rows(shop.engine, "audit_events"))


def test_a_process_that_dies_before_the_commit_has_ordered_nothing(database, clock):
    shop = _caller(database, clock)
    with writing(database) as connection:
        connection.execute(
            sa.text("CREATE TRIGGER fails BEFORE INSERT ON order_lines BEGIN SELECT RAISE(ABORT, 'cut off'); END")
        )
    assert export(shop).status_code == 500
    assert status_of(database, 10) == "approved"
    assert rows(database, "order_exports") == []
    with writing(database) as connection:
        connection.execute(sa.text("DROP TRIGGER fails"))
    assert export(shop).status_code == 201


def test_an_answer_that_is_lost_after_the_commit_is_had_again(database, clock):
    shop = _caller(database, clock)

    async def deaf(scope, receive, send):
        async def lose(message):
            raise ConnectionError("the caller is gone")

        await create_app(database, clock=clock)(scope, receive, lose)

    gone = TestClient(deaf, base_url="http://localhost", headers=dict(shop.headers))
    with pytest.raises(ConnectionError):
        export(gone)
    assert status_of(database, 10) == "exported"
    again = export(shop)
    assert [len(one["lines"]) for one in again.json()["orders"]] == [1, 1]
    assert len(rows(database, "order_lines")) == 2


def test_field_note_13__fifty_callers_at_once_export_every_line_exactly_once(new_engine, served, clock):
    from tests.api.conftest import fill

    engine = new_engine("postgresql")
    fill(engine)
    approve(engine, *range(1, 10))
    url = served(create_app(engine, clock=clock))
    headers = {"Authorization": f"Bearer {_key(engine)}"}
    gate = threading.Barrier(50)

    def call(number):
        # five callers share each key, as retries of one client do
        gate.wait()
        with httpx2.Client(
            base_url=url, headers=headers | {"Idempotency-Key": f"k{number % 10}"}, timeout=60
        ) as client:
            return client.post("/v1/order-exports", json={}).status_code

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(call, range(50)))
    assert sorted(set(answers)) == [201, 409]
    assert answers.count(201) == 5
    ordered = [one["recommendation_id"] for one in rows(engine, "order_lines")]
    assert sorted(ordered) == [f"rec-{number:02d}" for number in range(1, 12)]
    assert len(rows(engine, "order_exports")) == 1
    with engine.begin() as connection:
        audit.verify(connection)


def test_the_database_itself_refuses_a_second_order_line_for_a_recommendation(shop):
    export(shop)
    line = dict(rows(shop.engine, "order_lines")[0]) | {"line_number": 9}
    with pytest.raises(sa.exc.IntegrityError), writing(shop.engine) as connection:
        connection.execute(table("order_lines").insert(), line)


def test_verify_names_the_command_for_a_broken_chain(database):
    with database.begin() as connection, pytest.raises(InvalidInput, match="cut off or replaced"):
        audit.verify(connection, known_head="0" * 63 + "1")
