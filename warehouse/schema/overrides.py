"""What people's edits did: which overrides act in a run, and, once periods are past, the value they added."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import DecisionReason, OverrideKind, OverrideReason
from warehouse.schema.base import Base, column
from warehouse.schema.columns import amount, day, origin, text, whole_number
from warehouse.schema.rules import MoreThan, NotBlank, OneOf

DIRECTIONS = ("up", "down", "none")


def _text(comment: str, *, key: bool = False) -> Mapped[str]:
    return text(comment, NotBlank(), primary_key=key)


def _override() -> Mapped[int]:
    return column(
        sa.Integer, "Override.", refers="forecast_overrides.override_id", primary_key=True, autoincrement=False
    )


class ActingOverride(Base):
    """An override that a run uses, as it stood when the run began; one row a product. Of several the newest acts."""

    __tablename__ = "acting_overrides"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _text("Site.")
    override_id: Mapped[int] = _override()
    product_id: Mapped[str] = _text("Product.", key=True)
    kind: Mapped[str] = text("What is set.", OneOf.of(OverrideKind))
    value: Mapped[float] = amount("Dose units for every period, or the factor on what is forecast.", "as `kind` says")
    starts_on: Mapped[dt.date] = day("Acts on periods that begin on this day or later.")
    ends_on: Mapped[dt.date] = day("Acts on periods that begin on this day or before.")
    reason_code: Mapped[str] = text("Why.", OneOf.of(OverrideReason))
    decided_by: Mapped[str] = _text("Name of who set it.")


class OverrideValue(Base):
    """What an override did to the forecast of a product, on periods that are past: error without it and with it.

    Both forecasts are those of the first plan in which it acted: what the person saw, and what became of it.
    """

    __tablename__ = "override_value"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _text("Site.")
    override_id: Mapped[int] = _override()
    product_id: Mapped[str] = _text("Product.", key=True)
    drug: Mapped[str] = _text("Ingredient.")
    decided_by: Mapped[str] = _text("Name of who set it.")
    reason_code: Mapped[str] = text("Why.", OneOf.of(OverrideReason))
    direction: Mapped[str] = text("Whether it raised or lowered the forecast.", OneOf(DIRECTIONS))
    relative_change: Mapped[float | None] = column(
        sa.Float, "Change of the forecast over the forecast without it; blank = nothing was forecast.", unit="share"
    )
    periods: Mapped[int] = column(sa.Integer, "Past periods with a known quantity.", MoreThan(0), unit="periods")
    demand: Mapped[float] = amount("What was dispensed in them.", "dose units")
    error_without: Mapped[float] = amount("Sum of absolute errors without it.", "dose units")
    error_with: Mapped[float] = amount("Sum of absolute errors with it.", "dose units")
    value_added: Mapped[float] = column(
        sa.Float, "error_without minus error_with; negative = it took.", unit="dose units"
    )
    bias_without: Mapped[float] = column(
        sa.Float, "Forecast without it minus demand; above 0 = too much.", unit="dose units"
    )
    bias_with: Mapped[float] = column(sa.Float, "Forecast with it minus demand.", unit="dose units")


class EditValue(Base):
    """What changing a recommendation's packs did, once the time it had to last is over.

    Needed in hindsight is what the same calculation asks for with what was then dispensed in place of the expected
    demand: its safety stock, usable stock and open orders as stored, its pack rule. Demand that an empty shelf did not
    serve is not in it.
    """

    __tablename__ = "edit_value"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _text("Site.")
    recommendation_id: Mapped[str] = text("Line.", refers="recommendations.recommendation_id", primary_key=True)
    product_id: Mapped[str] = _text("Product.")
    drug: Mapped[str] = _text("Ingredient.")
    decided_by: Mapped[str] = _text("Name of who changed it.")
    reason_code: Mapped[str] = text("Why.", OneOf.of(DecisionReason))
    direction: Mapped[str] = text("Whether it raised or lowered the packs.", OneOf(DIRECTIONS))
    packs_proposed: Mapped[int] = whole_number("Packs proposed.", "packs")
    packs_ordered: Mapped[int] = whole_number("Packs after the change.", "packs")
    packs_needed: Mapped[int] = whole_number("Packs needed in hindsight.", "packs")
    pack_size: Mapped[float] = column(sa.Float, "Dose units in a pack.", MoreThan(0), unit="dose units")
    days: Mapped[float] = column(sa.Float, "Days that the order had to last.", MoreThan(0), unit="days")
    demand: Mapped[float] = amount("Dispensed in these days.", "dose units")
    value_added: Mapped[int] = column(
        sa.Integer, "Packs that the change came nearer to what was needed; negative = it went away.", unit="packs"
    )
