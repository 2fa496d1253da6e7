"""Overrides of forecasts: what people set and took back; a preview that says whether an edit changes an order."""

import datetime as dt
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Path, Query

from api.access.callers import Decider, check_csrf, reader
from api.access.roles import Principal
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotFound
from api.http.fields import Text
from api.http.openapi import refusals
from api.http.paging import Key, page_of
from api.overrides.commands import checked, conditions, create_override, state_of, withdraw_override
from api.overrides.models import (
    OverrideFilters,
    OverrideIn,
    OverrideOut,
    OverridePage,
    OverridePreviewOut,
    PacksIn,
    PacksPreviewOut,
    ValuePage,
    WithdrawalIn,
)
from api.overrides.preview import preview_override, preview_packs
from warehouse.queries.override_value import SUMS, as_forecast_edits, edit_sums, measured_edits
from warehouse.queries.overrides import override, overrides_query
from warehouse.schema.ledger import ForecastOverride

router = APIRouter(prefix="/v1/overrides", tags=["overrides"])

Reader = Annotated[Principal, reader("forecasts:read")]
CsrfToken = Annotated[Text | None, Header(description="`csrf_token` of /v1/session.")]
OverrideId = Annotated[int, Path(ge=1, le=2**31 - 1)]

KEYS: list[Key] = [("override_id", ForecastOverride.override_id, True)]


@router.get("", dependencies=[Depends(refuse_repeated_parameters)], responses=refusals(401, 403))
def list_overrides(filters: Annotated[OverrideFilters, Query()], caller: Reader, db: Db, now: Now) -> OverridePage:
    """Overrides of the caller's sites, newest first, with who set them, why, and whether the next run uses them."""
    query = overrides_query(caller.sites).where(*conditions(filters, now.date()))
    rows, cursor = page_of(db, query, KEYS, limit=filters.limit, cursor=filters.cursor)
    items = [_told(row, now.date()) for row in rows]
    return OverridePage.model_validate({"items": items, "next_cursor": cursor, "units": {"value": "as `kind` says"}})


@router.post("", status_code=201, dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 413, 415))
def override_forecast(
    asked: OverrideIn, person: Decider, db: Db, now: Now, x_csrf_token: CsrfToken = None
) -> OverrideOut:
    """Set a quantity for every period, or a factor, of a product or drug at a site: a signed-in person only.

    It acts from the next run on, until it expires or is withdrawn. Of several on the same period the newest acts.
    """
    check_csrf(person, x_csrf_token)
    return _read(db, person, create_override(db, person, asked, now), now)


@router.post("/preview", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 413, 415))
def preview_of_override(
    asked: OverrideIn, person: Decider, db: Db, now: Now, x_csrf_token: CsrfToken = None
) -> OverridePreviewOut:
    """Does it change the order? The stored calculation of each product's line with the changed demand; stores nothing.

    The rules are those of setting it.
    """
    check_csrf(person, x_csrf_token)
    checked(db, person, asked, now)
    return preview_override(db, asked, now.date())


@router.post("/packs-preview", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 404, 413, 415))
def preview_of_packs(asked: PacksIn, person: Decider, db: Db, x_csrf_token: CsrfToken = None) -> PacksPreviewOut:
    """Does it change the order? Other packs of a line, or a quantity rounded as orders are; stores nothing.

    The edit itself is the line's decision `modify`.
    """
    check_csrf(person, x_csrf_token)
    return preview_packs(db, person.sites, asked)


@router.get("/value-added", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403))
def read_value(caller: Reader, db: Db) -> ValuePage:
    """What overrides and changes of packs at the caller's sites were worth, once their periods were past."""
    as_of, forecasts, packs = measured_edits(db, caller.sites)
    found = [{"edits_of": "forecast", **one} for one in edit_sums(forecasts)]
    found += [{"edits_of": "packs", **one} for one in edit_sums(as_forecast_edits(packs))]
    return ValuePage.model_validate({"as_of": as_of, "items": found, "units": dict.fromkeys(SUMS, "dose units")})


@router.get("/{override_id}", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 404))
def read_override(override_id: OverrideId, caller: Reader, db: Db, now: Now) -> OverrideOut:
    """One override of the caller's sites."""
    return _read(db, caller, override_id, now)


@router.post(
    "/{override_id}/withdrawal",
    dependencies=[Depends(refuse_parameters)],
    responses=refusals(401, 403, 404, 409, 413, 415),
)
def withdraw(
    override_id: OverrideId,
    asked: WithdrawalIn,
    person: Decider,
    db: Db,
    now: Now,
    x_csrf_token: CsrfToken = None,
) -> OverrideOut:
    """Take an override back: a signed-in person of its site only. It stays in the list, with who withdrew it."""
    check_csrf(person, x_csrf_token)
    withdraw_override(db, person, override_id, asked.note, now)
    return _read(db, person, override_id, now)


def _read(db: sa.Connection, caller: Principal, override_id: int, now: dt.datetime) -> OverrideOut:
    row = override(db, caller.sites, override_id)
    if row is None:
        raise NotFound(f"there is no override {override_id}")
    return OverrideOut.model_validate(_told(row, now.date()))


def _told(row: Any, today: dt.date) -> dict[str, Any]:
    return {**row, "state": state_of(row, today)}
