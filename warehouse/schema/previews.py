"""What releases that are not in force everywhere would change: computed by each run, shown before anybody decides."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from warehouse.schema.base import Base, column
from warehouse.schema.columns import amount, origin, product, site, text
from warehouse.schema.rules import NotBlank


def _release() -> Mapped[str]:
    return text("Release that would be put in force.", refers="content_releases.release_id", primary_key=True)


class ReleasePreview(Base):
    """A site at which a release is not in force, and what it would put in its place there."""

    __tablename__ = "release_previews"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = origin()
    release_id: Mapped[str] = _release()
    facility_id: Mapped[str] = site()
    against_release_id: Mapped[str | None] = text(
        "Release of the kind that is in force at the site; blank = none.", refers="content_releases.release_id"
    )
    stands_aside: Mapped[str] = column(
        sa.Text, "JSON list of sentences: drugs that a run would newly plan without genetics, or could not move."
    )


class ReleaseMove(Base):
    """Demand for a product at a site that a release would move, on average over the run's horizon."""

    __tablename__ = "release_moves"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = origin()
    release_id: Mapped[str] = _release()
    facility_id: Mapped[str] = site()
    product_id: Mapped[str] = product(refers="products.product_id")
    drug: Mapped[str] = text("Its drug.", NotBlank())
    units_per_week_before: Mapped[float] = amount("Planned use with what is in force.", "dose units per week")
    units_per_week_after: Mapped[float] = amount(
        "Planned use with the release in force from the origin on.", "dose units per week"
    )
    packs_per_week: Mapped[float] = column(sa.Float, "The difference in packs.", unit="packs per week")
