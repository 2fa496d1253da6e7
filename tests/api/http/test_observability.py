"""What an operator sees: a line per request that can be followed, counts, and nothing secret in either."""

import io
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from api import settings as server_settings
from api.access.keys import create_api_key
from api.cli.main import cli
from api.http.observability import log_as_json
from api.settings import OIDC_NAMES, ServerSettings
from forecasting.errors import InvalidInput
from tests.api.conftest import NOW, fill
from warehouse import settings, writer_settings
from warehouse.engine import writing
from warehouse.queries.lines import table

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def lines():
    """A function: the JSON lines that were logged since."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    log_as_json(stream=written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_request_is_one_json_line_with_the_id_that_the_caller_got(client, key, lines):
    headers = key("recommendations:read")
    answer = client.get("/v1/recommendations/rec-02?secret=swordfish", headers=headers)
    client.get("/healthz")
    (line,) = [one for one in lines() if one["logger"] == "pgx_supply.access"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/recommendations/{recommendation_id}", 422)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert line["milliseconds"] >= 0
    assert "swordfish" not in str(line)


def test_no_secret_reaches_a_log_whatever_goes_wrong(app, client, key, signed_in, hidden, lines):
    headers = key("stock:write")
    token = headers["Authorization"]
    browser = signed_in("ben")
    page = client.get("/sign-in")
    form = {"name": "ben", "password": "my old password", "csrf_token": hidden(page.text)}
    client.post("/sign-in", data=form)
    client.get("/v1/products", headers={"Authorization": token[:-1]})
    client.post("/v1/stock-snapshots", content="{", headers=headers | {"Content-Type": "application/json"})

    @app.post("/v1/fault")
    def fault():
        raise RuntimeError("broken")

    client.post("/v1/fault", json={"note": "in the body"}, headers=headers)
    text = json.dumps(lines())
    assert "RuntimeError" in text
    secrets = [
        token.split("_", 2)[2],
        browser.cookies["pgx_session"],
        browser.csrf_token,
        "old password",
        "in the body",
    ]
    assert [one for one in secrets if one in text] == []


def test_metrics_count_by_declared_route_and_show_what_is_stuck(client, key, database):
    headers = key("recommendations:read")
    for number in (2, 3):
        client.get(f"/v1/recommendations/rec-{number:02d}", headers=headers)
    client.get("/v1/recommendations/rec-02")
    client.get("/no/such/path")
    row = {"webhook_id": "wh-1", "url": "https://x.example", "event_types": "recommendation.approved"}
    row |= {"secret_name": "x", "active": True, "created_at": NOW, "created_by": "user:1"}
    dead = {"webhook_id": "wh-1", "event_id": "e", "event_type": "recommendation.approved", "body": "{}"}
    dead |= {"status": "dead", "tries": 12, "next_try_at": NOW, "created_at": NOW}
    with writing(database) as connection:
        connection.execute(sa.insert(table("webhooks")).values(row))
        connection.execute(sa.insert(table("webhook_deliveries")).values(dead))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, *(sample.labels.get(name) for name in ("route", "status"))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    route = "/v1/recommendations/{recommendation_id}"
    assert found["pgx_requests_total", route, "200"] == 2
    assert found["pgx_requests_total", route, "401"] == 1
    assert found["pgx_request_seconds_count", route, None] == 3
    assert found["pgx_webhook_deliveries", None, "dead"] == 1
    assert found["pgx_webhook_deliveries", None, "waiting"] == 0
    assert "rec-02" not in answer.text
    assert "/no/such" not in answer.text


def test_config_shows_what_counts_and_no_secret():
    environment = {
        "PGX_SUPPLY_DATABASE_URL": "postgresql+psycopg://me:swordfish@db/pgx",
        "PGX_SUPPLY_WEBHOOK_HOSTS": "stores.example",
        "PGX_SUPPLY_WEBHOOK_SECRET_STORES": "whsec_" + "c3dvcmRmaXNo" * 4,
        "PGX_SUPPLY_SECOND_APPROVAL_ABOVE": "5000",
    }
    done = CliRunner().invoke(cli, ["config"], env=environment)
    assert done.exit_code == 0
    for shown in ("me:***@db", "stores.example", "5000"):
        assert shown in done.output
    assert "swordfish" not in done.output
    assert "c3dvcmRmaXNo" not in done.output
    wrong = CliRunner().invoke(cli, ["config"], env={"PGX_SUPPLY_LOG_LEVEL": "LOUD"})
    assert isinstance(wrong.exception, InvalidInput)


def test_every_setting_is_documented_and_shown():
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    names = {
        value
        for module in (settings, server_settings, writer_settings)
        for value in vars(module).values()
        if _is_variable(value)
    }
    names |= {f"PGX_SUPPLY_OIDC_{name}" for name in OIDC_NAMES}
    assert len(names) >= 15
    assert [name for name in sorted(names) if f"`{name}" not in text] == []
    shown = ServerSettings().redacted()
    hidden_inside = {"approvals": "second_approval_above"}
    fields = [hidden_inside.get(name, name) for name in ServerSettings.__dataclass_fields__]
    assert [name for name in fields if name not in shown] == []


def _is_variable(value):
    return isinstance(value, str) and re.fullmatch(r"PGX_SUPPLY_[A-Z0-9_]*[A-Z0-9]", value) is not None


def test_the_example_units_name_commands_that_exist():
    for name in ("pgx-supply.service", "Containerfile"):
        text = (DOCS / "operations" / name).read_text(encoding="utf-8")
        asked = re.findall(r'pgx-supply"?,? "?(serve|config|deliver|[a-z]+ --)', text)
        assert "serve" in asked
        assert {one.split()[0] for one in asked} <= set(cli.commands)


def test_the_example_container_serves_as_a_user_it_makes_and_never_as_root():
    text = (DOCS / "operations" / "Containerfile").read_text(encoding="utf-8")
    lines = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    order = [name for name, _ in lines]
    said = dict(lines)
    assert order[0] == "FROM"
    assert order.index("COPY") < order.index("RUN") < order.index("USER") < order.index("CMD")
    assert order.count("USER") == 1
    assert said["USER"] not in ("root", "0")
    assert f"useradd --system --home-dir {said['VOLUME']} --create-home {said['USER']}" in said["RUN"]
    assert not re.search(r"SECRET|PASSWORD|TOKEN", text)


def test_the_example_unit_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    text = (DOCS / "operations" / "pgx-supply.service").read_text(encoding="utf-8")
    unit = tmp_path / "pgx-supply.service"
    # only whether the program is installed there is not asked
    unit.write_text(text.replace("/opt/pgx-supply/.venv/bin/pgx-supply", sys.executable), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])


@pytest.mark.slow
def test_a_request_that_is_being_answered_is_finished_before_the_server_stops(new_engine, tmp_path):

    engine = new_engine("sqlite")
    fill(engine)
    with writing(engine) as connection:
        secret = create_api_key(
            connection, name="robot", scopes=["orders:write"], facility_ids=None, expires_at=None, now=NOW
        )
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "one"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = os.environ | {"PGX_SUPPLY_DATABASE_URL": engine.url.render_as_string(hide_password=False)}
    command = [Path(sys.executable).with_name("pgx-supply"), "serve", "--port", port]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
    answers = []
    try:
        _wait(f"http://127.0.0.1:{port}/healthz")
        url = f"http://127.0.0.1:{port}/v1/order-exports"
        caller = threading.Thread(
            target=lambda: answers.append(httpx2.post(url, json={}, headers=headers, timeout=60).status_code)
        )
        with writing(engine):  # the export waits for this lock
            caller.start()
            time.sleep(1)
            process.send_signal(signal.SIGTERM)
            time.sleep(1)
            assert process.poll() is None
        caller.join()
        assert answers == [201]
        assert process.wait(40) == 0
    finally:
        process.kill()
    assert [json.loads(line)["status"] for line in (tmp_path / "log").read_text().splitlines()] == [201]


def _wait(url):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    pytest.fail("the server did not start")
