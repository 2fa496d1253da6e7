"""What releases that are not in force everywhere would change: computed by each run, shown before anybody decides."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from warehouse.schema.base import Base, column
from warehouse.schema.rules import AtLeast, NotBlank


def _as_of() -> Mapped[dt.date]:
    return column(sa.Date, "Origin: the first day that the run looks ahead from.", primary_key=True)


def _release() -> Mapped[str]:
    return column(
        sa.String, "Release that would be put in force.", refers="content_releases.release_id", primary_key=True
    )


def _facility() -> Mapped[str]:
    return column(sa.String, "Site.", NotBlank(), primary_key=True)


class ReleasePreview(Base):
    """A site at which a release is not in force, and what it would put in its place there."""

    __tablename__ = "release_previews"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = _as_of()
    release_id: Mapped[str] = _release()
    facility_id: Mapped[str] = _facility()
    against_release_id: Mapped[str | None] = column(
        sa.String,
        "Release of the kind that is in force at the site; blank = none.",
        refers="content_releases.release_id",
    )
    stands_aside: Mapped[str] = column(
        sa.Text, "JSON list of sentences: drugs that a run would newly plan without genetics, or could not move."
    )


class ReleaseMove(Base):
    """Demand for a product at a site that a release would move, on average over the run's horizon."""

    __tablename__ = "release_moves"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = _as_of()
    release_id: Mapped[str] = _release()
    facility_id: Mapped[str] = _facility()
    product_id: Mapped[str] = column(sa.String, "Product.", NotBlank(), refers="products.product_id", primary_key=True)
    drug: Mapped[str] = column(sa.String, "Its drug.", NotBlank())
    units_per_week_before: Mapped[float] = column(
        sa.Float, "Planned use with what is in force.", AtLeast(0), unit="dose units per week"
    )
    units_per_week_after: Mapped[float] = column(
        sa.Float, "Planned use with the release in force from the origin on.", AtLeast(0), unit="dose units per week"
    )
    packs_per_week: Mapped[float] = column(sa.Float, "The difference in packs.", unit="packs per week")
