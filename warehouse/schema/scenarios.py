"""What-ifs that a person asked for, and what each would change against the plan of its day."""

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from warehouse.schema.base import Base, column
from warehouse.schema.columns import amount, day, exact_amount, moment, text, whole_number
from warehouse.schema.rules import AtLeast, AtMost, NotBlank

LEDGER = {"info": {"layer": "ledger"}}


def _per_week(when: str) -> Mapped[float]:
    return amount(f"Mean demand over the horizon, {when}.", "dose units per week")


def _packs(when: str) -> Mapped[int]:
    return whole_number(f"Packs to order now, {when}.", "packs")


def _cost(when: str) -> Mapped[Decimal | None]:
    return exact_amount(f"Their cost, {when}; blank = price unknown.", "currency")


def _risk(when: str) -> Mapped[float | None]:
    comment = f"Chance to run out before the next order arrives, {when}; blank = stock never counted."
    return column(sa.Float, comment, AtLeast(0), AtMost(1), unit="probability")


class StoredScenario(Base):
    """A what-if and the run that it was compared with. Asked again for the same run it is replaced."""

    __tablename__ = "scenarios"
    __table_args__ = LEDGER

    scenario_id: Mapped[str] = text("Digest of its changes and its run.", NotBlank(), primary_key=True)
    name: Mapped[str] = text("Name that the person gave.", NotBlank())
    run_id: Mapped[str] = text("Run that is the present plan.", NotBlank())
    as_of: Mapped[dt.date] = day("Origin day of that run.", index=True)
    changes: Mapped[str] = column(sa.Text, "JSON list of its changes in words.", NotBlank())
    made_at: Mapped[dt.datetime] = moment("When it was computed (UTC).")


class ScenarioLine(Base):
    """A site's product under a what-if: demand, the order of today and the risk after it, now and then."""

    __tablename__ = "scenario_lines"
    __table_args__ = LEDGER

    scenario_id: Mapped[str] = text("What-if.", refers="scenarios.scenario_id", primary_key=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id", primary_key=True)
    drug: Mapped[str] = text("Its drug.", NotBlank())
    currency: Mapped[str | None] = text("ISO 4217 code of cost.")
    units_per_week_now: Mapped[float] = _per_week("as planned")
    units_per_week_then: Mapped[float] = _per_week("under the what-if")
    packs_now: Mapped[int] = _packs("as planned")
    packs_then: Mapped[int] = _packs("under the what-if")
    cost_now: Mapped[Decimal | None] = _cost("as planned")
    cost_then: Mapped[Decimal | None] = _cost("under the what-if")
    stockout_probability_now: Mapped[float | None] = _risk("as planned")
    stockout_probability_then: Mapped[float | None] = _risk("under the what-if")
    cause: Mapped[str | None] = text("Changes that move it when made alone; blank = nothing differs.")
