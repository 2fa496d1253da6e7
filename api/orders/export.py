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

from api.display.formatting import ENGLISH, in_locale, number
from api.display.labels import product
from api.http.errors import KeyReused, NothingToExport
from api.http.paging import filtered
from api.orders.models import OrderExportIn
from api.principal import Principal
from api.webhooks.outbox import enqueue
from forecasting.terms import RecommendationStatus
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries.lines import Scope, recommendations_query
from warehouse.schema.ledger import Order, OrderExport, OrderLine
from warehouse.schema.results import Recommendation

MAY_BE_ORDERED = (RecommendationStatus.APPROVED.value, RecommendationStatus.MODIFIED.value)
LINES_AT_ONCE = 10_000
COPIED = (
    *("recommendation_id", "facility_id", "facility_name", "product_id", "code_system", "code", "packs"),
    *("pack_size", "quantity", "pack_price", "need_by"),
)
"""What an order line keeps of its recommendation: codes and prices of the moment of ordering."""


def export_orders(
    connection: sa.Connection, caller: Principal, idempotency_key: str, request: OrderExportIn, now: dt.datetime
) -> tuple[str, bool]:
    """Number of the export, and whether it is one that was made before under this key.

    `KeyReused` when the key stands for another request; `NothingToExport` when no line can be ordered: then nothing is
    stored and the key stays free.
    """
    if connection.dialect.name == "postgresql":  # on SQLite the write transaction is this lock already
        connection.execute(sa.text("LOCK TABLE order_exports IN SHARE ROW EXCLUSIVE MODE"))
    request_sha256 = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    earlier = _earlier_export(connection, caller, idempotency_key)
    if earlier is not None:
        if earlier["request_sha256"] != request_sha256:
            raise KeyReused(
                f"Idempotency-Key {idempotency_key!r} was used for another request ({earlier['export_id']})"
            )
        return earlier["export_id"], True
    lines = _orderable_lines(connection, caller.sites, request)
    groups = _by_supplier(lines)
    left_out = _left_out(connection, caller.sites, request, lines)
    if not groups:
        raise NothingToExport("no approved line of yours waits to be ordered", not_exported=left_out)
    export_id = f"exp-{_count(connection, OrderExport) + 1:08d}"
    export = {
        "export_id": export_id,
        "actor": caller.actor.actor,
        "actor_name": caller.name,
        "idempotency_key": idempotency_key,
        "request_sha256": request_sha256,
        "facility_ids": None if caller.sites is None else ";".join(sorted(caller.sites)),
        "not_exported": json.dumps(left_out),
        "created_at": now,
    }
    connection.execute(sa.insert(OrderExport).values(export))
    events = []
    for control_number, group in enumerate(groups.values(), 1 + _count(connection, Order)):
        number = f"PGX{control_number:08d}"
        head = {"control_number": control_number, "export_id": export_id, "created_at": now}
        _write_order(connection, {"order_number": number, **head}, group, request.account_type)
        events += [_event(number, line) for line in group]
    _mark_exported(connection, [line["recommendation_id"] for group in groups.values() for line in group], now)
    enqueue(connection, now, events)
    audit.append(connection, caller.actor, now, events)
    return export_id, False


def _earlier_export(connection: sa.Connection, caller: Principal, idempotency_key: str) -> sa.RowMapping | None:
    query = sa.select(OrderExport.__table__).where(
        OrderExport.actor == caller.actor.actor, OrderExport.idempotency_key == idempotency_key
    )
    return connection.execute(query).mappings().one_or_none()


def _orderable_lines(connection: sa.Connection, sites: Scope, request: OrderExportIn) -> Sequence[sa.RowMapping]:
    """Lines that may be ordered, held until the transaction ends, in the order of an order's lines."""
    query = filtered(
        recommendations_query(sites).where(Recommendation.status.in_(MAY_BE_ORDERED)),
        (Recommendation.facility_id, request.facility_id),
        (Recommendation.supplier_id, request.supplier_id),
        (Recommendation.recommendation_id, sorted(set(request.recommendation_id))),
    )
    query = query.order_by(Recommendation.recommendation_id).limit(LINES_AT_ONCE)
    rows = connection.execute(query.with_for_update(of=Recommendation)).mappings().all()
    return sorted(rows, key=lambda row: (row["facility_id"], row["product_id"], row["recommendation_id"]))


def _missing_term(line: Any) -> str | None:
    if line["supplier_id"] is None:
        return "no supplier is named for it"
    if line["packs"] < 1:
        return "it has no packs"
    return None


def _by_supplier(lines: Sequence[sa.RowMapping]) -> dict[tuple[str, str], list[sa.RowMapping]]:
    """Lines per supplier and currency; a line without price goes with its supplier's first priced currency."""
    ordered = [line for line in lines if _missing_term(line) is None]
    first_currency: dict[str, str] = {}
    for line in ordered:
        if line["pack_price"] is not None and line["currency"]:
            first_currency.setdefault(line["supplier_id"], line["currency"])
    groups: dict[tuple[str, str], list[sa.RowMapping]] = {}
    for line in ordered:
        currency = line["currency"] if line["pack_price"] is not None else None
        key = (line["supplier_id"], currency or first_currency.get(line["supplier_id"], ""))
        groups.setdefault(key, []).append(line)
    return dict(sorted(groups.items()))


def _left_out(
    connection: sa.Connection, sites: Scope, request: OrderExportIn, lines: Sequence[sa.RowMapping]
) -> list[dict[str, str]]:
    """What cannot be ordered and why: approved lines that lack something, and lines asked for by name."""
    reasons = {line["recommendation_id"]: _missing_term(line) for line in lines}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    unordered = sorted(set(request.recommendation_id) - set(reasons))
    rows: dict[str, Any] = {}
    if unordered:
        query = recommendations_query(sites).add_columns(OrderLine.order_number)
        query = query.outerjoin(OrderLine, OrderLine.recommendation_id == Recommendation.recommendation_id)
        query = query.where(Recommendation.recommendation_id.in_(unordered))
        rows = {row["recommendation_id"]: row for row in connection.execute(query).mappings()}
    left_out |= {name: _why_not_orderable(rows.get(name)) for name in unordered}
    return [{"recommendation_id": name, "reason": left_out[name]} for name in sorted(left_out)]


def _why_not_orderable(row: Any) -> str:
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


def _write_order(
    connection: sa.Connection, order: dict[str, Any], lines: list[sa.RowMapping], account_type: str | None
) -> None:
    """Write one order, whose numbers and export are given, with its lines; all are of one supplier."""
    currencies = [line["currency"] for line in lines if line["pack_price"] is not None and line["currency"]]
    supplier = {
        "supplier_id": lines[0]["supplier_id"],
        "supplier_name": lines[0]["supplier_name"] or lines[0]["supplier_id"],
        "currency": currencies[0] if currencies else None,
    }
    connection.execute(sa.insert(Order).values(order | supplier))
    rows = [
        {name: line[name] for name in COPIED}
        | {"order_number": order["order_number"], "line_number": place, "account_type": account_type}
        | {"description": _description(line)}
        for place, line in enumerate(lines, 1)
    ]
    assert all(row["quantity"] == Decimal(row["packs"]) * row["pack_size"] for row in rows), "packs and quantity differ"
    connection.execute(sa.insert(OrderLine), rows)


def _description(line: sa.RowMapping) -> str:
    """What is ordered, in words that a supplier reads: the same whoever pressed the button."""
    with in_locale(ENGLISH):
        return f"{product(line)}, pack of {number(line['pack_size'])}"


def _mark_exported(connection: sa.Connection, recommendation_ids: list[str], now: dt.datetime) -> None:
    held = Recommendation.recommendation_id.in_(recommendation_ids) & Recommendation.status.in_(MAY_BE_ORDERED)
    exported = {"status": RecommendationStatus.EXPORTED.value, "version": Recommendation.version + 1}
    changed = connection.execute(sa.update(Recommendation).where(held).values(**exported, updated_at=now)).rowcount
    assert changed == len(recommendation_ids), "a held line was changed by another transaction"


def _event(order_number: str, line: sa.RowMapping) -> Event:
    before = {"status": line["status"], "version": line["version"]}
    after = {"status": RecommendationStatus.EXPORTED.value, "version": line["version"] + 1}
    after |= {"order_number": order_number, "packs": line["packs"]}
    return Event(
        "recommendation.export", f"recommendation:{line['recommendation_id']}", line["facility_id"], before, after
    )
