"""The overview page and its JSON: what is known with its unit, what is not with its reason, and no other site's."""

import datetime as dt
import re
import xml.etree.ElementTree as ET

import pytest
import sqlalchemy as sa

from api.display.charts.sparkline import EDGE, HEIGHT, WIDTH, sparkline
from api.display.formatting import percent
from tests.api.conftest import NOW, signed_in_at
from warehouse.engine import writing
from warehouse.queries.lines import table


@pytest.fixture
def used(database):
    """The network with a run's history as its dispensing, and weekly counts of the north site."""
    rows = [
        {"facility_id": site, "product_id": "clopidogrel-75", "period_start": dt.date(2026, 11, 16), "quantity": 140.0}
        for site in ("north", "south")
    ]
    counts = [
        {"facility_id": "north", "product_id": "clopidogrel-75", "lot": "", "status": "available"}
        | {"counted_at": NOW - dt.timedelta(weeks=week), "quantity": 0.0 if week == 2 else 200.0}
        for week in range(1, 4)
    ]
    with writing(database) as connection:
        connection.execute(sa.insert(table("dispensing")), rows)
        connection.execute(sa.insert(table("stock")), counts)


def test_the_page_tells_the_figures_of_a_site(used, signed_in):
    html = signed_in("vera").get("/overview?facility_id=north&weeks=4").text
    assert "Overview: North General Hospital" in html
    assert re.search(r"Stock-out rate</h3>\s*<p class=\"kpi\">25 %</p>", html)  # one of four counts
    assert re.search(r"Days on hand</h3>\s*<p class=\"kpi\">22 days</p>", html)  # 440 over 20 a day
    assert "lowest 0 %, highest 100 %, last known 0 %" in html
    assert re.search(r"Overdue lines</h3>\s*<p class=\"kpi\">1</p>", html)
    assert "Not known because no run has scored" in html


def test_what_is_not_known_says_why_and_is_not_zero(used, signed_in):
    html = signed_in("vera").get("/overview?facility_id=clinic").text
    assert re.search(r"Stock-out rate</h3>\s*<p class=\"kpi unknown\">not known</p>", html)
    assert "Not known because no stock was counted in the period" in html
    assert "Not known because no open orders were ever loaded" in html


def test_a_person_of_one_site_sees_no_other(used, app, database, signed_in):
    nora = signed_in("nora")
    html = nora.get("/overview").text
    assert "Overview: All your sites" in html
    assert "South Infirmary" not in html
    assert nora.get("/overview?facility_id=south").status_code == 404
    everywhere = signed_in_at(app, database, "viewer", None).get("/v1/kpis?weeks=4").json()["items"]
    found = nora.get("/v1/kpis?weeks=4").json()["items"]
    assert {one["facility_id"] for one in found} == {"north", None}
    north = {one["kpi"]: one for one in everywhere if one["facility_id"] == "north"}
    assert all(one == north[one["kpi"]] | {"facility_id": one["facility_id"]} for one in found)


def test_the_json_is_the_page_s(used, client, key):
    items = client.get("/v1/kpis?weeks=4", headers=key("recommendations:read")).json()["items"]
    rate = next(one for one in items if (one["kpi"], one["facility_id"]) == ("stockout_rate", "north"))
    assert (rate["value"], rate["unit"], rate["rests_on"], rate["rests_on_unit"]) == (0.25, "share", 4, "stock counts")
    assert [one["value"] for one in rate["trend"]] == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("query", ["weeks=5", "weeks=x", "weeks=4&weeks=13", "site=north"])
def test_a_choice_that_is_none_is_refused(signed_in, query):
    assert signed_in("vera").get(f"/overview?{query}").status_code == 422


def test_a_trend_is_drawn_inside_its_frame_with_gaps_and_words():
    weeks = [dt.date(2026, 11, 2) + dt.timedelta(weeks=n) for n in range(6)]
    root = ET.fromstring(sparkline(list(zip(weeks, [0.5, 0.1, None, 0.3, None, 0.2], strict=True)), "Rate <", percent))
    points = [
        tuple(map(float, one.split(","))) for line in root.iter("polyline") for one in line.attrib["points"].split()
    ]
    dots = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in root.iter("circle")]
    assert (len(points), len(dots)) == (2, 3)  # the first two weeks; two lone ones, of which the last is marked
    assert all(EDGE <= x <= WIDTH - EDGE and EDGE <= y <= HEIGHT - EDGE for x, y in points + dots)
    assert root.attrib["aria-label"] == "Rate <"
    assert "not known in 2 of 6 weeks" in root.find("desc").text
    assert sparkline([(weeks[0], 1.0), (weeks[1], 2.0)], "Rate", percent) == ""
