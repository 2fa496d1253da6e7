"""Releases of guidance and other knowledge: what is in force where, what one would change, putting one in force."""

import datetime as dt
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Query

from api.access.callers import Activator, check_csrf, reader
from api.access.roles import Principal
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import InvalidRequest, NotFound
from api.http.fields import PageParameters, Text
from api.http.openapi import refusals
from api.http.paging import Key, page_of, slice_of
from api.http.units import units_of
from api.releases.activation import activate_releases
from api.releases.models import (
    ActivatedOut,
    ActivationIn,
    DiffFilters,
    DiffPage,
    ImpactPage,
    ReleaseDetailOut,
    ReleaseFilters,
    ReleasePage,
)
from warehouse.importers.content.difference import counted
from warehouse.queries import releases as reading
from warehouse.releases import RELEASES, activations
from warehouse.schema.previews import ReleaseMove

router = APIRouter(prefix="/v1/guideline-releases", tags=["guideline releases"])

Reader = Annotated[Principal, reader("forecasts:read")]
Once = [Depends(refuse_repeated_parameters)]

RELEASE_KEYS: list[Key] = [
    ("loaded_at", RELEASES.c.loaded_at, True),
    ("release_id", RELEASES.c.release_id, False),
]
MOVE_KEYS: list[Key] = [
    ("facility_id", ReleaseMove.facility_id, False),
    ("product_id", ReleaseMove.product_id, False),
]


@router.get("", dependencies=Once, responses=refusals(401, 403))
def list_releases(filters: Annotated[ReleaseFilters, Query()], caller: Reader, db: Db, now: Now) -> ReleasePage:
    """Stored releases, last loaded first, with the caller's sites that use each today and since when."""
    kind = filters.kind.value if filters.kind else None
    rows, cursor = page_of(db, reading.releases_query(kind), RELEASE_KEYS, limit=filters.limit, cursor=filters.cursor)
    used = reading.sites_in_force(reading.release_history(db, now.date(), caller.sites))
    items = [{**row, "in_force": used.get(row["release_id"], [])} for row in rows]
    return ReleasePage.model_validate({"items": items, "next_cursor": cursor, "units": units_of("content_releases")})


@router.get("/{release_id}", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 404))
def read_release(release_id: Text, caller: Reader, db: Db, now: Now) -> ReleaseDetailOut:
    """One release: where it is in force, what it replaces there, and who put it in force when."""
    row = _stored(db, release_id)
    history = reading.release_history(db, now.date(), caller.sites)
    decided = [one for one in activations(db, caller.sites) if one["release_id"] == release_id]
    return ReleaseDetailOut.model_validate(
        {
            **row,
            "in_force": reading.sites_in_force(history).get(release_id, []),
            "replaces": reading.replaced_releases(history, release_id, row["kind"]),
            "activations": [{**one, "decided_by": one["display_name"]} for one in decided],
            "units": units_of("content_releases"),
        }
    )


@router.get("/{release_id}/diff", dependencies=Once, responses=refusals(401, 403, 404))
def read_diff(release_id: Text, filters: Annotated[DiffFilters, Query()], caller: Reader, db: Db, now: Now) -> DiffPage:
    """Rows that are new, changed (field by field) or withdrawn against another release of the kind.

    Without `against`: what it takes the place of at the caller's sites. Several such releases need `against`.
    """
    row = _stored(db, release_id)
    against = filters.against or _only(reading.replaced_releases(_history(db, now, caller), release_id, row["kind"]))
    diff = reading.release_diff(db, release_id, against)
    rows, cursor = slice_of(diff.to_dict("records"), limit=filters.limit, cursor=filters.cursor)
    answer = {"items": rows, "next_cursor": cursor, "units": {}, "against": against, "rows_by_change": counted(diff)}
    return DiffPage.model_validate(answer)


@router.get("/{release_id}/impact", dependencies=Once, responses=refusals(401, 403, 404))
def read_impact(release_id: Text, parameters: Annotated[PageParameters, Query()], caller: Reader, db: Db) -> ImpactPage:
    """Demand that the release would move at the caller's sites, as the newest run that looked at it computed.

    `as_of` is null while no run has: releases that are in force everywhere, and those loaded since, have none.
    """
    _stored(db, release_id)
    as_of, sites = reading.release_preview(db, release_id, caller.sites)
    query = reading.release_moves_query(release_id, as_of, caller.sites)
    rows, cursor = page_of(db, query, MOVE_KEYS, limit=parameters.limit, cursor=parameters.cursor)
    answer = {"items": rows, "next_cursor": cursor, "units": units_of("release_moves"), "as_of": as_of, "sites": sites}
    return ImpactPage.model_validate(answer)


@router.post(
    "/{release_id}/activations",
    dependencies=[Depends(refuse_parameters)],
    responses=refusals(401, 403, 404, 413, 415),
)
def activate_release(
    release_id: Text,
    asked: ActivationIn,
    person: Activator,
    db: Db,
    now: Now,
    x_csrf_token: Annotated[str | None, Header(description="`csrf_token` of /v1/session.")] = None,
) -> ActivatedOut:
    """Put a release in force from a day on, at some sites or at all: a signed-in person only, never a key."""
    check_csrf(person, x_csrf_token)
    _stored(db, release_id)
    numbers = activate_releases(
        db,
        person,
        [release_id],
        facility_ids=asked.facility_id,
        effective_on=asked.effective_on,
        note=asked.reason,
        now=now,
    )
    return ActivatedOut(activation_id=numbers, release_id=release_id, effective_on=asked.effective_on)


def _stored(db: sa.Connection, release_id: str) -> sa.RowMapping:
    row = reading.release(db, release_id)
    if row is None:
        raise NotFound(f"there is no release {release_id}")
    return row


def _history(db: sa.Connection, now: dt.datetime, caller: Principal) -> Any:
    return reading.release_history(db, now.date(), caller.sites)


def _only(releases: list[str]) -> str | None:
    if len(releases) > 1:
        raise InvalidRequest.field("against", f"sites differ: name one of {', '.join(releases)}")
    return releases[0] if releases else None
