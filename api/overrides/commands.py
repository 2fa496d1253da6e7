"""Overriding a forecast and taking that back: the one way from the API and the pages, who may go it, and the rules."""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from api.access.roles import Principal
from api.http.errors import InvalidRequest, NotAllowed, NotFound, OverrideEnded
from api.overrides.models import OverrideFilters, OverrideIn, OverrideState
from forecasting.terms import OverrideKind, OverrideReason
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries.overrides import override, planned_period_starts
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import ForecastOverride, OverrideWithdrawal

LARGEST_FACTOR = 10.0
LONGEST = dt.timedelta(days=731)
"""How long an override may cover, and how far ahead it may expire."""


def create_override(connection: sa.Connection, person: Principal, asked: OverrideIn, now: dt.datetime) -> int:
    """Number of the override that was written. A broken rule raises `InvalidRequest` with its field; nobody but a
    signed-in person who decides sets one (`NotAllowed`)."""
    row = checked(connection, person, asked, now) | {"created_at": now, "user_id": person.user_id}
    number = int(
        connection.execute(sa.insert(ForecastOverride).values(row).returning(ForecastOverride.override_id)).scalar_one()
    )
    told = {name: value for name, value in row.items() if name not in ("created_at", "user_id") and value is not None}
    event = Event("override.created", f"override:{number}", row["facility_id"], after=told)
    audit.append(connection, person.actor, now, [event])
    return number


def withdraw_override(
    connection: sa.Connection, person: Principal, override_id: int, note: str | None, now: dt.datetime
) -> None:
    """Take an override back, one's own or a colleague's: runs that begin later do not use it.

    Raises `NotFound` for one of another site, `OverrideEnded` for one that was withdrawn or has expired.
    """
    _check_person(person)
    override(connection, person.sites, override_id, for_update=True)
    # read again now that it is held: somebody may have withdrawn it while this one waited
    row = override(connection, person.sites, override_id)
    if row is None:
        raise NotFound(f"there is no override {override_id}")
    state = state_of(row, now.date())
    if state is not OverrideState.ACTIVE:
        raise OverrideEnded(f"override {override_id} is {state}: there is nothing to take back")
    told = (note or "").strip() or None
    withdrawal = {"override_id": override_id, "withdrawn_at": now, "user_id": person.user_id, "note": told}
    connection.execute(sa.insert(OverrideWithdrawal).values(withdrawal))
    before = {name: row[name] for name in ("product_id", "drug", "kind", "value") if row[name] is not None}
    event = Event("override.withdrawn", f"override:{override_id}", row["facility_id"], before, {"note": told})
    audit.append(connection, person.actor, now, [event])


def checked(connection: sa.Connection, person: Principal, asked: OverrideIn, now: dt.datetime) -> dict[str, Any]:
    """The row that the override would be; the first rule that it breaks raises `InvalidRequest` with its field."""
    _check_person(person)
    site = sa.select(Facility.facility_id, Facility.closed_on).where(Facility.facility_id == asked.facility_id)
    facility = connection.execute(site).mappings().one_or_none()
    if facility is None or (person.sites is not None and asked.facility_id not in person.sites):
        raise InvalidRequest.field("facility_id", f"there is no site {asked.facility_id!r} among yours")
    if facility["closed_on"] is not None and facility["closed_on"] <= asked.ends_on:
        raise InvalidRequest.field("facility_id", f"the site closed on {facility['closed_on']}")
    drug = _checked_drug(connection, asked)
    _check_value(asked)
    _check_days(connection, asked, now.date())
    note = (asked.note or "").strip() or None
    if asked.reason_code is OverrideReason.OTHER and note is None:
        raise InvalidRequest.field("note", "is required for the reason other: say why")
    row = asked.model_dump(mode="python") | {"drug": drug, "note": note}
    return row | {"kind": asked.kind.value, "reason_code": asked.reason_code.value}


def state_of(row: Any, today: dt.date) -> OverrideState:
    """Whether the next run uses an override (`override_rows`)."""
    if row["withdrawn_at"] is not None:
        return OverrideState.WITHDRAWN
    return OverrideState.EXPIRED if row["expires_on"] < today else OverrideState.ACTIVE


def conditions(filters: OverrideFilters, today: dt.date) -> list[sa.ColumnElement[bool]]:
    """The filters as conditions on `override_rows`."""
    found: list[Any] = []
    if filters.facility_id:
        found.append(ForecastOverride.facility_id.in_(filters.facility_id))
    if filters.product_id:
        found.append(ForecastOverride.product_id.in_(filters.product_id))
    if filters.drug is not None:
        found.append(ForecastOverride.drug == filters.drug)
    withdrawn, expired = OverrideWithdrawal.override_id.is_not(None), ForecastOverride.expires_on < today
    by_state: dict[OverrideState | None, list[Any]] = {
        OverrideState.WITHDRAWN: [withdrawn],
        OverrideState.EXPIRED: [~withdrawn, expired],
        OverrideState.ACTIVE: [~withdrawn, ~expired],
        None: [],
    }
    return found + by_state[filters.state]


def _check_person(person: Principal) -> None:
    if person.user_id is None or not person.may_decide():
        raise NotAllowed("only a signed-in person who decides overrides a forecast")


def _checked_drug(connection: sa.Connection, asked: OverrideIn) -> str:
    if (asked.product_id is None) == (asked.drug is None):
        raise InvalidRequest.field("product_id", "name a product or a drug, and not both")
    if asked.product_id is None:
        known = sa.select(Product.drug).where(Product.drug == asked.drug).limit(1)
        if connection.scalar(known) is None:
            raise InvalidRequest.field("drug", f"there is no product of {asked.drug!r}")
        if asked.kind is OverrideKind.QUANTITY:
            reason = "goes with a product: strengths of a drug are counted in dose units that do not add up"
            raise InvalidRequest.field("kind", f"quantity {reason}; set a factor, or a quantity of each product")
        return str(asked.drug)
    query = sa.select(Product.drug, Product.withdrawn_on).where(Product.product_id == asked.product_id)
    product = connection.execute(query).mappings().one_or_none()
    if product is None:
        raise InvalidRequest.field("product_id", f"there is no product {asked.product_id!r}")
    if product["withdrawn_on"] is not None and product["withdrawn_on"] <= asked.starts_on:
        raise InvalidRequest.field("product_id", f"is withdrawn from {product['withdrawn_on']} on")
    return str(product["drug"])


def _check_value(asked: OverrideIn) -> None:
    if asked.kind is OverrideKind.FACTOR:
        if asked.value <= 0:
            raise InvalidRequest.field("value", "a factor is above 0; set a quantity of 0 to say that nothing is used")
        if asked.value == 1:
            raise InvalidRequest.field("value", "a factor of 1 changes nothing")
        if asked.value > LARGEST_FACTOR:
            raise InvalidRequest.field("value", f"a factor is at most {LARGEST_FACTOR:g}; set a quantity for more")


def _check_days(connection: sa.Connection, asked: OverrideIn, today: dt.date) -> None:
    if asked.ends_on < asked.starts_on:
        raise InvalidRequest.field("ends_on", f"lies before starts_on, {asked.starts_on}")
    starts = planned_period_starts(connection, asked.facility_id)
    earliest = min([today, *starts[:1]])
    if asked.ends_on < today and asked.ends_on < earliest:
        raise InvalidRequest.field("ends_on", f"is past: no run forecasts before {earliest} any more")
    if asked.starts_on < earliest:
        raise InvalidRequest.field("starts_on", f"is past: no run forecasts before {earliest} any more")
    if asked.expires_on < today:
        raise InvalidRequest.field("expires_on", "is past: the override would never act")
    for name in ("ends_on", "expires_on"):
        if getattr(asked, name) > today + LONGEST:
            raise InvalidRequest.field(name, f"lies more than {LONGEST.days} days ahead")
    if starts and asked.ends_on <= starts[-1] and not any(asked.starts_on <= day <= asked.ends_on for day in starts):
        nearest = next((day for day in starts if day > asked.ends_on), starts[-1])
        reason = f"no period begins from {asked.starts_on} to {asked.ends_on}; the next one begins on {nearest}"
        raise InvalidRequest.field("starts_on", reason)
