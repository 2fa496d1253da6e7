"""What-ifs over the API: what the command kept, within the caller's sites, exact, in pages."""

import pandas as pd
import pytest

from tests.api.conftest import AS_OF, NOW, signed_in_at
from warehouse.engine import writing
from warehouse.queries.lines import table
from warehouse.scenarios import store_scenario

PATH = "/v1/scenarios"


def line(site, product, packs, cause):
    return {
        "facility_id": site,
        "product_id": product,
        "drug": product.split("-")[0],
        "currency": "GBP",
        "units_per_week_now": 100.0,
        "units_per_week_then": 100.0 + packs,
        "packs_now": 4,
        "packs_then": 4 + packs,
        "cost_now": 12.5,
        "cost_then": float("nan"),
        "stockout_probability_now": 0.02,
        "stockout_probability_then": float("nan"),
        "cause": cause,
    }


def keep(database, name="Later"):
    lines = [line("north", "clopidogrel-75", 3, "go-live"), line("south", "ticagrelor-90", -2, "go-live; budget")]
    lines.append(line("north", "warfarin-1", 0, ""))
    with writing(database) as connection:
        return store_scenario(
            connection,
            name=name,
            changes=["go-live of CYP2C19 on 2027-03-01"],
            run_id="run-1",
            as_of=AS_OF,
            lines=pd.DataFrame(lines),
            now=NOW,
        )


@pytest.fixture
def kept(database):
    return keep(database)


def test_the_list_and_one_of_it_say_what_was_asked(client, key, kept):
    headers = key("forecasts:read")
    (told,) = client.get(PATH, headers=headers).json()["items"]
    assert told == client.get(f"{PATH}/{kept}", headers=headers).json()
    assert (told["name"], told["changes"]) == ("Later", ["go-live of CYP2C19 on 2027-03-01"])
    assert client.get(f"{PATH}/sc-none", headers=headers).status_code == 404
    assert client.get(f"{PATH}/sc-none/lines", headers=headers).status_code == 404


def test_lines_are_those_that_differ_or_all_in_pages(client, key, kept):
    headers = key("forecasts:read")
    body = client.get(f"{PATH}/{kept}/lines", headers=headers).json()
    assert [(one["facility_id"], one["packs_then"]) for one in body["items"]] == [("north", 7), ("south", 2)]
    assert body["items"][0]["cost_now"] == "12.5"
    assert (body["items"][0]["cost_then"], body["items"][0]["stockout_probability_then"]) == (None, None)
    assert body["units"]["packs_now"] == "packs"
    first = client.get(f"{PATH}/{kept}/lines?all_lines=true&limit=2", headers=headers).json()
    second = client.get(
        f"{PATH}/{kept}/lines?all_lines=true&limit=2&cursor={first['next_cursor']}", headers=headers
    ).json()
    assert [one["product_id"] for one in first["items"] + second["items"]] == [
        *("clopidogrel-75", "warfarin-1", "ticagrelor-90")
    ]


def test_a_caller_of_one_site_sees_its_lines_alone(client, key, kept):
    body = client.get(f"{PATH}/{kept}/lines?all_lines=true", headers=key("forecasts:read", sites=["south"])).json()
    assert {one["facility_id"] for one in body["items"]} == {"south"}


def test_the_same_asked_again_takes_its_place(each_database):
    kept = keep(each_database)
    assert keep(each_database) == kept
    assert keep(each_database, "Other") != kept
    with each_database.connect() as connection:
        assert len(connection.execute(table("scenarios").select()).all()) == 2
        assert len(connection.execute(table("scenario_lines").select()).all()) == 6


def test_the_pages_show_what_was_asked_and_what_differs_at_the_persons_sites(app, database, signed_in, kept):
    html = signed_in("root").get("/scenarios").text
    assert f'href="/scenarios/{kept}"' in html
    assert "go-live of CYP2C19 on 2027-03-01" in html
    told = signed_in("root").get(f"/scenarios/{kept}").text
    assert "2 lines that differ" in told
    assert "4 → 7" in told
    assert "warfarin-1" not in told
    bound = signed_in_at(app, database, "viewer", ["south"]).get(f"/scenarios/{kept}").text
    assert "ticagrelor-90" in bound
    assert "clopidogrel-75" not in bound
    assert signed_in("root").get("/scenarios/sc-none").status_code == 404


def test_a_name_is_shown_as_text(signed_in, database):
    kept = keep(database, "<script>alert(1)</script>")
    for path in ("/scenarios", f"/scenarios/{kept}"):
        html = signed_in("root").get(path).text
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
