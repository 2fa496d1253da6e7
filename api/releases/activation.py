"""Putting a release in force, for the API, the pages and the command line: who may, and from which day."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from api.http.errors import NotAllowed
from api.principal import Principal
from forecasting.errors import InvalidInput
from forecasting.terms import ALL_FACILITIES
from warehouse import audit
from warehouse.audit import Event
from warehouse.releases import activate
from warehouse.schema.results import Run


def activate_releases(
    connection: sa.Connection,
    person: Principal,
    release_ids: Sequence[str],
    *,
    facility_ids: Sequence[str],
    effective_on: dt.date,
    note: str | None,
    now: dt.datetime,
) -> list[int]:
    """Numbers of the activations that were written; no site named = every site.

    A key, a role that does not activate, or a site outside the person's raises `NotAllowed`; what cannot be activated,
    or a day that is over and for which or after which a plan was made, `InvalidInput`. Before anything was planned the
    past can be stated: a history that followed a release is un-mixed by it.
    """
    if person.user_id is None or not person.may_activate():
        raise NotAllowed("only a signed-in pharmacist, approver or administrator puts a release in force")
    if person.sites is not None and (not facility_ids or not set(facility_ids) <= person.sites):
        raise NotAllowed(f"{person.name} speaks for {', '.join(sorted(person.sites))} only: name the sites")
    planned = connection.scalar(sa.select(sa.func.max(Run.as_of)))
    if effective_on < now.date() and planned is not None and effective_on <= planned:
        earliest = min(now.date(), planned + dt.timedelta(days=1))
        raise InvalidInput(
            f"effective on {effective_on}: is in the past, what was planned since rests on what was in force then; "
            f"the earliest day is {earliest}"
        )
    numbers = activate(
        connection,
        release_ids,
        facility_ids=facility_ids,
        effective_on=effective_on,
        user_id=person.user_id,
        decided_at=now,
        note=note,
    )
    sites = list(dict.fromkeys(facility_ids)) or [ALL_FACILITIES]
    after = {"effective_on": effective_on.isoformat(), "note": (note or "").strip() or None}
    events = [
        Event("release.activate", f"release:{release_id}", None if site == ALL_FACILITIES else site, after=after)
        for release_id in release_ids
        for site in sites
    ]
    audit.append(connection, person.actor, now, events)
    return numbers
