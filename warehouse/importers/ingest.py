"""Parts into tables, in the order of their references, all in the caller's one transaction, with the ledger kept."""

import datetime as dt
from collections.abc import Mapping, Sequence

import pandas as pd
import sqlalchemy as sa

from warehouse.audit import COMMAND, Event, append
from warehouse.importers.checking import DomainRule, Part, checked
from warehouse.importers.report import Progress, RefusedFile, RejectedRow, TableLoad
from warehouse.importers.snapshots import remove_absent
from warehouse.revisions import keep_revisions
from warehouse.schema import Base
from warehouse.store import insert, read, upsert

MOST_LISTED_REJECTS = 10_000
LOADS = Base.metadata.tables["loads"]
REJECTED_ROWS = Base.metadata.tables["rejected_rows"]
DISPENSING = Base.metadata.tables["dispensing"]


def ingest_parts(
    connection: sa.Connection,
    parts: Sequence[Part],
    format_name: str,
    rules: Mapping[str, Sequence[DomainRule]],
    snapshots: Mapping[str, str],
    progress: Progress | None = None,
) -> tuple[list[TableLoad], list[RejectedRow]]:
    """Check and write the parts in their order; what became of each, and the rejected rows that are listed.

    `rules` are the domain rules of a table; `snapshots` the column whose named values a file lists in full.
    """
    loads: list[TableLoad] = []
    listed: list[RejectedRow] = []
    for number, part in enumerate(parts):
        if progress:
            progress(part.file, number, len(parts))
        typed = checked(part, connection, rules.get(part.table.name, ()))
        removed = remove_absent(connection, part, typed, snapshots)
        accepted, unchanged = _write(connection, part, typed)
        rejected = sorted(part.rejected)
        if len(rejected) > MOST_LISTED_REJECTS:
            part.notes.append(f"only the first {MOST_LISTED_REJECTS} of {len(rejected)} rejected rows are listed")
        notes = tuple(part.notes)
        load = TableLoad(part.file, part.table.name, accepted + removed, unchanged, len(rejected), notes)
        record(connection, load, part.sha256, format_name, rejected[:MOST_LISTED_REJECTS])
        loads.append(load)
        listed += rejected[:MOST_LISTED_REJECTS]
    if progress and parts:
        progress(parts[-1].file, len(parts), len(parts))
    return loads, listed


def record(
    connection: sa.Connection, load: TableLoad, sha256: str, format_name: str, rejected: Sequence[RejectedRow] = ()
) -> None:
    """Write the ledger entry, and the rejected rows that an earlier load of the same file has not recorded."""
    entry = {
        "file": load.file,
        "format": format_name,
        "sha256": sha256,
        "table_name": load.table,
        "accepted": load.accepted,
        "unchanged": load.unchanged,
        "rejected": load.rejected,
        "notes": "; ".join(load.notes) or None,
        "loaded_at": dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0),
    }
    load_id = connection.execute(LOADS.insert().returning(LOADS.c.load_id), entry).scalar_one()
    if not rejected:
        return
    earlier = sa.select(LOADS.c.load_id).where(LOADS.c.sha256 == sha256, LOADS.c.table_name == load.table)
    before = read(connection, REJECTED_ROWS, REJECTED_ROWS.c.load_id.in_(earlier), REJECTED_ROWS.c.file == load.file)
    seen = set(zip(before["line"], before["column_name"], before["rule"], strict=True))
    fresh = [row for row in rejected if (row.line, row.column, row.rule) not in seen]
    rows = [(load_id, row.file, row.line, row.column, _storable(row.value), row.rule) for row in fresh]
    names = ["load_id", "file", "line", "column_name", "value", "rule"]
    if rows:
        insert(connection, REJECTED_ROWS, pd.DataFrame(rows, columns=names))


def audit_loads(connection: sa.Connection, loads: Sequence[TableLoad], format_name: str) -> None:
    """An event for each file that changed rows or had some refused; do it last in the load's transaction."""
    events = [
        Event(
            f"{load.table}.load",
            f"file:{load.file}",
            after={"format": format_name}
            | {name: getattr(load, name) for name in ("accepted", "unchanged", "rejected")},
        )
        for load in loads
        if load.accepted or load.rejected
    ]
    append(connection, COMMAND, dt.datetime.now(dt.UTC).replace(tzinfo=None), events)


def record_refused(connection: sa.Connection, refused: RefusedFile, sha256: str, format_name: str, table: str) -> None:
    """Write the ledger entry of a file of which nothing was read."""
    load = TableLoad(refused.file, table, 0, 0, 0, (f"refused: {refused.reason}",))
    record(connection, load, sha256, format_name)


def _storable(value: str | None) -> str | None:
    return value.replace("\0", "\\0") if value else None


def _write(connection: sa.Connection, part: Part, typed: pd.DataFrame) -> tuple[int, int]:
    if not part.keep_existing:
        outcome = upsert(connection, part.table, typed)
        if part.table is DISPENSING:
            now = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
            revised = keep_revisions(connection, outcome, part.file, now)
            note = f"{revised} quantities loaded before were revised; dispensing_revisions has the old ones"
            part.notes.extend([note] if revised else [])
        return outcome.accepted, outcome.unchanged
    (key,) = (column.name for column in part.table.primary_key.columns)
    stored = set(read(connection, part.table, columns=[key])[key])
    fresh = typed[~typed[key].isin(stored)]
    insert(connection, part.table, fresh)
    return len(fresh), len(typed) - len(fresh)
