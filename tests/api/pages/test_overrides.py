"""The pages of overrides: the form asks first, the list tells who, why and until when, edits are judged afterwards."""

import datetime as dt
import itertools
import json

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.app import create_app
from api.cli.backtest import MEASURES
from api.cli.main import cli
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from tests.api.conftest import AS_OF, NOW, PASSWORD
from tests.api.overrides.test_overrides import post, recommended, trail  # noqa: F401 (a fixture)
from tests.api.pages.test_pages_in_browser import _follow as follow
from tests.forecasting.procurement.conftest import make_network
from tests.forecasting.procurement.explanation.test_overrides import with_overrides
from warehouse.engine import writing
from warehouse.queries.lines import table

FORM = {"facility_id": "north", "product_id": "ticagrelor-90", "drug": "", "kind": "factor", "value": "2"}
FORM |= {"starts_on": "2026-11-23", "ends_on": "2026-12-20", "expires_on": "2026-12-31"}
FORM |= {"reason_code": "new_service", "note": "ward <3> opens"}


def send(browser, step="preview", **changed):
    return browser.post("/overrides", data=FORM | {"csrf_token": browser.csrf_token, "step": step} | changed)


def fill_value(database):
    """One override that did harm and one changed line that did good, as a run measured them."""
    override = {"facility_id": "north", "product_id": "warfarin-1", "drug": "warfarin", "kind": "factor", "value": 1.05}
    override |= {"starts_on": dt.date(2026, 10, 5), "ends_on": dt.date(2026, 11, 1), "user_id": 2}
    override |= {"expires_on": dt.date(2026, 11, 1), "reason_code": "demand_event"}
    value = {"as_of": AS_OF, "facility_id": "north", "override_id": 1, "product_id": "warfarin-1", "drug": "warfarin"}
    value |= {"decided_by": "Ben", "reason_code": "demand_event", "direction": "up", "relative_change": 0.05}
    value |= {"periods": 4, "demand": 3600.0, "error_without": 100.0, "error_with": 180.0, "value_added": -80.0}
    edit = {"as_of": AS_OF, "facility_id": "south", "recommendation_id": "rec-11", "product_id": "warfarin-5"}
    edit |= {"drug": "warfarin", "decided_by": "Ada", "reason_code": "storage", "direction": "down", "days": 7.0}
    edit |= {"packs_proposed": 30, "packs_ordered": 20, "packs_needed": 22, "pack_size": 28.0, "demand": 500.0}
    with writing(database) as connection:
        made_at = {"created_at": NOW - dt.timedelta(days=60)}
        connection.execute(sa.insert(table("forecast_overrides")), override | made_at)
        connection.execute(sa.insert(table("override_value")), value | {"bias_without": 60.0, "bias_with": 180.0})
        connection.execute(sa.insert(table("edit_value")), edit | {"value_added": 6})


def test_the_form_asks_first_and_saves_from_the_preview(signed_in, recommended, database):  # noqa: F811
    ben = signed_in("ben")
    html = ben.get("/overrides?facility_id=north&product_id=ticagrelor-90").text
    assert "Nobody has overridden" not in html
    assert "Does this change the order?" in html
    assert 'value="save"' not in html
    told = send(ben)
    assert told.status_code == 200
    assert f"This changes the order from {recommended} packs to" in told.text
    assert "Nothing is saved yet" in told.text
    assert trail(database) == []
    saved = send(ben, "save")
    assert (saved.status_code, saved.headers["location"]) == (303, "/overrides?made=1")
    html = ben.get(saved.headers["location"]).text
    assert "Override 1 is set" in html
    assert "ward &lt;3&gt; opens" in html
    assert "A service opens or grows" in html
    assert [one["action"] for one in trail(database)] == ["override.created"]


def test_note_27_the_page_says_that_a_small_edit_changes_nothing_and_does_not_hide_the_button(
    signed_in,
    recommended,  # noqa: F811
):
    html = send(signed_in("ben"), value="1.001").text
    assert f"This does not change the order: {recommended} packs either way." in html
    assert "No order that is proposed now would change." in html
    assert "Set it all the same" in html


def test_note_24_the_form_stands_beside_why_the_forecast_is_what_it_is(signed_in):
    html = signed_in("ben").get("/overrides?facility_id=north&product_id=ticagrelor-90").text
    assert "Why the forecast is what it is" in html
    steps = html[html.index('id="steps"') : html.index('id="set"')]
    for word in ("Baseline", "Genetic shift", "Override", "Final forecast"):
        assert word in steps
    line = signed_in("ben").get("/recommendations/rec-01").text
    assert "/overrides?facility_id=north&amp;product_id=ticagrelor-90" in line


def test_note_30_each_number_bears_the_name_of_its_step_and_final_is_their_sum(signed_in):
    ben = signed_in("ben")
    assert post(ben).status_code == 201
    html = ben.get("/overrides").text
    assert "Baseline, genetic shift and override add up to the final forecast." in html
    for word in ("suggested", "Suggested"):
        assert word not in html


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"value": ""}, "value: say how much"),
        ({"reason_code": ""}, "reason_code: choose a reason"),
        ({"value": "0"}, "a factor is above 0"),
        ({"starts_on": "2026-10-05"}, "starts_on: is past"),
        ({"reason_code": "other", "note": ""}, "note: is required"),
        ({"value": "2e9"}, "value: Input should be less than or equal to"),
        ({"product_id": "", "drug": ""}, "name a product or a drug"),
    ],
)
def test_a_broken_rule_brings_the_form_back_as_it_was_filled_in(signed_in, database, changed, said):
    ben = signed_in("ben")
    for step in ("preview", "save"):
        told = send(ben, step, **changed)
        assert told.status_code == 422
        assert said in told.text
        assert "ward &lt;3&gt; opens" in told.text or changed.get("note") == ""
    assert trail(database) == []


def test_viewers_read_and_have_no_form_and_a_form_needs_its_token(signed_in):
    vera, ben = signed_in("vera"), signed_in("ben")
    assert "Override a forecast" not in vera.get("/overrides").text
    assert send(vera).status_code == 403
    assert send(ben, csrf_token="wrong").status_code == 403


def test_an_override_is_withdrawn_on_the_page_once(signed_in, database):
    ben = signed_in("ben")
    post(ben)
    data = {"csrf_token": ben.csrf_token}
    assert ben.post("/overrides/1/withdrawal", data=data).headers["location"] == "/overrides?withdrawn=1"
    assert "withdrawn by Ben" in ben.get("/overrides?withdrawn=1").text
    again = ben.post("/overrides/1/withdrawal", data=data)
    assert again.status_code == 409
    assert "there is nothing to take back" in again.text
    assert [one["action"] for one in trail(database)] == ["override.created", "override.withdrawn"]


def test_the_worklists_change_form_asks_whether_packs_change_the_order(signed_in):
    ben = signed_in("ben")
    assert 'formaction="/overrides/packs"' in ben.get("/").text
    data = {"csrf_token": ben.csrf_token, "recommendation_id": "rec-01", "version": "1", "reason_code": "", "note": ""}
    same = ben.post("/overrides/packs", data=data | {"packs": "12", "next": "/?facility_id=north"})
    assert same.status_code == 200
    assert "This does not change the order: 12 packs is what is proposed" in same.text
    assert "/?facility_id=north" in same.text
    rounded = ben.post("/overrides/packs", data=data | {"packs": "12", "quantity": "670"})
    assert "670 dose units are 12 packs as well" in rounded.text
    more = ben.post("/overrides/packs", data=data | {"packs": "16"})
    assert "This changes the order from 12 packs to 16 packs" in more.text
    wrong = ben.post("/overrides/packs", data=data | {"packs": "13"})
    assert wrong.status_code == 422
    assert "multiple of 2 packs" in wrong.text
    assert ben.post("/overrides/packs", data=data | {"packs": ""}).status_code == 422
    assert ben.get("/v1/decisions").json()["items"] == []


def test_note_27_what_edits_were_worth_is_told_by_person_reason_drug_direction_and_size(signed_in, database):
    fill_value(database)
    ben, nora = signed_in("ben"), signed_in("nora")
    told = ben.get("/v1/overrides/value-added").json()
    rows = {(one["edits_of"], one["group_by"], one["group"]): one for one in told["items"]}
    assert told["as_of"] == AS_OF.isoformat()
    harm = rows["forecast", "size", "small up"]
    assert (harm["edits"], harm["improved"], harm["value_added"], harm["relative"]) == (1, 0, -80, -0.8)
    assert (harm["bias_without"], harm["bias_with"]) == (60, 180)
    for key in (
        ("person", "Ben"),
        ("reason", "demand_event"),
        ("drug", "warfarin"),
        ("direction", "up"),
        ("all", "all"),
    ):
        assert rows["forecast", *key]["value_added"] == -80
    good = rows["packs", "size", "large down"]
    assert (good["error_without"], good["error_with"], good["value_added"]) == (8 * 28, 2 * 28, 6 * 28)
    assert {one["edits_of"] for one in nora.get("/v1/overrides/value-added").json()["items"]} == {"forecast"}
    html = ben.get("/overrides").text
    assert "small up" in html
    assert "(-80 %)" in html
    assert "expired 1 Nov 2026" in html
    assert "Packs: nothing is measured yet" in nora.get("/overrides").text


def test_the_lines_page_shows_the_override_step_with_who_what_and_why(signed_in, database):
    document = recommend(OrderInputs(**with_overrides(make_network(daily=60.0), 1.5))).explanations[0]
    told = {"document": json.dumps(document), "paragraph": render_paragraph(document)}
    stored = table("explanations")
    with writing(database) as connection:
        connection.execute(stored.update().where(stored.c.recommendation_id == "rec-01").values(**told))
    html = signed_in("ben").get("/recommendations/rec-01").text
    assert "override 1 by Ben Buyer 2 (factor, 1.5, demand event)" in html
    assert "Ben Buyer 2 set a factor (a known event): adds" in html
    assert "Override 1" in html


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1440])
def test_a_buyer_overrides_a_forecast_in_a_browser_without_scripts(
    chromium,
    served,
    database,
    clock,
    recommended,  # noqa: F811
    width,
):
    url = served(create_app(database, clock=clock))
    page = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=False).new_page()
    page.goto(f"{url}/sign-in")
    page.get_by_label("Name").fill("ben")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page, page.get_by_role("button", name="Sign in"))
    page.goto(f"{url}/recommendations/rec-01")
    follow(page, page.get_by_role("link", name="Override this forecast"))
    page.get_by_label("How much").fill("2")
    page.get_by_label("From").fill("2026-11-23")
    page.get_by_label("to", exact=True).fill("2026-12-20")
    page.get_by_label("Expires after").fill("2026-12-31")
    page.get_by_label("Reason").select_option("new_service")
    follow(page, page.get_by_role("button", name="Does this change the order?"))
    assert page.get_by_role("status").inner_text().startswith("Yes.")
    assert f"from {recommended} packs to" in page.locator("main").inner_text()
    follow(page, page.get_by_role("button", name="Set the override"))
    assert "Override 1 is set" in page.get_by_role("status").inner_text()
    follow(page, page.get_by_role("button", name="Withdraw override 1"))
    assert "withdrawn by Ben" in page.locator("main").inner_text()
    assert [one["action"] for one in trail(database)] == ["override.created", "override.withdrawn"]


def test_the_backtest_command_tells_what_edits_were_worth_in_a_hundred_columns(database):
    score = {"as_of": AS_OF, "segment": "all", "horizon": "all", "series": 8, "origins": 3}
    with writing(database) as connection:
        for stage, value in (("baseline", 0.4), ("genetic", 0.3), ("override", 0.33)):
            for horizon, metric in itertools.product(("all", "1"), MEASURES):
                row = score | {"stage": stage, "value": value, "value_added": -0.1}
                row |= {"horizon": horizon, "metric": metric}
                connection.execute(sa.insert(table("backtest_scores")), row)
    arguments = ["backtest", "--database", str(database.url)]
    before = CliRunner().invoke(cli, arguments, env={"COLUMNS": "100"})
    assert before.exit_code == 0, before.output
    assert "edits were worth" not in before.output
    fill_value(database)
    told = CliRunner().invoke(cli, arguments, env={"COLUMNS": "100"}).output
    worth = told[told.index("What people's edits were worth") :]
    assert "override adds" in told
    assert all(len(line) <= 100 for line in worth.splitlines())
    assert [line.split() for line in worth.splitlines() if "small up" in line] == [
        ["forecast", "small", "up", "1", "0", "100", "180", "-80.0%"]
    ]
    assert [line.split() for line in worth.splitlines() if "large down" in line] == [
        ["packs", "large", "down", "1", "1", "224", "56", "+75.0%"]
    ]
