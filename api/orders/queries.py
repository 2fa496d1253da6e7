"""Stored orders, within the sites of who asks: an order that holds another site's line is not found."""

import json
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from api.http.errors import NotFound, or_not_found
from api.http.units import units_of
from api.orders.models import DocumentFormat
from warehouse.queries.lines import Scope
from warehouse.schema.ledger import Order, OrderExport, OrderLine
from warehouse.schema.results import Recommendation

ORDER_UNITS = units_of("order_lines") | {"cost": "currency"}


def visible(scope: Scope) -> sa.ColumnElement[bool]:
    """The condition that all lines of an order are of the caller's sites."""
    if scope is None:
        return sa.true()
    foreign = sa.select(OrderLine.order_number).where(
        OrderLine.order_number == Order.order_number, OrderLine.facility_id.not_in(sorted(scope))
    )
    return ~sa.exists(foreign)


def order_row(connection: sa.Connection, scope: Scope, order_number: str) -> sa.RowMapping:
    """The order of that number; `NotFound` when there is none in scope."""
    query = sa.select(Order.__table__).where(Order.order_number == order_number, visible(scope))
    return or_not_found(connection.execute(query).mappings().one_or_none(), f"order {order_number}")


def order_lines(
    connection: sa.Connection, order_numbers: list[str], *, for_update: bool = False
) -> dict[str, list[sa.RowMapping]]:
    """Lines per order in their order, with the recommendation's status and version."""
    query = (
        sa.select(OrderLine.__table__, Recommendation.status, Recommendation.version)
        .join(Recommendation, Recommendation.recommendation_id == OrderLine.recommendation_id)
        .where(OrderLine.order_number.in_(order_numbers))
        .order_by(OrderLine.order_number, OrderLine.line_number)
    )
    if for_update:
        query = query.with_for_update()
    lines: dict[str, list[sa.RowMapping]] = {number: [] for number in order_numbers}
    for row in connection.execute(query).mappings():
        lines[row["order_number"]].append(row)
    return lines


def order_resource(order: Any, lines: Any) -> dict[str, Any]:
    """An order with its lines, cost and where its documents are."""
    costs = [line["packs"] * line["pack_price"] for line in lines if line["pack_price"] is not None]
    path = f"/v1/orders/{order['order_number']}/document?format="
    return {
        **order,
        "cost": Decimal(format(sum(costs, Decimal(0)).normalize(), "f")) if costs else None,
        "documents": {kind.value: path + kind.value for kind in DocumentFormat},
        "lines": lines,
    }


def export_resource(connection: sa.Connection, scope: Scope, export_id: str) -> dict[str, Any]:
    """A hand-off with its orders as they were handed off; `NotFound` when none of its orders is in scope."""
    exports = sa.select(OrderExport.__table__).where(OrderExport.export_id == export_id)
    export = connection.execute(exports).mappings().one_or_none()
    query = sa.select(Order.__table__).where(Order.export_id == export_id, visible(scope))
    orders = connection.execute(query.order_by(Order.order_number)).mappings().all()
    if export is None or not orders:
        raise NotFound(f"there is no order export {export_id}")
    lines = order_lines(connection, [order["order_number"] for order in orders])
    return {
        "export_id": export_id,
        "created_at": export["created_at"],
        "created_by": export["actor_name"],
        "orders": [order_resource(order, lines[order["order_number"]]) for order in orders],
        # who is bound to fewer sites than the caller then must not read of the others' lines
        "not_exported": json.loads(export["not_exported"]) if _sees_as_much(export, scope) else [],
        "units": ORDER_UNITS,
    }


def _sees_as_much(export: Any, scope: Scope) -> bool:
    if scope is None:
        return True
    exported = export["facility_ids"]
    return exported is not None and set(exported.split(";")) <= scope
