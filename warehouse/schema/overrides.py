"""What people's edits do: which overrides act in a run."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import OverrideKind, OverrideReason
from warehouse.schema.base import Base, column
from warehouse.schema.rules import AtLeast, NotBlank, OneOf


def _as_of() -> Mapped[dt.date]:
    return column(sa.Date, "Origin: the first day that the run looks ahead from.", primary_key=True)


def _text(comment: str, *, key: bool = False) -> Mapped[str]:
    return column(sa.String, comment, NotBlank(), primary_key=key)


def _override() -> Mapped[int]:
    return column(
        sa.Integer, "Override.", refers="forecast_overrides.override_id", primary_key=True, autoincrement=False
    )


class ActingOverride(Base):
    """An override that a run uses, as it stood when the run began; one row a product. Of several the newest acts."""

    __tablename__ = "acting_overrides"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = _as_of()
    facility_id: Mapped[str] = _text("Site.")
    override_id: Mapped[int] = _override()
    product_id: Mapped[str] = _text("Product.", key=True)
    kind: Mapped[str] = column(sa.String, "What is set.", OneOf.of(OverrideKind))
    value: Mapped[float] = column(
        sa.Float, "Dose units for every period, or the factor on what is forecast.", AtLeast(0), unit="as `kind` says"
    )
    starts_on: Mapped[dt.date] = column(sa.Date, "Acts on periods that begin on this day or later.")
    ends_on: Mapped[dt.date] = column(sa.Date, "Acts on periods that begin on this day or before.")
    reason_code: Mapped[str] = column(sa.String, "Why.", OneOf.of(OverrideReason))
    decided_by: Mapped[str] = _text("Name of who set it.")
