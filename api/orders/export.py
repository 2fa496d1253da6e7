"""Locking approved lines into orders: each line once, however many callers ask and wherever a process dies.

Everything happens in the caller's one transaction: it is committed before the answer leaves, or nothing happened. An
answer that was lost is asked for again with the same Idempotency-Key. Callers wait for each other on one lock, and the
database refuses a second order line for a recommendation.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from api.access.roles import Principal
from api.display.formatting import ENGLISH, in_locale, number
from api.display.labels import product
from api.http.errors import KeyReused, NothingToExport
from api.orders.models import OrderExportIn
from api.webhooks.outbox import enqueue
from forecasting.terms import RecommendationStatus
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries.lines import Scope, recommendations_query
from warehouse.schema.ledger import Order, OrderExport, OrderLine
from warehouse.schema.results import Recommendation

MAY_BE_ORDERED = (RecommendationStatus.APPROVED.value, RecommendationStatus.MODIFIED.value)
LINES_AT_ONCE = 10_000


def export_orders(
    connection: sa.Connection, caller: Principal, idempotency_key: str, wanted: OrderExportIn, now: dt.datetime
) -> tuple[str, bool]:
    """Number of the hand-off, and whether it is one that was made before under this key.

    `KeyReused` when the key stands for another request; `NothingToExport` when no line can be ordered: then nothing is
    stored and the key stays free.
    """
    if connection.dialect.name == "postgresql":  # on SQLite the write transaction is this lock already
        connection.execute(sa.text("LOCK TABLE order_exports IN SHARE ROW EXCLUSIVE MODE"))
    asked = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()
    known = _known(connection, caller, idempotency_key)
    if known is not None:
        if known["request_sha256"] != asked:
            raise KeyReused(f"Idempotency-Key {idempotency_key!r} was used for another request ({known['export_id']})")
        return known["export_id"], True
    lines = _approved(connection, caller.sites, wanted)
    groups = _by_supplier(lines)
    left_out = _left_out(connection, caller.sites, wanted, lines)
    if not groups:
        raise NothingToExport("no approved line of yours waits to be ordered", not_exported=left_out)
    export_id = _new_export(connection, caller, idempotency_key, asked, left_out, now)
    events = []
    for place, ((supplier_id, _), of) in enumerate(groups.items(), 1 + _count(connection, Order)):
        order_number = _write_order(connection, export_id, place, supplier_id, of, wanted.account_type, now)
        events += [_event(order_number, line) for line in of]
    _mark_exported(connection, [line["recommendation_id"] for of in groups.values() for line in of], now)
    enqueue(connection, now, events)
    audit.append(connection, caller.actor, now, events)
    return export_id, False


def _known(connection: sa.Connection, caller: Principal, idempotency_key: str) -> sa.RowMapping | None:
    query = sa.select(OrderExport.__table__).where(
        OrderExport.actor == caller.actor.actor, OrderExport.idempotency_key == idempotency_key
    )
    return connection.execute(query).mappings().one_or_none()


def _approved(connection: sa.Connection, sites: Scope, wanted: OrderExportIn) -> Sequence[sa.RowMapping]:
    """Lines that may be ordered, held until the transaction ends, in the order of an order's lines."""
    query = recommendations_query(sites).where(Recommendation.status.in_(MAY_BE_ORDERED))
    for column, names in (
        (Recommendation.facility_id, wanted.facility_id),
        (Recommendation.supplier_id, wanted.supplier_id),
        (Recommendation.recommendation_id, wanted.recommendation_id),
    ):
        if names:
            query = query.where(column.in_(sorted(set(names))))
    query = query.order_by(Recommendation.recommendation_id).limit(LINES_AT_ONCE)
    rows = connection.execute(query.with_for_update(of=Recommendation)).mappings().all()
    return sorted(rows, key=lambda row: (row["facility_id"], row["product_id"], row["recommendation_id"]))


def _why_not(line: Any) -> str | None:
    if line["supplier_id"] is None:
        return "no supplier is named for it"
    if line["packs"] < 1:
        return "it has no packs"
    return None


def _by_supplier(lines: Sequence[sa.RowMapping]) -> dict[tuple[str, str], list[sa.RowMapping]]:
    """Lines per supplier and currency; a line without price goes with its supplier's first priced currency."""
    ordered = [line for line in lines if _why_not(line) is None]
    first: dict[str, str] = {}
    for line in ordered:
        if line["pack_price"] is not None and line["currency"]:
            first.setdefault(line["supplier_id"], line["currency"])
    groups: dict[tuple[str, str], list[sa.RowMapping]] = {}
    for line in ordered:
        currency = line["currency"] if line["pack_price"] is not None else None
        key = (line["supplier_id"], currency or first.get(line["supplier_id"], ""))
        groups.setdefault(key, []).append(line)
    return dict(sorted(groups.items()))


def _left_out(
    connection: sa.Connection, sites: Scope, wanted: OrderExportIn, lines: Sequence[sa.RowMapping]
) -> list[dict[str, str]]:
    """What cannot be ordered and why: approved lines that lack something, and lines asked for by name."""
    reasons = {line["recommendation_id"]: _why_not(line) for line in lines}
    found = {name: reason for name, reason in reasons.items() if reason}
    asked = sorted(set(wanted.recommendation_id) - set(reasons))
    known: dict[str, Any] = {}
    if asked:
        query = recommendations_query(sites).add_columns(OrderLine.order_number)
        query = query.outerjoin(OrderLine, OrderLine.recommendation_id == Recommendation.recommendation_id)
        rows = connection.execute(query.where(Recommendation.recommendation_id.in_(asked))).mappings()
        known = {row["recommendation_id"]: row for row in rows}
    for name in asked:
        found[name] = _why_asked_in_vain(known.get(name))
    return [{"recommendation_id": name, "reason": found[name]} for name in sorted(found)]


def _why_asked_in_vain(row: Any) -> str:
    if row is None:
        return "there is no such recommendation"
    if row["order_number"] is not None:
        return f"it was exported already, as {row['order_number']}"
    if row["status"] in MAY_BE_ORDERED:
        return "another filter of this request leaves it out"
    return f"it is {row['status']}: only approved lines are ordered"


def _count(connection: sa.Connection, table: Any) -> int:
    # under the lock nobody else adds rows, and none is ever removed: the count is the last number
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _new_export(
    connection: sa.Connection,
    caller: Principal,
    idempotency_key: str,
    asked: str,
    left_out: list[dict[str, str]],
    now: dt.datetime,
) -> str:
    export_id = f"exp-{_count(connection, OrderExport) + 1:08d}"
    row = {
        "export_id": export_id,
        "actor": caller.actor.actor,
        "actor_name": caller.name,
        "idempotency_key": idempotency_key,
        "request_sha256": asked,
        "facility_ids": None if caller.sites is None else ";".join(sorted(caller.sites)),
        "not_exported": json.dumps(left_out),
        "created_at": now,
    }
    connection.execute(sa.insert(OrderExport).values(row))
    return export_id


def _write_order(
    connection: sa.Connection,
    export_id: str,
    control_number: int,
    supplier_id: str,
    lines: list[sa.RowMapping],
    account_type: str | None,
    now: dt.datetime,
) -> str:
    currencies = [line["currency"] for line in lines if line["pack_price"] is not None and line["currency"]]
    order = {
        "order_number": f"PGX{control_number:08d}",
        "control_number": control_number,
        "export_id": export_id,
        "supplier_id": supplier_id,
        "supplier_name": lines[0]["supplier_name"] or supplier_id,
        "currency": currencies[0] if currencies else None,
        "created_at": now,
    }
    connection.execute(sa.insert(Order).values(order))
    same = ("recommendation_id", "facility_id", "facility_name", "product_id", "code_system", "code", "packs")
    rows = [
        {name: line[name] for name in (*same, "pack_size", "quantity", "pack_price", "need_by")}
        | {"order_number": order["order_number"], "line_number": place, "account_type": account_type}
        | {"description": _description(line)}
        for place, line in enumerate(lines, 1)
    ]
    assert all(row["quantity"] == Decimal(row["packs"]) * row["pack_size"] for row in rows), "packs and quantity differ"
    connection.execute(sa.insert(OrderLine), rows)
    return str(order["order_number"])


def _description(line: sa.RowMapping) -> str:
    """What is ordered, in words that a supplier reads: the same whoever pressed the button."""
    with in_locale(ENGLISH):
        return f"{product(line)}, pack of {number(line['pack_size'])}"


def _mark_exported(connection: sa.Connection, ids: list[str], now: dt.datetime) -> None:
    held = Recommendation.recommendation_id.in_(ids) & Recommendation.status.in_(MAY_BE_ORDERED)
    exported = {"status": RecommendationStatus.EXPORTED.value, "version": Recommendation.version + 1}
    changed = connection.execute(sa.update(Recommendation).where(held).values(**exported, updated_at=now)).rowcount
    assert changed == len(ids), "a held line was changed by another transaction"


def _event(order_number: str, line: sa.RowMapping) -> Event:
    before = {"status": line["status"], "version": line["version"]}
    after = {"status": RecommendationStatus.EXPORTED.value, "version": line["version"] + 1}
    after |= {"order_number": order_number, "packs": line["packs"]}
    return Event(
        "recommendation.export", f"recommendation:{line['recommendation_id']}", line["facility_id"], before, after
    )
