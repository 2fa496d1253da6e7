"""Whose genotypes results rest on: written by an asset like all results, one row set per origin day."""

import datetime as dt

from sqlalchemy.orm import Mapped

from forecasting.terms import Basis
from warehouse.schema.base import Base
from warehouse.schema.columns import amount, flag, origin, share, site, text
from warehouse.schema.rules import NotBlank, OneOf


class Representation(Base):
    """Whose genotypes a drug's forecast rests on at a site, and how many packs hang on what is not known.

    The row of the group '*' speaks of all people served; in a group's row only that group's frequencies are uncertain.
    """

    __tablename__ = "representation"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = site()
    drug: Mapped[str] = text("Drug whose patients move.", NotBlank(), primary_key=True)
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    biogeographic_group: Mapped[str] = text(
        "Group of the people it speaks of; '*' = all people served.", NotBlank(), primary_key=True
    )
    share_served: Mapped[float | None] = share("Share of the people served; blank = ancestry not known.")
    effective_n: Mapped[float] = amount("People the estimate is worth, to the nearest ten.", "people")
    basis: Mapped[str] = text(
        "What it rests on: own counts beside published figures, published figures, or other groups that stand in.",
        OneOf.of(Basis),
    )
    alleles_not_tested: Mapped[str | None] = text(
        "Alleles that change the phenotype and that the assay does not look for; blank = none, or no list."
    )
    untested_share: Mapped[float | None] = share("Their share of all copies; blank = no assay list.")
    share_moved: Mapped[float | None] = amount(
        "Share of the drug's patients whose product or dose guidance changes.", "share"
    )
    share_moved_low: Mapped[float | None] = amount("5 % quantile.", "share")
    share_moved_high: Mapped[float | None] = amount("95 % quantile.", "share")
    packs_per_week: Mapped[float | None] = amount(
        "Width of the 90 % interval of demand that this alone causes.", "packs per week"
    )
    thin: Mapped[bool] = flag("True where the evidence is too thin to lean on.")
