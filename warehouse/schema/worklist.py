"""What people do on the worklist beside deciding: put off, assign, comment, and set what is routine."""

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import ALL_FACILITIES
from warehouse.schema.base import Base, ExactDecimal, column
from warehouse.schema.columns import amount, day, moment, text
from warehouse.schema.rules import MoreThan, NotBlank, OneOf, Refers

LEDGER = {"info": {"layer": "ledger"}}
ACTION_KINDS = ("snooze", "assign")


class WorklistAction(Base):
    """A person put an item off until a day, or gave it to somebody. Append-only: of each kind the newest row counts.

    It belongs to the site and product, not to one line: a new run makes a new line, and the item stays put off or
    somebody's. A snooze row without a day wakes the item, an assign row without a person gives it to nobody.
    """

    __tablename__ = "worklist_actions"
    __table_args__ = (sa.Index("ix_worklist_actions_item", "facility_id", "product_id", "kind", "action_id"), LEDGER)

    action_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    kind: Mapped[str] = text("What: snooze or assign.", OneOf(ACTION_KINDS))
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id")
    product_id: Mapped[str] = text("Product.", refers="products.product_id")
    recommendation_id: Mapped[str] = text(
        "Line it was done on.", refers="recommendations.recommendation_id", index=True
    )
    snoozed_until: Mapped[dt.date | None] = day("Day it comes back; blank = it is not put off.")
    order_by_seen: Mapped[dt.date] = day(
        "Last day to order of the line it was done on: an item that must be ordered earlier comes back."
    )
    assignee_id: Mapped[int | None] = column(
        sa.Integer, "Person it is given to; blank = nobody.", refers="users.user_id"
    )
    reason: Mapped[str | None] = text("Why, in the person's words.")
    undoes: Mapped[int | None] = column(
        sa.Integer, "Action that it takes back; blank = none.", refers="worklist_actions.action_id"
    )
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id", index=True)
    acted_at: Mapped[dt.datetime] = moment("When (UTC).")


class Comment(Base):
    """What a person said about an item on one of its lines, as plain text. Append-only."""

    __tablename__ = "comments"
    __table_args__ = (sa.Index("ix_comments_item", "facility_id", "product_id", "comment_id"), LEDGER)

    comment_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id")
    product_id: Mapped[str] = text("Product.", refers="products.product_id")
    recommendation_id: Mapped[str] = text("Line it was written on.", refers="recommendations.recommendation_id")
    text: Mapped[str] = column(sa.Text, "In the person's words.", NotBlank())
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id")
    written_at: Mapped[dt.datetime] = moment("When (UTC).")


class RoutineRule(Base):
    """An approver's word on which lines are routine: listed apart, and approved together by a person.

    Nothing is approved by a rule. Rows are never changed but for who ended them.
    """

    __tablename__ = "routine_rules"
    __table_args__ = (LEDGER,)

    rule_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    facility_id: Mapped[str] = text(
        "Site, '*' = every site.", NotBlank(), Refers("facilities", "facility_id", (ALL_FACILITIES,))
    )
    most_cost: Mapped[Decimal] = column(ExactDecimal, "Most that a line may cost.", MoreThan(0), unit="currency")
    currency: Mapped[str] = text("ISO 4217 code of most_cost.", NotBlank())
    most_urgency: Mapped[float] = amount("Most treatment-days that may go unmet without the order.", "treatment-days")
    except_drugs: Mapped[str | None] = text("Drugs that are never routine, ';'-separated; blank = none is named.")
    expires_on: Mapped[dt.date] = day("First day on which it no longer counts.")
    note: Mapped[str | None] = text("In the person's words.")
    user_id: Mapped[int] = column(sa.Integer, "Approver who set it.", refers="users.user_id")
    set_at: Mapped[dt.datetime] = moment("When (UTC).")
    ended_at: Mapped[dt.datetime | None] = moment("When it was ended (UTC); blank = it was not.")
    ended_by: Mapped[int | None] = column(sa.Integer, "Who ended it.", refers="users.user_id")
