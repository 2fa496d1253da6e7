"""Key figures of the last weeks, per site and for all: each with its unit and what it rests on, or why it is not known.

What is not known stays unknown: a site without a stock count has no stock-out rate, not one of 0 %.
"""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from forecasting.terms import DecisionKind, Period
from warehouse.queries import kpi_sources as sources
from warehouse.queries.kpi_sources import WHOLE, Window
from warehouse.queries.lines import Scope

DAYS_A_YEAR = 365
SHARE, DAYS, PER_YEAR, COUNT = "share", "days", "per year", "count"
NO_COUNT = "no stock was counted in the period for anything that was dispensed"
NO_USE = "no complete period of dispensing lies in it"


@dataclasses.dataclass(frozen=True)
class KeyFigure:
    """One key figure of a site (`*` = all sites asked for). `note` says why it is not known (`value` None), or what it
    leaves out.

    `unit` is a currency for amounts. `rests_on` counts what it was computed from, as its definition says; `trend` has a
    value per week of the period (None = unknown in that week), named by the week's first day.
    """

    kpi: str
    facility_id: str
    value: float | None
    unit: str
    rests_on: int = 0
    note: str | None = None
    trend: tuple[tuple[dt.date, float | None], ...] = ()


def key_figures(connection: sa.Connection, scope: Scope, today: dt.date, weeks: int) -> list[KeyFigure]:
    """All key figures of the caller's open sites over the `weeks` that end with `today`, by kind, then by site."""
    window = Window.of(today, weeks)
    open_sites = sources.open_sites(connection, scope)
    sites, scope = [*open_sites, WHOLE], frozenset(open_sites)
    period = sources.dispensing_period(connection, today)
    use = _use(connection, scope, window, period)
    counts = sources.stock_counts(connection, scope, window)
    counts = counts.merge(use[["facility_id", "product_id", "per_day"]], on=["facility_id", "product_id"])
    return [
        *_stock_out_rate(sites, counts, window),
        *_expired_value(connection, scope, sites, window),
        *_days_on_hand(sites, counts, use, window),
        *_inventory_turns(sites, counts, use, sources.prices(connection)),
        *_overdue_lines(connection, scope, sites, today),
        *_overdue_orders(connection, scope, sites, today),
        *_decisions(connection, scope, sites, window),
    ]


def _use(connection: sa.Connection, scope: Scope, window: Window, period: Period | None) -> pd.DataFrame:
    """Items that were dispensed in complete periods of the window: `facility_id, product_id, quantity, per_day`."""
    starts = sources.complete_starts(connection, scope, window, period)
    use = sources.dispensed(connection, scope, starts).merge(starts[["facility_id", "days"]].drop_duplicates())
    return use.assign(per_day=use["quantity"] / use["days"])[["facility_id", "product_id", "quantity", "per_day"]]


def _stock_out_rate(sites: list[str], counts: pd.DataFrame, window: Window) -> list[KeyFigure]:
    """Share of counts of items in use that found nothing usable."""
    by_week = _with_all_sites(_weekly(counts.assign(out=counts["usable"] <= 0), window))
    by_site = by_week.groupby("facility_id")["out"].agg(["mean", "size"])
    weekly = by_week.groupby(["facility_id", "week"])["out"].mean()
    return [
        _figure("stockout_rate", site, by_site["mean"], by_site["size"], SHARE, NO_COUNT, _trend(weekly, site, window))
        for site in sites
    ]


def _days_on_hand(sites: list[str], counts: pd.DataFrame, use: pd.DataFrame, window: Window) -> list[KeyFigure]:
    """Median over items of usable stock at the last count over use a day."""
    in_days = counts.assign(days=counts["usable"].clip(lower=0) / counts["per_day"])
    days = _weekly(in_days.sort_values(sources.MOMENT), window)
    # the last count of an item, and of an item in a week
    last = _with_all_sites(days.drop_duplicates(["facility_id", "product_id"], keep="last")).groupby("facility_id")[
        "days"
    ]
    weekly = _with_all_sites(days.drop_duplicates(["facility_id", "product_id", "week"], keep="last"))
    medians = weekly.groupby(["facility_id", "week"])["days"].median()
    why = NO_COUNT if len(use) else NO_USE
    return [
        _figure("days_on_hand", site, last.median(), last.size(), DAYS, why, _trend(medians, site, window))
        for site in sites
    ]


def _inventory_turns(
    sites: list[str], counts: pd.DataFrame, use: pd.DataFrame, prices: pd.DataFrame
) -> list[KeyFigure]:
    """Value used in a year, at the pace of the period, over the mean value in stock; of counted items with a price."""
    mean = counts.assign(usable=counts["usable"].clip(lower=0)).groupby(["facility_id", "product_id"], as_index=False)
    items = mean["usable"].mean().merge(use, on=["facility_id", "product_id"]).merge(prices, on="product_id")
    items = _with_all_sites(items)
    items["stock_value"] = items["usable"] * items["unit_price"]
    items["year_value"] = items["per_day"] * DAYS_A_YEAR * items["unit_price"]
    groups = items.groupby("facility_id")
    sums, currencies, size = groups[["stock_value", "year_value"]].sum(), groups["currency"].nunique(), groups.size()
    turns = (sums["year_value"] / sums["stock_value"].where(sums["stock_value"] > 0)).where(currencies == 1)
    why = {
        site: "prices are in several currencies" if number > 1 else "the stock that was counted is worth nothing"
        for site, number in currencies.items()
    }
    default = "no item was counted and dispensed in the period and has a price"
    return [_figure("inventory_turns", site, turns, size, PER_YEAR, why.get(site, default)) for site in sites]


def _expired_value(connection: sa.Connection, scope: Scope, sites: list[str], window: Window) -> list[KeyFigure]:
    """Value, by currency, of lots that were counted after their expiry date; each lot once, at its largest."""
    dated, lots = sources.dated_counts(connection, scope, window), sources.expired_lots(connection, scope, window)
    currencies = sources.prices(connection)["currency"].unique()
    currency = str(currencies[0]) if len(currencies) == 1 else "currency"
    key_figures = []
    for site in sites:
        seen = int(dated.sum() if site == WHOLE else dated.get(site, 0))
        if seen:
            key_figures += _values(site, lots if site == WHOLE else lots[lots["facility_id"] == site], seen, currency)
        else:
            why = "no count in the period names an expiry date"
            key_figures.append(KeyFigure("expired_value", site, None, currency, note=why))
    return key_figures


def _values(site: str, lots: pd.DataFrame, seen: int, currency: str) -> list[KeyFigure]:
    """An amount per currency; none at all is 0 where nothing expired, and unknown where nothing of it has a price."""
    priced = lots[lots["unit_price"].notna()]
    missing = len(lots) - len(priced)
    why = f"{missing} of {len(lots)} expired lots have no price" if missing else None
    if priced.empty:
        return [KeyFigure("expired_value", site, None if missing else 0.0, currency, seen, why)]
    key_figures = []
    for unit, of_unit in priced.groupby("currency"):
        # amounts are added up as decimals: exact
        amounts = (Decimal(str(q)) * price for q, price in zip(of_unit["quantity"], of_unit["unit_price"], strict=True))
        key_figures.append(KeyFigure("expired_value", site, round(float(sum(amounts)), 2), str(unit), seen, why))
    return key_figures


def _overdue_lines(connection: sa.Connection, scope: Scope, sites: list[str], today: dt.date) -> list[KeyFigure]:
    """Proposed lines whose last day to order has passed."""
    lines, planned = sources.overdue_lines(connection, scope, today), sources.planned_sites(connection, scope)
    return _counted("overdue_lines", sites, lines, planned, "nothing was planned yet: run the forecast")


def _overdue_orders(connection: sa.Connection, scope: Scope, sites: list[str], today: dt.date) -> list[KeyFigure]:
    """Order lines that were to arrive before today and have not."""
    late, known = sources.overdue_orders(connection, scope, today), sources.sites_with_orders(connection, scope)
    return _counted("overdue_orders", sites, late, known, "no open orders were ever loaded or made here")


def _counted(kpi: str, sites: list[str], counts: pd.Series, known: set[str], why: str) -> list[KeyFigure]:
    key_figures = []
    for site in sites:
        known_sites = known if site == WHOLE else known & {site}
        number = int(counts.sum() if site == WHOLE else counts.get(site, 0))
        value = float(number) if known_sites else None
        key_figures.append(KeyFigure(kpi, site, value, COUNT, len(known_sites), None if known_sites else why))
    return key_figures


def _decisions(connection: sa.Connection, scope: Scope, sites: list[str], window: Window) -> list[KeyFigure]:
    """How many decisions people made, those taken back not counted, and the share that approved what was proposed."""
    rows = _weekly(_with_all_sites(sources.decisions(connection, scope, window)), window)
    as_is = rows.assign(as_proposed=rows["kind"] == DecisionKind.APPROVE.value)
    groups = as_is.groupby("facility_id")["as_proposed"]
    weekly = rows.groupby(["facility_id", "week"]).size()
    key_figures = []
    for site in sites:
        number = int(groups.size().get(site, 0))
        bins = tuple((week, float(weekly.get((site, week), 0))) for week in window.weeks)
        key_figures.append(KeyFigure("decisions", site, float(number), COUNT, number, trend=bins if number else ()))
    why = "nobody decided anything in the period"
    return key_figures + [
        _figure("approved_as_proposed", site, groups.mean(), groups.size(), SHARE, why) for site in sites
    ]


def _figure(
    kpi: str,
    site: str,
    values: pd.Series,
    sizes: pd.Series,
    unit: str,
    why: str,
    trend: tuple[tuple[dt.date, float | None], ...] = (),
) -> KeyFigure:
    value = _value_at(values, site)
    return KeyFigure(kpi, site, value, unit, int(sizes.get(site, 0)), why if value is None else None, trend)


def _value_at(values: pd.Series, key: Any) -> float | None:
    """The value under a key; None where there is none."""
    value: Any = values.get(key)
    return None if value is None or pd.isna(value) else float(value)


def _with_all_sites(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, and again under the site `*`."""
    return pd.concat([rows, rows.assign(facility_id=WHOLE)], ignore_index=True)


def _weekly(rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The rows with the first day of the week that each moment lies in."""
    moments = pd.to_datetime(rows[sources.MOMENT])
    weeks = (moments.dt.normalize() - pd.Timestamp(window.start)).dt.days // 7
    return rows.assign(week=np.array(window.weeks, dtype=object)[weeks.to_numpy(dtype=int)])


def _trend(values: pd.Series, site: str, window: Window) -> tuple[tuple[dt.date, float | None], ...]:
    """A value per week where at least two are known; else nothing, for there is no trend to see."""
    known = [(week, _value_at(values, (site, week))) for week in window.weeks]
    return tuple(known) if sum(value is not None for _, value in known) > 1 else ()


@dataclasses.dataclass(frozen=True)
class Definition:
    """What a key figure is called, what it is, and what its `rests_on` counts."""

    name: str
    meaning: str
    rests_on: str


DEFINITIONS = {
    "stockout_rate": Definition(
        "Stock-out rate",
        "Share of stock counts that found nothing usable, of products that were dispensed at the site in the period. "
        "Expired, quarantined, recalled and committed stock is not usable.",
        "stock counts",
    ),
    "expired_value": Definition(
        "Expired stock",
        "Value, at today's pack price, of lots that were counted after their expiry date; each lot once, at its "
        "largest. What was thrown away between counts is not recorded and not in it.",
        "counted lots with an expiry date",
    ),
    "days_on_hand": Definition(
        "Days on hand",
        "Usable stock at a product's last count over its use a day in the complete periods of dispensing; the median "
        "over products.",
        "products at sites",
    ),
    "inventory_turns": Definition(
        "Inventory turns",
        "Value that a year's use at the pace of the period has, over the mean value of usable stock at the counts; of "
        "products that were counted and dispensed and have a price.",
        "products at sites",
    ),
    "overdue_lines": Definition(
        "Overdue lines", "Proposed lines, today, whose last day to order has passed.", "planned sites"
    ),
    "overdue_orders": Definition(
        "Overdue orders",
        "Order lines, today, that were expected before today and have not arrived: those that sites list as open, and "
        "those that were ordered here.",
        "sites with orders",
    ),
    "decisions": Definition("Decisions", "Decisions of people on lines, those taken back not counted.", "decisions"),
    "approved_as_proposed": Definition(
        "Approved as proposed", "Share of these decisions that approved a line without a change.", "decisions"
    ),
}
"""By `kpi`, in the order of the page."""
