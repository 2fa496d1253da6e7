"""Batches of rows that a system pushes: each row is judged on its own, good rows are kept, bad ones are named."""

import dataclasses
import datetime as dt
import hashlib
import json
from typing import Any

import pandas as pd
import sqlalchemy as sa

from api.access.roles import Principal
from api.inventory.models import BatchReport, RefusedRow
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
class Kind:
    """What is pushed: its table, the resource's name, and the column that must not lie in the future."""

    table: sa.Table
    resource: str
    moment: str
    small_cells: str | None = None

    @property
    def fields(self) -> list[str]:
        """The columns, which are the fields of a row."""
        return [one.name for one in self.table.columns]


STOCK = Kind(table("stock"), "stock-snapshots", "counted_at")
DISPENSING = Kind(table("dispensing"), "dispensing", "period_start", small_cells="patients")
OPEN_ORDERS = Kind(table("open_orders"), "open-orders", "ordered_at")
RECEIPTS = Kind(table("receipts"), "receipts", "received_at")


def keep(
    db: sa.Connection, kind: Kind, given: list[dict[str, Any]], caller: Principal, now: dt.datetime
) -> BatchReport:
    """Keep the good rows and report the others; the ledger gets one load and its refused rows."""
    refused = _unreadable(given, kind.fields)
    unread = {one.row for one in refused}
    rows = [(place, row) for place, row in enumerate(given, 1) if place not in unread]
    places = [place for place, _ in rows]
    frame = pd.DataFrame([row for _, row in rows], columns=kind.fields, dtype=object, index=places)
    good, broken = _judged(db, kind, frame, caller.sites, now)
    refused = sorted(refused + broken, key=lambda one: (one.row, one.field))
    written = _written(db, kind, good)
    if kind is DISPENSING:
        keep_revisions(db, written, f"{kind.resource} by {caller.name}", now)
    report = BatchReport(
        accepted=written.accepted,
        unchanged=written.unchanged,
        rejected=len({one.row for one in refused}),
        rejected_rows=refused,
    )
    _enter_in_ledger(db, kind, given, caller, report, now)
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
    db: sa.Connection, kind: Kind, frame: pd.DataFrame, sites: Scope, now: dt.datetime
) -> tuple[pd.DataFrame, list[RefusedRow]]:
    """The rows that break no rule, and what the others break. The schema's rules, and those a schema cannot say."""
    read, unreadable = coerce(frame, kind.table)
    broken = [*unreadable, *violations(read, kind.table)]
    named = {name: read[name].notna() for name in ("facility_id", "product_id", kind.moment)}
    known_sites: set[str] = set(
        db.execute(sa.select(Facility.facility_id).where(within(Facility.facility_id, sites))).scalars()
    )
    known_products = set(db.execute(sa.select(Product.product_id)).scalars())
    outside = {
        ("facility_id", "must be a site that this key writes for"): ~read["facility_id"].isin(known_sites),
        ("product_id", "must be a product_id of products"): ~read["product_id"].isin(known_products),
        (kind.moment, "must not lie in the future"): (read[kind.moment] > now + AHEAD),
    }
    # one reason a field: what cannot be read is blank afterwards, and that is not a second mistake
    refused: dict[tuple[int, str], str] = {}
    for one in broken:
        for at in one.rows:
            refused.setdefault((int(read.index[at]), one.column), one.rule)
    for (field, rule), mask in outside.items():
        for place in read.index[mask & named[field]]:
            refused.setdefault((int(place), field), rule)
    good = read.drop(index=list({place for place, _ in refused}))
    if kind.small_cells:
        # a few people could be somebody: kept as suppressed, as the loaders do
        small = (good[kind.small_cells] > 0) & (good[kind.small_cells] < small_cell_threshold())
        good[kind.small_cells] = good[kind.small_cells].mask(small)
    return good, [RefusedRow(row=place, field=field, reason=rule) for (place, field), rule in refused.items()]


def _written(db: sa.Connection, kind: Kind, good: pd.DataFrame) -> store.UpsertResult:
    if good.empty:
        return store.UpsertResult(accepted=0, unchanged=0)
    if db.dialect.name == "postgresql":
        # two systems may push the same rows at once: the second waits, then finds them unchanged
        db.execute(sa.text(f"LOCK TABLE {kind.table.name} IN SHARE ROW EXCLUSIVE MODE"))
    return store.upsert(db, kind.table, good.reset_index(drop=True))


def _enter_in_ledger(
    db: sa.Connection,
    kind: Kind,
    given: list[dict[str, Any]],
    caller: Principal,
    report: BatchReport,
    now: dt.datetime,
) -> None:
    """One load and its refused rows; a repeat that changed nothing is not entered twice."""
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    known = db.execute(
        sa.select(Load.load_id)
        .where(Load.sha256 == digest, Load.format == "api", Load.table_name == kind.table.name)
        .limit(1)
    ).first()
    if known and report.accepted == 0:
        return
    load = {
        "file": f"{kind.resource} by {caller.name}",
        "format": "api",
        "sha256": digest,
        "table_name": kind.table.name,
        "accepted": report.accepted,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "loaded_at": now,
    }
    number = db.execute(sa.insert(Load).values(load).returning(Load.load_id)).scalar_one()
    entries = [
        {
            "load_id": number,
            "file": load["file"],
            "line": one.row,
            "column_name": one.field,
            "value": _as_it_stood(given[one.row - 1].get(one.field)) if one.field in kind.fields else None,
            "rule": one.reason,
        }
        for one in report.rejected_rows
    ]
    if entries:
        db.execute(sa.insert(RejectedRow), entries)
    counts = {"accepted": report.accepted, "unchanged": report.unchanged, "rejected": report.rejected}
    event = Event(f"{kind.table.name}.push", f"load:{number}", after=counts | {"sha256": digest})
    audit.append(db, caller.actor, now, [event])


def _as_it_stood(value: Any) -> str | None:
    return None if value is None else _printable(str(value))
