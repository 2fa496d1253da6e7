"""States that people give to problems that runs report."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import DescribedEnum
from warehouse.schema.base import Base, column
from warehouse.schema.columns import moment, text
from warehouse.schema.results import STAGES
from warehouse.schema.rules import NotBlank, OneOf


class ProblemStatus(DescribedEnum):
    """What people say about a problem."""

    OPEN = "open", "open"
    ADDRESSED = "addressed", "being addressed"
    RESOLVED = "resolved", "resolved"


class ProblemState(Base):
    """A person said how a problem stands. Append-only: of each problem the newest row counts.

    A problem is the same in every run that reports the rule for the same asset, site and subject.
    """

    __tablename__ = "problem_states"
    __table_args__ = (
        sa.Index("ix_problem_states_problem", "rule", "asset", "facility_id", "subject"),
        {"info": {"layer": "ledger"}},
    )

    state_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    stage: Mapped[str] = text("Stage that says it.", OneOf(STAGES))
    asset: Mapped[str] = text("Asset that says it.", NotBlank())
    rule: Mapped[str] = text("Short name of the rule.", NotBlank())
    facility_id: Mapped[str | None] = text("Site it concerns; blank = all.")
    subject: Mapped[str | None] = text("Product, drug or gene it concerns.")
    state: Mapped[str] = text("open, addressed (somebody works on it) or resolved.", OneOf.of(ProblemStatus))
    note: Mapped[str | None] = text("In the person's words.")
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id")
    set_at: Mapped[dt.datetime] = moment("When (UTC).")
