"""Whose genotypes results rest on: written by an asset like all results, one row set per origin day."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import Basis
from warehouse.schema.base import Base, column
from warehouse.schema.rules import AtLeast, AtMost, NotBlank, OneOf


class Representation(Base):
    """Whose genotypes a drug's forecast rests on at a site, and how many packs hang on what is not known.

    The row of the group '*' speaks of all people served; in a group's row only that group's frequencies are uncertain.
    """

    __tablename__ = "representation"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = column(sa.Date, "Origin: the first day that the run looks ahead from.", primary_key=True)
    facility_id: Mapped[str] = column(sa.String, "Site.", NotBlank(), primary_key=True)
    drug: Mapped[str] = column(sa.String, "Drug whose patients move.", NotBlank(), primary_key=True)
    gene: Mapped[str] = column(sa.String, "HGNC symbol.", NotBlank(), primary_key=True)
    biogeographic_group: Mapped[str] = column(
        sa.String, "Group of the people it speaks of; '*' = all people served.", NotBlank(), primary_key=True
    )
    share_served: Mapped[float | None] = column(
        sa.Float, "Share of the people served; blank = ancestry not known.", AtLeast(0), AtMost(1), unit="share"
    )
    effective_n: Mapped[float] = column(
        sa.Float, "People the estimate is worth, to the nearest ten.", AtLeast(0), unit="people"
    )
    basis: Mapped[str] = column(
        sa.String,
        "What it rests on: own counts beside published figures, published figures, or other groups that stand in.",
        OneOf.of(Basis),
    )
    alleles_not_tested: Mapped[str | None] = column(
        sa.String, "Alleles that change the phenotype and that the assay does not look for; blank = none, or no list."
    )
    untested_share: Mapped[float | None] = column(
        sa.Float, "Their share of all copies; blank = no assay list.", AtLeast(0), AtMost(1), unit="share"
    )
    share_moved: Mapped[float | None] = column(
        sa.Float, "Share of the drug's patients whose product or dose guidance changes.", AtLeast(0), unit="share"
    )
    share_moved_low: Mapped[float | None] = column(sa.Float, "5 % quantile.", AtLeast(0), unit="share")
    share_moved_high: Mapped[float | None] = column(sa.Float, "95 % quantile.", AtLeast(0), unit="share")
    packs_per_week: Mapped[float | None] = column(
        sa.Float, "Width of the 90 % interval of demand that this alone causes.", AtLeast(0), unit="packs per week"
    )
    thin: Mapped[bool] = column(sa.Boolean, "True where the evidence is too thin to lean on.")
