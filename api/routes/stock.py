"""Stock snapshots that an inventory system pushes: each row is judged on its own, good rows are kept."""

import datetime as dt
import hashlib
import json
from typing import Annotated, Any

import pandas as pd
import sqlalchemy as sa
from fastapi import APIRouter, Depends

from api.auth import Principal, writer_key
from api.context import Db, Now, refuse_parameters
from api.models import RefusedRow, StockIn, StockReport
from api.routes.documented import refusals
from warehouse import store
from warehouse.frames import coerce, violations
from warehouse.queries import Scope, table, within
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import Load, RejectedRow

router = APIRouter(prefix="/v1", tags=["stock"])

Writer = Annotated[Principal, writer_key("stock:write")]

STOCK = table("stock")
FIELDS = [one.name for one in STOCK.columns]
LONGEST_VALUE = 200
AHEAD = dt.timedelta(days=1)
"""How far ahead of this server's clock a count may lie: a count from the future would hide every later one."""


@router.post("/stock-snapshots", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 413, 415))
def push_stock(body: StockIn, caller: Writer, db: Db, now: Now) -> StockReport:
    """Keep counted stock, up to 10,000 rows. Refused rows are reported and keep no other row from being kept.

    `counted_at` without an offset is UTC. Sending the same rows again changes nothing.
    """
    refused = _unreadable(body.rows)
    rows = [(place, row) for place, row in enumerate(body.rows, 1) if place not in {one.row for one in refused}]
    frame = pd.DataFrame([row for _, row in rows], columns=FIELDS, dtype=object, index=[place for place, _ in rows])
    good, broken = _judged(db, frame, caller.sites, now)
    refused = sorted(refused + broken, key=lambda one: (one.row, one.field))
    written = _written(db, good)
    report = StockReport(
        accepted=written.accepted,
        unchanged=written.unchanged,
        rejected=len({one.row for one in refused}),
        rejected_rows=refused,
    )
    _enter_in_ledger(db, body, caller, report, now)
    return report


def _unreadable(rows: list[dict[str, Any]]) -> list[RefusedRow]:
    """What no frame should see: unknown fields, lists, truth values, text a database cannot hold."""
    refused = []
    for place, row in enumerate(rows, 1):
        for field, value in row.items():
            reason = "unknown field" if field not in FIELDS else _why_unreadable(value)
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
    db: sa.Connection, frame: pd.DataFrame, sites: Scope, now: dt.datetime
) -> tuple[pd.DataFrame, list[RefusedRow]]:
    """The rows that break no rule, and what the others break. The schema's rules, and those a schema cannot say."""
    read, unreadable = coerce(frame, STOCK)
    broken = [*unreadable, *violations(read, STOCK)]
    named = {name: read[name].notna() for name in ("facility_id", "product_id", "counted_at")}
    known_sites: set[str] = set(
        db.execute(sa.select(Facility.facility_id).where(within(Facility.facility_id, sites))).scalars()
    )
    known_products = set(db.execute(sa.select(Product.product_id)).scalars())
    outside = {
        ("facility_id", "must be a site that this key writes for"): ~read["facility_id"].isin(known_sites),
        ("product_id", "must be a product_id of products"): ~read["product_id"].isin(known_products),
        ("counted_at", "must not lie in the future"): (read["counted_at"] > now + AHEAD),
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
    return good, [RefusedRow(row=place, field=field, reason=rule) for (place, field), rule in refused.items()]


def _written(db: sa.Connection, good: pd.DataFrame) -> store.Written:
    if good.empty:
        return store.Written(accepted=0, unchanged=0)
    if db.dialect.name == "postgresql":
        # two systems may push the same rows at once: the second waits, then finds them unchanged
        db.execute(sa.text("LOCK TABLE stock IN SHARE ROW EXCLUSIVE MODE"))
    return store.upsert(db, STOCK, good.reset_index(drop=True))


def _enter_in_ledger(
    db: sa.Connection, body: StockIn, caller: Principal, report: StockReport, now: dt.datetime
) -> None:
    """One load and its refused rows; a repeat that changed nothing is not entered twice."""
    digest = hashlib.sha256(json.dumps(body.rows, sort_keys=True).encode()).hexdigest()
    known = db.execute(sa.select(Load.load_id).where(Load.sha256 == digest, Load.format == "api").limit(1)).first()
    if known and report.accepted == 0:
        return
    load = {
        "file": f"stock-snapshots by {caller.name}",
        "format": "api",
        "sha256": digest,
        "table_name": STOCK.name,
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
            "value": _as_it_stood(body.rows[one.row - 1].get(one.field)) if one.field in FIELDS else None,
            "rule": one.reason,
        }
        for one in report.rejected_rows
    ]
    if entries:
        db.execute(sa.insert(RejectedRow), entries)


def _as_it_stood(value: Any) -> str | None:
    return None if value is None else _printable(str(value))
