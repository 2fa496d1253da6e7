"""What every request can rely on: problems told in one form, headers, bounds, pages of lists, no leaks."""

import base64
import json

import httpx2
import pytest
import sqlalchemy as sa

from api.app import create_app
from warehouse.engine import writing
from warehouse.queries.lines import table

EVERYTHING = ("recommendations:read", "forecasts:read", "stock:write")


def numbers(value):
    """Every number of a JSON value with the name it stands under."""
    for name, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict | list):
            yield from numbers(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield name, one


def test_systems_see_only_what_may_be_ordered_unless_they_ask(client, key):
    headers = key("recommendations:read")
    assert {one["status"] for one in client.get("/v1/recommendations", headers=headers).json()["items"]} == {
        "approved",
        "modified",
    }
    asked = client.get("/v1/recommendations?status=rejected&status=proposed", headers=headers).json()["items"]
    assert {one["status"] for one in asked} == {"rejected", "proposed"}


def test_amounts_are_exact_and_units_are_named(client, key):
    body = client.get("/v1/recommendations?status=proposed&product_id=ticagrelor-90", headers=key(*EVERYTHING)).json()
    (line,) = body["items"]
    assert (line["packs"], line["quantity"], line["cost"], line["currency"]) == (12, "672", "655.2", "GBP")
    assert body["units"]["packs"] == "packs"
    assert body["units"]["quantity"] == "dose units"
    assert line["updated_at"].endswith("Z")


@pytest.mark.parametrize("sort", ["urgency", "order_by", "updated_at"])
@pytest.mark.parametrize("limit", [1, 4, 9, 500])
def test_pages_hold_each_line_once_in_order(client, key, sort, limit):
    headers, cursor, seen = key("recommendations:read"), "", []
    while cursor is not None:
        query = {"status": "proposed", "sort": sort, "limit": limit} | ({"cursor": cursor} if cursor else {})
        body = client.get("/v1/recommendations", params=query, headers=headers).json()
        seen += body["items"]
        cursor = body["next_cursor"]
    assert len({one["recommendation_id"] for one in seen}) == len(seen) == 9
    if sort != "urgency":
        assert [one[sort] for one in seen] == sorted(one[sort] for one in seen)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("facility_id=south", {5, 6, 7}),
        ("facility_id=south&facility_id=clinic", {5, 6, 7, 8, 9}),
        ("supplier_id=beta", {6, 7, 8}),
        ("reason=genetic_shift", {1, 4}),
        ("order_by_before=2026-11-23", {1}),
        ("updated_since=2026-11-23T06:08:00Z", {8, 9}),
        ("updated_since=2026-11-23T08:08:00%2B02:00", {8, 9}),
        ("product_id=' OR '1'='1", set()),
        ("facility_id=north'; DROP TABLE recommendations;--", set()),
    ],
)
def test_filters_leave_the_lines_they_name(client, key, query, expected):
    answer = client.get(f"/v1/recommendations?status=proposed&{query}", headers=key("recommendations:read"))
    assert {int(one["recommendation_id"][-2:]) for one in answer.json()["items"]} == expected


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/recommendations?colour=red", "colour"),
        ("/v1/recommendations?status=open", "status.0"),
        ("/v1/recommendations?limit=501", "limit"),
        ("/v1/recommendations?limit=1&limit=2", "limit"),
        ("/v1/recommendations?cursor=nonsense", "cursor"),
        ("/v1/recommendations/rec-01?x=1", "x"),
        ("/v1/forecasts?as_of=yesterday", "as_of"),
        ("/v1/prevalence?genes=CYP2D6", "genes"),
        ("/v1/facilities?limit=0", "limit"),
        ("/v1/session?x=1", "x"),
        ("/healthz?x=1", "x"),
    ],
)
def test_a_parameter_that_is_unknown_or_wrong_is_refused_by_name(client, key, path, field):
    answer = client.get(path, headers=key(*EVERYTHING))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [one["field"] for one in answer.json()["errors"]]


def test_a_cursor_of_another_sort_or_with_foreign_values_is_refused(client, key):
    headers = key(*EVERYTHING)
    first = client.get("/v1/recommendations?status=proposed&limit=1", headers=headers).json()["next_cursor"]
    assert client.get(f"/v1/recommendations?sort=order_by&cursor={first}", headers=headers).status_code == 422
    for values in ({"urgency": True, "recommendation_id": "x"}, {"urgency": 1.0, "recommendation_id": "\x00"}, [1], 7):
        forged = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
        assert client.get(f"/v1/recommendations?cursor={forged}", headers=headers).status_code == 422


def test_other_errors_are_problems_too(client, key):
    assert client.get("/v1/nothing").json()["status"] == 404
    wrong = client.delete("/v1/recommendations")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in wrong.headers["allow"]
    assert client.get("/v1/products%00").status_code == 422
    assert client.get("/v1/recommendations?reason=%00").status_code == 422
    text = client.post("/v1/stock-snapshots", content="rows", headers=key(*EVERYTHING) | {"Content-Type": "text/csv"})
    assert text.status_code == 415
    broken = client.post(
        "/v1/stock-snapshots", content="{", headers=key(*EVERYTHING) | {"Content-Type": "application/json"}
    )
    assert (broken.status_code, broken.json()["errors"]) == (422, [{"field": "body", "reason": "is not JSON"}])
    page = client.get("/nothing", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_a_body_over_the_bound_is_refused_with_and_without_a_stated_length(database, served, clock):
    url = served(create_app(database, clock=clock, max_body_bytes=1000))
    headers = {"Content-Type": "application/json"}
    stated = httpx2.post(f"{url}/v1/stock-snapshots", content=b"x" * 1001, headers=headers)
    chunked = httpx2.post(f"{url}/v1/stock-snapshots", content=(b"x" * 600 for _ in range(3)), headers=headers)
    assert [stated.status_code, chunked.status_code] == [413, 413]
    assert stated.json()["max_bytes"] == 1000


def test_every_answer_carries_the_security_headers(client, signed_in):
    for answer in (
        client.get("/sign-in"),
        client.get("/v1/nothing"),
        signed_in("ben").get("/"),
        client.get("/healthz"),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 16
        assert "strict-transport-security" not in answer.headers


def test_https_is_kept_once_it_was_used(app):
    from starlette.testclient import TestClient

    assert "max-age" in TestClient(app, base_url="https://x").get("/healthz").headers["strict-transport-security"]


def test_a_fault_of_ours_tells_nothing_and_is_logged(app, client, caplog):
    @app.get("/v1/fault")
    def fault():
        raise RuntimeError("the secret is swordfish")

    answer = client.get("/v1/fault")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["request_id"] in caplog.text


def test_a_script_in_a_note_or_a_search_is_shown_as_text(signed_in):
    ben = signed_in("ben")
    script = "<script>alert('x')</script>"
    form = {"kind": "approve", "version": 1, "csrf_token": ben.csrf_token, "note": script}
    assert ben.post("/recommendations/rec-02/decision", data=form).status_code == 303
    for path in ("/recommendations/rec-02", f"/?q={script}"):
        html = ben.get(path).text
        assert script not in html
        assert "&lt;script&gt;" in html


def test_no_page_has_script_or_inline_style(signed_in):
    ben = signed_in("ben")
    for path in ("/", "/recommendations/rec-01", "/problems"):
        html = ben.get(path).text
        assert "<script" not in html
        assert "style=" not in html
        assert " onclick" not in html


def test_a_broken_rule_on_a_page_keeps_what_was_typed(signed_in):
    ben = signed_in("ben")
    form = {"kind": "modify", "packs": "13", "reason_code": "storage", "note": "full", "version": 1}
    answer = ben.post("/recommendations/rec-01/decision", data=form | {"csrf_token": ben.csrf_token})
    assert answer.status_code == 422
    assert "multiple of 2 packs" in answer.text
    assert 'value="13"' in answer.text
    assert 'value="storage" selected' in answer.text


def test_the_worklist_says_what_to_do_when_it_is_empty(signed_in, database):
    ben = signed_in("ben")
    assert "No line matches" in ben.get("/?q=nothing").text
    with writing(database) as connection:
        lines = table("recommendations")
        connection.execute(lines.update().values(status="approved"))
    assert "Nothing left to decide" in ben.get("/").text


def test_the_worklist_is_in_order_of_urgency_and_counts_what_is_late(signed_in):
    html = signed_in("ben").get("/").text
    assert html.index("ticagrelor 90 mg") < html.index("clopidogrel 75 mg") < html.index("warfarin 5 mg")
    assert "1,401.50 GBP + 1 line without price" in html


def test_prevalence_holds_shares_and_no_number_of_people(client, key):
    body = client.get("/v1/prevalence", headers=key("forecasts:read")).json()
    assert "no smaller number of people can be worked out" in body["small_cell_note"]
    assert len(body["items"]) == 6
    assert all(0 <= value <= 1 for name, value in numbers(body["items"]))
    assert not {"count", "tested", "effective_n", "patients"} & set(body["items"][0])
    assert {one["evidence"] for one in body["items"] if one["facility_id"] == "south"} == {"thin"}


def test_no_answer_of_the_api_has_a_field_for_people(app):
    fields = set()
    for schema in app.openapi()["components"]["schemas"].values():
        fields |= set(schema.get("properties", {}))
    assert not fields & {"count", "tested", "patients", "population", "effective_n", "n_subjects"}


def test_forecasts_add_up_and_default_to_the_newest_origin(client, key):
    body = client.get("/v1/forecasts?facility_id=north&product_id=ticagrelor-90", headers=key(*EVERYTHING)).json()
    assert len(body["items"]) == 16
    for one in body["items"]:
        assert one["mean"] == pytest.approx(one["baseline_mean"] + one["genetic_shift"])
        assert one["p10"] <= one["p50"] <= one["p90"]
    older = client.get("/v1/forecasts?as_of=2026-01-01", headers=key(*EVERYTHING)).json()
    assert older["items"] == []


def test_the_openapi_document_has_every_refusal(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, told in methods.items():
            if path.startswith("/v1"):
                assert {"401", "422", "500"} <= set(told["responses"]), (path, method)
    decision = paths["/v1/recommendations/{recommendation_id}/decision"]["post"]["responses"]
    assert {"403", "404", "409", "413", "415"} <= set(decision)


def test_health_tells_alive_and_ready_apart(client, database):
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    with writing(database) as connection:
        connection.execute(sa.text("DELETE FROM alembic_version"))
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503


@pytest.mark.parametrize("query", ["order_by_before=20000", "updated_since=1700000000", "updated_since=1700000000.5"])
def test_a_bare_number_is_not_a_day(client, key, query):
    answer = client.get(f"/v1/recommendations?{query}", headers=key("recommendations:read"))
    assert answer.status_code == 422
    assert "2026-11-23" in answer.json()["errors"][0]["reason"]


def test_a_body_that_is_no_text_is_a_problem_that_is_described(client, key):
    headers = key("stock:write") | {"Content-Type": "application/json"}
    answer = client.post("/v1/stock-snapshots", content=b"\xff\xfe{", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"
