"""What a line's page draws: demand, stock by lot, the calculation as a waterfall, and whose genotypes it rests on.

Each picture comes for a wide and for a narrow screen; style sheets show one of them.
"""

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup

from api.display.charts.fan_chart import Fan, fan_chart
from api.display.charts.phenotype_chart import phenotype_chart
from api.display.charts.stock_chart import shade, stock_chart
from api.display.charts.stock_projection import Lot, counted_lots, daily_demand, project
from api.display.charts.waterfall import Bar, waterfall, waterfall_chart
from api.display.formatting import counted
from forecasting.terms import ALL_GROUPS, JOINED_BY, ResultType
from warehouse.queries import line_page, lines

PERIODS_SHOWN = 52
WIDE, NARROW = 860, 350
LEAST_DAYS, DAYS_EMPTY = 56, 7
"""Days of stock that are drawn at least, and after the shelf is empty."""


@dataclasses.dataclass(frozen=True)
class LinePictures:
    """Pictures of a line and the rows behind them; what cannot be drawn for want of rows is empty.

    `fan` draws the `forecast`, `waterfall` the `bars` of the calculation, `stock` holds the shelf by lot; `orders` are
    open orders that are still to come.
    """

    forecast: lines.Rows
    fan: dict[str, Markup]
    orders: lines.Rows
    stock: dict[str, Any]
    bars: list[Bar]
    waterfall: dict[str, Markup]


@dataclasses.dataclass(frozen=True)
class _Item:
    """What the pictures of a line are drawn from: the line, its calculation ({} = none), forecast and open orders."""

    line: sa.RowMapping
    document: dict[str, Any]
    forecast: lines.Rows
    orders: lines.Rows
    today: dt.date


def both_widths(draw: Callable[..., Markup], *arguments: Any) -> dict[str, Markup]:
    """The picture for either screen: `wide` and `narrow`."""
    widths = {"wide": WIDE, "narrow": NARROW}
    return {name: draw(*arguments, width=width, name=name) for name, width in widths.items()}


def line_pictures(
    db: sa.Connection, line: sa.RowMapping, document: dict[str, Any] | None, today: dt.date, period: str | None
) -> LinePictures:
    """The pictures of a line with its calculation (None = none is stored); `period` is the run's calendar bucket."""
    key = (line["as_of"], line["facility_id"], line["product_id"])
    item = _Item(line, document or {}, lines.forecasts(db, *key), line_page.open_orders(db, *key), today)
    bars = waterfall(item.document) if document else []
    return LinePictures(
        forecast=item.forecast,
        fan=_fan(item, lines.demand_history(db, *key), period) if item.forecast else {},
        orders=item.orders,
        stock=_stock(item, line_page.newest_lots(db, *key)),
        bars=bars,
        waterfall=both_widths(waterfall_chart, bars) if bars else {},
    )


def _fan(item: _Item, history: lines.Rows, period: str | None) -> dict[str, Markup]:
    fan = Fan(
        history=[(row["period_start"], row["quantity"]) for row in history][-PERIODS_SHOWN:],
        forecast=item.forecast,
        today=item.today,
        unit=f"dose units per {period or 'period'}",
        arrivals=[(row["expected_at"], counted(row["packs"], "pack")) for row in item.orders],
    )
    return both_widths(fan_chart, fan)


def _stock(item: _Item, lots: lines.Rows) -> dict[str, Any]:
    """The shelf by lot with this order in it; empty where nothing was counted or forecast."""
    if not lots or not item.forecast:
        return {}
    as_of, values = item.line["as_of"], _values(item.document)
    arrives_on = None
    if "lead_time_mean_days" in values:
        days = values.get("wait_days", 0.0) + values["lead_time_mean_days"]
        arrives_on = as_of + dt.timedelta(days=round(days))
    counted_now = counted_lots(lots, as_of, values)
    projection = project([*counted_now, *_lots_to_come(item, arrives_on)], as_of, daily_demand(item.forecast, as_of))
    shelf = projection.until(max(projection.last_in_stock() + DAYS_EMPTY, LEAST_DAYS))
    return {
        "charts": both_widths(stock_chart, shelf, item.today),
        "lots": [{"path": path, "shade": shade(path, place)} for place, path in enumerate(shelf.paths)],
        "counted_at": lots[0]["counted_at"],
        "arrives_on": arrives_on,
        "first_unmet": shelf.first_unmet(),
        "until": shelf.days[-1],
        "on_hand": sum(lot.quantity for lot in counted_now),
        "calculated": values.get("stock_on_hand"),
        "late": [row for row in item.orders if row["expected_at"] < as_of],
        "blocked": [row for row in lots if row["status"] != "available"],
    }


def _lots_to_come(item: _Item, arrives_on: dt.date | None) -> list[Lot]:
    """Open orders that are not late and, where its arrival is known, this order."""
    lots = [
        Lot(f"order {row['order_id']}", "ordered", float(row["packs"] * item.line["pack_size"]), row["expected_at"])
        for row in item.orders
        if row["expected_at"] >= item.line["as_of"]
    ]
    if arrives_on is not None:
        lots.append(Lot("this order", "proposed", float(item.line["quantity"]), arrives_on))
    return lots


def _values(document: dict[str, Any]) -> dict[str, float]:
    """Values of a calculation by name."""
    entries = [*document.get("inputs", []), *document.get("steps", [])]
    return {entry["name"]: float(entry["value"]) for entry in entries}


def line_genetics(db: sa.Connection, line: sa.RowMapping) -> dict[str, Any]:
    """`shifts`, the guidance rows that move a line's product, and `genes`: phenotypes, coverage, whose genotypes."""
    key = (line["as_of"], line["facility_id"])
    shifts = lines.genetic_shifts(db, *key, line["product_id"])
    names = sorted({gene for row in shifts for gene in row["gene"].split(JOINED_BY)})
    drugs = {row["drug"] for row in shifts}
    rows_by_gene: dict[str, dict[str, list[Any]]] = {name: defaultdict(list) for name in names}
    for kind, rows in (
        ("phenotypes", lines.prevalence_intervals(db, *key, names, ResultType.PHENOTYPE)),
        ("exposures", line_page.exposures(db, *key, names)),
        ("groups", line_page.representation(db, *key, drugs, names)),
    ):
        for row in rows:
            rows_by_gene[row["gene"]][kind].append(row)
    return {"shifts": shifts, "genes": [_gene(name, rows, line["as_of"]) for name, rows in rows_by_gene.items()]}


def _gene(name: str, rows: dict[str, list[Any]], as_of: dt.date) -> dict[str, Any]:
    """One gene's panel; coverage is that of the last period that began up to the origin, and of the last planned."""
    past = [row for row in rows["exposures"] if row["period_start"] <= as_of]
    groups: dict[str, Any] = {}
    for row in rows["groups"]:
        groups.setdefault(row["biogeographic_group"], row)  # the same of every drug
    return {
        "gene": name,
        "phenotypes": rows["phenotypes"],
        "chart": both_widths(partial(phenotype_chart, name), rows["phenotypes"]) if rows["phenotypes"] else {},
        "now": past[-1] if past else None,
        "planned": rows["exposures"][-1] if rows["exposures"] else None,
        "all_people": groups.pop(ALL_GROUPS, None),
        "groups": sorted(groups.values(), key=lambda row: -(row["share_served"] or 0.0)),
    }
