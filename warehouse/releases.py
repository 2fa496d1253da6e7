"""Which release of reference content each site uses, from which day, and who said so.

Built-in content is in force everywhere and since ever, in the newest version that the program brought. From the
effective day of an activation on, its release takes the place of what was in force: the last effective day counts, and
of one day the last decision, whether it is for the site or for every site ('*').
"""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from forecasting.terms import ALL_FACILITIES
from warehouse.schema.inputs import NOT_STATED, Facility
from warehouse.schema.ledger import Activation, User
from warehouse.schema.reference import ContentRelease
from warehouse.store import read

RELEASES: Any = ContentRelease.__table__
ACTIVATIONS: Any = Activation.__table__
FACILITIES: Any = Facility.__table__
COLUMNS = ["facility_id", "kind", "effective_on", "release_id", "in_force"]
BUILTIN_PUBLISHER = "pgx-supply"

SiteReleases = dict[str, dict[str, str]]
"""Site -> kind -> release_id; '*' = every site that is not named."""


Scope = frozenset[str] | None
"""Sites that a caller may see; None = all."""


def newest_releases(connection: sa.Connection, publisher: str) -> dict[str, str]:
    """The release of each kind that was loaded last from a publisher."""
    releases = read(
        connection, RELEASES, RELEASES.c.publisher == publisher, columns=["kind", "release_id", "loaded_at"]
    )
    releases = releases.sort_values(["loaded_at", "release_id"])
    return dict(zip(releases["kind"], releases["release_id"], strict=True))


def site_releases(
    connection: sa.Connection, facility_ids: Sequence[str], as_of: dt.date, known_at: dt.datetime | None = None
) -> pd.DataFrame:
    """Every release that was in force at the sites up to a day, oldest first: `COLUMNS`.

    `in_force` marks the one of each site and kind that is in force on `as_of`. Of a release that follows itself only
    the first day is listed. Activations decided after `known_at` are not known yet.
    """
    builtin = newest_releases(connection, BUILTIN_PUBLISHER)
    ever = pd.DataFrame({"kind": list(builtin), "release_id": list(builtin.values()), "effective_on": NOT_STATED})
    ever = ever.assign(facility_id=ALL_FACILITIES, activation_id=0)
    activated = _activations(connection, as_of, known_at)
    rows = pd.concat([ever, activated], ignore_index=True)[
        ["facility_id", "kind", "effective_on", "release_id", "activation_id"]
    ]
    general = rows[rows["facility_id"] == ALL_FACILITIES].drop(columns="facility_id")
    sites = pd.DataFrame({"facility_id": list(dict.fromkeys(facility_ids))}, dtype=object)
    of_sites = rows[rows["facility_id"].isin(sites["facility_id"]) & (rows["facility_id"] != ALL_FACILITIES)]
    history = pd.concat([sites.merge(general, how="cross"), of_sites], ignore_index=True)
    history = history.sort_values(["facility_id", "kind", "effective_on", "activation_id"], ignore_index=True)
    history = history.drop_duplicates(["facility_id", "kind", "effective_on"], keep="last")
    of_kind = history.groupby(["facility_id", "kind"])["release_id"]
    history = history[history["release_id"] != of_kind.shift()]
    last = ~history.duplicated(["facility_id", "kind"], keep="last")
    return history.assign(in_force=last)[COLUMNS].reset_index(drop=True)


def releases_in_force(
    connection: sa.Connection, facility_ids: Sequence[str], as_of: dt.date, known_at: dt.datetime | None = None
) -> SiteReleases:
    """What each site uses on a day: '*' for all sites, and by name those that differ."""
    frame = site_releases(connection, [ALL_FACILITIES, *facility_ids], as_of, known_at)
    now = frame[frame["in_force"]]
    by_site = {
        str(site): dict(zip(rows["kind"], rows["release_id"], strict=True)) for site, rows in now.groupby("facility_id")
    }
    general = by_site.pop(ALL_FACILITIES, {})
    return {ALL_FACILITIES: general} | {site: own for site, own in by_site.items() if own != general}


def releases_at(releases: SiteReleases | str, facility_id: str) -> dict[str, str]:
    """What one site uses, from `releases_in_force` or its JSON as `runs.releases` keeps it.

    >>> releases_at('{"*": {"guidance": "g:1"}, "H2": {"guidance": "g:2"}}', "H1")
    {'guidance': 'g:1'}
    """
    known: SiteReleases = json.loads(releases) if isinstance(releases, str) else releases
    return known.get(facility_id, known.get(ALL_FACILITIES, {}))


def activate(
    connection: sa.Connection,
    release_ids: Sequence[str],
    *,
    facility_ids: Sequence[str],
    effective_on: dt.date,
    user_id: int,
    decided_at: dt.datetime,
    note: str | None = None,
) -> list[int]:
    """Numbers of the activations that were written, one a release and site; no site named = every site ('*').

    A release that is not stored or has no rows, two releases of one kind, or an unknown site raise `InvalidInput`:
    nothing is written then.
    """
    _refuse_unusable(connection, release_ids)
    sites = list(dict.fromkeys(facility_ids))
    known = set(connection.scalars(sa.select(FACILITIES.c.facility_id)))
    unknown = sorted(set(sites) - known)
    if unknown:
        raise InvalidInput(f"unknown facility {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    rows = [
        {
            "release_id": release_id,
            "facility_id": site,
            "effective_on": effective_on,
            "decided_at": decided_at,
            "user_id": user_id,
            "note": (note or "").strip() or None,
        }
        for release_id in release_ids
        for site in sites or [ALL_FACILITIES]
    ]
    insert = ACTIVATIONS.insert().returning(ACTIVATIONS.c.activation_id)
    return [int(connection.execute(insert, row).scalar_one()) for row in rows]


def stored_releases(connection: sa.Connection, day: dt.date, scope: Scope = None) -> list[dict[str, Any]]:
    """Every release with `in_force_at`: the sites within scope that use it on a day, ["every site"] when all do."""
    known = connection.scalars(sa.select(FACILITIES.c.facility_id)).all()
    sites = [site for site in known if scope is None or site in scope]
    in_force = releases_in_force(connection, sites, day)
    general = set(in_force[ALL_FACILITIES].values())
    used = {site: set(releases_at(in_force, site).values()) for site in sites}
    rows = read(connection, RELEASES).sort_values(["kind", "loaded_at", "release_id"]).to_dict("records")
    rows_with_sites = []
    for row in rows:
        users = sorted(site for site, releases in used.items() if row["release_id"] in releases)
        everywhere = len(users) == len(sites) if sites else row["release_id"] in general
        rows_with_sites.append({**row, "in_force_at": ["every site"] if everywhere else users})
    return [{str(name): value for name, value in row.items()} for row in rows_with_sites]


def activations(connection: sa.Connection, scope: Scope = None) -> list[dict[str, Any]]:
    """Every activation for a site within scope, newest first, with its kind and the person's name."""
    query = (
        sa.select(ACTIVATIONS, RELEASES.c.kind, User.display_name)
        .join(RELEASES, RELEASES.c.release_id == ACTIVATIONS.c.release_id)
        .join(User, User.user_id == ACTIVATIONS.c.user_id)
        .order_by(ACTIVATIONS.c.activation_id.desc())
    )
    if scope is not None:
        query = query.where(ACTIVATIONS.c.facility_id.in_([ALL_FACILITIES, *sorted(scope)]))
    return [dict(row) for row in connection.execute(query).mappings()]


def _refuse_unusable(connection: sa.Connection, release_ids: Sequence[str]) -> None:
    stored = read(connection, RELEASES, RELEASES.c.release_id.in_(release_ids)).set_index("release_id")
    for release_id in release_ids:
        if release_id not in stored.index:
            raise InvalidInput(f"there is no release {release_id!r}: pgx-supply release list shows what is loaded")
        if stored.loc[release_id, "rows"] == 0:
            raise InvalidInput(f"release {release_id} has no rows: it would block every drug's genetic step")
    kinds = stored.loc[list(dict.fromkeys(release_ids)), "kind"]
    if kinds.duplicated().any():
        raise InvalidInput(f"more than one release of {kinds[kinds.duplicated()].iloc[0]}: one is in force at a time")


def _activations(connection: sa.Connection, as_of: dt.date, known_at: dt.datetime | None) -> pd.DataFrame:
    query = (
        sa.select(
            *(ACTIVATIONS.c[name] for name in ("facility_id", "effective_on", "release_id", "activation_id")),
            RELEASES.c.kind,
        )
        .join(RELEASES, RELEASES.c.release_id == ACTIVATIONS.c.release_id)
        .where(ACTIVATIONS.c.effective_on <= as_of)
    )
    if known_at is not None:
        query = query.where(ACTIVATIONS.c.decided_at <= known_at)
    names = ["facility_id", "effective_on", "release_id", "activation_id", "kind"]
    return pd.DataFrame([tuple(row) for row in connection.execute(query)], columns=names, dtype=object)
