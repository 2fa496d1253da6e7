"""The worklist: what to order today and why, by supplier and order-by day, most urgent first."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator, Field

from api.access.roles import Principal
from api.display.formatting import money
from api.display.templating import page
from api.http.context import Db, Now, refuse_repeated_parameters
from api.http.fields import Strict, Text
from api.pages.page_session import Visitor
from api.recommendations.routine_rules import rules_today
from api.recommendations.second_approval import SECOND_ROLES
from api.recommendations.triage import DECIDERS, LONGEST_SNOOZE
from forecasting.terms import DecisionReason, Reason, RecommendationStatus
from warehouse.queries.lines import Rows, decisions, facilities_query, recommendation, recommendations_query, suppliers
from warehouse.queries.worklist import ItemState, action, covering_rule, first_approvals, item_states, people, sees
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.results import Recommendation

router = APIRouter()

LINES_A_PAGE = 200
MOST_LINES = 900
"""Lines that one form decides at once; forms of more than 1,000 fields are not read."""

Line = dict[str, Any]


def blank_is_none(value: Any) -> Any:
    return None if value == "" else value


OneName = Annotated[Text | None, BeforeValidator(blank_is_none)]


class View(StrEnum):
    """A part of the proposed lines: what to look at today, or what is somebody's, waits, is routine or put off."""

    MINE = "mine"
    SECOND = "second"
    ROUTINE = "routine"
    SNOOZED = "snoozed"
    ALL = "all"


class WorklistFilters(Strict):
    """What the filter form sends; a blank choice is no filter."""

    status: Annotated[RecommendationStatus | None, BeforeValidator(blank_is_none)] = None
    show: Annotated[View | None, BeforeValidator(blank_is_none)] = None
    facility_id: OneName = None
    supplier_id: OneName = None
    reason: Annotated[Reason | None, BeforeValidator(blank_is_none)] = None
    q: OneName = None
    page: int = Field(1, ge=1, le=10_000)
    ticked: Annotated[Literal["all"] | None, BeforeValidator(blank_is_none)] = None
    decided: OneName = None
    acted: int | None = Field(None, ge=1, le=2**31 - 1)

    def wanted_status(self) -> RecommendationStatus:
        """The status that is listed: proposed unless another is chosen."""
        return self.status or RecommendationStatus.PROPOSED

    def path(self, **changes: Any) -> str:
        """The address of this list, with changes; what was done last, and ticks, are left out."""
        values = self.model_dump(mode="json", exclude={"decided", "acted", "ticked"}) | changes
        kept = {name: value for name, value in values.items() if value not in (None, "", 1)}
        return f"/?{urlencode(kept)}" if kept else "/"


@dataclasses.dataclass(frozen=True)
class Group:
    """Lines that go to one supplier by one day: one order."""

    supplier: str
    order_by: dt.date
    lines: list[Line]
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
    found = _lines(db, person, filters)
    views: dict[View | None, list[Line]] = {filters.show: found}
    if filters.wanted_status() is RecommendationStatus.PROPOSED:
        views = by_view(lines_with_state(db, person, found, now), person)
    lines = views[filters.show]
    first, last = (filters.page - 1) * LINES_A_PAGE, filters.page * LINES_A_PAGE
    ordered = [line for group in _groups(lines) for line in group.lines]
    return page(
        "worklist.html",
        person=person,
        here="worklist",
        today=today,
        filters=filters,
        summary=_summary(lines, today),
        views={view: len(of) for view, of in views.items()},
        groups=_groups(ordered[first:last]),
        elsewhere=[*ordered[:first], *ordered[last:]][: MOST_LINES - LINES_A_PAGE],
        pages=-(-len(lines) // LINES_A_PAGE),
        anything=bool(found) or _any_line(db, person),
        sites=db.execute(facilities_query(person.sites).order_by(Facility.name)).mappings().all(),
        suppliers=suppliers(db),
        assignees=people(db, DECIDERS) if person.may_decide() else [],
        decision_reasons=[reason.value for reason in DecisionReason],
        latest_snooze=today + LONGEST_SNOOZE,
        most_lines=MOST_LINES,
        decided=_decided(db, person, filters.decided),
        acted=action(db, person.sites, filters.acted) if filters.acted else None,
    )


def _lines(db: sa.Connection, person: Principal, filters: WorklistFilters) -> list[Line]:
    query = recommendations_query(person.sites).where(Recommendation.status == filters.wanted_status().value)
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
    # harm first, then the money at stake; a price that is not known comes last
    money = sa.cast(Recommendation.cost, sa.Numeric).desc().nulls_last()
    by = (Recommendation.urgency.desc(), money, Recommendation.recommendation_id)
    rows = db.execute(query.order_by(*by)).mappings()
    return [dict(row) | NO_STATE for row in rows]


NO_STATE: Line = {"snooze": None, "assign": None, "first": None, "second_by": [], "rule": None}


def lines_with_state(db: sa.Connection, person: Principal, lines: list[Line], now: dt.datetime) -> list[Line]:
    """Proposed lines with what people did beside deciding: `snooze` and `assign` (newest actions), `first` (approval
    that waits) with `second_by` (names of who may give the second), `rule` (by which it is routine)."""
    today = now.date()
    states, firsts = item_states(db, person.sites, today), first_approvals(db, person.sites)
    rules = rules_today(db, person, now)
    approvers = people(db, SECOND_ROLES) if firsts else []
    for line in lines:
        state = states.get((line["facility_id"], line["product_id"]), ItemState())
        line["assign"] = state.assign
        line["snooze"] = state.snooze if state.snoozed(line["order_by"], today) else None
        line["first"] = firsts.get(line["recommendation_id"])
        if line["first"]:
            line["second_by"] = second_by(approvers, line, line["first"])
        elif not (line["snooze"] or line["assign"]):
            line["rule"] = covering_rule(line, rules)
    return lines


def second_by(approvers: Rows, line: Any, first: Any) -> list[str]:
    """Names of who may give the second approval to a line."""
    others = [one for one in approvers if one["user_id"] != first["user_id"] and sees(one, line["facility_id"])]
    return [one["display_name"] for one in others]


def by_view(lines: list[Line], person: Principal) -> dict[View | None, list[Line]]:
    """The lines of each view; what is put off or routine is in no other but `all`."""
    views: dict[View | None, list[Line]] = {view: [] for view in (None, *View)}
    for line in lines:
        views[View.ALL].append(line)
        if line["snooze"]:
            views[View.SNOOZED].append(line)
            continue
        views[View.ROUTINE if line["rule"] else None].append(line)
        if line["first"]:
            views[View.SECOND].append(line)
        if line["assign"] and line["assign"]["assignee_id"] == person.user_id:
            views[View.MINE].append(line)
    return views


def _groups(lines: Iterable[Line]) -> list[Group]:
    """Groups in the order of their most urgent line; lines come in most urgent first."""
    found: dict[tuple[str, dt.date], list[Line]] = {}
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
    parts = [money(amount, currency) for currency, amount in sorted(sums.items())]
    if unpriced:
        parts.append(f"{unpriced} line{'s' * (unpriced > 1)} without price")
    return " + ".join(parts) or "–"


def _summary(lines: Sequence[Line], today: dt.date) -> Summary:
    return Summary(
        lines=len(lines),
        overdue=sum(line["order_by"] < today for line in lines),
        due_today=sum(line["order_by"] == today for line in lines),
        totals=totals(lines),
    )


def _any_line(db: sa.Connection, person: Principal) -> bool:
    return db.execute(recommendations_query(person.sites).limit(1)).first() is not None


def _decided(db: sa.Connection, person: Principal, recommendation_id: str | None) -> dict[str, Any] | None:
    """The line that was decided last, and the decision, for the confirmation on top."""
    line = recommendation(db, person.sites, recommendation_id) if recommendation_id else None
    if line is None:
        return None
    done = decisions(db, line["recommendation_id"])
    return {"line": line, "decision": done[-1]} if done else None
