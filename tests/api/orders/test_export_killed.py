"""A server that is killed while it exports: nothing is half ordered, and the retry orders each line once."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx2
import pytest
import sqlalchemy as sa

from api.access.keys import create_api_key
from tests.api.conftest import NOW, fill
from warehouse import audit
from warehouse.audit import CHAIN_LOCK
from warehouse.engine import writing
from warehouse.queries.lines import table

WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


@pytest.fixture
def shop(new_engine):
    """A filled PostgreSQL database and headers of a key that orders."""
    engine = new_engine("postgresql")
    fill(engine)
    with writing(engine) as connection:
        text = create_api_key(
            connection, name="robot", scopes=["orders:write"], facility_ids=None, expires_at=None, now=NOW
        )
    return engine, {"Authorization": f"Bearer {text}"}


@pytest.fixture
def start(shop):
    """A function that starts a server process; all that still run are ended with the test."""
    started = []

    def start():
        started.append(Server(shop[0]))
        return started[-1].wait()

    yield start
    for one in started:
        one.kill()


class Server:
    """A real server process."""

    def __init__(self, engine):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = os.environ | {"PGX_SUPPLY_DATABASE_URL": engine.url.render_as_string(hide_password=False)}
        command = ["-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port), "--log-level", "critical"]
        self.process = subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait(self):
        """The server, once it answers."""
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(f"{self.url}/healthz").status_code == 200:
                    return self
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def export(self, headers, name):
        answer = httpx2.post(
            f"{self.url}/v1/order-exports", json={}, headers=headers | {"Idempotency-Key": name}, timeout=120
        )
        return answer.status_code, answer.json()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def ordered(engine):
    with engine.begin() as connection:
        return sorted(connection.execute(sa.select(table("order_lines").c.recommendation_id)).scalars())


@pytest.mark.slow
def test_killed_between_the_lock_and_the_commit_nothing_is_ordered_and_the_retry_orders_once(shop, start):
    engine, headers = shop
    server = start()
    with engine.connect() as holder:
        # the export stops before its last write, with every order line written and nothing committed
        holder.execute(sa.select(sa.func.pg_advisory_lock(CHAIN_LOCK)))
        caller = threading.Thread(target=_ignoring_the_end, args=(server, headers, "one"))
        caller.start()
        deadline = time.monotonic() + 150
        while not holder.scalar(WAITING) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert holder.scalar(WAITING) == 1
        server.kill()
        caller.join()
        assert ordered(engine) == []
        holder.execute(sa.select(sa.func.pg_advisory_unlock(CHAIN_LOCK)))
    server = start()
    status, body = server.export(headers, "one")
    again = server.export(headers, "one")
    server.kill()
    assert status == 201
    assert again == (201, body)
    assert ordered(engine) == ["rec-10", "rec-11"]
    with engine.begin() as connection:
        audit.verify(connection)


def _ignoring_the_end(server, headers, name):
    with contextlib.suppress(httpx2.TransportError):
        server.export(headers, name)
