"""What somebody sends who means no good: refused by name, nothing changed, nothing leaked, the server goes on."""

import csv
import io
import json

import pytest
import sqlalchemy as sa

from api.settings import ServerSettings
from warehouse.engine import writing
from warehouse.queries.lines import table

STOCK = "/v1/stock-snapshots"
APPROVE = {"kind": "approve", "version": 1}
FORMULAS = ("=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1")
INJECTIONS = (
    "x' OR '1'='1",
    "x'; DROP TABLE recommendations;--",
    'x" OR ""="',
    "%' UNION SELECT secret_sha256 FROM api_keys --",
)
TRAVERSALS = ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "....//etc/passwd", "%2e%2e/%2e%2e/pyproject.toml", "C:\\x")


def rows(engine, name):
    with engine.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table(name)))


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ('{"rows": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"rows": [' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "]}", "nested too deeply"),
        ('{"rows": [{"quantity": 1, "quantity": 2}]}', "'quantity' twice"),
        ('{"rows": [], "rows": [{}]}', "'rows' twice"),
        ('{"rows": [{"quantity": NaN}]}', "NaN is not JSON"),
        ('{"rows": [{"quantity": -Infinity}]}', "-Infinity is not JSON"),
        ('{"rows": [{"quantity": ' + "9" * 5_000 + "}]}", "digits"),
        ("", "body: Field required"),
        ("\ufeff{}", "rows: Field required"),
        ("[]", "valid dictionary"),
        ("null", ""),
    ],
)
def test_a_body_that_parsers_break_on_or_read_differently_is_refused(client, key, database, body, rule):
    before = rows(database, "stock")
    headers = key("stock:write") | {"Content-Type": "application/json"}
    answer = client.post(STOCK, content=body.encode(), headers=headers)
    assert answer.status_code == 422, answer.text
    assert rule in answer.text
    assert len(answer.text) < 2_000
    assert rows(database, "stock") == before
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("quantity", [1e400, "1e400", "-1e400", 10**30, "0x10", "١٢", True, [], {}])
def test_a_quantity_that_is_no_sensible_number_is_a_refused_row(client, key, database, quantity):
    row = {"facility_id": "north", "product_id": "warfarin-1", "counted_at": "2026-11-23", "quantity": quantity}
    text = json.dumps({"rows": [row]})
    headers = key("stock:write") | {"Content-Type": "application/json"}
    answer = client.post(STOCK, content=text, headers=headers)
    if answer.status_code == 200 and answer.json()["accepted"]:
        stored = table("stock").c
        with database.begin() as connection:
            kept = connection.scalar(sa.select(stored.quantity).where(stored.product_id == "warfarin-1"))
        assert kept == float(quantity)  # a number that can be kept is kept as it is
    else:
        assert answer.status_code in (200, 422)
        assert rows(database, "stock") == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_of_another_site_cannot_speak_to_the_api(signed_in, database, content_type):
    # a browser sends these without asking first; JSON it would have to ask for, and nobody answers that
    ben = signed_in("ben")
    headers = {"Content-Type": content_type, "X-CSRF-Token": ben.csrf_token}
    answer = ben.post("/v1/recommendations/rec-02/decision", content=json.dumps(APPROVE), headers=headers)
    assert answer.status_code == 415
    assert rows(database, "decisions") == 0
    preflight = ben.options("/v1/recommendations/rec-02/decision", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in preflight.headers


def test_every_form_and_every_change_by_session_needs_the_sessions_token(signed_in, database):
    ben, root = signed_in("ben"), signed_in("root")
    approve = {"kind": "approve", "version": 1}
    changes = [
        ben.post("/v1/recommendations/rec-02/decision", json=approve),
        ben.post("/v1/order-exports", json={}, headers={"Idempotency-Key": "x"}),
        ben.post("/v1/x12-acknowledgements", content="ISA", headers={"Content-Type": "application/edi-x12"}),
        ben.post("/orders", data={"csrf_token": "forged", "idempotency_key": "a" * 20}),
        ben.post("/recommendations/rec-02/decision", data=approve | {"csrf_token": "forged"}),
        ben.post("/sign-out", data={"csrf_token": "forged"}),
        root.post("/v1/webhooks", json={"url": "https://x.example", "event_types": ["recommendation.approved"]}
                  | {"secret_name": "x"}),
        root.delete("/v1/webhooks/wh-1"),
        root.post("/v1/webhook-deliveries/1/replay", json={}),
    ]  # fmt: skip
    assert [answer.status_code for answer in changes] == [403] * len(changes)
    assert rows(database, "decisions") == rows(database, "order_exports") == rows(database, "webhooks") == 0


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_any_name_is_a_name(client, key, database, text):
    everything = key("recommendations:read", "forecasts:read", "stock:write", "orders:write", "audit:read")
    for path in ("recommendations", "forecasts", "prevalence", "orders", "stock-snapshots"):
        for name in ("facility_id", "product_id", "supplier_id", "gene"):
            answer = client.get(f"/v1/{path}", params={name: text}, headers=everything)
            assert answer.status_code in (200, 422)
            assert answer.status_code == 422 or answer.json()["items"] == []
    assert client.get("/v1/audit-events", params={"subject": text}, headers=everything).json()["items"] == []
    assert client.get(f"/v1/recommendations/{text}", headers=everything).status_code == 404
    named = client.post(
        "/v1/order-exports", json={"recommendation_id": [text]}, headers=everything | {"Idempotency-Key": "x"}
    )
    assert named.status_code == 409
    assert rows(database, "recommendations") == 12


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out_of_the_program(client, key, path):
    headers = key("recommendations:read", "orders:read")
    for prefix in ("/static/", "/v1/recommendations/", "/v1/orders/", "/"):
        answer = client.get(f"{prefix}{path}", headers=headers)
        assert answer.status_code in (303, 404, 405)
        assert "root:" not in answer.text
        assert "[project]" not in answer.text


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_in_a_name_is_text_in_the_order_file(client, key, database, text):
    with writing(database) as connection:
        connection.execute(table("facilities").update().values(name=f"{text} Hospital"))
        connection.execute(table("suppliers").update().values(name=text))
        connection.execute(table("products").update().values(code_system="local", code=text))
    headers = key("orders:write")
    assert client.post("/v1/order-exports", json={}, headers=headers | {"Idempotency-Key": "x"}).status_code == 201
    document = client.get("/v1/orders/PGX00000001/document", headers=headers).text
    cells = [cell for line in csv.reader(io.StringIO(document, newline="")) for cell in line]
    assert any(text.strip() in cell for cell in cells)
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []


def test_a_script_in_a_suppliers_note_is_text_on_the_page(client, key, signed_in):
    headers = key("orders:write")
    client.post("/v1/order-exports", json={}, headers=headers | {"Idempotency-Key": "x"})
    script = "<img src=x onerror=alert(1)>"
    note = {"lines": [{"line_number": 1, "status": "accepted", "note": script}]}
    assert client.post("/v1/orders/PGX00000001/acknowledgement", json=note, headers=headers).status_code == 200
    html = signed_in("ben").get("/orders/PGX00000001").text
    assert script not in html
    assert "&lt;img" in html


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "X-HTTP-Method-Override"])
def test_a_header_does_not_change_where_or_how_a_request_goes(client, key, name):
    answer = client.get("/sign-in", headers={name: "https://evil.example/v1/recommendations"})
    assert answer.status_code == 200
    assert "evil.example" not in answer.text + str(answer.headers)


def test_the_server_object_of_a_default_app_permits_nothing_beyond():
    assert ServerSettings().webhook_hosts == frozenset()
    assert ServerSettings().identity_provider is None


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_the_ends_of_the_calendar_are_moments_too(signed_in, moment):
    answer = signed_in("ben").get("/v1/decisions", params={"updated_since": moment})
    assert answer.status_code == 200
