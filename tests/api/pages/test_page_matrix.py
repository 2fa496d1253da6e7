"""Every page by every role, and by who is bound to one site: shown or refused as documented, no other site's row."""

import pytest

from tests.api.conftest import signed_in_at
from tests.api.pages.test_accessibility import NOT_PAGES, PAGES, routes
from tests.api.routes.test_scenarios import keep

ROLES = ("viewer", *(pytest.param(one, marks=pytest.mark.slow) for one in ("buyer", "approver", "pharmacist")), "admin")
"""Pages differ between who reads and who administers; the roles between them are asked with the long tests."""
ADMINISTRATORS = {"/access", "/access/people/{user_id}"}
"""Pages for administrators of every site alone."""
WHOLE_NETWORK = {"/imports/{load_id}", "/imports/{load_id}/refused.csv"}
"""Pages for who sees every site."""
SOUTH = {"recommendation_id": "rec-05", "order_number": "PGX00000001", "user_id": 2, "load_id": 1}
RELEASE = {"release_id": "guidance:test:1"}
OF_SOUTH = {"/recommendations/{recommendation_id}", "/orders/{order_number}"}
SHOWN = sorted((set(PAGES) | set(NOT_PAGES)) - {"/openapi.json", "/sign-in/provider", "/sign-in/provider/back"})


def test_the_matrix_names_every_page(app):
    assert routes(app) == set(PAGES) | set(NOT_PAGES)


@pytest.fixture
def ordered(app, signed_in):
    """An app in whose database the south site's line is ordered alone."""
    ben = signed_in("ben")
    headers = {"X-CSRF-Token": ben.csrf_token, "Idempotency-Key": "one"}
    assert ben.post("/v1/order-exports", json={"supplier_id": ["alpha"]}, headers=headers).status_code in (200, 201)
    return app


@pytest.fixture
def address(database):
    """A function: a page's address, about the south site where it is about one."""
    names = SOUTH | RELEASE | {"scenario_id": keep(database)}
    return lambda route: route.format(**names)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_what_is_documented(ordered, database, address, role):
    browser = signed_in_at(ordered, database, role, None)
    for route in SHOWN:
        status = browser.get(address(route)).status_code
        assert status == (403 if route in ADMINISTRATORS and role != "admin" else 200), (route, status)


@pytest.mark.parametrize("role", ROLES)
def test_who_is_bound_to_another_site_sees_nothing_of_this_one(ordered, database, address, role):
    browser = signed_in_at(ordered, database, role, ["north"])
    for route in SHOWN:
        answer = browser.get(address(route))
        wanted = 403 if route in ADMINISTRATORS | WHOLE_NETWORK else 404 if route in OF_SOUTH else 200
        assert answer.status_code == wanted, (route, answer.status_code)
        assert "South Infirmary" not in answer.text, route
        assert "PGX00000001" not in answer.text or route in OF_SOUTH, route


def test_nobody_sees_a_page_without_signing_in(ordered, client, address):
    for route in SHOWN:
        answer = client.get(address(route))
        assert (answer.status_code == 200) == (route == "/sign-in"), route
        assert route == "/sign-in" or answer.headers["location"].startswith("/sign-in"), route
