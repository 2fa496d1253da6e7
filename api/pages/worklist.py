"""The worklist: what to order today and why, by supplier and order-by day, most urgent first."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator, Field

from api.auth import Principal
from api.context import Db, Now, refuse_repeated_parameters
from api.models import Strict, Text
from api.pages.visitor import Visitor
from api.templating import page
from forecasting.terms import DecisionReason, Reason, RecommendationStatus
from warehouse.queries import Rows, decisions_of, facilities, recommendation_line, recommendation_lines, suppliers
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.results import Recommendation

router = APIRouter()

LINES_A_PAGE = 200


def blank_is_none(value: Any) -> Any:
    return None if value == "" else value


OneName = Annotated[Text | None, BeforeValidator(blank_is_none)]


class WorklistFilters(Strict):
    """What the filter form sends; a blank choice is no filter."""

    status: Annotated[RecommendationStatus | None, BeforeValidator(blank_is_none)] = None
    facility_id: OneName = None
    supplier_id: OneName = None
    reason: Annotated[Reason | None, BeforeValidator(blank_is_none)] = None
    q: OneName = None
    page: int = Field(1, ge=1, le=10_000)
    decided: OneName = None

    def wanted_status(self) -> RecommendationStatus:
        """The status that is listed: proposed unless another is chosen."""
        return self.status or RecommendationStatus.PROPOSED

    def path(self, **changes: Any) -> str:
        """The address of this list, with changes; what was decided last is left out."""
        values = self.model_dump(mode="json", exclude={"decided"}) | changes
        kept = {name: value for name, value in values.items() if value not in (None, "", 1)}
        return f"/?{urlencode(kept)}" if kept else "/"


@dataclasses.dataclass(frozen=True)
class Group:
    """Lines that go to one supplier by one day: one order."""

    supplier: str
    order_by: dt.date
    lines: list[sa.RowMapping]
    totals: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """The list in one row."""

    lines: int
    overdue: int
    due_today: int
    totals: str


@router.get("/", dependencies=[Depends(refuse_repeated_parameters)])
def show_worklist(filters: Annotated[WorklistFilters, Query()], person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """The lines that the filters leave, grouped for ordering."""
    today = now.date()
    lines = _lines(db, person, filters)
    first = (filters.page - 1) * LINES_A_PAGE
    ordered = [line for group in _groups(lines) for line in group.lines]
    return page(
        "worklist.html",
        person=person,
        here="worklist",
        today=today,
        filters=filters,
        summary=_summary(lines, today),
        groups=_groups(ordered[first : first + LINES_A_PAGE]),
        pages=-(-len(lines) // LINES_A_PAGE),
        anything=bool(lines) or _any_line(db, person),
        sites=db.execute(facilities(person.sites).order_by(Facility.name)).mappings().all(),
        suppliers=suppliers(db),
        decision_reasons=[reason.value for reason in DecisionReason],
        decided=_decided(db, person, filters.decided),
    )


def _lines(db: sa.Connection, person: Principal, filters: WorklistFilters) -> Rows:
    query = recommendation_lines(person.sites).where(Recommendation.status == filters.wanted_status().value)
    for column, wanted in (
        (Recommendation.facility_id, filters.facility_id),
        (Recommendation.supplier_id, filters.supplier_id),
        (Recommendation.reason, filters.reason),
    ):
        if wanted:
            query = query.where(column == wanted)
    for word in (filters.q or "").split():
        places = (Product.drug, Product.product_id, Product.code, Facility.name, Product.dose_form)
        query = query.where(sa.or_(*(place.icontains(word, autoescape=True) for place in places)))
    return db.execute(query.order_by(Recommendation.urgency.desc(), Recommendation.recommendation_id)).mappings().all()


def _groups(lines: Iterable[sa.RowMapping]) -> list[Group]:
    """Groups in the order of their most urgent line; lines come in most urgent first."""
    found: dict[tuple[str, dt.date], list[sa.RowMapping]] = {}
    for line in lines:
        supplier = line["supplier_name"] or line["supplier_id"] or "No supplier named"
        found.setdefault((supplier, line["order_by"]), []).append(line)
    return [Group(supplier, order_by, of, totals(of)) for (supplier, order_by), of in found.items()]


def totals(lines: Iterable[Any]) -> str:
    """Cost by currency, and how many lines have no price.

    >>> totals([{"cost": Decimal("2.50"), "currency": "GBP"}, {"cost": None, "currency": None}])
    '2.50 GBP + 1 line without price'
    """
    sums: dict[str, Decimal] = {}
    unpriced = 0
    for line in lines:
        if line["cost"] is None:
            unpriced += 1
        else:
            currency = line["currency"] or "(currency unknown)"
            sums[currency] = sums.get(currency, Decimal(0)) + line["cost"]
    parts = [f"{amount:,.2f} {currency}" for currency, amount in sorted(sums.items())]
    if unpriced:
        parts.append(f"{unpriced} line{'s' * (unpriced > 1)} without price")
    return " + ".join(parts) or "–"


def _summary(lines: Rows, today: dt.date) -> Summary:
    return Summary(
        lines=len(lines),
        overdue=sum(line["order_by"] < today for line in lines),
        due_today=sum(line["order_by"] == today for line in lines),
        totals=totals(lines),
    )


def _any_line(db: sa.Connection, person: Principal) -> bool:
    return db.execute(recommendation_lines(person.sites).limit(1)).first() is not None


def _decided(db: sa.Connection, person: Principal, recommendation_id: str | None) -> dict[str, Any] | None:
    """The line that was decided last, and the decision, for the confirmation on top."""
    line = recommendation_line(db, person.sites, recommendation_id) if recommendation_id else None
    if line is None:
        return None
    done = decisions_of(db, line["recommendation_id"])
    return {"line": line, "decision": done[-1]} if done else None
