"""Key figures against the same worked out row by row, as on paper; and what is not known stays unknown."""

import datetime as dt
import random
import statistics
from decimal import Decimal

import pytest
import sqlalchemy as sa

from warehouse.engine import writing
from warehouse.queries.kpi_sources import Window, forecast_scores
from warehouse.queries.kpis import key_figures
from warehouse.queries.lines import table

TODAY = dt.date(2026, 11, 23)
WEEKS = 4
START = dt.date(2026, 10, 27)
SITES = ("north", "south", "clinic", "shut")
PRODUCTS = {"a": ("28", "2.80"), "b": ("10", "5"), "c": ("100", None), "d": ("1", "7.25")}


def put(engine, **rows):
    with writing(engine) as connection:
        for name, many in rows.items():
            if many:
                connection.execute(sa.insert(table(name)), many)


def network(engine, *, currency=lambda product: "GBP"):
    put(
        engine,
        facilities=[
            {"facility_id": one, "name": one, "population": 1.0, "closed_on": TODAY if one == "shut" else None}
            for one in SITES
        ],
        products=[
            {"product_id": one, "drug": one, "strength_value": 1.0, "strength_unit": "mg", "dose_form": "tablet"}
            | {"pack_size": Decimal(size), "pack_price": price and Decimal(price), "currency": currency(one)}
            for one, (size, price) in PRODUCTS.items()
        ],
    )


def random_rows(seed):
    """Weekly dispensing (the last week not over), counts every few days with dated lots; the clinic has no stock."""
    draw = random.Random(seed)
    dispensing, stock = [], []
    for site in SITES:
        for product in PRODUCTS:
            for week in range(8):
                if draw.random() < 0.85:
                    start = dt.date(2026, 11, 23) - dt.timedelta(weeks=week)
                    quantity = draw.choice([0, draw.randint(1, 90), draw.randint(1, 90), -draw.randint(1, 9)])
                    dispensing.append(_used(site, product, start, float(quantity)))
            if site == "clinic":
                continue
            for day in sorted(draw.sample(range(40), 9)):
                moment = dt.datetime.combine(TODAY, dt.time(draw.randint(0, 23))) - dt.timedelta(days=day)
                for lot in range(draw.randint(1, 3)):
                    stock.append(_lot(draw, site, product, moment, lot))
    return dispensing, stock


def _used(site, product, start, quantity):
    return {"facility_id": site, "product_id": product, "period_start": start, "quantity": quantity}


def _lot(draw, site, product, moment, lot):
    expiry = draw.choice([None, moment.date(), moment.date() - dt.timedelta(days=3), dt.date(2027, 1, 1)])
    return {"facility_id": site, "product_id": product, "counted_at": moment, "lot": f"L{lot}"} | {
        "quantity": float(draw.choice([0, 0, draw.randint(1, 200), -2])),
        "expiry_date": expiry,
        "status": draw.choice(["available", "available", "quarantined"]),
        "committed": draw.choice([None, 0.0, 3.0]),
    }


def usable(row):
    day = row["counted_at"].date()
    if row["status"] != "available" or (row["expiry_date"] is not None and row["expiry_date"] < day):
        return 0.0
    return row["quantity"] - (row["committed"] or 0.0)


def on_paper(dispensing, stock, sites):
    """`stockout_rate, days_on_hand, inventory_turns, expired_value` of some sites together, row by row."""
    per_day = {}
    for site in sites:
        mine = [one for one in dispensing if one["facility_id"] == site]
        weeks = sorted({one["period_start"] for one in mine if START <= one["period_start"] <= dt.date(2026, 11, 16)})
        for product in PRODUCTS:
            of = [one for one in mine if one["product_id"] == product and one["period_start"] in weeks]
            total = sum(one["quantity"] for one in of)
            if total > 0:
                per_day[site, product] = total / (7 * len(weeks))
    counts = {}
    for row in stock:
        if row["facility_id"] in sites and START <= row["counted_at"].date() <= TODAY:
            key = (row["facility_id"], row["product_id"], row["counted_at"])
            counts[key] = counts.get(key, 0.0) + usable(row)
    counts = {key: value for key, value in counts.items() if key[:2] in per_day}
    days, stock_value, year_value = [], 0.0, 0.0
    for item in sorted({key[:2] for key in counts}):
        mine = sorted((key[2], max(value, 0.0)) for key, value in counts.items() if key[:2] == item)
        days.append(mine[-1][1] / per_day[item])
        size, price = PRODUCTS[item[1]]
        if price is not None:
            unit = float(price) / float(size)
            stock_value += unit * statistics.mean(value for _, value in mine)
            year_value += unit * per_day[item] * 365
    lots = {}
    for row in stock:
        seen = row["facility_id"] in sites and START <= row["counted_at"].date() <= TODAY and row["quantity"] > 0
        if seen and row["expiry_date"] is not None and row["expiry_date"] < row["counted_at"].date():
            key = (row["facility_id"], row["product_id"], row["lot"], row["expiry_date"])
            lots[key] = max(lots.get(key, 0.0), row["quantity"])
    worth = sum(
        Decimal(str(quantity)) * Decimal(PRODUCTS[key[1]][1]) / Decimal(PRODUCTS[key[1]][0])
        for key, quantity in lots.items()
        if PRODUCTS[key[1]][1] is not None
    )
    priceless = bool(lots) and all(PRODUCTS[key[1]][1] is None for key in lots)
    dated = any(one["facility_id"] in sites for one in stock) and not priceless
    out = [value <= 0 for value in counts.values()]
    return {
        "stockout_rate": sum(out) / len(out) if out else None,
        "days_on_hand": statistics.median(days) if days else None,
        "inventory_turns": year_value / stock_value if stock_value else None,
        "expired_value": float(round(worth, 2)) if dated else None,
    }


def figures(engine, scope=None, weeks=WEEKS):
    with engine.connect() as connection:
        return {(one.kpi, one.facility_id): one for one in key_figures(connection, scope, TODAY, weeks)}


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 9))])
def test_the_figures_are_those_worked_out_row_by_row(engine, seed):
    dispensing, stock = random_rows(seed)
    network(engine)
    put(engine, dispensing=dispensing, stock=stock)
    for scope, asked in ((None, SITES[:3]), (frozenset({"south", "shut"}), ("south",))):
        found = figures(engine, scope)
        assert {site for _, site in found} == {*asked, "*"}
        for site in (*asked, "*"):
            wanted = on_paper(dispensing, stock, asked if site == "*" else (site,))
            for kpi, value in wanted.items():
                assert found[kpi, site].value == pytest.approx(value), (kpi, site)
                assert (found[kpi, site].note is not None) or value is not None


def test_a_week_of_the_trend_is_that_week_s_figure(engine):
    dispensing, stock = random_rows(4)
    network(engine)
    put(engine, dispensing=dispensing, stock=stock)
    found = figures(engine)["stockout_rate", "north"]
    assert [week for week, _ in found.trend] == Window.of(TODAY, WEEKS).weeks
    used = {key for key, total in _totals(dispensing).items() if total > 0 and key[0] == "north"}
    for week, value in found.trend:
        counts = {}
        for row in stock:
            if (row["facility_id"], row["product_id"]) in used and 0 <= (row["counted_at"].date() - week).days < 7:
                key = (row["product_id"], row["counted_at"])
                counts[key] = counts.get(key, 0.0) + usable(row)
        out = [one <= 0 for one in counts.values()]
        assert value == (pytest.approx(sum(out) / len(out)) if out else None)


def _totals(dispensing):
    totals = {}
    for one in dispensing:
        if START <= one["period_start"] <= dt.date(2026, 11, 16):
            key = (one["facility_id"], one["product_id"])
            totals[key] = totals.get(key, 0.0) + one["quantity"]
    return totals


def test_without_rows_nothing_is_known_and_each_says_why(engine):
    network(engine)
    found = figures(engine)
    assert {one.kpi for one in found.values()} == {
        *("stockout_rate", "expired_value", "days_on_hand", "inventory_turns"),
        *("overdue_lines", "overdue_orders", "decisions", "approved_as_proposed"),
    }
    for (kpi, _), one in found.items():
        if kpi == "decisions":
            assert one.value == 0  # every decision is made here: none is none
        else:
            assert one.value is None
            assert one.note


def test_what_has_no_price_or_several_currencies_is_told(engine):
    network(engine, currency=lambda product: "GBP" if product == "a" else "EUR")
    moment = dt.datetime.combine(TODAY, dt.time(7))
    lot = {"facility_id": "north", "counted_at": moment, "lot": "", "status": "available", "quantity": 10.0}
    gone = lot | {"expiry_date": TODAY - dt.timedelta(days=1)}
    put(
        engine,
        dispensing=[
            _used("north", one, TODAY - dt.timedelta(weeks=week), 7.0) for one in PRODUCTS for week in range(1, 4)
        ],
        stock=[gone | {"product_id": one, "facility_id": "north"} for one in PRODUCTS]
        + [lot | {"product_id": "c", "facility_id": "south", "expiry_date": TODAY - dt.timedelta(days=1)}],
    )
    with engine.connect() as connection:
        told = [one for one in key_figures(connection, None, TODAY, WEEKS) if one.kpi == "expired_value"]
    north = {(one.unit, one.value, one.note) for one in told if one.facility_id == "north"}
    assert north == {
        ("GBP", 1.0, "1 of 4 expired lots have no price"),
        ("EUR", 77.5, "1 of 4 expired lots have no price"),
    }
    assert [(one.value, one.note) for one in told if one.facility_id == "south"] == [
        (None, "1 of 1 expired lots have no price")
    ]
    turns = figures(engine)["inventory_turns", "*"]
    assert (turns.value, turns.note) == (None, "prices are in several currencies")


def test_overdue_lines_orders_and_decisions(engine):
    network(engine)
    line = {
        "as_of": TODAY,
        "packs": 1,
        "quantity": Decimal(1),
        "reason": "stock_out_risk",
        "urgency": 1.0,
        "version": 1,
    }
    line |= {"stockout_probability_before": 0.5, "stockout_probability_after": 0.1, "expected_waste": 0.0}
    line |= {"updated_at": dt.datetime.combine(TODAY, dt.time(1))}
    places = [
        # id, site, product, order by (days from now), status
        ("r1", "north", "a", -1, "proposed"),
        ("r2", "north", "b", 0, "proposed"),
        ("r3", "north", "c", -5, "exported"),
        ("r4", "north", "d", -5, "received"),
        ("r5", "south", "a", -9, "approved"),
    ]
    yesterday = TODAY - dt.timedelta(days=1)
    ordered = {"facility_name": "x", "description": "x", "packs": 1, "pack_size": Decimal(1), "quantity": Decimal(1)}
    now = dt.datetime.combine(TODAY, dt.time(9))
    decided = {"user_id": 1, "status_before": "proposed", "status_after": "approved", "packs_before": 1}
    decided |= {"packs_after": 1, "version_seen": 1}
    put(
        engine,
        runs=[
            {
                "run_id": "r",
                "as_of": TODAY,
                "period": "week",
                "horizon": 1,
                "with_genetics": True,
                "seed": 1,
                "draws": 1,
            }
            | {"releases": "{}", "inputs_sha256": "0" * 64, "software_version": "1", "started_at": now}
            | {"finished_at": now}
        ],
        users=[
            {"name": "u", "display_name": "U", "password_hash": "x", "role": "buyer", "active": True}
            | {"failed_sign_ins": 0, "created_at": now}
        ],
        recommendations=[
            line
            | {"recommendation_id": one, "facility_id": site, "product_id": product, "status": status}
            | {"order_by": TODAY + dt.timedelta(days=days)}
            for one, site, product, days, status in places
        ],
        order_exports=[
            {"export_id": "e", "actor": "user:1", "actor_name": "U", "idempotency_key": "k", "not_exported": "[]"}
            | {"request_sha256": "0" * 64, "created_at": now}
        ],
        orders=[
            {"order_number": "P1", "control_number": 1, "export_id": "e", "supplier_id": "s", "supplier_name": "s"}
            | {"created_at": now}
        ],
        order_lines=[
            ordered
            | {"order_number": "P1", "line_number": number, "recommendation_id": one, "facility_id": "north"}
            | {"product_id": product, "expected_at": yesterday}
            for number, (one, product) in enumerate([("r3", "c"), ("r4", "d")], 1)
        ],
        open_orders=[
            {"order_id": order, "product_id": product, "facility_id": site, "packs": packs, "ordered_at": START}
            | {"expected_at": expected}
            for order, product, site, packs, expected in [
                ("P1", "c", "north", 4, yesterday),  # the line that was ordered here, once
                ("X9", "a", "north", 4, yesterday),
                ("X9", "b", "north", 0, yesterday),
                ("X9", "d", "south", 4, TODAY),
            ]
        ],
        decisions=[
            decided | {"recommendation_id": one, "kind": kind, "decided_at": moment}
            for one, kind, moment in [
                ("r3", "approve", now - dt.timedelta(days=40)),
                ("r5", "approve", now - dt.timedelta(days=9)),
                ("r5", "undo", now - dt.timedelta(days=8)),
                ("r5", "modify", now - dt.timedelta(days=7)),
                ("r4", "approve", now),
                ("r2", "reject", now),
            ]
        ],
    )
    found = figures(engine)
    assert {site: found["overdue_lines", site].value for site in ("north", "south", "*")} == {
        "north": 1.0,
        "south": 0.0,
        "*": 1.0,
    }
    assert [found["overdue_orders", site].value for site in ("north", "south", "clinic", "*")] == [2, 0, None, 2]
    assert [found["decisions", site].value for site in ("north", "south", "*")] == [2, 1, 3]
    assert [one for _, one in found["decisions", "*"].trend] == [0, 0, 1, 2]
    assert [found["approved_as_proposed", site].value for site in ("north", "south")] == [0.5, 0]
    assert found["approved_as_proposed", "clinic"].value is None


def test_forecast_scores_are_the_newest_over_all_series(engine):
    row = {"stage": "baseline", "segment": "all", "horizon": "all", "metric": "wape", "value": 0.2, "value_added": 0.1}
    row |= {"series": 9, "origins": 3}
    rows = [row | {"as_of": TODAY}, row | {"as_of": TODAY - dt.timedelta(days=7), "value": 0.9}]
    put(engine, backtest_scores=[*rows, row | {"as_of": TODAY, "segment": "X"}, row | {"as_of": TODAY, "horizon": "1"}])
    with engine.connect() as connection:
        assert [one["value"] for one in forecast_scores(connection)] == [0.2]
