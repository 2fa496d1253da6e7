"""Setting and withdrawing overrides of forecasts, for the API and the pages: who may, and the rules."""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from api.http.errors import InvalidRequest, NotAllowed, OverrideEnded, or_not_found
from api.http.paging import filtered
from api.overrides.models import OverrideFilters, OverrideIn, OverrideState
from api.principal import Principal
from forecasting.terms import OverrideKind, OverrideReason
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries.lines import Scope
from warehouse.queries.overrides import override as stored_override
from warehouse.queries.overrides import overrides_query, planned_period_starts
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.ledger import ForecastOverride, OverrideWithdrawal

LARGEST_FACTOR = 10.0
LONGEST_PERIOD = dt.timedelta(days=731)
"""How long an override may cover, and how far ahead it may expire."""


def create_override(connection: sa.Connection, person: Principal, override: OverrideIn, now: dt.datetime) -> int:
    """Number of the override that was written. A broken rule raises `InvalidRequest` with its field; nobody but a
    signed-in person who decides sets one (`NotAllowed`)."""
    row = checked_row(connection, person, override, now) | {"created_at": now, "user_id": person.user_id}
    number = int(
        connection.execute(sa.insert(ForecastOverride).values(row).returning(ForecastOverride.override_id)).scalar_one()
    )
    after = {name: value for name, value in row.items() if name not in ("created_at", "user_id") and value is not None}
    event = Event("override.created", f"override:{number}", row["facility_id"], after=after)
    audit.append(connection, person.actor, now, [event])
    return number


def withdraw_override(
    connection: sa.Connection, person: Principal, override_id: int, note: str | None, now: dt.datetime
) -> None:
    """Withdraw an override, one's own or a colleague's: runs that begin later do not use it.

    Raises `NotFound` for one of another site, `OverrideEnded` for one that was withdrawn or has expired.
    """
    _check_person(person)
    stored_override(connection, person.sites, override_id, for_update=True)
    # read again now that it is held: somebody may have withdrawn it while this one waited
    row = or_not_found(stored_override(connection, person.sites, override_id), f"override {override_id}")
    state = state_of(row, now.date())
    if state is not OverrideState.ACTIVE:
        raise OverrideEnded(f"override {override_id} is {state}: there is nothing to take back")
    after = {"note": (note or "").strip() or None}
    withdrawal = {"override_id": override_id, "withdrawn_at": now, "user_id": person.user_id, **after}
    connection.execute(sa.insert(OverrideWithdrawal).values(withdrawal))
    before = {name: row[name] for name in ("product_id", "drug", "kind", "value") if row[name] is not None}
    event = Event("override.withdrawn", f"override:{override_id}", row["facility_id"], before, after)
    audit.append(connection, person.actor, now, [event])


def checked_row(connection: sa.Connection, person: Principal, override: OverrideIn, now: dt.datetime) -> dict[str, Any]:
    """The row that the override would be; the first rule that it breaks raises `InvalidRequest` with its field."""
    _check_person(person)
    sites = sa.select(Facility.facility_id, Facility.closed_on).where(Facility.facility_id == override.facility_id)
    facility = connection.execute(sites).mappings().one_or_none()
    if facility is None or (person.sites is not None and override.facility_id not in person.sites):
        raise InvalidRequest.field("facility_id", f"there is no site {override.facility_id!r} among yours")
    if facility["closed_on"] is not None and facility["closed_on"] <= override.ends_on:
        raise InvalidRequest.field("facility_id", f"the site closed on {facility['closed_on']}")
    drug = _checked_drug(connection, override)
    _check_value(override)
    _check_days(connection, override, now.date())
    note = (override.note or "").strip() or None
    if override.reason_code is OverrideReason.OTHER and note is None:
        raise InvalidRequest.field("note", "is required for the reason other: say why")
    row = override.model_dump(mode="python") | {"drug": drug, "note": note}
    return row | {"kind": override.kind.value, "reason_code": override.reason_code.value}


def state_of(row: Any, today: dt.date) -> OverrideState:
    """Whether the next run uses an override (`overrides_query`)."""
    if row["withdrawn_at"] is not None:
        return OverrideState.WITHDRAWN
    return OverrideState.EXPIRED if row["expires_on"] < today else OverrideState.ACTIVE


def override_query(scope: Scope, filters: OverrideFilters, today: dt.date) -> sa.Select[Any]:
    """The overrides in scope (`overrides_query`) that the filters leave."""
    withdrawn, expired = OverrideWithdrawal.override_id.is_not(None), ForecastOverride.expires_on < today
    by_state: dict[OverrideState | None, list[Any]] = {
        OverrideState.WITHDRAWN: [withdrawn],
        OverrideState.EXPIRED: [~withdrawn, expired],
        OverrideState.ACTIVE: [~withdrawn, ~expired],
        None: [],
    }
    return filtered(
        overrides_query(scope).where(*by_state[filters.state]),
        (ForecastOverride.facility_id, filters.facility_id),
        (ForecastOverride.product_id, filters.product_id),
        (ForecastOverride.drug, filters.drug),
    )


def _check_person(person: Principal) -> None:
    if person.user_id is None or not person.may_decide():
        raise NotAllowed("only a signed-in person who decides overrides a forecast")


def _checked_drug(connection: sa.Connection, override: OverrideIn) -> str:
    if (override.product_id is None) == (override.drug is None):
        raise InvalidRequest.field("product_id", "name a product or a drug, and not both")
    if override.product_id is None:
        known = sa.select(Product.drug).where(Product.drug == override.drug).limit(1)
        if connection.scalar(known) is None:
            raise InvalidRequest.field("drug", f"there is no product of {override.drug!r}")
        if override.kind is OverrideKind.QUANTITY:
            reason = "goes with a product: strengths of a drug are counted in dose units that do not add up"
            raise InvalidRequest.field("kind", f"quantity {reason}; set a factor, or a quantity of each product")
        return str(override.drug)
    query = sa.select(Product.drug, Product.withdrawn_on).where(Product.product_id == override.product_id)
    product = connection.execute(query).mappings().one_or_none()
    if product is None:
        raise InvalidRequest.field("product_id", f"there is no product {override.product_id!r}")
    if product["withdrawn_on"] is not None and product["withdrawn_on"] <= override.starts_on:
        raise InvalidRequest.field("product_id", f"is withdrawn from {product['withdrawn_on']} on")
    return str(product["drug"])


def _check_value(override: OverrideIn) -> None:
    if override.kind is OverrideKind.FACTOR:
        if override.value <= 0:
            raise InvalidRequest.field("value", "a factor is above 0; set a quantity of 0 to say that nothing is used")
        if override.value == 1:
            raise InvalidRequest.field("value", "a factor of 1 changes nothing")
        if override.value > LARGEST_FACTOR:
            raise InvalidRequest.field("value", f"a factor is at most {LARGEST_FACTOR:g}; set a quantity for more")


def _check_days(connection: sa.Connection, override: OverrideIn, today: dt.date) -> None:
    if override.ends_on < override.starts_on:
        raise InvalidRequest.field("ends_on", f"lies before starts_on, {override.starts_on}")
    starts = planned_period_starts(connection, override.facility_id)
    earliest = min([today, *starts[:1]])
    if override.ends_on < today and override.ends_on < earliest:
        raise InvalidRequest.field("ends_on", f"is past: no run forecasts before {earliest} any more")
    if override.starts_on < earliest:
        raise InvalidRequest.field("starts_on", f"is past: no run forecasts before {earliest} any more")
    if override.expires_on < today:
        raise InvalidRequest.field("expires_on", "is past: the override would never act")
    for name in ("ends_on", "expires_on"):
        if getattr(override, name) > today + LONGEST_PERIOD:
            raise InvalidRequest.field(name, f"lies more than {LONGEST_PERIOD.days} days ahead")
    if (
        starts
        and override.ends_on <= starts[-1]
        and not any(override.starts_on <= day <= override.ends_on for day in starts)
    ):
        nearest = next((day for day in starts if day > override.ends_on), starts[-1])
        reason = f"no period begins from {override.starts_on} to {override.ends_on}; the next one begins on {nearest}"
        raise InvalidRequest.field("starts_on", reason)
