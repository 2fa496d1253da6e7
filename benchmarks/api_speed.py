"""How fast a page of 100 recommendations is: the API against a minimal endpoint with the same query, and a repeat.

    OMP_NUM_THREADS=1 uv run python benchmarks/api_speed.py [--lines 100000] [--seconds 10] [--clients 20]

Starts a PostgreSQL server of its own, stores the lines, serves the API and the minimal endpoint (Starlette, the same
SQL, msgspec) in one process each, and asks both, and the API with If-None-Match, in turns from as many connections.
"""

import argparse
import asyncio
import contextlib
import http.client
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
import uvloop
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.access.keys import create_api_key

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.api.conftest import LINES, NOW, _line, fill
from tests.conftest import _postgresql_binaries, _Server
from warehouse import migrations
from warehouse.engine import create_engine, writing
from warehouse.queries.lines import recommendations_query, table
from warehouse.schema.results import Recommendation

PATH = "/v1/recommendations?status=proposed&limit=100"
CHUNK = 10_000


def minimal_app() -> Starlette:
    """The same query, encoded with msgspec: no key, no check, no cursor, no headers."""
    import msgspec

    engine = create_engine(os.environ["PGX_SUPPLY_DATABASE_URL"])
    query = recommendations_query(None).where(Recommendation.status.in_(["proposed"]))
    query = query.order_by(Recommendation.urgency.desc(), Recommendation.recommendation_id).limit(101)

    def read() -> bytes:
        with engine.begin() as connection:
            return msgspec.json.encode([dict(row) for row in connection.execute(query).mappings()])

    async def page(_request: Request) -> Response:
        return Response(await run_in_threadpool(read), media_type="application/json")

    return Starlette(routes=[Route("/v1/recommendations", page), Route("/healthz", lambda _request: Response())])


def store(url: str, lines: int) -> str:
    """A migrated, filled database with so many proposed lines; the key that reads them."""
    engine = create_engine(url)
    migrations.upgrade(engine)
    fill(engine)
    with writing(engine) as connection:
        for start in range(101, 101 + lines, CHUNK):
            numbers = range(start, min(start + CHUNK, 101 + lines))
            rows = [_line(number, *LINES[number % 9][1:-1], "proposed") for number in numbers]
            connection.execute(
                sa.insert(table("recommendations")),
                [row | {"urgency": row["urgency"] + (n % 997) / 997} for n, row in enumerate(rows)],
            )
        key = create_api_key(
            connection, name="b", scopes=["recommendations:read"], facility_ids=None, expires_at=None, now=NOW
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    return key


@contextlib.contextmanager
def serving(factory: str, url: str):  # type: ignore[no-untyped-def]
    """Port of a server process of that application."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PGX_SUPPLY_DATABASE_URL": url, "PGX_SUPPLY_REQUESTS_PER_MINUTE": "0"}
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), "--log-level", "critical"]
    process = subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1])
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                if ask(http.client.HTTPConnection("127.0.0.1", port), "/healthz", {})[0] == 200:
                    break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait()


def ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> tuple[int, str | None]:
    """Status and ETag of one answer, which is read to its end."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers.get("ETag")


class Client(asyncio.Protocol):
    """One connection that asks the same again as soon as it is answered; `seconds` of each answer."""

    def __init__(self, request: bytes, wanted: int, until: float) -> None:
        self.request, self.wanted, self.until = request, f" {wanted} ".encode(), until
        self.seconds: list[float] = []
        self.held = bytearray()
        self.length: int | None = None
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self.held += data
        if self.length is None:
            end = self.held.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.held[:end])
            if self.wanted not in head[:16]:
                self.ended.set_exception(AssertionError(head.split(b"\r\n")[0].decode()))
                return
            stated = re.search(rb"(?i)content-length: (\d+)", head)
            self.length = end + 4 + (int(stated[1]) if stated else 0)
        if len(self.held) >= self.length:
            self.seconds.append(time.perf_counter() - self.began)
            self._ask()

    def _ask(self) -> None:
        self.held.clear()
        self.length = None
        self.began = time.perf_counter()
        if self.began >= self.until:
            self.ended.done() or self.ended.set_result(None)
            return
        self.transport.write(self.request)  # type: ignore[attr-defined]


def load(port: int, headers: dict[str, str], wanted: int, clients: int, seconds: float, told: object) -> None:
    """In a process of its own: ask from so many connections; put all times on the queue."""
    lines = [f"GET {PATH} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join([*lines, "", ""]).encode()

    async def ask_all() -> list[float]:
        loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
        made = [
            await loop.create_connection(lambda: Client(request, wanted, until), "127.0.0.1", port)
            for _ in range(clients)
        ]
        await asyncio.gather(*(one.ended for _, one in made))
        return [second for _, one in made for second in one.seconds]

    told.put(uvloop.run(ask_all()))  # type: ignore[attr-defined]


def measure(port: int, headers: dict[str, str], wanted: int, clients: int, seconds: float) -> list[float]:
    """Seconds of each request."""
    queue: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
    process = multiprocessing.Process(target=load, args=(port, headers, wanted, clients, seconds, queue))
    process.start()
    times = queue.get(timeout=seconds + 120)
    process.join()
    return times


def main() -> None:
    """Print requests per second and percentiles of each, over three rounds in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pgx-speed-") as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "server"
        folder.mkdir(mode=0o755)
        binaries = _postgresql_binaries()
        assert binaries is not None, "no PostgreSQL here"
        server = _Server(binaries, folder)
        try:
            server.start()
            server.create_database("speed")
            run(server.url("speed"), options)
        finally:
            server.stop()


def run(url: str, options: argparse.Namespace) -> None:
    """Store, serve, ask, tell."""
    key = {"Authorization": f"Bearer {store(url, options.lines)}"}
    with serving("api.app:create_app", url) as ours, serving("benchmarks.api_speed:minimal_app", url) as minimal:
        _, tag = ask(http.client.HTTPConnection("127.0.0.1", ours), PATH, key)
        assert tag is not None
        kinds = {
            "minimal endpoint": (minimal, {}, 200),
            "API page": (ours, key, 200),
            "API page, If-None-Match": (ours, key | {"If-None-Match": tag}, 304),
        }
        found: dict[str, list[list[float]]] = {name: [] for name in kinds}
        for _ in range(options.rounds):
            for name, (port, headers, wanted) in kinds.items():
                found[name].append(measure(port, headers, wanted, options.clients, options.seconds))
    rates = {}
    for name, rounds in found.items():
        times = sorted(second for one in rounds for second in one)
        rates[name] = statistics.median(len(one) / options.seconds for one in rounds)
        middle, late = times[len(times) // 2], times[int(len(times) * 0.99)]
        print(f"{name:24} {rates[name]:8.1f} requests/s  p50 {middle * 1e3:6.1f} ms  p99 {late * 1e3:6.1f} ms")  # noqa: T201
    page, repeat, minimal = rates["API page"], rates["API page, If-None-Match"], rates["minimal endpoint"]
    print(f"page / minimal {page / minimal:.2f}, repeat / minimal {repeat / minimal:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
