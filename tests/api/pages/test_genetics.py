"""The genetics page against the forecast rows that it sums, and with nothing of another site."""

import datetime as dt
import xml.etree.ElementTree as ET
from collections import defaultdict

import pytest
import sqlalchemy as sa

from api.display.charts.column_chart import HEIGHT, WIDTH, column_chart
from tests.api.conftest import AS_OF, network
from warehouse.engine import writing
from warehouse.queries import genetics
from warehouse.queries.lines import table

PLANNED = AS_OF + dt.timedelta(weeks=15)


def evidence():
    """Testing, learned strength and thin evidence of the two larger sites."""
    exposure = [
        {"as_of": AS_OF, "facility_id": site, "gene": "CYP2C19", "period_start": day, "exposure": share}
        | {"planned": day > AS_OF}
        for site, shares in (("north", (0.08, 0.36)), ("south", (0.02, 0.5)))
        for day, share in zip((AS_OF, PLANNED), shares, strict=True)
    ]
    effect = {"as_of": AS_OF, "drug": "clopidogrel", "action": "alternative", "recommendation": "Strong"}
    effect |= {"to_drug": "ticagrelor", "delay_days": 5.0, "evidence": 0.3, "earned": 1.0}
    thin = {"as_of": AS_OF, "facility_id": "south", "drug": "clopidogrel", "gene": "CYP2C19", "effective_n": 10.0}
    return {
        "exposure": exposure,
        "genetic_effects": [
            effect | {"facility_id": site, "learned": mean, "low": mean - 0.2, "high": mean + 0.2, "strength": mean}
            for site, mean in (("north", 0.91), ("south", 0.77))
        ],
        "representation": [
            thin | {"biogeographic_group": group, "basis": "published", "thin": True} for group in ("*", "European")
        ],
    }


@pytest.fixture
def told(database):
    with writing(database) as connection:
        for name, rows in evidence().items():
            connection.execute(sa.insert(table(name)), rows)
    return database


def shifts(*sites):
    """Change by product over the sites, summed from the rows that the network was filled with."""
    sums = defaultdict(float)
    for row in network()["forecasts"]:
        if row["facility_id"] in sites:
            sums[row["product_id"]] += row["genetic_shift"]
    return sums


def test_the_queries_name_what_moves_behind_what_and_how_far_testing_is(told):
    both = frozenset({"north", "south"})
    with told.connect() as connection:
        found = genetics.product_shifts(connection, both, AS_OF, "clopidogrel")
        rows = genetics.guidance_shifts(connection, both, AS_OF, "ticagrelor")
        covered = genetics.exposure_ranges(connection, both, AS_OF, {"CYP2C19"})
        alone = genetics.exposure_ranges(connection, frozenset({"south"}), AS_OF, {"CYP2C19"})
        thin = genetics.thin_evidence(connection, both, AS_OF, None)
        assert genetics.exposure_ranges(connection, both, AS_OF, {"TPMT"}) == []
    assert sum(row["shift"] for row in found) == pytest.approx(shifts("north", "south")["clopidogrel-75"])
    assert {row["product_id"] for row in found} == {"clopidogrel-75"}
    assert [(row["recommendation_id"], row["sites"], row["quantity"]) for row in rows] == [
        ("g-1", 2, pytest.approx(2 * 352.8))
    ]
    assert covered == [{"gene": "CYP2C19", "until": PLANNED, "now": (0.02, 0.08), "later": (0.36, 0.5)}]
    assert alone[0]["later"] == (0.5, 0.5)
    assert [row["facility_name"] for row in thin] == ["South Infirmary"]  # the group's row is not told apart


def test_products_come_most_packs_first_with_a_picture_each(told, signed_in):
    html = signed_in("vera").get("/genetics").text
    packs = {"clopidogrel-75": 28, "ticagrelor-90": 56, "prasugrel-10": 28}
    sums = {name: shifts("north", "south")[name] / size for name, size in packs.items()}
    html = html[html.index('<h2 id="moves">') :]
    places = {name: html.index(f">{name.split('-')[0]} ") for name in packs}
    assert sorted(places, key=places.get) == sorted(sums, key=lambda name: -abs(sums[name]))
    assert f"{sums['clopidogrel-75']:,.1f}" in html
    assert html.count('<svg class="columns"') == 8  # every product of the network moves


def test_a_drug_at_a_site_with_what_it_rests_on(told, signed_in):
    html = signed_in("vera").get("/genetics?drug=clopidogrel&facility_id=north").text
    assert f"{round(shifts('north')['clopidogrel-75']):,}" in html
    assert "CYP2C19: Poor Metabolizer" in html
    assert "0.91" in html
    assert "0.77" not in html
    assert "8.0 %" in html
    assert "Thin evidence" not in html
    assert 'href="/releases/guidance%3Atest%3A1"' in html
    assert 'href="/?q=clopidogrel"' in html


def test_a_person_of_one_site_sees_no_other(told, signed_in):
    nora = signed_in("nora")
    html = nora.get("/genetics?drug=clopidogrel").text
    assert "South Infirmary" not in html
    assert f"{round(shifts('north')['clopidogrel-75']):,}" in html
    assert "0.77" not in html
    assert nora.get("/genetics?facility_id=south").status_code == 404


def test_nothing_is_not_called_no_effect(told, signed_in):
    vera = signed_in("vera")
    assert "that is not the same as no effect" in vera.get("/genetics?drug=unknown").text
    assert "Nothing is forecast yet" in vera.get("/genetics?facility_id=clinic").text
    assert vera.get("/genetics?gene=x").status_code == 422


def test_columns_lie_within_the_picture_and_are_told_in_words():
    months = [(dt.date(2026, month, 1), value) for month, value in ((10, 5.0), (11, -10.0), (12, 0.0))]
    root = ET.fromstring(column_chart(months, "Change", lambda value: f"{value:+.0f}"))
    for one in root.iter("rect"):
        x, y, width, height = (float(one.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= WIDTH
        assert 0 <= y <= y + height <= HEIGHT
    assert [one.attrib["class"] for one in root.iter("rect")] == ["more", "less", "less"]
    assert root.find("desc").text == "Oct 2026 +5; Nov 2026 -10; Dec 2026 +0"
    assert column_chart([], "Change", str) == ""
