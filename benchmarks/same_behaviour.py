"""Whether two checkouts of pgx-supply do the same, byte for byte: the proof behind a change that only moves code.

    python benchmarks/same_behaviour.py OLD_CHECKOUT NEW_CHECKOUT [--keep FOLDER] [--old-from FOLDER]

Each checkout works through the same weeks in empty folders and in its own environment (`uv run --project`): the demo,
every export, backtest, a buyer's day over HTTP, four weeks later a new run of a site, a scenario, a replay; and two
networks of `simulated_hospitals` (files written by OLD, loaded by both), one of them also without genetics. What comes
out is read only where users read it: command line, HTTP, tables by SQL. It prints a line a subject and exits with 1
when anything differs; `packages` is only a note, it says when the two environments do not have the same.

Clock, random tokens and the version number are held in every process (`HELD`), so that of all that is stored only the
columns in `LEFT_OUT` are left out. `--keep` stores what came out as FOLDER/<commit>.zip, a file a subject; `--old-from`
takes the old side from there. Only the standard library is needed here, and `uv` on the path.
"""

import argparse
import concurrent.futures
import csv
import dataclasses
import datetime as dt
import itertools
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.behaviour_desk import (
    EXPORTS,
    HELD,
    PACKAGES,
    POSTGRESQL,
    Desk,
    Record,
    postgresql_schema,
    sqlite_schema,
)
from benchmarks.behaviour_http import PASSWORD, buyers_day, serving

EVENING, FOUR_WEEKS_ON = "2026-11-25T18:00:00+00:00", "2026-12-21T08:00:00+00:00"
"""Moments of the later runs: the newest run is the one that began last, so no two begin at the same."""

SITE = "H02"
"""Site of the later runs: what is done to all eight is seen in the demo, and one takes a third of the time."""

SCOPES = [f"{name}:{verb}" for name in ("stock", "open_orders", "receipts") for verb in ("read", "write")]
SCOPES += ["dispensing:write", "recommendations:read", "forecasts:read", "orders:write", "audit:read"]
RELEASE = """gene,allele,clinical_function,activity_value,probability,source,version,pmid
CYP2C9,*7,Decreased function,0.5,0.6,predictor,2026-10-01,none: invented
CYP2C9,*7,No function,0.0,0.4,predictor,2026-10-01,none: invented
"""
SCENARIO = """
name: Go-live in spring, and a shortage
go_live: [{gene: CYP2C19, date: 2027-03-01, facility_id: H02}]
coverage: [{gene: SLCO1B1, from: 2027-01-04, share_tested: 0.6, share_followed: 0.8}]
shortage: [{drug: clopidogrel, allocation_share: 0.25, ends_on: 2027-02-28}]
budget: [{per_period: 2000}]
"""
BUNDLE = """
import pathlib, sys
from benchmarks.simulated_hospitals import simulated_hospitals
seed, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
for name, frame in simulated_hospitals(seed, split_doses=seed % 2 == 0).files.items():
    kept = frame[frame["facility_id"].isin(["H01", "H02"])] if "facility_id" in frame else frame
    kept.to_csv(folder / f"{name}.csv", index=False)
"""


def demo(desk: Desk) -> None:
    """The demo, its exports, backtest and tables, a buyer's day, and the plan once more with what it decided."""
    desk.run("demo")
    desk.keep("pgx-supply-demo/*")
    desk.keep_exports(*EXPORTS)
    desk.run("backtest", "--pictures", "backtest")
    desk.keep_tables()
    desk.run("user", "add", "admin", "--role", "admin", "--password", PASSWORD)
    key = desk.run("key", "add", "stores", *itertools.chain.from_iterable(("--scope", scope) for scope in SCOPES))
    with serving(desk, key.strip()) as (person, system):
        buyers_day(person, system, SITE)
        person.ask("GET", "/")
    evening = dataclasses.replace(desk, subject="evening", moment=EVENING)
    evening.run("run", "--as-of", "2026-11-25", "--facility", SITE, "--horizon", "8")
    four_weeks_later(dataclasses.replace(desk, subject="later", moment=FOUR_WEEKS_ON), key.strip())


def four_weeks_later(desk: Desk, key: str) -> None:
    """A run that measures what was decided, a release, a scenario, a replay; all that the server tells of it."""
    write_four_weeks(desk.folder)
    desk.run("load", "later")
    (desk.folder / "function_probability.csv").write_text(RELEASE)
    desk.run("load", "--format", "curated", "function_probability.csv")
    desk.run("run", "--horizon", "13", "--facility", SITE)
    (desk.folder / "scenario.yaml").write_text(SCENARIO)
    files = ("--csv", "scenario.csv", "--markdown", "scenario.md", "--pictures", "scenario")
    desk.run("scenario", "scenario.yaml", *files)
    desk.run("replay", "--pictures", "replay")
    desk.run("backtest", "--drug", "clopidogrel", "--facility", SITE)
    desk.keep_exports("recommendations", "backtest", "replay", "override_value", "edit_value")
    desk.keep("backtest/*", "replay/*", "scenario/*", "scenario.md", "scenario.csv")
    release = re.search(r"function_probability:curated:\S+", desk.run("release", "list"))
    decision = ("--by", "admin", "--password", PASSWORD, "--facility", SITE, "--effective", "2026-12-28")
    desk.run("release", "diff", release[0] if release else "none")
    desk.run("release", "activate", release[0] if release else "none", *decision)
    with serving(desk, key) as (person, system):
        person.follow_links()
        person.read_api()
        system.read_api()
    desk.run("audit", "verify")
    desk.keep_tables()


def write_four_weeks(folder: Path) -> None:
    """A file of what four further weeks dispensed: what the four before did."""
    with (folder / "pgx-supply-demo" / "dispensing.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["period_start"] >= "2026-10-26"]
    (folder / "later").mkdir()
    with (folder / "later" / "dispensing.csv").open("w", newline="") as file:
        further = csv.DictWriter(file, rows[0])
        further.writeheader()
        for row in rows:
            start = dt.date.fromisoformat(row["period_start"]) + dt.timedelta(weeks=4)
            further.writerow(row | {"period_start": start.isoformat()})


def network(desk: Desk, seed: int, old: Record | None) -> None:
    """A simulated network of two sites: its files (those of `old`, where given), and its plan."""
    bundle = desk.folder / "bundle"
    bundle.mkdir(parents=True)
    if old is None:
        desk.snippet(f"{desk.subject}/files", BUNDLE, str(seed), str(bundle), cwd=desk.checkout)
    for name, text in (old or {}).items():
        if name.startswith(f"{desk.subject}/files/bundle/"):
            (bundle / Path(name).name).write_bytes(text.encode())
    desk.keep("bundle/*")
    desk.run("load", "bundle")
    desk.run("run")
    desk.keep_tables()


def networks(desk: Desk, old: Record | None) -> None:
    """Two simulated networks, one of them also without genetics; help, schemas and packages besides."""
    for seed in (3, 4):
        own = dataclasses.replace(desk, folder=desk.folder.parent / f"network-{seed}", subject=f"network-{seed}")
        network(own, seed, old)
    blind = dataclasses.replace(own, subject=f"{own.subject}-blind")
    blind.run("run", "--without-genetics", "--facility", "H02", "--horizon", "4")
    blind.keep_tables()
    desk.record["schema/sqlite"] = sqlite_schema(own.folder / "pgx-supply.db")
    desk.record["schema/postgresql"] = postgresql_schema(desk.snippet("schema/postgresql stopped", POSTGRESQL))
    desk.record["packages"] = desk.snippet("packages stopped", PACKAGES)
    desk.run("config")
    desk.keep_help()


def observed(checkout: Path, old: Record | None = None) -> Record:
    """All that the checkout does, with the networks' files of `old` where given."""
    record: Record = {}
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor() as pool:
        for folder in ("held", "demo", "command"):
            (Path(name) / folder).mkdir()
        (Path(name) / "held" / "sitecustomize.py").write_text(HELD)
        jobs = {
            "demo": pool.submit(demo, Desk(checkout, Path(name) / "demo", record, "demo")),
            "networks": pool.submit(networks, Desk(checkout, Path(name) / "command", record, "command"), old),
        }
        stopped = {subject: job.exception() for subject, job in jobs.items()}
    return record | {f"{subject} stopped": f"exit: {error!r}" for subject, error in stopped.items() if error}


def commit(checkout: Path) -> str:
    """The commit that is checked out, marked when files were changed since."""
    git = ["git", "-C", str(checkout)]
    head, changed = (
        subprocess.run([*git, *words], check=True, capture_output=True, text=True).stdout.strip()
        for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
    )
    return f"{head}-changed" if changed else head


def store(record: Record, file: Path) -> None:
    """Write a record as a zip file, a file a subject."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for subject in sorted(record):
            archive.writestr(subject, record[subject])


def read(file: Path) -> Record:
    """A record that was stored."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def failures(record: Record) -> list[str]:
    """Subjects that say that a command or the server failed."""
    return [subject for subject, text in record.items() if re.match(r"exit(?! 0\n)|5\d\d\n", text)]


def first_difference(old: str | None, new: str | None) -> str:
    """Where two texts part, in words; blank when they are the same."""
    if old is None or new is None:
        return f"only the {'new' if old is None else 'old'} one has it"
    for number, (was, now) in enumerate(itertools.zip_longest(old.split("\n"), new.split("\n"), fillvalue=""), 1):
        if was != now:
            at = max(0, len(os.path.commonprefix([was, now])) - 30)
            return f"line {number} {was[: min(at, 60)]!r}: {was[at : at + 90]!r} -> {now[at : at + 90]!r}"
    return "" if old == new else "one ends with a blank line"


def report(old: Record, new: Record) -> int:
    """Print a line a subject; the number of subjects that differ."""
    found = {subject: first_difference(old.get(subject), new.get(subject)) for subject in sorted(old | new)}
    found.pop("packages", "")
    for subject, difference in found.items():
        sys.stdout.write(f"DIFFERS  {subject}: {difference}\n" if difference else f"same     {subject}\n")
    for side, one, other in (("old", old, new), ("new", new, old)):
        if packages := sorted(set(one.get("packages", "").split()) - set(other.get("packages", "").split())):
            sys.stdout.write(f"note     packages of the {side} one alone: {' '.join(packages)}\n")
    differ = sum(map(bool, found.values()))
    sys.stdout.write(f"{len(found)} subjects, {differ} differ\n")
    return differ


def main() -> int:
    """Compare and print; 0 = same, 1 = different, 2 = the old checkout fails by itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, metavar="OLD_CHECKOUT")
    parser.add_argument("new", type=Path, metavar="NEW_CHECKOUT")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="store there what came out")
    parser.add_argument("--old-from", type=Path, metavar="FOLDER", help="take the old side from there, if it has it")
    asked = parser.parse_args()
    known = asked.old_from / f"{commit(asked.old)}.zip" if asked.old_from else None
    old = read(known) if known and known.exists() else observed(asked.old.resolve())
    if failed := failures(old):
        sys.stdout.write("".join(f"OLD FAILS  {subject}: {old[subject][-1000:]}\n" for subject in failed))
        return 2
    if asked.keep and not (known and known.exists()):
        store(old, asked.keep / f"{commit(asked.old)}.zip")
    new = observed(asked.new.resolve(), old)
    if asked.keep:
        store(new, asked.keep / f"{commit(asked.new)}.zip")
    return 1 if report(old, new) else 0


if __name__ == "__main__":
    sys.exit(main())
