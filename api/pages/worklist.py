"""The worklist: what to order today and why, by supplier and order-by day, most urgent first."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.display.formatting import total_cost
from api.display.templating import Page, render
from api.http.context import ONCE_EACH, Db, Now
from api.http.fields import Strict
from api.http.paging import filtered
from api.pages.forms import MOST_LINES, OptionalText, OrBlank, PageNumber, RowNumber, pages_of, sites_by_name
from api.pages.page_session import Visitor
from api.principal import Principal
from api.recommendations.triage import LONGEST_SNOOZE
from forecasting.terms import DescribedEnum, Reason, RecommendationStatus
from warehouse.queries import worklist
from warehouse.queries.lines import Rows, decisions, recommendation, recommendations_query, suppliers
from warehouse.roles import Permission
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.results import Recommendation

router = APIRouter()

LINES_A_PAGE = 200
ACCESS_KEYS = {
    "s": "Search",
    "t": "Tick every line of the list",
    "a": "Approve what is ticked",
    "r": "Reason to reject",
    "o": "Put off or give away",
    "n": "Next page",
    "p": "Page before",
}
"""Keys that go to a control together with the browser's key for access keys."""

Line = dict[str, Any]


class View(DescribedEnum):
    """A part of the proposed lines: what to look at today, or what is a person's, waits, is routine or put off."""

    TO_DECIDE = "", "to decide"
    MINE = "mine", "mine"
    SECOND = "second", "second approval"
    ROUTINE = "routine", "routine"
    SNOOZED = "snoozed", "put off"
    ALL = "all", "all"


class WorklistFilters(Strict):
    """What the filter form sends; a blank choice is no filter."""

    status: OrBlank[RecommendationStatus] = None
    show: View = View.TO_DECIDE
    facility_id: OptionalText = None
    supplier_id: OptionalText = None
    reason: OrBlank[Reason] = None
    q: OptionalText = None
    page: PageNumber = 1
    ticked: OrBlank[Literal["all"]] = None
    decided: OptionalText = None
    acted: RowNumber | None = None

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
    total: str


@dataclasses.dataclass(frozen=True)
class Summary:
    """The list in one row."""

    lines: int
    overdue: int
    due_today: int
    total: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorklistPage(Page, template="worklist.html", menu_entry="worklist"):
    """The lines that the filters leave, grouped for ordering, and the forms that decide on them."""

    today: dt.date
    filters: WorklistFilters
    summary: Summary
    views: dict[View, int]  # number of lines of each view; only that which is shown where lines are not proposed
    groups: list[Group]  # of this page
    elsewhere: list[Line]  # lines on other pages, as many as one form takes
    pages: int
    has_lines: bool  # whether there is any line at all
    sites: Rows  # to choose from
    suppliers: Rows  # to choose from
    assignees: Rows  # people to whom lines can be given
    latest_snooze: dt.date
    most_lines: int  # that one form takes
    access_keys: dict[str, str]  # key -> what it does
    decided: dict[str, Any] | None  # the line that was decided last, and the decision
    acted: sa.RowMapping | None  # the action that was made last


@router.get("/", dependencies=ONCE_EACH)
def show_worklist(filters: Annotated[WorklistFilters, Query()], person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """The lines that the filters leave, grouped for ordering."""
    today = now.date()
    selected = _lines(db, person, filters)
    views = {filters.show: selected}
    if filters.wanted_status() is RecommendationStatus.PROPOSED:
        views = by_view(lines_with_state(db, person, selected, today), person)
    lines = views[filters.show]
    first, last = (filters.page - 1) * LINES_A_PAGE, filters.page * LINES_A_PAGE
    ordered = [line for group in _groups(lines) for line in group.lines]
    page = WorklistPage(
        person=person,
        today=today,
        filters=filters,
        summary=_summary(lines, today),
        views={view: len(in_view) for view, in_view in views.items()},
        groups=_groups(ordered[first:last]),
        elsewhere=[*ordered[:first], *ordered[last:]][: MOST_LINES - LINES_A_PAGE],
        pages=pages_of(len(lines), LINES_A_PAGE),
        has_lines=bool(selected) or db.execute(recommendations_query(person.sites).limit(1)).first() is not None,
        sites=sites_by_name(db, person),
        suppliers=suppliers(db),
        assignees=worklist.people_with(db, Permission.DECIDE) if person.may_decide() else [],
        latest_snooze=today + LONGEST_SNOOZE,
        most_lines=MOST_LINES,
        access_keys=ACCESS_KEYS,
        decided=_last_decision(db, person, filters.decided),
        acted=worklist.action(db, person.sites, filters.acted) if filters.acted else None,
    )
    return render(page)


def _lines(db: sa.Connection, person: Principal, filters: WorklistFilters) -> list[Line]:
    query = filtered(
        recommendations_query(person.sites),
        (Recommendation.status, filters.wanted_status().value),
        (Recommendation.facility_id, filters.facility_id),
        (Recommendation.supplier_id, filters.supplier_id),
        (Recommendation.reason, filters.reason and filters.reason.value),
    )
    for word in (filters.q or "").split():
        columns = (Product.drug, Product.product_id, Product.code, Facility.name, Product.dose_form)
        query = query.where(sa.or_(*(column.icontains(word, autoescape=True) for column in columns)))
    # harm first, then the cost; a price that is not known comes last
    cost = sa.cast(Recommendation.cost, sa.Numeric).desc().nulls_last()
    query = query.order_by(Recommendation.urgency.desc(), cost, Recommendation.recommendation_id)
    return [dict(row) | NO_STATE for row in db.execute(query).mappings()]


NO_STATE: Line = {"snooze": None, "assign": None, "first": None, "second_by": [], "rule": None}


def lines_with_state(db: sa.Connection, person: Principal, lines: list[Line], today: dt.date) -> list[Line]:
    """Proposed lines with what people did beside deciding: `snooze` and `assign` (newest actions), `first` (approval
    that waits) with `second_by` (names of who may give the second), `rule` (by which it is routine)."""
    states, approvals = worklist.item_states(db, person.sites, today), worklist.first_approvals(db, person.sites)
    rules = worklist.rules_in_force(db, person.sites, today)
    approvers = worklist.people_with(db, Permission.APPROVE_SECOND) if approvals else []
    for line in lines:
        state = states.get((line["facility_id"], line["product_id"]), worklist.ItemState())
        line["assign"] = state.assign
        line["snooze"] = state.snooze if state.snoozed(line["order_by"], today) else None
        line["first"] = approvals.get(line["recommendation_id"])
        if line["first"]:
            line["second_by"] = _second_approvers(approvers, line, line["first"])
        elif not (line["snooze"] or line["assign"]):
            line["rule"] = worklist.covering_rule(line, rules)
    return lines


def _second_approvers(approvers: Rows, line: Any, first: Any) -> list[str]:
    """Names of who may give the second approval to a line."""
    return [
        person["display_name"]
        for person in approvers
        if person["user_id"] != first["user_id"] and worklist.sees(person, line["facility_id"])
    ]


def by_view(lines: list[Line], person: Principal) -> dict[View, list[Line]]:
    """The lines of each view; what is put off or routine is in no other but `ALL`."""
    views: dict[View, list[Line]] = {view: [] for view in View}
    for line in lines:
        views[View.ALL].append(line)
        if line["snooze"]:
            views[View.SNOOZED].append(line)
            continue
        views[View.ROUTINE if line["rule"] else View.TO_DECIDE].append(line)
        if line["first"]:
            views[View.SECOND].append(line)
        if line["assign"] and line["assign"]["assignee_id"] == person.user_id:
            views[View.MINE].append(line)
    return views


def _groups(lines: Iterable[Line]) -> list[Group]:
    """Groups in the order of their most urgent line; lines come in most urgent first."""
    groups: dict[tuple[str, dt.date], list[Line]] = {}
    for line in lines:
        supplier = line["supplier_name"] or line["supplier_id"] or "No supplier named"
        groups.setdefault((supplier, line["order_by"]), []).append(line)
    return [Group(supplier, day, group, total_cost(group)) for (supplier, day), group in groups.items()]


def _summary(lines: Sequence[Line], today: dt.date) -> Summary:
    return Summary(
        lines=len(lines),
        overdue=sum(line["order_by"] < today for line in lines),
        due_today=sum(line["order_by"] == today for line in lines),
        total=total_cost(lines),
    )


def _last_decision(db: sa.Connection, person: Principal, recommendation_id: str | None) -> dict[str, Any] | None:
    """The line that was decided last, and the decision, for the confirmation on top."""
    line = recommendation(db, person.sites, recommendation_id) if recommendation_id else None
    made = decisions(db, line["recommendation_id"]) if line is not None else []
    return {"line": line, "decision": made[-1]} if made else None
