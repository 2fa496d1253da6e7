"""How fast the worklist page is with 500 lines: on the server, and until a browser can be used.

    OMP_NUM_THREADS=1 uv run python -m benchmarks.worklist_speed [--lines 500] [--rounds 15] [--a-page 200]

Fills a SQLite database of its own (20 sites, 25 products; every tenth item is put off or somebody's, a rule calls some
routine, some wait for a second approval) and asks for the page in this process (queries, template, bytes) and from
headless Chromium over HTTP (to the end of loading, style sheet and first layout included).
"""

import argparse
import contextlib
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa
from starlette.testclient import TestClient

from api.access.accounts import NewUser, create_user
from api.app import create_app
from api.pages import worklist
from tests.api.conftest import CHROMIUM, NOW, PASSWORD, PRODUCTS, _line, _product, _serving, hidden_token
from warehouse import migrations
from warehouse.engine import create_engine, writing
from warehouse.queries.lines import table
from warehouse.schema.worklist import RoutineRule, WorklistAction

SITES = 20
PATHS = ("/", "/?show=all", "/?show=all&ticked=all", "/?show=routine")


def fill(engine: sa.Engine, lines: int) -> None:
    """Sites, products and proposed lines, and what people did to some."""
    products = -(-lines // SITES)
    facts = list(PRODUCTS.values())
    with writing(engine) as connection:
        sites = [{"facility_id": f"s{n}", "name": f"Hospital {n}", "population": 90e3} for n in range(SITES)]
        connection.execute(sa.insert(table("facilities")), sites)
        suppliers = [{"supplier_id": name, "name": name.title(), "lead_time_days": 2} for name in ("alpha", "beta")]
        connection.execute(sa.insert(table("suppliers")), suppliers)
        known = [_product("warfarin-1", facts[n % len(facts)]) | {"product_id": f"p{n}"} for n in range(products)]
        connection.execute(sa.insert(table("products")), known)
        for name, role in (("ada", "approver"), ("ben", "buyer")):
            create_user(connection, NewUser(name, name, role, PASSWORD), now=NOW)
        rows = [_row(number) for number in range(lines)]
        connection.execute(sa.insert(table("recommendations")), rows)
        by = {"user_id": 2, "acted_at": NOW, "assignee_id": None, "snoozed_until": None, "reason": "ask the ward"}
        done = [
            by
            | {name: row[name] for name in ("facility_id", "product_id", "recommendation_id")}
            | {"order_by_seen": row["order_by"]}
            | ({"kind": "assign", "assignee_id": 1} if n % 2 else {"kind": "snooze", "snoozed_until": NOW.date()})
            for n, row in enumerate(rows[::10])
        ]
        for row in done:
            if row["kind"] == "snooze":
                row["snoozed_until"] = NOW.date() + dt.timedelta(days=2)
        connection.execute(sa.insert(WorklistAction), done)
        rule = {"facility_id": "*", "most_cost": Decimal(60), "currency": "GBP", "most_urgency": 9, "user_id": 1}
        rule |= {"expires_on": NOW.date() + dt.timedelta(days=60), "set_at": NOW}
        connection.execute(sa.insert(RoutineRule), rule)
        first = {"decided_at": NOW, "user_id": 2, "kind": "approve", "version_seen": 1, "status_before": "proposed"}
        first |= {"status_after": "proposed", "packs_before": 6, "packs_after": 6}
        waiting = [first | {"recommendation_id": row["recommendation_id"]} for row in rows if row["version"] == 2]
        connection.execute(sa.insert(table("decisions")), waiting)


def _row(number: int) -> dict[str, object]:
    reason = "stock_out_risk" if number % 3 else "genetic_shift"
    line = _line(1, "s0", list(PRODUCTS)[number % len(PRODUCTS)], 4, number % 5, reason, 0.3, 0.01, 5, 20, "proposed")
    own = {"recommendation_id": f"rec-{number:020d}", "facility_id": f"s{number % SITES}"}
    own |= {"product_id": f"p{number // SITES}", "urgency": float(number % 97), "version": 1 + (number % 25 == 7)}
    return line | own


def on_the_server(app: object, rounds: int) -> dict[str, float]:
    """Milliseconds a page, median, in this process."""
    client = TestClient(app, base_url="http://localhost", follow_redirects=False)
    token = hidden_token(client.get("/sign-in").text)
    client.post("/sign-in", data={"name": "ada", "password": PASSWORD, "csrf_token": token})
    found = {}
    for path in PATHS:
        took = []
        for _ in range(rounds + 2):
            began = time.perf_counter()
            answer = client.get(path)
            took.append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 200
        found[path] = statistics.median(took[2:])
    return found


def in_the_browser(url: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds from the click to an interactive document and to the end of loading, medians."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"{url}/sign-in")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()
        found = {}
        for path in PATHS:
            took = []
            for _ in range(rounds):
                page.goto(url + path)
                timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
                took.append((timing["domInteractive"], timing["loadEventEnd"]))
            found[path] = (statistics.median(t[0] for t in took), statistics.median(t[1] for t in took))
        browser.close()
    return found


@contextlib.contextmanager
def database(lines: int) -> Iterator[sa.Engine]:
    """A filled SQLite database that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'worklist.db'}")
        migrations.upgrade(engine)
        fill(engine, lines)
        yield engine
        engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--a-page", type=int, default=worklist.LINES_A_PAGE, help="lines a page")
    given = parser.parse_args()
    worklist.LINES_A_PAGE = given.a_page
    with database(given.lines) as engine:
        app = create_app(engine, clock=lambda: NOW)
        server = on_the_server(app, given.rounds)
        with _serving(app) as url:
            browser = in_the_browser(url, given.rounds)
    print(f"| page, {given.lines} lines | server ms | interactive ms | loaded ms |\n|---|---|---|---|")  # noqa: T201
    for path in PATHS:
        print(f"| `{path}` | {server[path]:.0f} | {browser[path][0]:.0f} | {browser[path][1]:.0f} |")  # noqa: T201


if __name__ == "__main__":
    main()
