"""Every operation of the API by everybody who can ask: allowed or refused as documented, and no other site's row."""

import pytest
from starlette.testclient import TestClient

from api.access.keys import SCOPES
from tests.api.conftest import signed_in_at

ROLES = ("viewer", "buyer", "approver", "pharmacist", "admin")
DECIDERS = ROLES[1:]
AUDITORS = ACTIVATORS = ROLES[2:]
EVERY_SCOPE = SCOPES
NOBODY = ()

MAY = {
    # operation: (roles, scopes of a key)
    "GET /v1/recommendations": (ROLES, ("recommendations:read",)),
    "GET /v1/recommendations/{recommendation_id}": (ROLES, ("recommendations:read",)),
    "POST /v1/recommendations/{recommendation_id}/decision": (DECIDERS, NOBODY),
    "POST /v1/recommendations/{recommendation_id}/worklist-action": (DECIDERS, NOBODY),
    "GET /v1/recommendations/{recommendation_id}/comments": (ROLES, ("recommendations:read",)),
    "POST /v1/recommendations/{recommendation_id}/comments": (DECIDERS, NOBODY),
    "POST /v1/order-exports": (DECIDERS, ("orders:write",)),
    "GET /v1/order-exports/{export_id}": (ROLES, ("orders:read", "orders:write")),
    "GET /v1/orders": (ROLES, ("orders:read", "orders:write")),
    "GET /v1/orders/{order_number}": (ROLES, ("orders:read", "orders:write")),
    "GET /v1/orders/{order_number}/document": (ROLES, ("orders:read", "orders:write")),
    "POST /v1/orders/{order_number}/acknowledgement": (DECIDERS, ("orders:write",)),
    "POST /v1/x12-acknowledgements": (DECIDERS, ("orders:write",)),
    "GET /v1/decisions": (ROLES, ("recommendations:read",)),
    "GET /v1/audit-events": (AUDITORS, ("audit:read",)),
    "GET /v1/forecasts": (ROLES, ("forecasts:read",)),
    "GET /v1/prevalence": (ROLES, ("forecasts:read",)),
    "GET /v1/guideline-releases": (ROLES, ("forecasts:read",)),
    "GET /v1/guideline-releases/{release_id}": (ROLES, ("forecasts:read",)),
    "GET /v1/guideline-releases/{release_id}/diff": (ROLES, ("forecasts:read",)),
    "GET /v1/guideline-releases/{release_id}/impact": (ROLES, ("forecasts:read",)),
    "POST /v1/guideline-releases/{release_id}/activations": (ACTIVATORS, NOBODY),
    "GET /v1/overrides": (ROLES, ("forecasts:read",)),
    "GET /v1/overrides/value-added": (ROLES, ("forecasts:read",)),
    "GET /v1/overrides/{override_id}": (ROLES, ("forecasts:read",)),
    "POST /v1/overrides": (DECIDERS, NOBODY),
    "POST /v1/overrides/preview": (DECIDERS, NOBODY),
    "POST /v1/overrides/packs-preview": (DECIDERS, NOBODY),
    "POST /v1/overrides/{override_id}/withdrawal": (DECIDERS, NOBODY),
    "GET /v1/kpis": (ROLES, ("recommendations:read",)),
    "GET /v1/facilities": (ROLES, EVERY_SCOPE),
    "GET /v1/products": (ROLES, EVERY_SCOPE),
    "GET /v1/session": (ROLES, NOBODY),
    "POST /v1/stock-snapshots": (NOBODY, ("stock:write",)),
    "POST /v1/dispensing": (NOBODY, ("dispensing:write",)),
    "POST /v1/open-orders": (NOBODY, ("open_orders:write",)),
    "POST /v1/receipts": (NOBODY, ("receipts:write",)),
    "GET /v1/stock-snapshots": (ROLES, ("stock:read", "stock:write")),
    "GET /v1/stock-snapshots/inventory-report": (ROLES, ("stock:read", "stock:write")),
    "GET /v1/open-orders": (ROLES, ("open_orders:read", "open_orders:write")),
    "GET /v1/receipts": (ROLES, ("receipts:read", "receipts:write")),
    "GET /v1/webhooks": (("admin",), NOBODY),
    "POST /v1/webhooks": (("admin",), NOBODY),
    "DELETE /v1/webhooks/{webhook_id}": (("admin",), NOBODY),
    "GET /v1/webhook-deliveries": (("admin",), NOBODY),
    "POST /v1/webhook-deliveries/{delivery_id}/replay": (("admin",), NOBODY),
    "GET /v1/keys": (("admin",), NOBODY),
    "POST /v1/keys": (("admin",), NOBODY),
    "POST /v1/keys/{key_id}/rotation": (("admin",), NOBODY),
    "DELETE /v1/keys/{key_id}": (("admin",), NOBODY),
    "GET /v1/scenarios": (ROLES, ("forecasts:read",)),
    "GET /v1/scenarios/{scenario_id}": (ROLES, ("forecasts:read",)),
    "GET /v1/scenarios/{scenario_id}/lines": (ROLES, ("forecasts:read",)),
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /metrics": None,
}
"""None = anybody, signed in or not."""

SOUTH = {"recommendation_id": "rec-05", "export_id": "exp-00000001", "order_number": "PGX00000001"}
SOUTH |= {"key_id": "0" * 12, "scenario_id": "sc-none", "webhook_id": "wh-1", "delivery_id": 1, "override_id": 1}
RELEASE = {"release_id": "guidance:test:1"}
PUSHED = {"facility_id": "south", "product_id": "warfarin-1", "quantity": 1, "counted_at": "2026-11-23"}
OVERRIDE = {"facility_id": "south", "product_id": "warfarin-1", "kind": "factor", "value": 1.5}
OVERRIDE |= {"starts_on": "2026-11-23", "ends_on": "2026-12-20", "expires_on": "2026-12-20"}
BODIES = {
    "packs-preview": {"recommendation_id": "rec-05", "packs": 30},
    "overrides/preview": OVERRIDE | {"reason_code": "demand_event"},
    "overrides": OVERRIDE | {"reason_code": "demand_event"},
    "withdrawal": {"note": "ward stays shut"},
    "decision": {"kind": "approve", "version": 1},
    "worklist-action": {"kind": "assign", "assignee_id": 2},
    "comments": {"text": "ask the ward"},
    "order-exports": {"recommendation_id": ["rec-05"]},
    "webhooks": {"url": "https://x.example", "event_types": ["recommendation.approved"], "secret_name": "x"},
    "v1/keys": {"name": "x", "scopes": ["stock:read"]},
    "rotation": {},
    "replay": {},
    "activations": {"effective_on": "2026-12-01", "facility_id": ["south"], "reason": "P&T meeting"},
    "acknowledgement": {"lines": [{"line_number": 1, "status": "accepted"}]},
}


def operations(app):
    return [f"{verb.upper()} {path}" for path, verbs in app.openapi()["paths"].items() for verb in verbs]


def ask(caller, operation, headers=None):
    """The answer to a well-formed call about the south site."""
    verb, path = operation.split(" ")
    address = path.format(**SOUTH, **RELEASE)
    if verb == "GET":
        return caller.get(address, headers=headers)
    headers = {"Idempotency-Key": "one", "X-CSRF-Token": getattr(caller, "csrf_token", "")} | (headers or {})
    if verb == "DELETE":
        return caller.delete(address, headers=headers)
    if "x12" in path:
        return caller.post(address, content="ISA", headers=headers | {"Content-Type": "application/edi-x12"})
    body = next((body for name, body in BODIES.items() if address.endswith(name)), {"rows": [PUSHED]})
    return caller.post(address, json=body, headers=headers)


@pytest.fixture
def ordered(app, key):
    """An app in whose database one south line is ordered."""
    client = TestClient(app, base_url="http://localhost")
    headers = key("orders:write") | {"Idempotency-Key": "made-before"}
    made = client.post("/v1/order-exports", json={"supplier_id": ["alpha"]}, headers=headers)
    assert [line["facility_id"] for one in made.json()["orders"] for line in one["lines"]] == ["south"]
    return app


@pytest.fixture
def person(ordered, database):
    """A function: a browser of a person of that role and those sites."""
    return lambda role, sites=None: signed_in_at(ordered, database, role, sites)


def test_the_matrix_names_every_operation(app):
    assert set(operations(app)) == set(MAY)


@pytest.mark.parametrize("role", ROLES)
def test_a_person_of_a_role_may_what_is_documented(person, role):
    browser = person(role)
    for operation, may in MAY.items():
        status = ask(browser, operation).status_code
        assert (status in (401, 403)) == (may is not None and role not in may[0]), (operation, status)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_with_a_scope_may_what_is_documented(ordered, key, scope):
    client, headers = TestClient(ordered, base_url="http://localhost"), key(scope)
    for operation, may in MAY.items():
        status = ask(client, operation, headers).status_code
        assert (status in (401, 403)) == (may is not None and scope not in may[1]), (operation, status)


def test_nobody_is_let_in_without_a_key_or_session(ordered):
    client = TestClient(ordered, base_url="http://localhost")
    for operation, may in MAY.items():
        assert (ask(client, operation).status_code == 401) == (may is not None), operation


def test_who_is_bound_to_another_site_sees_and_changes_nothing_of_this_one(person, ordered, key):
    callers = [(person(role, ["north"]), None) for role in ROLES]
    callers.append((TestClient(ordered, base_url="http://localhost"), key(*SCOPES, sites=["north"])))
    for caller, headers in callers:
        for operation, may in MAY.items():
            answer = ask(caller, operation, headers)
            if may is None or answer.status_code in (401, 403, 422):
                continue
            if "{release_id}" in operation:  # releases are everybody's, where they are in force is not
                assert "south" not in answer.text, operation
                continue
            if "{" in operation or operation in ("POST /v1/order-exports", "POST /v1/overrides/packs-preview"):
                assert answer.status_code in (404, 409), (operation, answer.status_code)
                continue
            assert answer.status_code == 200, operation
            body = answer.json()
            assert body.get("accepted", 0) == 0, operation
            items = body.get("items", [])
            assert not [one for one in items if one.get("facility_id", "north") not in ("north", None)], operation
            assert operation != "GET /v1/orders" or items == []
