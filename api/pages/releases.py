"""Releases of guidance and other knowledge: what is in force where, what one would change, putting one in force."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, Response
from pydantic import BeforeValidator, Field

from api.access.callers import check_csrf
from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import ApiError, InvalidRequest, NotAllowed, NotFound
from api.http.fields import Names, Note, Strict, Text
from api.pages.page_session import Visitor, see_other
from api.pages.worklist import OneName, blank_is_none
from api.releases.activation import activate_releases
from forecasting.errors import InvalidInput
from warehouse.importers.content.difference import counted
from warehouse.queries import releases as reading
from warehouse.queries.lines import newest_run
from warehouse.releases import activations
from warehouse.schema.inputs import NOT_STATED

router = APIRouter()

ROWS_A_PAGE = 100
KINDS_FIRST = ("guidance", "default_alternative", "published_recommendation", "population_share")


class ReleaseParameters(Strict):
    """Which page of the changed rows, compared with which release, and the activation that was just made."""

    page: int = Field(1, ge=1, le=10_000)
    against: OneName = None
    activated: OneName = None


class ActivationForm(Strict):
    """The form that puts a release in force; no site chosen = every site."""

    csrf_token: Text
    effective_on: Annotated[dt.date | None, BeforeValidator(blank_is_none)] = None
    facility_id: Names = []
    everywhere: Text = ""
    reason: Note = ""


@router.get("/releases", dependencies=[Depends(refuse_parameters)])
def show_releases(person: Visitor, db: Db, now: Now) -> HTMLResponse:
    """Every stored release by kind, where each is in force and since when, and who decided."""
    history = reading.release_history(db, now.date(), person.sites)
    used, names = reading.sites_in_force(history), _names(db, person)
    decided = [{**one, "place": _place(one["facility_id"], names)} for one in activations(db, person.sites)]
    kinds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS_FIRST}
    for row in db.execute(reading.releases_query().order_by(sa.desc("loaded_at"), "release_id")).mappings():
        about = {
            "places": _places(used.get(row["release_id"], []), names),
            "to_come": _to_come(decided, row["release_id"], now.date()),
        }
        kinds.setdefault(row["kind"], []).append({**row, **about})
    told = [(kind, rows) for kind, rows in kinds.items() if rows]
    return page("releases.html", person=person, here="releases", kinds=told, activations=decided, today=now.date())


@router.get("/releases/{release_id}", dependencies=[Depends(refuse_repeated_parameters)])
def show_release(
    release_id: Text, parameters: Annotated[ReleaseParameters, Query()], person: Visitor, db: Db, now: Now
) -> HTMLResponse:
    """One release: where it is in force, what it would move, its rows against those it replaces, and the form."""
    return _page(db, person, release_id, now, parameters)


@router.post("/releases/{release_id}/activations", dependencies=[Depends(refuse_parameters)])
def activate_on_page(
    release_id: Text, form: Annotated[ActivationForm, Form()], person: Visitor, db: Db, now: Now
) -> Response:
    """Put it in force and show it; when a rule is broken, the page again with the reason and what was filled in."""
    check_csrf(person, form.csrf_token)
    if not person.may_activate():
        raise NotAllowed(f"the role {person.role} puts no release in force")
    if reading.release(db, release_id) is None:
        raise NotFound(f"there is no release {release_id}")
    try:
        effective_on, sites = _asked(form)
        activate_releases(
            db, person, [release_id], facility_ids=sites, effective_on=effective_on, note=form.reason, now=now
        )
    except (InvalidInput, InvalidRequest) as error:
        # nothing has been written at this point: every rule is checked before the first write
        told = error if isinstance(error, InvalidRequest) else InvalidRequest(str(error))
        return _page(db, person, release_id, now, ReleaseParameters.model_validate({}), error=told, form=form)
    return see_other(f"/releases/{quote(release_id, safe='')}?activated={effective_on.isoformat()}")


def _asked(form: ActivationForm) -> tuple[dt.date, list[str]]:
    """Day and sites of the form ([] = every site); what is missing is named."""
    if form.effective_on is None:
        raise InvalidRequest.field("effective_on", "name the first day on which prescribing follows it")
    if not form.reason.strip():
        raise InvalidRequest.field("reason", "say why, for the ledger")
    if bool(form.everywhere) == bool(form.facility_id):
        raise InvalidRequest.field("facility_id", "choose sites, or every site, and not both")
    return form.effective_on, form.facility_id


def _page(
    db: sa.Connection,
    person: Principal,
    release_id: str,
    now: dt.datetime,
    parameters: ReleaseParameters,
    error: ApiError | None = None,
    form: ActivationForm | None = None,
) -> HTMLResponse:
    row = reading.release(db, release_id)
    if row is None:
        raise NotFound(f"there is no release {release_id}")
    history, names = reading.release_history(db, now.date(), person.sites), _names(db, person)
    replaced = reading.replaced_releases(history, release_id, row["kind"])
    against = parameters.against or (replaced[0] if replaced else None)
    diff = reading.release_diff(db, release_id, against)
    first = (parameters.page - 1) * ROWS_A_PAGE
    decided = [
        {**one, "place": _place(one["facility_id"], names)}
        for one in activations(db, person.sites)
        if one["release_id"] == release_id
    ]
    return page(
        "release.html",
        status=error.status if error else 200,
        person=person,
        here="releases",
        today=now.date(),
        release=row,
        places=_places(reading.sites_in_force(history).get(release_id, []), names),
        replaced=replaced,
        against=against,
        changes=counted(diff),
        rows=diff.iloc[first : first + ROWS_A_PAGE].to_dict("records"),
        lines=len(diff),
        pages=-(-len(diff) // ROWS_A_PAGE),
        impact=_impact(db, person, release_id, names),
        run=newest_run(db),
        to_come=_to_come(decided, release_id, now.date()),
        activations=decided,
        sites=reading.site_names(db, person.sites),
        parameters=parameters,
        error=error,
        form=form,
    )


def _impact(db: sa.Connection, person: Principal, release_id: str, names: dict[str, str]) -> dict[str, Any] | None:
    """Packs per week by drug and site, largest first, with each one's products; None while no run computed them."""
    as_of, sites = reading.release_preview(db, release_id, person.sites)
    if as_of is None:
        return None
    moves = db.execute(reading.release_moves_query(release_id, as_of, person.sites)).mappings().all()
    groups: dict[tuple[str, str], list[sa.RowMapping]] = {}
    for move in moves:
        groups.setdefault((move["drug"], move["facility_name"]), []).append(move)
    rows = [
        {"drug": drug, "site": site, "packs_per_week": sum(one["packs_per_week"] for one in of), "products": of}
        for (drug, site), of in groups.items()
    ]
    by_drug: dict[str, float] = {}
    for group in rows:
        by_drug[group["drug"]] = by_drug.get(group["drug"], 0.0) + group["packs_per_week"]
    order = sorted(by_drug, key=lambda drug: (-abs(by_drug[drug]), drug))
    return {
        "as_of": as_of,
        "sites": len(sites),
        "stands_aside": [(names[one["facility_id"]], text) for one in sites for text in one["stands_aside"]],
        "by_drug": [(drug, by_drug[drug]) for drug in order],
        "rows": sorted(rows, key=lambda one: (order.index(one["drug"]), -abs(one["packs_per_week"]), one["site"])),
        "largest": max((abs(value) for value in by_drug.values()), default=0.0),
    }


def _names(db: sa.Connection, person: Principal) -> dict[str, str]:
    return {one["facility_id"]: one["name"] for one in reading.site_names(db, person.sites)}


def _to_come(decided: Iterable[dict[str, Any]], release_id: str, today: dt.date) -> list[dict[str, Any]]:
    """Activations of a release that count from a later day, the first to come first."""
    found = [one for one in decided if one["release_id"] == release_id and one["effective_on"] > today]
    return sorted(found, key=lambda one: (one["effective_on"], one["place"]))


def _place(facility_id: str, names: dict[str, str]) -> str:
    return names.get(facility_id, "every site" if facility_id == "*" else facility_id)


def _places(used: Iterable[dict[str, Any]], names: dict[str, str]) -> list[dict[str, Any]]:
    """Where it is in force and since when (None = ever), sites of one day together; all of several are "every site"."""
    by_day: dict[dt.date, list[str]] = {}
    for one in used:
        by_day.setdefault(one["since"], []).append(names[one["facility_id"]])
    return [
        {
            "since": None if day == NOT_STATED else day,
            "sites": "every site" if len(sites) == len(names) > 1 else ", ".join(sorted(sites)),
        }
        for day, sites in sorted(by_day.items())
    ]
