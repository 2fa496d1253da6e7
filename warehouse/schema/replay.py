"""What each rule of ordering would have done in the past."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import ReplayRule
from warehouse.schema.base import Base, column
from warehouse.schema.rules import AtLeast, AtMost, MoreThan, NotBlank, OneOf


class ReplayScore(Base):
    """What par levels, the usual practice, the plan without genetics and the plan would have done in the past.

    Demand, lead times and opening stock are the same for all; demand that a shelf cannot serve is lost to it. Rows with
    a level_factor other than 1 are tries with all levels (of the plan: demand) so many times as high.
    """

    __tablename__ = "replay_scores"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = column(
        sa.Date, "Origin: the first day that the run looks ahead from; the replay ends there.", primary_key=True
    )
    segment: Mapped[str] = column(sa.String, "all, or a kind of item.", NotBlank(), primary_key=True)
    rule: Mapped[str] = column(sa.String, "Rule of ordering.", OneOf.of(ReplayRule), primary_key=True)
    level_factor: Mapped[float] = column(
        sa.Float, "1 = as it is; otherwise a try with levels so many times as high.", MoreThan(0), primary_key=True
    )
    fill_rate: Mapped[float] = column(
        sa.Float, "Share of demand that the shelf served.", AtLeast(0), AtMost(1), unit="share"
    )
    stockout_weeks: Mapped[int] = column(
        sa.Integer, "Weeks of items in which some demand was not served.", AtLeast(0), unit="weeks"
    )
    stockout_share: Mapped[float] = column(
        sa.Float, "The same over all weeks of items with demand.", AtLeast(0), AtMost(1), unit="share"
    )
    mean_stock_value: Mapped[float | None] = column(
        sa.Float, "Mean value of the stock at the end of a day; blank = no prices.", AtLeast(0), unit="currency"
    )
    mean_days_on_hand: Mapped[float | None] = column(
        sa.Float, "Mean stock over mean demand a day, mean over items; blank = no demand.", AtLeast(0), unit="days"
    )
    expired_value: Mapped[float | None] = column(
        sa.Float, "Value of what expired; blank = no prices.", AtLeast(0), unit="currency"
    )
    orders: Mapped[int] = column(sa.Integer, "Orders of a site to a supplier.", AtLeast(0), unit="orders")
    lines: Mapped[int] = column(sa.Integer, "Lines of these orders.", AtLeast(0), unit="lines")
    cost: Mapped[float | None] = column(
        sa.Float, "Value of what was ordered; blank = no prices.", AtLeast(0), unit="currency"
    )
    same_service_value: Mapped[float | None] = column(
        sa.Float,
        "Stock and waste that it would need to meet as much demand as the plan; blank = no try came so far.",
        AtLeast(0),
        unit="currency",
    )
    items: Mapped[int] = column(sa.Integer, "Items, a product at a site each.", AtLeast(0), unit="items")
    priced_items: Mapped[int] = column(
        sa.Integer, "Those with a price: values speak of them.", AtLeast(0), unit="items"
    )
    stated_pars: Mapped[int] = column(
        sa.Integer, "Those whose par level the site stated; of the others it is derived.", AtLeast(0), unit="items"
    )
    weeks: Mapped[int] = column(sa.Integer, "Weeks that are scored.", AtLeast(0), unit="weeks")
