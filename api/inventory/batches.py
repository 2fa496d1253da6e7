"""Batches of rows that a system pushes: each row is judged on its own, good rows are kept, bad ones are named."""

import dataclasses
import datetime as dt
import hashlib
import json
from typing import Any

import pandas as pd
import sqlalchemy as sa

from api.inventory.models import BatchReport, RefusedRow
from api.principal import Principal
from warehouse import audit, store
from warehouse.audit import Event
from warehouse.frames import coerce, violations
from warehouse.queries.lines import Scope, table, within
from warehouse.revisions import keep_revisions
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import Load, RejectedRow
from warehouse.settings import small_cell_threshold

LONGEST_VALUE = 200
AHEAD = dt.timedelta(days=1)
"""How far ahead of this server's clock a row may lie: a count from the future would hide every later one."""


@dataclasses.dataclass(frozen=True)
class Resource:
    """What is pushed: its table, its name, and the column that must not lie in the future."""

    table: sa.Table
    name: str
    time_column: str
    people_column: str | None = None

    @property
    def fields(self) -> list[str]:
        """The columns, which are the fields of a row."""
        return [column.name for column in self.table.columns]


STOCK = Resource(table("stock"), "stock-snapshots", "counted_at")
DISPENSING = Resource(table("dispensing"), "dispensing", "period_start", people_column="patients")
OPEN_ORDERS = Resource(table("open_orders"), "open-orders", "ordered_at")
RECEIPTS = Resource(table("receipts"), "receipts", "received_at")


def store_rows(
    db: sa.Connection, resource: Resource, rows: list[dict[str, Any]], caller: Principal, now: dt.datetime
) -> BatchReport:
    """Keep the good rows and report the others; the ledger gets one load and its refused rows."""
    refused = _unreadable(rows, resource.fields)
    unreadable = {problem.row for problem in refused}
    readable = {place: row for place, row in enumerate(rows, 1) if place not in unreadable}
    frame = pd.DataFrame(list(readable.values()), columns=resource.fields, dtype=object, index=list(readable))
    good, broken = _judged(db, resource, frame, caller.sites, now)
    refused = sorted(refused + broken, key=lambda problem: (problem.row, problem.field))
    stored = _stored(db, resource, good)
    if resource is DISPENSING:
        keep_revisions(db, stored, f"{resource.name} by {caller.name}", now)
    report = BatchReport(
        accepted=stored.accepted,
        unchanged=stored.unchanged,
        rejected=len({problem.row for problem in refused}),
        rejected_rows=refused,
    )
    _enter_in_ledger(db, resource, rows, caller, report, now)
    return report


def _unreadable(rows: list[dict[str, Any]], fields: list[str]) -> list[RefusedRow]:
    """What no frame should see: unknown fields, lists, truth values, text a database cannot hold."""
    refused = []
    for place, row in enumerate(rows, 1):
        for field, value in row.items():
            reason = "unknown field" if field not in fields else _why_unreadable(value)
            if reason:
                refused.append(RefusedRow(row=place, field=_printable(field), reason=reason))
    return refused


def _why_unreadable(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        return "must be text or a number"
    if isinstance(value, str) and ("\x00" in value or len(value) > LONGEST_VALUE or _printable(value) != value):
        return f"must be at most {LONGEST_VALUE} characters of valid text"
    return None


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "?")[:LONGEST_VALUE]


def _judged(
    db: sa.Connection, resource: Resource, frame: pd.DataFrame, sites: Scope, now: dt.datetime
) -> tuple[pd.DataFrame, list[RefusedRow]]:
    """The rows that break no rule, and what the others break. The schema's rules, and those a schema cannot say."""
    read, unreadable = coerce(frame, resource.table)
    broken = [*unreadable, *violations(read, resource.table)]
    stated = {name: read[name].notna() for name in ("facility_id", "product_id", resource.time_column)}
    known_sites: set[str] = set(
        db.execute(sa.select(Facility.facility_id).where(within(Facility.facility_id, sites))).scalars()
    )
    known_products = set(db.execute(sa.select(Product.product_id)).scalars())
    outside = {
        ("facility_id", "must be a site that this key writes for"): ~read["facility_id"].isin(known_sites),
        ("product_id", "must be a product_id of products"): ~read["product_id"].isin(known_products),
        (resource.time_column, "must not lie in the future"): (read[resource.time_column] > now + AHEAD),
    }
    # one reason a field: what cannot be read is blank afterwards, and that is not a second mistake
    refused: dict[tuple[int, str], str] = {}
    for problem in broken:
        for at in problem.rows:
            refused.setdefault((int(read.index[at]), problem.column), problem.rule)
    for (field, rule), mask in outside.items():
        for place in read.index[mask & stated[field]]:
            refused.setdefault((int(place), field), rule)
    good = read.drop(index=list({place for place, _ in refused}))
    if resource.people_column:
        # a few people could be somebody: kept as suppressed, as the loaders do
        small = (good[resource.people_column] > 0) & (good[resource.people_column] < small_cell_threshold())
        good[resource.people_column] = good[resource.people_column].mask(small)
    return good, [RefusedRow(row=place, field=field, reason=rule) for (place, field), rule in refused.items()]


def _stored(db: sa.Connection, resource: Resource, good: pd.DataFrame) -> store.UpsertResult:
    if good.empty:
        return store.UpsertResult(accepted=0, unchanged=0)
    if db.dialect.name == "postgresql":
        # two systems may push the same rows at once: the second waits, then finds them unchanged
        db.execute(sa.text(f"LOCK TABLE {resource.table.name} IN SHARE ROW EXCLUSIVE MODE"))
    return store.upsert(db, resource.table, good.reset_index(drop=True))


def _enter_in_ledger(
    db: sa.Connection,
    resource: Resource,
    rows: list[dict[str, Any]],
    caller: Principal,
    report: BatchReport,
    now: dt.datetime,
) -> None:
    """One load and its refused rows; a repeat that changed nothing is not entered twice."""
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    same = (Load.sha256 == digest, Load.format == "api", Load.table_name == resource.table.name)
    repeated = db.execute(sa.select(Load.load_id).where(*same).limit(1)).first()
    if repeated and report.accepted == 0:
        return
    counts = {"accepted": report.accepted, "unchanged": report.unchanged, "rejected": report.rejected}
    load = {"file": f"{resource.name} by {caller.name}", "format": "api", "sha256": digest, "loaded_at": now}
    load |= {"table_name": resource.table.name, **counts}
    number = db.execute(sa.insert(Load).values(load).returning(Load.load_id)).scalar_one()
    entries = [
        {
            "load_id": number,
            "file": load["file"],
            "line": problem.row,
            "column_name": problem.field,
            "value": _raw_text(rows[problem.row - 1].get(problem.field)) if problem.field in resource.fields else None,
            "rule": problem.reason,
        }
        for problem in report.rejected_rows
    ]
    if entries:
        db.execute(sa.insert(RejectedRow), entries)
    event = Event(f"{resource.table.name}.push", f"load:{number}", after=counts | {"sha256": digest})
    audit.append(db, caller.actor, now, [event])


def _raw_text(value: Any) -> str | None:
    return None if value is None else _printable(str(value))
