"""What each rule of ordering would have done in the past."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import ReplayRule
from warehouse.schema.base import Base, column
from warehouse.schema.columns import amount, day, share, text, whole_number
from warehouse.schema.rules import MoreThan, NotBlank, OneOf


class ReplayScore(Base):
    """What par levels, the usual practice, the plan without genetics and the plan would have done in the past.

    Demand, lead times and opening stock are the same for all; demand that a shelf cannot serve is lost to it. Rows with
    a level_factor other than 1 are tries with all levels (of the plan: demand) so many times as high.
    """

    __tablename__ = "replay_scores"
    __table_args__ = {"info": {"layer": "results"}}

    as_of: Mapped[dt.date] = day(
        "Origin: the first day that the run looks ahead from; the replay ends there.", primary_key=True
    )
    segment: Mapped[str] = text("all, or a kind of item.", NotBlank(), primary_key=True)
    rule: Mapped[str] = text("Rule of ordering.", OneOf.of(ReplayRule), primary_key=True)
    level_factor: Mapped[float] = column(
        sa.Float, "1 = as it is; otherwise a try with levels so many times as high.", MoreThan(0), primary_key=True
    )
    fill_rate: Mapped[float] = share("Share of demand that the shelf served.")
    stockout_weeks: Mapped[int] = whole_number("Weeks of items in which some demand was not served.", "weeks")
    stockout_share: Mapped[float] = share("The same over all weeks of items with demand.")
    mean_stock_value: Mapped[float | None] = amount(
        "Mean value of the stock at the end of a day; blank = no prices.", "currency"
    )
    mean_days_on_hand: Mapped[float | None] = amount(
        "Mean stock over mean demand a day, mean over items; blank = no demand.", "days"
    )
    expired_value: Mapped[float | None] = amount("Value of what expired; blank = no prices.", "currency")
    orders: Mapped[int] = whole_number("Orders of a site to a supplier.", "orders")
    lines: Mapped[int] = whole_number("Lines of these orders.", "lines")
    cost: Mapped[float | None] = amount("Value of what was ordered; blank = no prices.", "currency")
    same_service_value: Mapped[float | None] = amount(
        "Stock and waste that it would need to meet as much demand as the plan; blank = no try came so far.", "currency"
    )
    items: Mapped[int] = whole_number("Items, a product at a site each.", "items")
    priced_items: Mapped[int] = whole_number("Those with a price: values speak of them.", "items")
    stated_pars: Mapped[int] = whole_number(
        "Those whose par level the site stated; of the others it is derived.", "items"
    )
    weeks: Mapped[int] = whole_number("Weeks that are scored.", "weeks")
