"""Every page against WCAG 2.2 A and AA, by axe in a real browser: on a phone and a desk, in light and in dark."""

import pytest

from api.access.accounts import NewUser, create_user
from api.app import create_app
from api.pages.worklist import View
from tests.api.conftest import NOW, PASSWORD
from tests.api.recommendations.test_triage import fill_worklist
from tests.api.releases.test_releases import fill_releases
from tests.api.routes.test_scenarios import keep
from warehouse.engine import writing

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""axe's tags; best-practice holds its rules on landmarks and the order of headings."""

PAGES = {
    # route: the addresses at which it is looked at, each another state of the page
    "/": [
        *("/", "/?q=nothing", "/?status=approved", "/?decided=rec-10", "/?ticked=all", "/?acted=1"),
        *(f"/?show={view}" for view in View),
    ],
    "/routine-rules": ["/routine-rules"],
    "/done": ["/done"],
    "/recommendations/{recommendation_id}": ["/recommendations/rec-01", "/recommendations/rec-10"],
    "/orders": ["/orders"],
    "/orders/{order_number}": ["/orders/PGX00000001"],
    "/releases": ["/releases"],
    "/releases/{release_id}": ["/releases/{release}", "/releases/guidance:test:1"],
    "/scenarios": ["/scenarios"],
    "/scenarios/{scenario_id}": ["/scenarios/{scenario}"],
    "/access": ["/access"],
    "/access/people/{user_id}": ["/access/people/1", "/access/people/5"],
    "/imports": ["/imports", "/imports?show=refused"],
    "/imports/{load_id}": ["/imports/1"],
    "/genetics": ["/genetics", "/genetics?drug=clopidogrel&facility_id=north", "/genetics?drug=unknown"],
    "/overview": ["/overview", "/overview?facility_id=north&weeks=4"],
    "/overrides": ["/overrides", "/overrides?facility_id=north&product_id=ticagrelor-90", "/overrides?state=expired"],
    "/problems": ["/problems", "/problems?show=all"],
    "/sign-in": ["/sign-in"],
}
NOT_PAGES = {
    "/openapi.json": "JSON",
    "/imports/{load_id}/refused.csv": "CSV",
    "/sign-in/provider": "leads on",
    "/sign-in/provider/back": "leads on",
}
REFUSED = ["/recommendations/unknown", "/orders?page=x"]


def routes(app):
    """Paths that a GET reaches and that the API's own description does not name: pages, and what stands beside them."""
    found = []
    for route in app.routes:
        contexts = route.effective_route_contexts() if hasattr(route, "effective_route_contexts") else [route]
        for one in contexts:
            if "GET" in (getattr(one, "methods", None) or ()) and not one.include_in_schema:
                found.append(one.path)
    return set(found)


def test_no_page_is_forgotten(app):
    assert routes(app) == set(PAGES) | set(NOT_PAGES)


@pytest.fixture
def url(served, database, clock):
    return served(create_app(database, clock=clock))


def _open(chromium, url, width, scheme, name):
    """A page of a signed-in person."""
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{url}/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in").click()
    return page


def _said(page, address):
    """What axe finds on the page, a line per element, and nothing when the page keeps every rule."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found = axe.Axe().run(page, options=options).response
    assert found["passes"], f"{address}: axe looked at nothing"
    return [
        f"{address}: {rule['id']}: {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_keeps_every_rule(chromium, url, database, width, scheme):
    _, new, _ = fill_releases(database)
    fill_worklist(database)
    scenario = keep(database)
    page = _open(chromium, url, width, scheme, "root")
    page.goto(f"{url}/orders")
    with page.expect_navigation():
        page.get_by_role("button", name="Order what is approved").click()
    said = _said(page, "an order that was just made")
    addresses = [address.format(release=new, scenario=scenario) for states in PAGES.values() for address in states]
    for address in [*addresses, *REFUSED]:
        page.goto(url + address)
        said += _said(page, address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    assert not said, "\n".join(said)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_without_rows_keeps_every_rule(chromium, served, new_engine, clock, scheme):
    engine = new_engine("sqlite")
    with writing(engine) as connection:
        create_user(connection, NewUser("root", "R", "admin", PASSWORD), now=NOW)
    url = served(create_app(engine, clock=clock))
    page = _open(chromium, url, 390, scheme, "root")
    said = []
    for address in (route for route in PAGES if "{" not in route):
        page.goto(url + address)
        said += _said(page, address)
    assert not said, "\n".join(said)
