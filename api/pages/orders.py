"""Orders: what is approved and waits, the button that hands it off, and every order that was handed off."""

import secrets
from collections import Counter
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator, Field

from api.access.callers import check_csrf
from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotAllowed, NothingToExport
from api.http.fields import Strict, Text
from api.orders.export import MAY_BE_ORDERED, export_orders
from api.orders.models import OrderExportIn
from api.orders.queries import export_told, order_lines, order_row, told, visible
from api.pages.page_session import Visitor, see_other
from api.pages.worklist import OneName, blank_is_none, totals
from warehouse.queries.lines import recommendations_query
from warehouse.schema.ledger import ACCOUNT_TYPES, Order, OrderExport
from warehouse.schema.results import Recommendation

router = APIRouter()

ORDERS_A_PAGE = 50


class OrdersParameters(Strict):
    """Which page of the orders, and the hand-off that was just made."""

    page: int = Field(1, ge=1, le=10_000)
    exported: OneName = None


class ExportForm(Strict):
    """The button: `idempotency_key` is made with the page, so that a form sent twice orders once."""

    csrf_token: Text
    idempotency_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    supplier_id: OneName = None
    account_type: Annotated[Literal["gpo", "340b", "wac"] | None, BeforeValidator(blank_is_none)] = None


@router.get("/orders", dependencies=[Depends(refuse_repeated_parameters)])
def show_orders(parameters: Annotated[OrdersParameters, Query()], person: Visitor, db: Db) -> HTMLResponse:
    """What waits to be ordered, by supplier, and the orders so far, newest first."""
    return _page(db, person, parameters)


@router.post("/orders", dependencies=[Depends(refuse_parameters)])
def export_on_page(form: Annotated[ExportForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """Hand off what is approved; when nothing is left, the page says so."""
    check_csrf(person, form.csrf_token)
    if not person.may_decide():
        raise NotAllowed(f"the role {person.role} reads and does not order")
    suppliers = [form.supplier_id] if form.supplier_id else []
    wanted = OrderExportIn.model_validate({"supplier_id": suppliers, "account_type": form.account_type})
    try:
        export_id, _ = export_orders(db, person, form.idempotency_key, wanted, now)
    except NothingToExport as error:
        # nothing has been written at this point: what can be ordered is checked before the first write
        return _page(db, person, OrdersParameters.model_validate({}), error=error)
    return see_other(f"/orders?exported={export_id}")


@router.get("/orders/{order_number}", dependencies=[Depends(refuse_parameters)])
def show_order(order_number: Text, person: Visitor, db: Db) -> HTMLResponse:
    """One order with its lines, what the supplier said, and its documents."""
    order = order_row(db, person.sites, order_number)
    lines = order_lines(db, [order_number])[order_number]
    by = db.execute(sa.select(OrderExport.actor_name).where(OrderExport.export_id == order["export_id"])).scalar_one()
    return page("order.html", person=person, here="orders", order=told(order, lines), ordered_by=by)


def _page(
    db: sa.Connection, person: Principal, parameters: OrdersParameters, error: NothingToExport | None = None
) -> HTMLResponse:
    found = select_orders(person)
    count = int(db.execute(sa.select(sa.func.count()).select_from(found.subquery())).scalar_one())
    rows = db.execute(found.limit(ORDERS_A_PAGE).offset((parameters.page - 1) * ORDERS_A_PAGE)).mappings().all()
    lines = order_lines(db, [row["order_number"] for row in rows])
    done = export_told(db, person.sites, parameters.exported) if parameters.exported else None
    return page(
        "orders.html",
        status=error.status if error else 200,
        person=person,
        here="orders",
        waiting=_waiting(db, person),
        orders=[
            told(row, lines[row["order_number"]]) | {"stands": _stands(lines[row["order_number"]])} for row in rows
        ],
        parameters=parameters,
        pages=-(-count // ORDERS_A_PAGE),
        account_types=ACCOUNT_TYPES,
        idempotency_key=secrets.token_urlsafe(24),
        done=done,
        error=error,
    )


def select_orders(person: Principal) -> sa.Select[Any]:
    """The person's orders, newest first, with who handed them off."""
    return (
        sa.select(Order.__table__, OrderExport.actor_name)
        .join(OrderExport, OrderExport.export_id == Order.export_id)
        .where(visible(person.sites))
        .order_by(Order.order_number.desc())
    )


def _waiting(db: sa.Connection, person: Principal) -> list[dict[str, Any]]:
    """Approved lines by supplier: how many and what they cost."""
    query = recommendations_query(person.sites).where(Recommendation.status.in_(MAY_BE_ORDERED))
    groups: dict[tuple[str, str | None], list[Any]] = {}
    for line in db.execute(query).mappings():
        name = line["supplier_name"] or line["supplier_id"] or ""
        groups.setdefault((name, line["supplier_id"]), []).append(line)
    return [
        {"supplier": name, "supplier_id": supplier_id, "lines": len(of), "totals": totals(of)}
        for (name, supplier_id), of in sorted(groups.items(), key=lambda pair: pair[0][0])
    ]


def _stands(lines: list[Any]) -> list[tuple[str, int]]:
    """How many lines stand where, in the order of their life."""
    counts = Counter(line["status"] for line in lines)
    return [(status, counts[status]) for status in ("exported", "acknowledged", "received") if counts[status]]
