"""Releases of guidance and other knowledge: what is in force where, what one would change, putting one in force."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from api.access.callers import Activator, CsrfToken, check_csrf, reader
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import InvalidRequest, or_not_found
from api.http.fields import PageParameters, Text
from api.http.openapi import refusals
from api.http.paging import Key, list_page, slice_of
from api.http.units import units_of
from api.principal import Principal
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
from warehouse.queries import releases as queries
from warehouse.releases import RELEASES, activations
from warehouse.schema.previews import ReleaseMove

router = APIRouter(prefix="/v1/guideline-releases", tags=["guideline releases"])

Reader = Annotated[Principal, reader("forecasts:read")]

RELEASE_KEYS = [Key(RELEASES.c.loaded_at, descending=True), Key(RELEASES.c.release_id)]
MOVE_KEYS = [Key(ReleaseMove.facility_id), Key(ReleaseMove.product_id)]


@router.get("", dependencies=ONCE_EACH, responses=refusals(401, 403))
def list_releases(filters: Annotated[ReleaseFilters, Query()], caller: Reader, db: Db, now: Now) -> ReleasePage:
    """Stored releases, last loaded first, with the caller's sites that use each today and since when."""
    kind = filters.kind.value if filters.kind else None
    sites = queries.sites_in_force(queries.release_history(db, now.date(), caller.sites))

    def resource(row: Any) -> dict[str, Any]:
        return {**row, "in_force": sites.get(row["release_id"], [])}

    units = units_of("content_releases")
    return list_page(ReleasePage, db, queries.releases_query(kind), RELEASE_KEYS, filters, item=resource, units=units)


@router.get("/{release_id}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def read_release(release_id: Text, caller: Reader, db: Db, now: Now) -> ReleaseDetailOut:
    """One release: where it is in force, what it replaces there, and who put it in force when."""
    row = _stored(db, release_id)
    history = queries.release_history(db, now.date(), caller.sites)
    decided = [row for row in activations(db, caller.sites) if row["release_id"] == release_id]
    return ReleaseDetailOut.model_validate(
        {
            **row,
            "in_force": queries.sites_in_force(history).get(release_id, []),
            "replaces": queries.replaced_releases(history, release_id, row["kind"]),
            "activations": [{**activation, "decided_by": activation["display_name"]} for activation in decided],
            "units": units_of("content_releases"),
        }
    )


@router.get("/{release_id}/diff", dependencies=ONCE_EACH, responses=refusals(401, 403, 404))
def read_diff(release_id: Text, filters: Annotated[DiffFilters, Query()], caller: Reader, db: Db, now: Now) -> DiffPage:
    """Rows that are new, changed (field by field) or withdrawn against another release of the kind.

    Without `against`: what it takes the place of at the caller's sites. Several such releases need `against`.
    """
    row = _stored(db, release_id)
    history = queries.release_history(db, now.date(), caller.sites)
    against = filters.against or _single(queries.replaced_releases(history, release_id, row["kind"]))
    diff = queries.release_diff(db, release_id, against)
    rows, cursor = slice_of(diff.to_dict("records"), filters)
    answer = {"items": rows, "next_cursor": cursor, "units": {}, "against": against, "rows_by_change": counted(diff)}
    return DiffPage.model_validate(answer)


@router.get("/{release_id}/impact", dependencies=ONCE_EACH, responses=refusals(401, 403, 404))
def read_impact(release_id: Text, parameters: Annotated[PageParameters, Query()], caller: Reader, db: Db) -> ImpactPage:
    """Demand that the release would move at the caller's sites, as the newest run that looked at it computed.

    `as_of` is null while no run has: releases that are in force everywhere, and those loaded since, have none.
    """
    _stored(db, release_id)
    as_of, sites = queries.release_preview(db, release_id, caller.sites)
    query = queries.release_moves_query(release_id, as_of, caller.sites)
    members = {"units": units_of("release_moves"), "as_of": as_of, "sites": sites}
    return list_page(ImpactPage, db, query, MOVE_KEYS, parameters, **members)


@router.post(
    "/{release_id}/activations",
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 404, 413, 415),
)
def activate_release(
    release_id: Text,
    activation: ActivationIn,
    person: Activator,
    db: Db,
    now: Now,
    x_csrf_token: CsrfToken = None,
) -> ActivatedOut:
    """Put a release in force from a day on, at some sites or at all: a signed-in person only, never a key."""
    check_csrf(person, x_csrf_token)
    _stored(db, release_id)
    numbers = activate_releases(
        db,
        person,
        [release_id],
        facility_ids=activation.facility_id,
        effective_on=activation.effective_on,
        note=activation.reason,
        now=now,
    )
    return ActivatedOut(activation_id=numbers, release_id=release_id, effective_on=activation.effective_on)


def _stored(db: sa.Connection, release_id: str) -> sa.RowMapping:
    return or_not_found(queries.release(db, release_id), f"release {release_id}")


def _single(releases: list[str]) -> str | None:
    if len(releases) > 1:
        raise InvalidRequest.field("against", f"sites differ: name one of {', '.join(releases)}")
    return releases[0] if releases else None
