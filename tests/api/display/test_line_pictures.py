"""The pictures of a line's page: true to their numbers, well formed, readable without seeing them."""

import dataclasses
import datetime as dt
import re
import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from api.display.charts.fan_chart import Fan, fan_chart
from api.display.charts.phenotype_chart import phenotype_chart
from api.display.charts.stock_chart import description, stock_chart
from api.display.charts.stock_projection import Lot, counted_lots, daily_demand, project
from api.display.charts.waterfall import waterfall, waterfall_chart
from tests.api.conftest import AS_OF
from tests.api.display.test_charts import fan
from warehouse.engine import writing
from warehouse.queries.lines import table

START = dt.date(2026, 11, 23)


def day(number):
    return None if number is None else START + dt.timedelta(days=number)


lots = st.lists(
    st.builds(
        lambda number, quantity, arrives, expires: Lot(
            f"lot {number}", "counted" if arrives == 0 else "ordered", float(quantity), day(arrives), day(expires)
        ),
        st.integers(0, 99),
        st.integers(0, 40),
        st.sampled_from([0, 0, 3, 9]),
        st.sampled_from([None, 0, 2, 5, 12, 40]),
    ),
    max_size=5,
)
demand = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=20)


def unit_by_unit(lots, wanted):
    """As slow and obvious as possible: each dose unit is taken from the lot that expires first."""
    shelf = [(lot.expires_on or dt.date.max, lot.arrives_on, lot.name, place) for place, lot in enumerate(lots)]
    left, gone = [lot.quantity for lot in lots], [0.0] * len(lots)
    short = []
    for number, units in enumerate(wanted):
        today, missing = day(number), 0
        for expires, _, _, place in shelf:
            if today > expires:
                gone[place], left[place] = gone[place] + left[place], 0.0
        for _ in range(int(units)):
            usable = [one for one in sorted(shelf) if left[one[3]] > 0 and one[1] <= today <= one[0]]
            if usable:
                left[usable[0][3]] -= 1
            else:
                missing += 1
        short.append(float(missing))
    return sum(left), sum(gone), short


@given(lots, demand)
def test_a_shelf_is_used_first_expired_first_and_nothing_is_lost(lots, wanted):
    found = project(lots, START, wanted)
    left, gone, short = unit_by_unit(lots, wanted)
    assert found.unmet == pytest.approx(short)
    assert sum(path.expired for path in found.paths) == pytest.approx(gone)
    arrived = [path for path in found.paths if path.lot.arrives_on <= found.days[-1]]
    to_come = sum(path.lot.quantity for path in found.paths if path not in arrived and path.expired == 0)
    assert sum(path.left[-1] for path in arrived) + to_come == pytest.approx(left)
    assert all(units >= 0 for path in found.paths for units in path.left)
    total = sum(lot.quantity for lot in lots)
    assert left + gone + sum(wanted) - sum(short) == pytest.approx(total)


def test_demand_a_day_adds_up_to_the_forecast():
    rows = [{"period_start": day(7 * number), "mean": 70.0 + number} for number in range(3)]
    assert sum(daily_demand(rows, START)) == pytest.approx(70 + 71 + 72)
    assert len(daily_demand(rows, day(5))) == 16
    assert daily_demand(rows, day(-2))[:3] == [10.0, 10.0, 10.0]
    assert daily_demand(rows[:1], START) == [10.0] * 7


def test_use_since_the_count_comes_from_what_expires_first():
    def row(lot, quantity, expires, status="available", committed=None):
        return {"lot": lot, "quantity": quantity, "expiry_date": day(expires), "status": status} | {
            "committed": committed
        }

    rows = [row("b", 50.0, 40), row("a", 30.0, 10), row("", 20.0, None, committed=5.0), row("q", 99.0, 9, "recalled")]
    rows += [row("old", 7.0, -1), row("minus", -3.0, 20)]
    found = counted_lots(rows, START, {"used_since_count": 47.0, "received_since_count": 28.0})
    told = [(lot.name, lot.quantity) for lot in found]
    # 7 of the lot that is past its date, 30 of a and 10 of b have gone
    assert told == [("b", 40.0), ("no lot number", 15.0), ("received since the count", 28.0)]


@pytest.mark.parametrize("width", [350, 860])
def test_the_stock_chart_draws_every_lot_inside_and_says_what_it_shows(width):
    shelf = [Lot("L<1>", "counted", 40.0, START, day(6)), Lot("L2", "counted", 90.0, START, day(90))]
    shelf.append(Lot("this order", "proposed", 56.0, day(20)))
    found = project(shelf, START, [5.0] * 56)
    root = ET.fromstring(stock_chart(found, START, width=width, name="wide"))
    height = float(root.attrib["viewBox"].split()[3])
    shapes = [one for one in root.iter() if "lot" in one.attrib.get("class", "")]
    assert len(shapes) == 3
    for shape in shapes:
        for point in shape.attrib["points"].split():
            x, y = (float(part) for part in point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    told = description(found)
    assert "130 dose units in 2 lots on 23 Nov 2026" in told
    assert "5 expire unused" in told  # 35 of 40 are used in seven days
    assert "the shelf is empty on 29 Dec 2026" in told  # 130 + 56 - 5 last 36 days
    assert sum(one.attrib.get("class") == "expiry" for one in root) == 1
    assert sum(one.attrib.get("class") == "short" for one in root) == 1


def test_an_empty_shelf_can_be_drawn():
    ET.fromstring(stock_chart(project([], START, [1.0]), START, width=350, name="x"))


def document(**values):
    return {"inputs": [{"name": name, "value": str(value)} for name, value in values.items()], "steps": []}


numbers = st.decimals(-500, 500, places=3)


@given(st.dictionaries(st.sampled_from(["genetic_shift_1", "genetic_shift_2", "override", "safety_stock"]), numbers))
def test_the_bars_join_and_end_at_the_quantity(parts):
    given_values = {"history_demand": 498, "expected_demand": 492, "order_up_to_level": 718, "quantity": 532}
    bars = waterfall(document(**given_values, **parts, stock_on_hand=203))
    assert (bars[0].end, bars[-1].end) == (498, 532)
    for before, bar in zip(bars, bars[1:], strict=False):
        assert (bar.end if bar.total else bar.start) == before.end
    assert [bar.end for bar in bars if bar.total] == [498, 492, 718, 532]


def test_the_bars_of_a_calculation_by_hand():
    values = {"history_demand": "498", "change_since_history": "-16", "genetic_shift_1": "6", "genetic_shift_2": "4"}
    values |= {"expected_demand": "492", "safety_stock": "226", "order_up_to_level": "718", "stock_on_hand": "204"}
    values |= {"net_need": "514", "packs_needed": "19", "pack_size": "28", "quantity": "504"}
    told = [(bar.label, bar.change) for bar in waterfall(document(**values)) if not bar.total]
    assert told == [
        ("Baseline against use so far", -16),
        ("Genetic shift", 10),
        ("Safety stock", 226),
        ("Stock on hand", -204),
        ("To whole packs, minimum and multiple", 18),
        ("Limits, and what lines share", -28),
    ]
    assert waterfall({"inputs": [], "steps": []}) == []


@pytest.mark.parametrize("width", [350, 860])
def test_the_waterfall_is_well_formed_and_inside(width):
    bars = waterfall(document(history_demand=100, expected_demand=90, stock_on_hand=200, quantity=28))
    root = ET.fromstring(waterfall_chart(bars, width=width, name="x"))
    for bar in root.iter():
        if bar.tag.endswith("rect"):
            assert float(bar.attrib["x"]) >= 0
            assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width - 40
    texts = {child.tag: child.text for child in root}
    assert "Stock on hand −200" in texts["desc"]
    assert bars[-2].change == Decimal(138)


def test_phenotypes_are_drawn_with_their_intervals_and_rare_ones_only_told():
    rows = [{"result": "Poor <Metabolizer>", "mean": 0.06, "low": 0.05, "high": 0.07}]
    rows.append({"result": "Indeterminate", "mean": 0.0008, "low": 0.0, "high": 0.004})
    root = ET.fromstring(phenotype_chart("HLA-B", rows, width=860, name="wide"))
    assert sum(one.attrib.get("class") == "interval" for one in root) == 1
    told = next(child.text for child in root if child.tag == "desc")
    assert "Poor <Metabolizer> 6.0 % (5.0 % to 7.0 %)" in told
    assert "Indeterminate" in told


def test_open_orders_are_marked_on_the_forecast():
    marked = dataclasses.replace(fan([80.0]), arrivals=[(day(9), "4 packs"), (day(900), "7 packs")])
    assert isinstance(marked, Fan)
    root = ET.fromstring(fan_chart(marked, width=860, name="wide"))
    assert [one[0].text for one in root if one.attrib.get("class") == "arrival"] == ["4 packs"]
    assert "4 packs on 2026-12-02" in next(child.text for child in root if child.tag == "desc")


def test_the_page_shows_each_picture_with_its_table(signed_in):
    page = signed_in("ada").get("/recommendations/rec-02").text
    titles = ("Demand: history and forecast", "Stock by lot", "From past use to the order, in dose units")
    assert [page.count(f">{title}</title>") for title in titles] == [2, 2, 2]
    assert "Stock by lot as a table" in page
    assert "Bar by bar" in page
    assert "style=" not in page
    assert "<script" not in page


def test_the_page_tells_phenotypes_coverage_and_whose_genotypes(signed_in, database):
    here = {"as_of": AS_OF, "facility_id": "north", "gene": "CYP2C19"}
    share = {"biogeographic_group": "*", "ancestry_share": 1.0, "result_type": "phenotype", "effective_n": 640.0}
    share |= {"result": "Rapid Metabolizer", "mean": 0.189, "low": 0.179, "high": 0.199}
    share |= {"share_published": 0.4, "share_counts": 0.6}
    rests = {"drug": "clopidogrel", "effective_n": 640.0, "alleles_not_tested": "*4;*8", "untested_share": 0.006}
    groups = [("*", 1.0, "counts", False), ("European", 0.7, "counts", False), ("East Asian", 0.3, "stand_in", True)]
    with writing(database) as connection:
        connection.execute(sa.insert(table("prevalence")), [here | share])
        connection.execute(
            sa.insert(table("exposure")),
            [
                here | {"period_start": day(7 * weeks), "exposure": 0.1 + weeks / 100, "planned": weeks > 0}
                for weeks in (-1, 0, 1, 15)
            ],
        )
        connection.execute(
            sa.insert(table("representation")),
            [
                here | rests | {"biogeographic_group": group, "share_served": served, "basis": basis, "thin": thin}
                for group, served, basis, thin in groups
            ],
        )
    page = " ".join(re.sub(r"<[^>]+>", " ", signed_in("ben").get("/recommendations/rec-01").text).split())
    for told in (
        "CYP2C19: shares of phenotypes",
        "Rapid Metabolizer 18.9 % 17.9 % to 19.9 %",
        "Coverage now 10.0 %",
        "By 8 Mar 2027 25.0 % planned",
        "Rests on The site&#39;s own counts beside published figures",
        "Worth about 640 people",
        "Not tested for *4, *8",
        "East Asian 30.0 % Other groups, which stand in thin 640 people",
        "CPIC clopidogrel-and-CYP2C19, version 7, 2022",
    ):
        assert told in page, told


def test_the_audit_trail_of_a_line_is_for_who_may_audit(signed_in):
    ada, ben = signed_in("ada"), signed_in("ben")
    headers = {"X-CSRF-Token": ben.csrf_token}
    ben.post("/v1/recommendations/rec-02/decision", json={"kind": "approve", "version": 1}, headers=headers)
    shown = ada.get("/recommendations/rec-02").text
    assert "recommendation.approve" in shown
    assert "1 event of this line" in shown
    assert "Audit trail" not in ben.get("/recommendations/rec-02").text
