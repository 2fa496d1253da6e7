"""What people say about problems that runs report."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from warehouse.schema.base import Base, column
from warehouse.schema.results import STAGES
from warehouse.schema.rules import NotBlank, OneOf

PROBLEM_STATES = ("open", "addressed", "resolved")


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
    stage: Mapped[str] = column(sa.String, "Stage that says it.", OneOf(STAGES))
    asset: Mapped[str] = column(sa.String, "Asset that says it.", NotBlank())
    rule: Mapped[str] = column(sa.String, "Short name of the rule.", NotBlank())
    facility_id: Mapped[str | None] = column(sa.String, "Site it concerns; blank = all.")
    subject: Mapped[str | None] = column(sa.String, "Product, drug or gene it concerns.")
    state: Mapped[str] = column(sa.String, "open, addressed (somebody works on it) or resolved.", OneOf(PROBLEM_STATES))
    note: Mapped[str | None] = column(sa.String, "In the person's words.")
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id")
    set_at: Mapped[dt.datetime] = column(sa.DateTime, "When (UTC).")
