"""The client against the document and a real server; the example as a vendor would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.access.keys import SCOPES, create_api_key
from api.app import create_app
from api.client import Client, Refused, calls
from api.client.client import OPERATIONS
from api.orders.models import AcknowledgedLine
from api.settings import ServerSettings
from tests.api.access.test_access_matrix import MAY
from tests.api.conftest import NOW
from warehouse.engine import writing

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "inventory_system.py"
FOR_ANALYSTS = ("/v1/guideline-releases", "/v1/scenarios")
"""What a key may read and an inventory system has no use for."""

STOCK = {"facility_id": "north", "product_id": "warfarin-1", "counted_at": "2026-11-23T08:00:00Z", "quantity": 280}
DISPENSED = {"facility_id": "north", "product_id": "warfarin-1", "period_start": "2026-11-16", "quantity": 28}
OPEN_ORDER = {"order_id": "PO-1", "facility_id": "north", "product_id": "warfarin-1", "packs": 4}
OPEN_ORDER |= {"ordered_at": "2026-11-20", "expected_at": "2026-11-25"}
RECEIPT = {"order_id": "PO-0", "facility_id": "north", "product_id": "warfarin-1", "packs": 4}
RECEIPT |= {"ordered_at": "2026-11-10", "received_at": "2026-11-12"}


@pytest.fixture
def secret(database):
    with writing(database) as connection:
        return create_api_key(connection, name="stores", scopes=SCOPES, facility_ids=None, expires_at=None, now=NOW)


@pytest.fixture
def url(served, database, clock):
    return served(create_app(database, clock=clock))


@pytest.fixture
def pgx(url, secret):
    with Client(url, secret) as client:
        yield client


def test_the_client_has_a_method_for_every_operation_that_a_key_may_ask(app):
    documented = {f"{verb.upper()} {path}" for path, verbs in app.openapi()["paths"].items() for verb in verbs}
    for_keys = {operation for operation, may in MAY.items() if may is not None and may[1]}
    wanted = {one for one in documented & for_keys if not any(path in one for path in FOR_ANALYSTS)}
    assert set(OPERATIONS.values()) == wanted
    assert [name for name in OPERATIONS if not callable(getattr(Client, name, None))] == []


def test_parameters_of_the_methods_are_those_of_the_document(app):
    import inspect

    paths = app.openapi()["paths"]
    for name, operation in OPERATIONS.items():
        verb, path = operation.split(" ")
        if verb != "GET":
            continue
        documented = {one["name"] for one in paths[path]["get"].get("parameters", [])}
        taken = set(inspect.signature(getattr(Client, name)).parameters) - {"self"}
        assert taken <= documented, name


def test_every_method_works_against_a_server(pgx, secret):
    assert pgx.push_stock([STOCK, STOCK | {"quantity": "many"}]).model_dump(include={"accepted", "rejected"}) == {
        "accepted": 1, "rejected": 1
    }  # fmt: skip
    assert pgx.push_dispensing([DISPENSED]).accepted == 1
    assert pgx.push_open_orders([OPEN_ORDER]).accepted == 1
    assert pgx.push_receipts([RECEIPT]).accepted == 1
    assert [one.quantity for one in pgx.stock(product_id=["warfarin-1"])] == [280]
    assert [one.order_id for one in pgx.open_orders(facility_id=["north"])] == ["PO-1"]
    assert [one.order_id for one in pgx.receipts()] == ["PO-0"]
    assert json.loads(pgx.inventory_report("north"))["resourceType"] == "InventoryReport"
    assert [one.recommendation_id for one in pgx.recommendations()] == ["rec-11", "rec-10"]
    assert pgx.recommendation("rec-10").explanation is not None
    assert list(pgx.comments("rec-10")) == []
    export = pgx.export_orders("monday", account_type="gpo")
    assert pgx.export_orders("monday", account_type="gpo") == export
    assert pgx.order_export(export.export_id) == export
    numbers = [one.order_number for one in export.orders]
    assert sorted(one.order_number for one in pgx.orders()) == sorted(numbers)
    assert pgx.order(numbers[0]).lines[0].acknowledgement is None
    for format in ("csv", "fhir-r4b", "fhir-r5", "x12-850"):
        assert numbers[0] in pgx.order_document(numbers[0], format)
    line = AcknowledgedLine.model_validate({"line_number": 1, "status": "accepted"})
    assert pgx.acknowledge(numbers[0], [line]).lines[0].status == "acknowledged"
    with pytest.raises(Refused, match="422"):
        pgx.acknowledge_x12("ISA")
    assert list(pgx.decisions()) == []
    actions = {one.action for one in pgx.audit_events(actor=f"key:{secret.split('_')[1]}")}
    assert {"stock.push", "recommendation.export", "recommendation.acknowledge"} <= actions
    assert len(list(pgx.forecasts(facility_id=["north"], product_id=["warfarin-1"]))) == 16
    assert {one.gene for one in pgx.prevalence(gene="CYP2C19")} == {"CYP2C19"}
    assert list(pgx.overrides(state="active", drug="warfarin")) == []
    assert {one.kpi for one in pgx.key_figures(weeks=4).items} > {"stockout_rate"}
    assert pgx.value_of_edits().items == []
    with pytest.raises(Refused, match="404: there is no override 1"):
        pgx.override(1)
    assert {one.facility_id for one in pgx.facilities()} == {"north", "south", "clinic"}
    assert len(list(pgx.products())) == 8


def test_a_list_goes_on_over_its_pages(pgx):
    assert len(list(pgx.forecasts())) == 2 * 8 * 16  # more than one page of 100


def test_a_refusal_says_what_the_server_said(pgx, url):
    with pytest.raises(Refused, match="404: there is no order PGX-1") as told:
        pgx.order("PGX-1")
    assert told.value.problem["type"] == "urn:pgx-supply:problem:not-found"
    with Client(url, "pgx_wrong") as other, pytest.raises(Refused) as told:
        list(other.products())
    assert told.value.status == 401


def test_a_busy_server_is_asked_again_and_then_left(served, database, clock, secret, monkeypatch):
    waited = []
    monkeypatch.setattr(calls, "sleep", waited.append)
    url = served(create_app(database, clock=clock, server=ServerSettings(requests_per_minute=1)))
    with Client(url, secret) as pgx:
        list(pgx.facilities())
        with pytest.raises(Refused) as told:
            list(pgx.facilities())
    assert told.value.status == 429
    assert len(waited) == calls.MOST_TRIES - 1
    assert all(1 <= pause <= 60 for pause in waited)  # what Retry-After said


def run_example(url, secret, folder):
    environment = os.environ | {"PGX_SUPPLY_URL": url, "PGX_SUPPLY_KEY": secret}
    command = [sys.executable, str(EXAMPLE), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def test_the_example_pushes_collects_orders_once_and_acknowledges(url, secret, pgx, state):
    told = run_example(url, secret, state)
    assert told[:2] == ["stock: 1 new, 0 known, 0 refused", "approved: 2 lines"]
    assert len([line for line in told if line.endswith("acknowledged")]) == 2
    assert sorted(file.name for file in state.iterdir()) == ["PGX00000001.csv", "PGX00000002.csv"]
    again = run_example(url, secret, state)
    assert again == ["stock: 0 new, 1 known, 0 refused", "approved: 0 lines"]
    assert {line.status for one in pgx.orders() for line in pgx.order(one.order_number).lines} == {"acknowledged"}


def test_the_example_goes_on_where_it_was_stopped_and_orders_nothing_twice(url, secret, pgx, state):
    (state / "export-in-progress").write_text("an-earlier-try")
    pgx.export_orders("an-earlier-try")  # the order was made, the answer lost
    told = run_example(url, secret, state)
    assert told[1] == "approved: 0 lines"
    assert len(list(state.glob("PGX*.csv"))) == 2
    assert len(list(pgx.orders())) == 2
    assert not (state / "export-in-progress").exists()
