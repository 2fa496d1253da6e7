"""Overrides of forecasts: what people set and took back; a preview that says whether an edit changes an order."""

import datetime as dt
from functools import partial
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Header, Path, Query

from api.access.callers import Decider, check_csrf, reader
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import or_not_found
from api.http.fields import Text
from api.http.openapi import refusals
from api.http.paging import Key, list_page
from api.overrides.commands import checked_row, create_override, override_query, state_of, withdraw_override
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
from api.principal import Principal
from warehouse.queries.override_value import SUMS, as_forecast_edits, edit_sums, measured_edits
from warehouse.queries.overrides import override as stored_override
from warehouse.schema.ledger import ForecastOverride

router = APIRouter(prefix="/v1/overrides", tags=["overrides"])

Reader = Annotated[Principal, reader("forecasts:read")]
CsrfToken = Annotated[Text | None, Header(description="`csrf_token` of /v1/session.")]
OverrideId = Annotated[int, Path(ge=1, le=2**31 - 1)]

KEYS = [Key(ForecastOverride.override_id, descending=True)]


@router.get("", dependencies=ONCE_EACH, responses=refusals(401, 403))
def list_overrides(filters: Annotated[OverrideFilters, Query()], caller: Reader, db: Db, now: Now) -> OverridePage:
    """Overrides of the caller's sites, newest first, with who set them, why, and whether the next run uses them."""
    query = override_query(caller.sites, filters, now.date())
    resource = partial(_resource, today=now.date())
    return list_page(OverridePage, db, query, KEYS, filters, item=resource, units={"value": "as `kind` says"})


@router.post("", status_code=201, dependencies=NO_PARAMETERS, responses=refusals(401, 403, 413, 415))
def override_forecast(
    override: OverrideIn, person: Decider, db: Db, now: Now, x_csrf_token: CsrfToken = None
) -> OverrideOut:
    """Set a quantity for every period, or a factor, of a product or drug at a site: a signed-in person only.

    It acts from the next run on, until it expires or is withdrawn. Of several on the same period the newest acts.
    """
    check_csrf(person, x_csrf_token)
    return _read(db, person, create_override(db, person, override, now), now)


@router.post("/preview", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 413, 415))
def preview_of_override(
    override: OverrideIn, person: Decider, db: Db, now: Now, x_csrf_token: CsrfToken = None
) -> OverridePreviewOut:
    """Does it change the order? The stored calculation of each product's line with the changed demand; stores nothing.

    The rules are those of setting it.
    """
    check_csrf(person, x_csrf_token)
    checked_row(db, person, override, now)
    return preview_override(db, override, now.date())


@router.post("/packs-preview", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404, 413, 415))
def preview_of_packs(edit: PacksIn, person: Decider, db: Db, x_csrf_token: CsrfToken = None) -> PacksPreviewOut:
    """Does it change the order? Other packs of a line, or a quantity rounded as orders are; stores nothing.

    The edit itself is the line's decision `modify`.
    """
    check_csrf(person, x_csrf_token)
    return preview_packs(db, person.sites, edit)


@router.get("/value-added", dependencies=NO_PARAMETERS, responses=refusals(401, 403))
def read_value(caller: Reader, db: Db) -> ValuePage:
    """What overrides and changes of packs at the caller's sites were worth, once their periods were past."""
    as_of, forecasts, packs = measured_edits(db, caller.sites)
    items = [{"edits_of": "forecast", **sums} for sums in edit_sums(forecasts)]
    items += [{"edits_of": "packs", **sums} for sums in edit_sums(as_forecast_edits(packs))]
    return ValuePage.model_validate({"as_of": as_of, "items": items, "units": dict.fromkeys(SUMS, "dose units")})


@router.get("/{override_id}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def read_override(override_id: OverrideId, caller: Reader, db: Db, now: Now) -> OverrideOut:
    """One override of the caller's sites."""
    return _read(db, caller, override_id, now)


@router.post(
    "/{override_id}/withdrawal",
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 404, 409, 413, 415),
)
def withdraw(
    override_id: OverrideId,
    withdrawal: WithdrawalIn,
    person: Decider,
    db: Db,
    now: Now,
    x_csrf_token: CsrfToken = None,
) -> OverrideOut:
    """Take an override back: a signed-in person of its site only. It stays in the list, with who withdrew it."""
    check_csrf(person, x_csrf_token)
    withdraw_override(db, person, override_id, withdrawal.note, now)
    return _read(db, person, override_id, now)


def _read(db: sa.Connection, caller: Principal, override_id: int, now: dt.datetime) -> OverrideOut:
    row = or_not_found(stored_override(db, caller.sites, override_id), f"override {override_id}")
    return OverrideOut.model_validate(_resource(row, now.date()))


def _resource(row: Any, today: dt.date) -> dict[str, Any]:
    return {**row, "state": state_of(row, today)}
