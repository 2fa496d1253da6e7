"""Releases as those who decide about them read them: where each is in force, what it changes, what it would move.

Like `queries`, everything about sites is bounded by the `scope` of who asks.
"""

import datetime as dt
import json
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse.importers.content.difference import content_diff
from warehouse.importers.content.releases import release_content
from warehouse.queries.lines import Rows, Scope, within
from warehouse.releases import RELEASES, site_releases
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.previews import ReleaseMove, ReleasePreview

SHOWN = ("release_id", "kind", "publisher", "version", "rows", "loaded_at")


def releases_query(kind: str | None = None) -> sa.Select[Any]:
    """Stored releases, of one kind or of all."""
    query = sa.select(*(RELEASES.c[name] for name in SHOWN))
    return query if kind is None else query.where(RELEASES.c.kind == kind)


def release(connection: sa.Connection, release_id: str) -> sa.RowMapping | None:
    """One stored release; None when there is none of that name."""
    return connection.execute(releases_query().where(RELEASES.c.release_id == release_id)).mappings().one_or_none()


def release_history(connection: sa.Connection, day: dt.date, scope: Scope) -> pd.DataFrame:
    """What was in force at each site of the scope up to a day, oldest first: the frame of `site_releases`."""
    sites = connection.scalars(sa.select(Facility.facility_id).where(within(Facility.facility_id, scope))).all()
    return site_releases(connection, sites, day)


def sites_in_force(history: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Release -> the sites that use it and since when (1900-01-01 = ever)."""
    now = history[history["in_force"]]
    by_release: dict[str, list[dict[str, Any]]] = {}
    for release_id, site, since in zip(now["release_id"], now["facility_id"], now["effective_on"], strict=True):
        by_release.setdefault(str(release_id), []).append({"facility_id": site, "since": since})
    return by_release


def replaced_releases(history: pd.DataFrame, release_id: str, kind: str) -> list[str]:
    """The releases of the kind that it would take the place of, or, where it is in force everywhere, took it."""
    of_kind = history[history["kind"] == kind]
    now = of_kind[of_kind["in_force"] & (of_kind["release_id"] != release_id)]
    if now.empty:
        before = of_kind.assign(before=of_kind.groupby("facility_id")["release_id"].shift())
        now = before[(before["release_id"] == release_id) & before["before"].notna()]
        return sorted(set(now["before"]))
    return sorted(set(now["release_id"]))


def release_diff(connection: sa.Connection, release_id: str, against: str | None) -> pd.DataFrame:
    """Rows that are new, changed or withdrawn from one release to another of its kind; against None all are new.

    A release that is not stored, or of another kind, raises `InvalidInput`.
    """
    row = release(connection, release_id)
    old = None if against is None else release(connection, against)
    if row is None or (against is not None and old is None):
        raise InvalidInput(f"there is no release {release_id if row is None else against!r}")
    if old is not None and old["kind"] != row["kind"]:
        raise InvalidInput(f"{against} holds {old['kind']}, {release_id} {row['kind']}: compare releases of one kind")
    before = None if against is None else release_content(connection, against)
    return content_diff(row["kind"], before, release_content(connection, release_id))


def release_preview(
    connection: sa.Connection, release_id: str, scope: Scope
) -> tuple[dt.date | None, list[dict[str, Any]]]:
    """Origin of the newest run that previewed the release, and its sites: what is replaced, which drugs stand aside."""
    of_release = (ReleasePreview.release_id == release_id, within(ReleasePreview.facility_id, scope))
    as_of = connection.scalar(sa.select(sa.func.max(ReleasePreview.as_of)).where(*of_release))
    names = (ReleasePreview.facility_id, ReleasePreview.against_release_id, ReleasePreview.stands_aside)
    query = sa.select(*names).where(*of_release, ReleasePreview.as_of == as_of).order_by(ReleasePreview.facility_id)
    rows = connection.execute(query).mappings().all() if as_of else ()
    return as_of, [{**row, "stands_aside": json.loads(row["stands_aside"])} for row in rows]


def release_moves_query(release_id: str, as_of: dt.date | None, scope: Scope) -> sa.Select[Any]:
    """Demand that the release would move, by site and product, with the products' names."""
    terms = (Product.strength_value, Product.strength_unit, Product.dose_form)
    return (
        sa.select(*ReleaseMove.__table__.columns, *terms, Facility.name.label("facility_name"))
        .join(Product, Product.product_id == ReleaseMove.product_id)
        .join(Facility, Facility.facility_id == ReleaseMove.facility_id)
        .where(
            ReleaseMove.release_id == release_id,
            ReleaseMove.as_of == as_of,
            within(ReleaseMove.facility_id, scope),
        )
    )


def site_names(connection: sa.Connection, scope: Scope) -> Rows:
    """The scope's sites by name."""
    query = sa.select(Facility.facility_id, Facility.name).where(within(Facility.facility_id, scope))
    return connection.execute(query.order_by(Facility.name, Facility.facility_id)).mappings().all()
