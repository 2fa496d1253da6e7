"""A small network to test against: three sites, eight products, twelve lines, people of every role, keys."""

import contextlib
import dataclasses
import datetime as dt
import json
import math
import re
import shutil
import socket
import threading
import time
from decimal import Decimal

import argon2
import httpx2
import pytest
import sqlalchemy as sa
import uvicorn
from starlette.testclient import TestClient

from api.access import sign_in
from api.access.accounts import NewUser, create_user
from api.access.keys import create_api_key
from api.app import create_app
from warehouse.engine import create_engine, writing
from warehouse.schema import Base

NOW = dt.datetime.fromisoformat("2026-11-23T09:00")
AS_OF = dt.date(2026, 11, 23)
PASSWORD = "correct horse battery"

PRODUCTS = {
    # product_id: drug, mg, form, pack size, price, minimum, multiple, use per week at the north site, genetic shift
    "clopidogrel-75": ("clopidogrel", 75, "tablet", 28, "3.60", None, None, 620, -0.16),
    "ticagrelor-90": ("ticagrelor", 90, "tablet", 56, "54.60", 4, 2, 410, 0.22),
    "prasugrel-10": ("prasugrel", 10, "tablet", 28, "12.10", None, None, 90, 0.18),
    "warfarin-1": ("warfarin", 1, "tablet", 28, "0.84", None, 10, 900, 0.05),
    "warfarin-5": ("warfarin", 5, "tablet", 28, "0.98", None, 10, 300, -0.07),
    "capecitabine-500": ("capecitabine", 500, "tablet", 120, "31.50", None, None, 480, -0.02),
    "ondansetron-inj": ("ondansetron", 4, "ampoule", 5, "4.25", None, None, 160, 0.01),
    "voriconazole-oral": ("voriconazole", 40, "oral suspension", 70, None, None, None, 55, -0.09),
}
LINES = [
    # number, site, product, packs, order by (days from now), reason, risk before, after, days before, after, status
    (1, "north", "ticagrelor-90", 12, -1, "genetic_shift", 0.46, 0.02, 3, 24, "proposed"),
    (2, "north", "clopidogrel-75", 40, 0, "stock_out_risk", 0.31, 0.008, 5, 19, "proposed"),
    (3, "north", "warfarin-1", 60, 0, "stock_out_risk", 0.22, 0.01, 7, 21, "proposed"),
    (4, "north", "prasugrel-10", 6, 3, "genetic_shift", 0.12, 0.01, 9, 25, "proposed"),
    (5, "south", "clopidogrel-75", 25, 0, "stock_out_risk", 0.27, 0.01, 6, 20, "proposed"),
    (6, "south", "capecitabine-500", 8, 3, "guideline_change", 0.09, 0.004, 11, 28, "proposed"),
    (7, "south", "ondansetron-inj", 30, 3, "shortage", 0.18, 0.07, 8, 17, "proposed"),
    (8, "clinic", "voriconazole-oral", 3, 5, "launch", 0.05, 0.0, None, None, "proposed"),
    (9, "clinic", "warfarin-5", 10, 5, "par_change", 0.04, 0.0, 14, 30, "proposed"),
    (10, "north", "ondansetron-inj", 12, 0, "stock_out_risk", 0.2, 0.01, 6, 18, "approved"),
    (11, "south", "warfarin-5", 20, 0, "stock_out_risk", 0.2, 0.01, 6, 18, "modified"),
    (12, "north", "voriconazole-oral", 2, 0, "expiry", 0.02, 0.0, 12, 40, "rejected"),
]
USERS = {
    # name: role, sites
    "vera": ("viewer", None),
    "ben": ("buyer", None),
    "ada": ("approver", None),
    "nora": ("buyer", ["north"]),
    "root": ("admin", None),
}
ARGON2_FOR_TESTS = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclasses.dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now: dt.datetime = NOW

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch):
    # the real cost is tested on its own; here every sign-in would wait for it
    monkeypatch.setattr(sign_in, "_HASHER", ARGON2_FOR_TESTS)
    monkeypatch.setattr(sign_in, "_HASH_OF_NOBODY", ARGON2_FOR_TESTS.hash("nobody"))


@pytest.fixture(scope="session")
def filled(sqlite_template, tmp_path_factory):
    """A filled SQLite file that each test copies."""
    file = tmp_path_factory.mktemp("filled") / "pgx.db"
    shutil.copy(sqlite_template, file)
    engine = create_engine(f"sqlite:///{file}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sign_in, "_HASHER", ARGON2_FOR_TESTS)
        fill(engine)
    engine.dispose()
    return file


@pytest.fixture
def database(filled, tmp_path):
    """An engine over a filled SQLite file."""
    shutil.copy(filled, tmp_path / "api.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'api.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def each_database(engine):
    """The same on both kinds of database."""
    fill(engine)
    return engine


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def app(database, clock):
    return create_app(database, clock=clock)


@pytest.fixture
def client(app):
    """A browser that has not signed in; plain http on localhost, so cookies are not Secure."""
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


@pytest.fixture
def signed_in(app):
    """A function: a browser in which that person is signed in, with `csrf_token` set on it."""

    def sign_in(name):
        browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
        token = hidden_token(browser.get("/sign-in").text)
        answer = browser.post("/sign-in", data={"name": name, "password": PASSWORD, "csrf_token": token})
        assert answer.status_code == 303, answer.text
        browser.csrf_token = browser.get("/v1/session").json()["csrf_token"]
        return browser

    return sign_in


@pytest.fixture
def key(database):
    """A function: headers with a new key of these scopes and sites."""

    def make(*scopes, sites=None, expires_at=None):
        with writing(database) as connection:
            text = create_api_key(
                connection, name="robot", scopes=scopes, facility_ids=sites, expires_at=expires_at, now=NOW
            )
        return {"Authorization": f"Bearer {text}"}

    return make


@pytest.fixture
def served():
    """A function: the base URL of an app served over real HTTP until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(_serving(app))


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"{CHROMIUM} is not here")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def hidden():
    return hidden_token


@contextlib.contextmanager
def _serving(app):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        url = f"http://localhost:{listener.getsockname()[1]}"
        assert httpx2.get(f"{url}/healthz").status_code == 200
        yield url
        server.should_exit = True
        thread.join(10)


def signed_in_at(app, engine, role, sites):
    """A browser of a new person of that role and those sites (None = all)."""
    name = f"{role}-{'all' if sites is None else '-'.join(sites)}"
    with writing(engine) as connection:
        create_user(connection, NewUser(name, name, role, PASSWORD, sites), now=NOW)
    browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
    token = hidden_token(browser.get("/sign-in").text)
    browser.post("/sign-in", data={"name": name, "password": PASSWORD, "csrf_token": token})
    browser.csrf_token = browser.get("/v1/session").json()["csrf_token"]
    return browser


def hidden_token(html):
    """The token of a page's first form."""
    return re.search(r'name="csrf_token" value="([^"]+)"', html)[1]


def fill(engine):
    """Put the network into a migrated database."""
    tables = Base.metadata.tables
    with writing(engine) as connection:
        for name, rows in network().items():
            connection.execute(sa.insert(tables[name]), rows)
        for name, (role, sites) in USERS.items():
            create_user(connection, NewUser(name, name.capitalize(), role, PASSWORD, sites), now=NOW)


def network():
    """Rows by table, in an order that foreign keys allow."""
    sites = [("north", "North General Hospital", 210e3), ("south", "South Infirmary", 90e3), ("clinic", "Clinic", 9e3)]
    return {
        "facilities": [{"facility_id": one, "name": name, "population": size} for one, name, size in sites],
        "suppliers": [
            {"supplier_id": "alpha", "name": "Alpha Wholesale", "lead_time_days": 2},
            {"supplier_id": "beta", "name": "Beta Direct", "lead_time_days": 6},
        ],
        "products": [_product(*one) for one in PRODUCTS.items()],
        "content_releases": [_release()],
        "guidance": [_guidance()],
        "runs": [_run()],
        "site_releases": [_site_release(site) for site, _, _ in sites],
        "recommendations": [_line(*one) for one in LINES],
        "explanations": [_explanation(*one) for one in LINES],
        "forecasts": [row for site, _, _ in sites[:2] for row in _forecasts(site)],
        "clean_demand": [row for site, _, _ in sites[:2] for row in _history(site)],
        "genetic_shifts": _shifts(),
        "prevalence": _prevalence(),
        "stock": [
            {"facility_id": site, "product_id": "clopidogrel-75", "counted_at": NOW - dt.timedelta(days=age, hours=3)}
            | {"lot": "", "quantity": 440.0, "status": "available"}
            for site, age in (("north", 0), ("south", 6))
        ],
        "problems": [
            _problem(1, "south", "stock_too_old", "Stock of South Infirmary was counted 6 days ago: count it again."),
            _problem(2, None, "price_unknown", "voriconazole 40 mg has no pack price: its lines have no cost."),
        ],
        "loads": [
            {"file": "products.csv", "format": "bundle", "sha256": "0" * 64, "table_name": "products", "accepted": 8}
            | {
                "unchanged": 0,
                "rejected": 1,
                "notes": "unknown column: shelf",
                "loaded_at": NOW - dt.timedelta(hours=5),
            }
        ],
    }


def _supplier(product_id):
    return "beta" if PRODUCTS[product_id][0] in ("capecitabine", "voriconazole", "ondansetron") else "alpha"


def _product(product_id, facts):
    drug, strength, form, size, price, minimum, multiple, _, _ = facts
    return {
        "product_id": product_id,
        "drug": drug,
        "strength_value": strength,
        "strength_unit": "mg",
        "dose_form": form,
        "pack_size": Decimal(size),
        "pack_price": price and Decimal(price),
        "currency": "GBP",
        "supplier_id": _supplier(product_id),
        "minimum_order_packs": minimum,
        "order_multiple_packs": multiple,
    }


def _run():
    return {
        "run_id": "run-1",
        "as_of": AS_OF,
        "period": "week",
        "horizon": 16,
        "with_genetics": True,
        "seed": 1,
        "draws": 500,
        "releases": json.dumps({"*": {"guidance": "guidance:test:1"}}),
        "inputs_sha256": "0" * 64,
        "software_version": "0.1.0",
        "started_at": NOW - dt.timedelta(hours=3),
        "finished_at": NOW - dt.timedelta(hours=3, minutes=-4),
    }


def _release():
    return {"release_id": "guidance:test:1", "kind": "guidance", "publisher": "test", "version": "1"} | {
        "sha256": "0" * 64,
        "rows": 1,
        "column_types": json.dumps(
            {name: _column_type(value) for name, value in _guidance().items() if name != "release_id"}
        ),
        "loaded_at": NOW,
    }


def _column_type(value):
    return ["int64" if isinstance(value, int) else "object", True]


def _site_release(site):
    known = {"as_of": AS_OF, "facility_id": site, "kind": "guidance", "effective_on": dt.date(1900, 1, 1)}
    return known | {"release_id": "guidance:test:1", "in_force": True}


def _guidance():
    return {
        "release_id": "guidance:test:1",
        "recommendation_id": "g-1",
        "source": "CPIC",
        "guideline_id": "clopidogrel-and-CYP2C19",
        "version": "7",
        "year": 2022,
        "pmid": "35034351",
        "drug": "clopidogrel",
        "population": "CVI ACS PCI",
        "gene_1": "CYP2C19",
        "lookup_key_1": "Poor Metabolizer",
        "action": "alternative",
        "alternatives": "ticagrelor;prasugrel",
        "strength": "Strong",
    }


def _identifier(number):
    return f"rec-{number:02d}"


def _line(number, site, product_id, packs, days, reason, before, after, had, has, status):
    size, price = PRODUCTS[product_id][3], PRODUCTS[product_id][4]
    return {
        "recommendation_id": _identifier(number),
        "as_of": AS_OF,
        "facility_id": site,
        "product_id": product_id,
        "supplier_id": _supplier(product_id),
        "packs": packs,
        "quantity": Decimal(packs * size),
        "cost": price and packs * Decimal(price),
        "currency": "GBP" if price else None,
        "order_by": AS_OF + dt.timedelta(days=days),
        "need_by": AS_OF + dt.timedelta(days=days + 4),
        "reason": reason,
        "stockout_probability_before": before,
        "stockout_probability_after": after,
        "expected_waste": 0.4,
        "days_on_hand_before": had,
        "days_on_hand_after": has,
        "urgency": before * 10 + (5 if days < 0 else 0),
        "status": status,
        "version": 1,
        "updated_at": NOW - dt.timedelta(hours=3) + dt.timedelta(minutes=number),
    }


def _explanation(number, site, product_id, packs, *_):
    size = PRODUCTS[product_id][3]
    demand, usable = packs * size + 85, 90

    def given(name, value, unit, source, age_days=None, **about):
        return {"name": name, "value": str(value), "unit": unit, "source": source, "age_days": age_days} | about

    def step(name, operation, operands, value, unit="dose units"):
        return {"name": name, "operation": operation, "operands": operands, "value": str(value), "unit": unit}

    document = {
        "version": 1,
        "as_of": AS_OF.isoformat(),
        "rules": {"rounding": "up/1"},
        "inputs": [
            given("baseline_demand", demand - 12, "dose units", "baseline forecast"),
            given("genetic_shift_1", 12, "dose units", "genetic step", gene="CYP2C19", lookup_key="Poor Metabolizer"),
            given("stock_on_hand", usable, "dose units", "stock count", 1),
            given("pack_size", size, "dose units per pack", "product"),
        ],
        "samples": [],
        "steps": [
            step("expected_demand", "sum", ["baseline_demand", "genetic_shift_1"], demand),
            step("net_need", "difference", ["expected_demand", "stock_on_hand"], demand - usable),
            step("packs", "round_up_to_packs", ["net_need", "pack_size"], packs, "packs"),
            step("quantity", "product", ["packs", "pack_size"], packs * size),
        ],
        "outlook": [],
        "not_counted": [],
        "result": {"packs": packs},
    }
    paragraph = (
        f"Order {packs} packs of {PRODUCTS[product_id][0]}: {demand} dose units are expected until the next order "
        f"can arrive, 12 of them from genotype-guided prescribing, and {usable} are in stock."
    )
    row = {"recommendation_id": _identifier(number), "run_id": "run-1"}
    return row | {"document": json.dumps(document), "paragraph": paragraph}


def _forecasts(site):
    rows = []
    for product_id, facts in PRODUCTS.items():
        for week in range(16):
            base = facts[7] * (1 + 0.05 * math.sin(week / 3)) * (1 if site == "north" else 0.45)
            shift = base * facts[8] * min(week / 10, 1)
            mean, spread = base + shift, base * (0.07 + 0.005 * week)
            levels = {"p025": -1.96, "p05": -1.64, "p10": -1.28, "p25": -0.67, "p50": 0}
            levels |= {"p75": 0.67, "p90": 1.28, "p95": 1.64, "p975": 1.96}
            rows.append(
                {"as_of": AS_OF, "facility_id": site, "product_id": product_id, "model": "pool"}
                | {"period_start": AS_OF + dt.timedelta(weeks=week), "mean": mean, "baseline_mean": base}
                | {"genetic_shift": shift}
                | {name: max(mean + z * spread, 0) for name, z in levels.items()}
            )
    return rows


def _history(site):
    return [
        {"as_of": AS_OF, "facility_id": site, "product_id": product_id}
        | {"period_start": AS_OF - dt.timedelta(weeks=week)}
        | {
            "quantity": None
            if week == 21
            else facts[7] * (1 + 0.11 * math.sin(week * 2.3)) * (1 if site == "north" else 0.45)
        }
        for product_id, facts in PRODUCTS.items()
        for week in range(1, 61)
    ]


def _shifts():
    return [
        {"as_of": AS_OF, "facility_id": site, "product_id": product_id, "drug": "clopidogrel", "gene": "CYP2C19"}
        | {"recommendation_id": "g-1", "lookup_key": "Poor Metabolizer", "prevalence": 0.0241}
        | {"exposure_at_origin": 0.08, "exposure_planned": 0.36, "quantity": quantity}
        for site in ("north", "south")
        for product_id, quantity in (("clopidogrel-75", -410.2), ("ticagrelor-90", 352.8), ("prasugrel-10", 70.0))
    ]


def _prevalence():
    results = [("Poor Metabolizer", 0.02413579, 0.0187, 0.0304), ("Normal Metabolizer", 0.4, 0.36, 0.44)]
    return [
        {"as_of": AS_OF, "facility_id": site, "gene": "CYP2C19", "result_type": "lookup_key", "result": result}
        | {"biogeographic_group": "*", "ancestry_share": 1.0}
        | {"mean": mean, "low": low, "high": high, "effective_n": size, "share_published": 0.63, "share_counts": 0.37}
        for site, size in (("north", 640.0), ("south", 7.0), ("*", 1500.0))
        for result, mean, low, high in results
    ]


def _problem(number, site, rule, message):
    return {"as_of": AS_OF, "stage": "inputs", "asset": "stock_position", "number": number} | {
        "facility_id": site,
        "subject": None,
        "rule": rule,
        "message": message,
    }
