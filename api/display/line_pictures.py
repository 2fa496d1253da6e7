"""What a line's page draws: demand, stock by lot, the calculation as a waterfall, and whose genotypes it rests on.

Each picture comes for a wide and for a narrow screen; style sheets show one of them.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from markupsafe import Markup

from api.display import labels
from api.display import stock_projection as shelf
from api.display.fan_chart import Fan, fan_chart
from api.display.phenotype_chart import phenotype_chart
from api.display.stock_chart import shade, stock_chart
from api.display.stock_projection import Lot, Projection
from api.display.waterfall import waterfall, waterfall_chart
from forecasting.terms import ALL_GROUPS, JOINED_BY, ResultType
from warehouse.queries import line_page, lines

PERIODS_SHOWN = 52
WIDE, NARROW = 860, 350
LEAST_DAYS, DAYS_EMPTY = 56, 7
"""Days of stock that are drawn at least, and after the shelf is empty."""


def both(draw: Callable[..., Markup], *given: Any) -> dict[str, Markup]:
    """The picture for either screen."""
    return {"wide": draw(*given, width=WIDE, name="wide"), "narrow": draw(*given, width=NARROW, name="narrow")}


def pictures(
    db: sa.Connection, line: sa.RowMapping, document: dict[str, Any] | None, today: dt.date, period: str | None
) -> dict[str, Any]:
    """The pictures and the rows behind them: `forecast` with `fan`, `orders` to come, `stock`, `bars` with `fall`.

    What cannot be drawn for want of rows is empty.
    """
    place = (line["as_of"], line["facility_id"], line["product_id"])
    forecast = lines.forecasts(db, *place)
    orders = line_page.open_orders(db, *place)
    bars = waterfall(document) if document else []
    return {
        "forecast": forecast,
        "fan": _fan(db, line, forecast, orders, today, period) if forecast else {},
        "orders": orders,
        "stock": _stock(line_page.newest_lots(db, *place), line, forecast, orders, document or {}, today),
        "bars": bars,
        "fall": both(waterfall_chart, bars) if bars else {},
    }


def _fan(
    db: sa.Connection,
    line: sa.RowMapping,
    forecast: lines.Rows,
    orders: lines.Rows,
    today: dt.date,
    period: str | None,
) -> dict[str, Markup]:
    history = lines.demand_history(db, line["as_of"], line["facility_id"], line["product_id"])
    fan = Fan(
        history=[(row["period_start"], row["quantity"]) for row in history][-PERIODS_SHOWN:],
        forecast=forecast,
        today=today,
        unit=f"dose units per {period}" if period else "dose units per period",
        arrivals=[(row["expected_at"], labels.counted(row["packs"], "pack")) for row in orders],
    )
    return both(fan_chart, fan)


def _stock(
    rows: lines.Rows,
    line: sa.RowMapping,
    forecast: lines.Rows,
    orders: lines.Rows,
    document: dict[str, Any],
    today: dt.date,
) -> dict[str, Any]:
    """The shelf by lot with this order in it; empty where nothing was counted or forecast."""
    if not rows or not forecast:
        return {}
    values = _numbers(document)
    as_of = line["as_of"]
    lots = shelf.counted_lots(rows, as_of, values)
    lots += [
        Lot(f"order {row['order_id']}", "ordered", float(row["packs"] * line["pack_size"]), row["expected_at"])
        for row in orders
        if row["expected_at"] >= as_of
    ]
    arrives_on = None
    if "lead_time_mean_days" in values:
        days = values.get("wait_days", 0.0) + values["lead_time_mean_days"]
        arrives_on = as_of + dt.timedelta(days=round(days))
        lots.append(Lot("this order", "proposed", float(line["quantity"]), arrives_on))
    whole = shelf.project(lots, as_of, shelf.daily_demand(forecast, as_of))
    found = whole.until(max(whole.last_in_stock() + DAYS_EMPTY, LEAST_DAYS))
    return {
        "charts": both(stock_chart, found, today),
        "lots": [{"path": path, "shade": shade(path, place)} for place, path in enumerate(found.paths)],
        "counted_at": rows[0]["counted_at"],
        "arrives_on": arrives_on,
        "first_short": found.first_short(),
        "until": found.days[-1],
        "on_hand": _on_hand(found),
        "calculated": values.get("stock_on_hand"),
        "late": [row for row in orders if row["expected_at"] < as_of],
        "blocked": [row for row in rows if row["status"] != "available"],
    }


def _on_hand(found: Projection) -> float:
    return sum(path.lot.quantity for path in found.paths if path.lot.kind == "counted")


def _numbers(document: dict[str, Any]) -> dict[str, float]:
    """Values of a calculation by name."""
    entries = [*document.get("inputs", []), *document.get("steps", [])]
    return {one["name"]: float(one["value"]) for one in entries}


def genetics(db: sa.Connection, line: sa.RowMapping) -> dict[str, Any]:
    """The guidance rows that move a line's product, and gene by gene: phenotypes, coverage, whose genotypes."""
    place = (line["as_of"], line["facility_id"])
    shifts = lines.genetic_shifts(db, *place, line["product_id"])
    names = sorted({gene for row in shifts for gene in row["gene"].split(JOINED_BY)})
    drugs = {row["drug"] for row in shifts}
    by_gene: dict[str, dict[str, list[Any]]] = {name: defaultdict(list) for name in names}
    for kind, rows in (
        ("phenotypes", lines.prevalence_intervals(db, *place, names, ResultType.PHENOTYPE)),
        ("exposures", line_page.exposures(db, *place, names)),
        ("whose", line_page.representation(db, *place, drugs, names)),
    ):
        for row in rows:
            by_gene[row["gene"]][kind].append(row)
    return {"shifts": shifts, "genes": [_gene(name, of, line["as_of"]) for name, of in by_gene.items()]}


def _gene(name: str, rows: dict[str, list[Any]], as_of: dt.date) -> dict[str, Any]:
    """One gene's panel; coverage is that of the last period that began up to the origin, and of the last planned."""
    past = [row for row in rows["exposures"] if row["period_start"] <= as_of]
    whose: dict[str, Any] = {}
    for row in rows["whose"]:
        whose.setdefault(row["biogeographic_group"], row)  # the same of every drug
    return {
        "gene": name,
        "phenotypes": rows["phenotypes"],
        "chart": both(_chart_of(name), rows["phenotypes"]) if rows["phenotypes"] else {},
        "now": past[-1] if past else None,
        "planned": rows["exposures"][-1] if rows["exposures"] else None,
        "all_people": whose.pop(ALL_GROUPS, None),
        "groups": sorted(whose.values(), key=lambda row: -(row["share_served"] or 0.0)),
    }


def _chart_of(gene: str) -> Callable[..., Markup]:
    return lambda rows, **size: phenotype_chart(gene, rows, **size)
