"""Orders: what is approved and waits, the button that orders it, and every order so far."""

import dataclasses
import secrets
from collections import Counter
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from api.display.formatting import total_cost
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import NothingToExport
from api.http.fields import Strict, Text
from api.orders.documents import DOCUMENT_KINDS
from api.orders.export import MAY_BE_ORDERED, export_orders
from api.orders.models import OrderExportIn
from api.orders.queries import export_resource, order_lines, order_resource, order_row, visible
from api.pages.forms import OptionalText, OrBlank, PageForm, PageNumber, check_form, select_page
from api.pages.page_session import Visitor, see_other
from api.principal import Principal
from forecasting.terms import RecommendationStatus
from warehouse.queries.lines import recommendations_query
from warehouse.roles import Permission
from warehouse.schema.ledger import ACCOUNT_TYPES, Order, OrderExport
from warehouse.schema.results import Recommendation

router = APIRouter()

ORDERS_A_PAGE = 50
ORDERED = (RecommendationStatus.EXPORTED, RecommendationStatus.ACKNOWLEDGED, RecommendationStatus.RECEIVED)
"""Statuses of a line that was ordered, in the order of its life."""


class OrdersParameters(Strict):
    """Which page of the orders, and the export that was just made."""

    page: PageNumber = 1
    exported: OptionalText = None


class ExportForm(PageForm):
    """The button: `idempotency_key` is made with the page, so that a form sent twice orders once."""

    idempotency_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    supplier_id: OptionalText = None
    account_type: OrBlank[Literal["gpo", "340b", "wac"]] = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrdersPage(Page, template="orders.html", menu_entry="orders"):
    """What waits to be ordered, and the orders so far."""

    waiting: list[dict[str, Any]]  # approved lines by supplier: their number and total cost
    orders: list[dict[str, Any]]  # orders, each with the number of its lines by status (`line_counts`)
    parameters: OrdersParameters
    pages: int
    account_types: tuple[str, ...]  # to choose from
    idempotency_key: str  # of the next export
    exported: dict[str, Any] | None  # the export that was just made
    error: NothingToExport | None = None  # why nothing was ordered


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrderPage(Page, template="order.html", menu_entry="orders"):
    """One order."""

    order: dict[str, Any]  # with its lines and what the supplier said
    ordered_by: str  # name of who ordered it
    documents: list[tuple[str, str]]  # label and path of each document


@router.get("/orders", dependencies=ONCE_EACH)
def show_orders(parameters: Annotated[OrdersParameters, Query()], person: Visitor, db: Db) -> HTMLResponse:
    """What waits to be ordered, by supplier, and the orders so far, newest first."""
    return render(_page(db, person, parameters))


@router.post("/orders", dependencies=NO_PARAMETERS)
def order_on_page(form: Annotated[ExportForm, Form()], person: Visitor, db: Db, now: Now) -> Response:
    """Order what is approved; when nothing is left, the page says so."""
    check_form(person, form, Permission.DECIDE, "reads and does not order")
    suppliers = [form.supplier_id] if form.supplier_id else []
    request = OrderExportIn.model_validate({"supplier_id": suppliers, "account_type": form.account_type})
    try:
        export_id, _ = export_orders(db, person, form.idempotency_key, request, now)
    except NothingToExport as error:
        # nothing has been written at this point: what can be ordered is checked before the first write
        page = dataclasses.replace(_page(db, person, OrdersParameters()), error=error)
        return render(page, status=error.status)
    return see_other(f"/orders?exported={export_id}")


@router.get("/orders/{order_number}", dependencies=NO_PARAMETERS)
def show_order(order_number: Text, person: Visitor, db: Db) -> HTMLResponse:
    """One order with its lines, what the supplier said, and its documents."""
    row = order_row(db, person.sites, order_number)
    order = order_resource(row, order_lines(db, [order_number])[order_number])
    authors = sa.select(OrderExport.actor_name).where(OrderExport.export_id == row["export_id"])
    documents = [(kind.label, order["documents"][name]) for name, kind in DOCUMENT_KINDS.items()]
    page = OrderPage(person=person, order=order, ordered_by=db.execute(authors).scalar_one(), documents=documents)
    return render(page)


def _page(db: sa.Connection, person: Principal, parameters: OrdersParameters) -> OrdersPage:
    rows, pages = select_page(db, select_orders(person), parameters.page, ORDERS_A_PAGE)
    lines = order_lines(db, [row["order_number"] for row in rows])
    orders = [order_resource(row, lines[row["order_number"]]) for row in rows]
    return OrdersPage(
        person=person,
        waiting=_waiting(db, person),
        orders=[order | {"line_counts": _line_counts(order["lines"])} for order in orders],
        parameters=parameters,
        pages=pages,
        account_types=ACCOUNT_TYPES,
        idempotency_key=secrets.token_urlsafe(24),
        exported=export_resource(db, person.sites, parameters.exported) if parameters.exported else None,
    )


def select_orders(person: Principal) -> sa.Select[Any]:
    """The person's orders, newest first, with who ordered them."""
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
        {"supplier": name, "supplier_id": supplier_id, "lines": len(lines), "total": total_cost(lines)}
        for (name, supplier_id), lines in sorted(groups.items(), key=lambda pair: pair[0][0])
    ]


def _line_counts(lines: list[Any]) -> list[tuple[str, int]]:
    """How many lines have each status, in the order of their life."""
    counts = Counter(line["status"] for line in lines)
    return [(status, counts[status]) for status in ORDERED if counts[status]]
