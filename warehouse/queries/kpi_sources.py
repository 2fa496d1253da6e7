"""What key figures are computed from: one query a source, bound by the caller's sites and the window."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from forecasting.errors import InvalidInput
from forecasting.terms import DecisionKind, Period, RecommendationStatus, StockStatus
from warehouse.queries.lines import Scope, within
from warehouse.schema.inputs import Dispensing, Facility, OpenOrder, Product, Receipt, Stock
from warehouse.schema.ledger import Decision, OrderLine
from warehouse.schema.results import BacktestScore, Recommendation, Run

WHOLE = "*"
UNKNOWN_CURRENCY = "currency unknown"
MOMENT = "moment"
INFERRED_FROM_DAYS = 800
IN_TRANSIT = (RecommendationStatus.EXPORTED.value, RecommendationStatus.ACKNOWLEDGED.value)


@dataclasses.dataclass(frozen=True)
class Window:
    """Days from `start` to the one before `end`: whole weeks that end with the day it was asked on."""

    start: dt.date
    end: dt.date

    @classmethod
    def of(cls, today: dt.date, weeks: int) -> "Window":
        """The weeks that end with today.

        >>> Window.of(dt.date(2026, 11, 23), 1)
        Window(start=datetime.date(2026, 11, 17), end=datetime.date(2026, 11, 24))
        """
        end = today + dt.timedelta(days=1)
        return cls(end - dt.timedelta(weeks=weeks), end)

    @property
    def weeks(self) -> list[dt.date]:
        """First days of its weeks."""
        return [self.start + dt.timedelta(days=day) for day in range(0, (self.end - self.start).days, 7)]

    def moments(self, column: Any) -> sa.ColumnElement[bool]:
        """The condition that a moment lies in it."""
        first, last = (dt.datetime.combine(day, dt.time()) for day in (self.start, self.end))
        return sa.and_(column >= first, column < last)


def open_sites(connection: sa.Connection, scope: Scope) -> list[str]:
    """The caller's sites that are not closed, by name."""
    query = sa.select(Facility.facility_id).where(within(Facility.facility_id, scope), Facility.closed_on.is_(None))
    return list(connection.scalars(query.order_by(Facility.name, Facility.facility_id)))


def dispensing_period(connection: sa.Connection, today: dt.date) -> Period | None:
    """The calendar bucket of dispensing: the last run's, else inferred from the rows; None where it is not clear."""
    last = connection.scalar(sa.select(Run.period).order_by(Run.started_at.desc(), Run.run_id).limit(1))
    if last is not None:
        return Period(last)
    since = today - dt.timedelta(days=INFERRED_FROM_DAYS)
    starts = sa.select(Dispensing.period_start).where(Dispensing.period_start >= since).distinct()
    try:
        return Period.infer(connection.scalars(starts))
    except InvalidInput:
        return None


def complete_starts(connection: sa.Connection, scope: Scope, window: Window, period: Period | None) -> pd.DataFrame:
    """Per site the periods of which all days lie in the window: `facility_id, period_start`, `days` of all of them."""
    site = Dispensing.facility_id
    query = (
        sa.select(site, Dispensing.period_start)
        .where(within(site, scope), Dispensing.period_start >= window.start, Dispensing.period_start < window.end)
        .distinct()
    )
    rows = _frame(connection, query)
    if period is None:
        rows = rows.iloc[:0]
    ends = [period.step(start) for start in rows["period_start"]] if period else []
    rows["length"] = [(end - start).days for end, start in zip(ends, rows["period_start"], strict=True)]
    rows = rows[[end <= window.end for end in ends]] if len(rows) else rows
    return rows.assign(days=rows.groupby("facility_id")["length"].transform("sum"))


def dispensed(connection: sa.Connection, scope: Scope, starts: pd.DataFrame) -> pd.DataFrame:
    """Items and the `quantity` (dose units) they were used at in the periods named; returns are netted, none is left
    that was not used."""
    if starts.empty:
        return _typed([], ["facility_id", "product_id", "quantity"])
    quantity = sa.func.sum(Dispensing.quantity)
    days = sorted(set(starts["period_start"]))
    query = (
        sa.select(Dispensing.facility_id, Dispensing.product_id, quantity.label("quantity"))
        .where(within(Dispensing.facility_id, scope), Dispensing.period_start.between(days[0], days[-1]))
        .group_by(Dispensing.facility_id, Dispensing.product_id)
        .having(quantity > 0)
    )
    return _frame(connection, query)


def stock_counts(connection: sa.Connection, scope: Scope, window: Window) -> pd.DataFrame:
    """Counts of an item: `facility_id, product_id, moment, usable` (dose units, without what is committed)."""
    may_be_used = sa.and_(
        Stock.status == StockStatus.AVAILABLE.value,
        sa.or_(Stock.expiry_date.is_(None), Stock.expiry_date >= _day(Stock.counted_at)),
    )
    usable = sa.case((may_be_used, Stock.quantity - sa.func.coalesce(Stock.committed, 0.0)), else_=0.0)
    key = (Stock.facility_id, Stock.product_id, Stock.counted_at)
    query = (
        sa.select(*key[:2], Stock.counted_at.label(MOMENT), sa.func.sum(usable).label("usable"))
        .where(within(Stock.facility_id, scope), window.moments(Stock.counted_at))
        .group_by(*key)
    )
    return _frame(connection, query)


def expired_lots(connection: sa.Connection, scope: Scope, window: Window) -> pd.DataFrame:
    """Lots that were counted after their expiry date, each once: `quantity` at its largest, `moment` first seen,
    `unit_price` (a Decimal per dose unit, or None) and `currency`."""
    key = (Stock.facility_id, Stock.product_id, Stock.lot, Stock.expiry_date)
    query = (
        sa.select(*key, sa.func.max(Stock.quantity).label("quantity"), sa.func.min(Stock.counted_at).label(MOMENT))
        .where(within(Stock.facility_id, scope), window.moments(Stock.counted_at), Stock.quantity > 0)
        .where(Stock.expiry_date < _day(Stock.counted_at))
        .group_by(*key)
    )
    lots = _frame(connection, query)
    return lots.merge(_priced(connection), on="product_id", how="left")


def dated_counts(connection: sa.Connection, scope: Scope, window: Window) -> pd.Series:
    """Rows of counts that name an expiry date, by site."""
    query = (
        sa.select(Stock.facility_id, sa.func.count().label("rows"))
        .where(within(Stock.facility_id, scope), window.moments(Stock.counted_at), Stock.expiry_date.is_not(None))
        .group_by(Stock.facility_id)
    )
    return _by_site(connection, query)


def prices(connection: sa.Connection) -> pd.DataFrame:
    """Products with a price: `product_id, unit_price` (per dose unit, as a float), `currency`."""
    rows = _priced(connection)
    rows = rows[rows["unit_price"].notna()]
    return rows.assign(unit_price=rows["unit_price"].astype(float))


def overdue_lines(connection: sa.Connection, scope: Scope, today: dt.date) -> pd.Series:
    """Proposed lines whose order-by day has passed, by site."""
    query = (
        sa.select(Recommendation.facility_id, sa.func.count().label("rows"))
        .where(within(Recommendation.facility_id, scope), Recommendation.order_by < today)
        .where(Recommendation.status == RecommendationStatus.PROPOSED.value)
        .group_by(Recommendation.facility_id)
    )
    return _by_site(connection, query)


def planned_sites(connection: sa.Connection, scope: Scope) -> set[str]:
    """Every open site once a run has finished, before that none."""
    ran = connection.scalar(sa.select(sa.func.count()).select_from(Run).where(Run.finished_at.is_not(None)))
    return set(open_sites(connection, scope)) if ran else set()


def overdue_orders(connection: sa.Connection, scope: Scope, today: dt.date) -> pd.Series:
    """Lines that a site lists as open, or that were ordered here, whose expected day has passed, by site."""
    listed = sa.select(OpenOrder.facility_id, OpenOrder.order_id, OpenOrder.product_id).where(
        within(OpenOrder.facility_id, scope), OpenOrder.expected_at < today, OpenOrder.packs > 0
    )
    sent = (
        sa.select(OrderLine.facility_id, OrderLine.order_number, OrderLine.product_id)
        .join(Recommendation, Recommendation.recommendation_id == OrderLine.recommendation_id)
        .where(within(OrderLine.facility_id, scope), OrderLine.expected_at < today)
        .where(Recommendation.status.in_(IN_TRANSIT))
    )
    # a line that was ordered here and that the site lists as open is one line
    both = sa.union(listed, sent).subquery()
    return _by_site(connection, sa.select(both.c.facility_id, sa.func.count()).group_by(both.c.facility_id))


def sites_with_orders(connection: sa.Connection, scope: Scope) -> set[str]:
    """Sites of which an open or a sent order is, or was, known."""
    queries = [
        sa.select(column).where(within(column, scope))
        for column in (OpenOrder.facility_id, Receipt.facility_id, OrderLine.facility_id)
    ]
    return set(connection.scalars(sa.union(*queries)))


def decisions(connection: sa.Connection, scope: Scope, window: Window) -> pd.DataFrame:
    """Decisions of the window that were not taken back: `facility_id, moment, kind`."""
    later = aliased(Decision)
    undone = (
        sa.select(sa.literal(1))
        .where(later.recommendation_id == Decision.recommendation_id, later.decision_id > Decision.decision_id)
        .where(later.kind == DecisionKind.UNDO.value)
        .exists()
    )
    query = (
        sa.select(Recommendation.facility_id, Decision.decided_at.label(MOMENT), Decision.kind)
        .join(Recommendation, Recommendation.recommendation_id == Decision.recommendation_id)
        .where(within(Recommendation.facility_id, scope), window.moments(Decision.decided_at))
        .where(Decision.kind != DecisionKind.UNDO.value, ~undone)
        .order_by(Decision.decision_id)
    )
    return _frame(connection, query)


def forecast_scores(connection: sa.Connection) -> list[sa.RowMapping]:
    """Error, coverage and value added by step of the newest backtest, over all series and periods ahead."""
    newest = sa.select(sa.func.max(BacktestScore.as_of)).scalar_subquery()
    query = sa.select(BacktestScore.__table__).where(
        BacktestScore.as_of == newest, BacktestScore.segment == "all", BacktestScore.horizon == "all"
    )
    return list(connection.execute(query).mappings())


def _priced(connection: sa.Connection) -> pd.DataFrame:
    rows = connection.execute(sa.select(Product.product_id, Product.pack_price, Product.pack_size, Product.currency))
    return pd.DataFrame(
        [
            (product_id, None if price is None else price / size, currency or UNKNOWN_CURRENCY)
            for product_id, price, size, currency in rows
        ],
        columns=["product_id", "unit_price", "currency"],
    ).astype({"unit_price": object})


def _day(moment: Any) -> Any:
    # the same on both databases: a moment's day, comparable with a date
    return sa.func.date(moment, type_=sa.Date)


def _frame(connection: sa.Connection, query: sa.Executable) -> pd.DataFrame:
    result = connection.execute(query)
    return _typed(result.all(), list(result.keys()))


NUMBERS = {"quantity": "float64", "usable": "float64"}


def _typed(rows: Sequence[Any], columns: list[str]) -> pd.DataFrame:
    # also without rows a number is a number, and a name a name
    # plain tuples: pandas asks every row of another type whether it is a dataclass, which takes longer than the query
    return pd.DataFrame([tuple(row) for row in rows], columns=columns).astype(
        {column: NUMBERS.get(column, "object") for column in columns if column != MOMENT}
    )


def _by_site(connection: sa.Connection, query: sa.Executable) -> pd.Series:
    rows = connection.execute(query).all()
    return pd.Series({site: number for site, number in rows}, dtype="int64")
