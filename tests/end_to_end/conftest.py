"""The installed command as a person runs it: real processes in folders of their own, over an invented network."""

import contextlib
import dataclasses
import datetime as dt
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.demo import small_network
from warehouse.engine import create_engine
from warehouse.schema import Base

COMMAND = Path(sys.executable).with_name("pgx-supply")
AS_OF = dt.date(2026, 11, 23)
DATABASE = "sqlite:///pgx-supply.db"
PASSWORD = "correct horse battery"


def free_port():
    """A port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url, seconds, process):
    """Return when a server that is starting answers well; fail when it ends or takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, f"the server ended with exit code {process.returncode}"
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(url, timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    pytest.fail(f"{url} did not answer within {seconds} s")


def hidden(html, name):
    """The value of a page's first hidden field of that name."""
    return re.search(rf'name="{name}" value="([^"]*)"', html).group(1)


@functools.cache
def _fork_server():
    """The process whose forks are the commands."""
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("fork_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _answer_of_fork_server(request):
    server = _fork_server()
    server.stdin.write(f"{request}\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@pytest.fixture(scope="session", autouse=True)
def _end_of_fork_server():
    yield
    if _fork_server.cache_info().currsize:
        with _fork_server() as server:
            server.stdin.close()


@dataclasses.dataclass(frozen=True)
class Desk:
    """A working folder with a database of its own, and the command run in it."""

    folder: Path
    database: str = DATABASE

    def environment(self):
        """The caller's, without settings of the caller's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PGX_SUPPLY_", "DAGSTER_"))}
        return kept | {"PGX_SUPPLY_DATABASE_URL": self.database, "COLUMNS": "120"}

    def start(self, *arguments, **options):
        """The command as a process that is not waited for."""
        return subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(),
            text=True,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        )

    def run(self, *arguments, given="", **environment):
        """The finished command, in a fork that need not import: `returncode`, `stdout`, `stderr`."""
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
            streams[0].write_text(given, encoding="utf-8")
            request = {
                "arguments": [*map(str, arguments)],
                "folder": str(self.folder),
                "environment": self.environment() | environment,
                "streams": [*map(str, streams)],
            }
            code = _answer_of_fork_server(json.dumps(request))
            return subprocess.CompletedProcess(arguments, code, *(file.read_text("utf-8") for file in streams[1:]))

    def succeed(self, *arguments, **options):
        """The same, which must end with exit code 0."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stderr
        return done

    def succeed_alone(self, *arguments):
        """The installed command in a process of its own, which must end with exit code 0: for tests that time it."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=280)
        assert process.returncode == 0, err
        return out

    def fail(self, *arguments, code=1):
        """What a command that must fail says: one sentence on stderr, nothing on stdout, no traceback."""
        done = self.run(*arguments)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr.strip()

    def engine(self):
        """An engine of the folder's database."""
        if self.database == DATABASE:
            return create_engine(f"sqlite:///{self.folder / 'pgx-supply.db'}")
        return create_engine(self.database)

    def rows(self, name):
        """A table's rows in the order of its key, without the moments at which they were written."""
        table = Base.metadata.tables[name]
        moments = {"started_at", "finished_at", "updated_at", "loaded_at", "created_at"}
        columns = [column for column in table.columns if column.name not in moments]
        engine = self.engine()
        with engine.connect() as connection:
            found = connection.execute(sa.select(*columns).order_by(*table.primary_key.columns)).all()
        engine.dispose()
        return [tuple(row) for row in found]

    def counts(self):
        """Rows by table."""
        engine = self.engine()
        with engine.connect() as connection:
            query = {name: sa.select(sa.func.count()).select_from(one) for name, one in Base.metadata.tables.items()}
            found = {name: connection.scalar(one) for name, one in query.items()}
        engine.dispose()
        return found

    def copy_to(self, folder):
        """A desk in another folder with a copy of this one's files."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Desk(folder)

    def write_bundle(self, files, suffix="csv", name="bundle"):
        """The frames as the files of a site bundle."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        for stem, frame in files.items():
            if suffix == "csv":
                frame.to_csv(folder / f"{stem}.csv", index=False)
            else:
                frame.to_parquet(folder / f"{stem}.parquet", index=False)
        return folder

    def export(self, what, name=None, *options):
        """The exported file as a frame."""
        file = self.folder / (name or f"{what}.csv")
        done = self.succeed("export", what, "--out", file.name, *options)
        assert (done.stdout, done.stderr) == ("", "")
        # "n/a" is one of CPIC's phenotypes
        return (
            pd.read_csv(file, keep_default_na=False, na_values=[""]) if file.suffix == ".csv" else pd.read_parquet(file)
        )

    @contextlib.contextmanager
    def serve(self, *arguments):
        """A running server, which answers: its process and URL. It is ended with all it started."""
        port = free_port()
        with (self.folder / "serve.log").open("w") as log:
            process = self.start("serve", "--port", port, *arguments, stdout=log, stderr=log)
            try:
                wait_for(f"http://127.0.0.1:{port}/healthz", 60, process)
                yield process, f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise

    @contextlib.contextmanager
    def signed_in(self, url, name, password=PASSWORD):
        """A browser in which a person, who is made for it, has signed in; and the page that was shown then."""
        self.succeed("user", "add", name, "--role", "approver", "--password", password)
        with self.browser(url, name, password) as signed_in:
            yield signed_in

    @contextlib.contextmanager
    def browser(self, url, name, password=PASSWORD):
        """A browser in which a person has signed in, and the page that was shown then."""
        with httpx2.Client(base_url=url, follow_redirects=True, timeout=30) as browser:
            form = {
                "name": name,
                "password": password,
                "csrf_token": hidden(browser.get("/sign-in").text, "csrf_token"),
            }
            page = browser.post("/sign-in", data=form, headers={"origin": url})
            assert page.status_code == 200
            yield browser, page.text

    def approve(self, url, browser, recommendation_id):
        """The page after that line was approved in the browser."""
        path = f"/recommendations/{recommendation_id}"
        html = browser.get(path).text
        form = {name: hidden(html, name) for name in ("csrf_token", "version", "next")}
        # the page's first token is the sign-out form's: the session has one
        page = browser.post(f"{path}/decision", data=form | {"kind": "approve"}, headers={"origin": url})
        assert page.status_code == 200
        return page.text


@pytest.fixture(scope="session")
def network_files():
    """The invented network's files: 3 sites, 20 products, 110 weeks."""
    return small_network(AS_OF).files


@pytest.fixture(scope="session")
def loaded(made_once, network_files):
    """A desk with the network's bundle, loaded; read it, or copy it."""

    def load(folder):
        Desk(folder).write_bundle(network_files)
        Desk(folder).succeed("load", "bundle")

    return Desk(made_once("loaded_desk", load))


@pytest.fixture(scope="session")
def planned(made_once, loaded):
    """The same desk after `run --horizon 26`; read it, or copy it."""

    def plan(folder):
        done = loaded.copy_to(folder).succeed("run", "--horizon", 26)
        assert (done.stdout, done.stderr) == ("", "")

    return Desk(made_once("planned_desk", plan))


@pytest.fixture
def desk(tmp_path):
    """An empty working folder."""
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def desk_at(tmp_path_factory):
    """Makes an empty working folder of that name, for what a module's tests share."""
    return lambda name: Desk(tmp_path_factory.mktemp(name))


@pytest.fixture(name="free_port")
def _free_port():
    """A port nothing listens on."""
    return free_port()
