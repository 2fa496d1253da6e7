"""Releases of guidance and other knowledge: what is in force where, what one would change, putting one in force."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, Response

from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import InvalidRequest, or_not_found
from api.http.fields import Names, Note, Strict, Text
from api.pages.forms import OptionalText, OrBlank, PageForm, PageNumber, check_form, pages_of
from api.pages.page_session import Visitor, see_other
from api.principal import Principal
from api.releases.activation import activate_releases
from forecasting.errors import InvalidInput
from forecasting.terms import ALL_FACILITIES
from warehouse.importers.content.difference import counted
from warehouse.queries import releases as queries
from warehouse.queries.lines import Rows, newest_run
from warehouse.releases import activations
from warehouse.roles import Permission
from warehouse.schema.inputs import NOT_STATED
from warehouse.schema.reference import ContentKind

router = APIRouter()

ROWS_A_PAGE = 100
FIRST_KINDS = (
    *(ContentKind.GUIDANCE, ContentKind.DEFAULT_ALTERNATIVE),
    *(ContentKind.PUBLISHED_RECOMMENDATION, ContentKind.POPULATION_SHARE),
)
"""Kinds that people look for most; the others come after them."""


class ReleaseParameters(Strict):
    """Which page of the changed rows, compared with which release, and the activation that was just made."""

    page: PageNumber = 1
    against: OptionalText = None
    activated: OptionalText = None


class ActivationForm(PageForm):
    """The form that puts a release in force, at every site or at those chosen."""

    effective_on: OrBlank[dt.date] = None
    facility_id: Names = []
    everywhere: Text = ""
    reason: Note = ""

    def day_and_sites(self) -> tuple[dt.date, list[str]]:
        """The first day and the sites ([] = every site); the first field that is missing raises `InvalidRequest`."""
        if self.effective_on is None:
            raise InvalidRequest.field("effective_on", "name the first day on which prescribing follows it")
        if not self.reason.strip():
            raise InvalidRequest.field("reason", "say why, for the ledger")
        if bool(self.everywhere) == bool(self.facility_id):
            raise InvalidRequest.field("facility_id", "choose sites, or every site, and not both")
        return self.effective_on, self.facility_id


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReleasesPage(Page, template="releases.html", menu_entry="releases"):
    """Every stored release, and every activation."""

    today: dt.date
    kinds: list[tuple[str, list[dict[str, Any]]]]  # kind, and its releases with where each is and will be in force
    activations: list[dict[str, Any]]  # newest first, each with the name of its site (`place`)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReleasePage(Page, template="release.html", menu_entry="releases"):
    """One release: where it is in force, what it would move, its rows against those it replaces, and the form."""

    today: dt.date
    release: sa.RowMapping
    in_force: list[dict[str, Any]]  # where and since when
    upcoming: list[dict[str, Any]]  # activations that count from a later day
    activations: list[dict[str, Any]]  # of this release, newest first
    replaced: list[str]  # releases in whose place it comes, or came
    against: str | None  # the release that it is compared with; None = nothing
    changes: dict[str, int]  # number of rows by kind of change
    rows: list[dict[Any, Any]]  # rows that differ, of this page
    pages: int
    impact: dict[str, Any] | None  # what it would move; None = no run computed it
    run: sa.RowMapping | None  # the last run
    sites: Rows  # to choose from
    parameters: ReleaseParameters
    error: InvalidRequest | None = None  # why it was not put in force
    form: ActivationForm | None = None  # what was filled in


@router.get("/releases", dependencies=NO_PARAMETERS)
def show_releases(person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """Every stored release by kind, where each is in force and since when, and who decided."""
    sites = queries.sites_in_force(queries.release_history(db, now.date(), person.sites))
    names = _site_names(db, person)
    decided = _activations(db, person, names)
    kinds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in FIRST_KINDS}
    for row in db.execute(queries.releases_query().order_by(sa.desc("loaded_at"), "release_id")).mappings():
        release_id = row["release_id"]
        in_force = _places(sites.get(release_id, []), names)
        upcoming = _upcoming(decided, release_id, now.date())
        kinds.setdefault(row["kind"], []).append({**row, "in_force": in_force, "upcoming": upcoming})
    stored = [(kind, rows) for kind, rows in kinds.items() if rows]
    return render(ReleasesPage(person=person, today=now.date(), kinds=stored, activations=decided))


@router.get("/releases/{release_id}", dependencies=ONCE_EACH)
def show_release(
    release_id: Text, parameters: Annotated[ReleaseParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """One release: where it is in force, what it would move, its rows against those it replaces, and the form."""
    return render(_page(db, person, release_id, now.date(), parameters))


@router.post("/releases/{release_id}/activations", dependencies=NO_PARAMETERS)
def activate_on_page(
    release_id: Text, form: Annotated[ActivationForm, Form()], person: Visitor, db: Db, now: Now
) -> Response:
    """Put it in force and show it; when a rule is broken, the page again with the reason and what was filled in."""
    check_form(person, form, Permission.ACTIVATE, "puts no release in force")
    or_not_found(queries.release(db, release_id), f"release {release_id}")
    try:
        day, sites = form.day_and_sites()
        activate_releases(db, person, [release_id], facility_ids=sites, effective_on=day, note=form.reason, now=now)
    except (InvalidInput, InvalidRequest) as error:
        # nothing has been written at this point: every rule is checked before the first write
        refusal = error if isinstance(error, InvalidRequest) else InvalidRequest(str(error))
        page = _page(db, person, release_id, now.date(), ReleaseParameters())
        return render(dataclasses.replace(page, error=refusal, form=form), status=refusal.status)
    return see_other(f"/releases/{quote(release_id, safe='')}?activated={day.isoformat()}")


def _page(
    db: sa.Connection, person: Principal, release_id: str, today: dt.date, parameters: ReleaseParameters
) -> ReleasePage:
    row = or_not_found(queries.release(db, release_id), f"release {release_id}")
    history, names = queries.release_history(db, today, person.sites), _site_names(db, person)
    replaced = queries.replaced_releases(history, release_id, row["kind"])
    against = parameters.against or (replaced[0] if replaced else None)
    diff = queries.release_diff(db, release_id, against)
    first = (parameters.page - 1) * ROWS_A_PAGE
    decided = [row for row in _activations(db, person, names) if row["release_id"] == release_id]
    return ReleasePage(
        person=person,
        today=today,
        release=row,
        in_force=_places(queries.sites_in_force(history).get(release_id, []), names),
        upcoming=_upcoming(decided, release_id, today),
        activations=decided,
        replaced=replaced,
        against=against,
        changes=counted(diff),
        rows=diff.iloc[first : first + ROWS_A_PAGE].to_dict("records"),
        pages=pages_of(len(diff), ROWS_A_PAGE),
        impact=_impact(db, person, release_id, names),
        run=newest_run(db),
        sites=queries.site_names(db, person.sites),
        parameters=parameters,
    )


def _impact(db: sa.Connection, person: Principal, release_id: str, names: dict[str, str]) -> dict[str, Any] | None:
    """Packs per week by drug and site, largest first, with each one's products; None while no run computed them."""
    as_of, sites = queries.release_preview(db, release_id, person.sites)
    if as_of is None:
        return None
    groups: dict[tuple[str, str], list[sa.RowMapping]] = {}
    by_drug: dict[str, float] = {}
    for move in db.execute(queries.release_moves_query(release_id, as_of, person.sites)).mappings():
        groups.setdefault((move["drug"], move["facility_name"]), []).append(move)
        by_drug[move["drug"]] = by_drug.get(move["drug"], 0.0) + move["packs_per_week"]
    rows = [
        {"drug": drug, "site": site, "packs_per_week": sum(move["packs_per_week"] for move in moves), "products": moves}
        for (drug, site), moves in groups.items()
    ]
    order = sorted(by_drug, key=lambda drug: (-abs(by_drug[drug]), drug))
    return {
        "as_of": as_of,
        "sites": len(sites),
        "stands_aside": [(names[site["facility_id"]], text) for site in sites for text in site["stands_aside"]],
        "by_drug": [(drug, by_drug[drug]) for drug in order],
        "rows": sorted(rows, key=lambda row: (order.index(row["drug"]), -abs(row["packs_per_week"]), row["site"])),
        "largest": max((abs(packs) for packs in by_drug.values()), default=0.0),
    }


def _site_names(db: sa.Connection, person: Principal) -> dict[str, str]:
    return {site["facility_id"]: site["name"] for site in queries.site_names(db, person.sites)}


def _activations(db: sa.Connection, person: Principal, names: dict[str, str]) -> list[dict[str, Any]]:
    """Every activation, newest first, with the name of its site."""
    known = {ALL_FACILITIES: "every site"} | names
    return [
        {**row, "place": known.get(row["facility_id"], row["facility_id"])} for row in activations(db, person.sites)
    ]


def _upcoming(decided: Iterable[dict[str, Any]], release_id: str, today: dt.date) -> list[dict[str, Any]]:
    """Activations of a release that count from a later day, the first to come first."""
    later = [row for row in decided if row["release_id"] == release_id and row["effective_on"] > today]
    return sorted(later, key=lambda row: (row["effective_on"], row["place"]))


def _places(sites: Iterable[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Where it is in force and since when (None = ever), sites of one day together; all of several are "every site"."""
    by_day: dict[dt.date, list[str]] = {}
    for site in sites:
        by_day.setdefault(site["since"], []).append(names[site["facility_id"]])
    return [
        {
            "since": None if day == NOT_STATED else day,
            "sites": "every site" if len(at_day) == len(names) > 1 else ", ".join(sorted(at_day)),
        }
        for day, at_day in sorted(by_day.items())
    ]
