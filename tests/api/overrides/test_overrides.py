"""Overrides over HTTP: who may, what is refused and why, what the trail keeps, and whether an edit changes an order."""

import datetime as dt
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from api.app import create_app
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from tests.api.conftest import AS_OF, NOW, signed_in_at
from tests.forecasting.procurement.conftest import make_network
from warehouse import audit
from warehouse.engine import writing
from warehouse.queries.lines import table
from warehouse.queries.override_value import edited_lines, overridden_forecasts
from warehouse.queries.overrides import known_overrides

ASKED = {"facility_id": "north", "product_id": "ticagrelor-90", "kind": "factor", "value": 1.5}
ASKED |= {"starts_on": "2026-11-23", "ends_on": "2026-12-20", "expires_on": "2026-12-31"}
ASKED |= {"reason_code": "new_service", "note": "cardiology ward 3 opens"}


def post(browser, path="", **changed):
    body = {name: value for name, value in (ASKED | changed).items() if value is not None}
    return browser.post(f"/v1/overrides{path}", json=body, headers={"X-CSRF-Token": browser.csrf_token})


def withdraw(browser, number=1, note="it opens in spring"):
    headers = {"X-CSRF-Token": browser.csrf_token}
    return browser.post(f"/v1/overrides/{number}/withdrawal", json={"note": note}, headers=headers)


def trail(engine):
    with engine.connect() as connection:
        assert audit.verify(connection).events
        query = sa.select(table("audit_events")).order_by(sa.text("sequence"))
        rows = connection.execute(query).mappings().all()
    return [row for row in rows if row["action"].startswith("override.")]


@pytest.fixture
def recommended(database):
    """The north ticagrelor line with a real stored calculation over a steady forecast; its packs."""
    case = make_network(daily=60.0, periods=16, facility_id="north", product_id="ticagrelor-90")
    document = recommend(OrderInputs(**case)).explanations[0]
    packs = document["result"]["packs"]
    forecasts, lines = table("forecasts"), table("recommendations")
    here = (forecasts.c.facility_id == "north", forecasts.c.product_id == "ticagrelor-90")
    with writing(database) as connection:
        flat = {"mean": 420.0, "baseline_mean": 420.0, "genetic_shift": 0.0}
        connection.execute(forecasts.update().where(*here).values(**flat))
        stored = table("explanations").c.recommendation_id == "rec-01"
        connection.execute(table("explanations").update().where(stored).values(document=json.dumps(document)))
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-01").values(packs=packs))
    return packs


def test_a_buyer_overrides_reads_and_withdraws_and_the_trail_keeps_all_of_it(signed_in, database):
    ben, ada = signed_in("ben"), signed_in("ada")
    made = post(ben)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["decided_by"], told["state"], told["drug"]) == ("Ben", "active", "ticagrelor")
    assert ben.get("/v1/overrides/1").json() == told
    with database.connect() as connection:
        assert known_overrides(connection, AS_OF, NOW).empty
        assert len(known_overrides(connection, AS_OF, NOW.replace(hour=10))) == 1
    taken = withdraw(ada)
    assert taken.status_code == 200, taken.text
    assert (taken.json()["state"], taken.json()["withdrawn_by"]) == ("withdrawn", "Ada")
    with database.connect() as connection:
        assert known_overrides(connection, AS_OF, NOW.replace(hour=10)).empty
    created, withdrawn = trail(database)
    assert (created["action"], created["actor_name"], created["facility_id"]) == ("override.created", "Ben", "north")
    assert json.loads(created["after"]) | {"value": 1.5, "note": ASKED["note"]} == json.loads(created["after"])
    assert (withdrawn["action"], withdrawn["actor_name"]) == ("override.withdrawn", "Ada")
    assert json.loads(withdrawn["after"]) == {"note": "it opens in spring"}


def test_note_25_every_override_has_a_reason_and_nobody_edits_it_afterwards(signed_in, app):
    ben = signed_in("ben")
    assert post(ben, reason_code=None).json()["errors"][0]["field"] == "reason_code"
    assert post(ben, reason_code="because").status_code == 422
    assert post(ben, reason_code="other", note=None).json()["errors"] == [
        {"field": "note", "reason": "is required for the reason other: say why"}
    ]
    paths = {path: set(verbs) for path, verbs in app.openapi()["paths"].items() if path.startswith("/v1/overrides")}
    assert set.union(*paths.values()) == {"get", "post"}
    post(ben)
    withdraw(ben)
    again = withdraw(ben)
    assert (again.status_code, again.json()["title"]) == (409, "The override no longer acts")


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"value": 0}, "value", "a factor is above 0; set a quantity of 0"),
        ({"value": -0.5}, "value", "greater than or equal to 0"),
        ({"value": 1}, "value", "changes nothing"),
        ({"value": 11}, "value", "at most 10"),
        ({"value": "1.5"}, "value", "must be a number"),
        ({"facility_id": "west"}, "facility_id", "there is no site 'west' among yours"),
        ({"product_id": "nothing-1"}, "product_id", "there is no product 'nothing-1'"),
        ({"drug": "ticagrelor"}, "product_id", "a product or a drug, and not both"),
        ({"product_id": None}, "product_id", "a product or a drug, and not both"),
        ({"product_id": None, "drug": "nothing"}, "drug", "there is no product of 'nothing'"),
        ({"product_id": None, "drug": "warfarin", "kind": "quantity"}, "kind", "goes with a product"),
        ({"starts_on": "2026-11-02", "ends_on": "2026-11-15"}, "ends_on", "is past"),
        ({"starts_on": "2026-11-16"}, "starts_on", "is past"),
        ({"ends_on": "2026-11-20"}, "ends_on", "lies before starts_on"),
        ({"expires_on": "2026-11-22"}, "expires_on", "would never act"),
        ({"expires_on": "2029-11-22"}, "expires_on", "more than 731 days ahead"),
        ({"starts_on": "2026-11-24", "ends_on": "2026-11-29"}, "starts_on", "the next one begins on 2026-11-30"),
        ({"weight": 2}, "weight", "unknown parameter or field"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_field_and_reason_and_stores_nothing(
    signed_in, database, changed, field, said
):
    ben = signed_in("ben")
    for path in ("", "/preview"):
        answer = post(ben, path, **changed)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["errors"][0]["field"] == field
        assert said in answer.json()["errors"][0]["reason"]
    assert ben.get("/v1/overrides").json()["items"] == []
    assert trail(database) == []


def test_keys_read_and_never_override_and_viewers_neither(signed_in, client, key):
    assert post(signed_in("vera")).status_code == 403
    headers = key("forecasts:read", "recommendations:read")
    assert client.post("/v1/overrides", json=ASKED, headers=headers).status_code == 403
    assert client.get("/v1/overrides", headers=headers).json()["items"] == []
    ben = signed_in("ben")
    assert ben.post("/v1/overrides", json=ASKED).status_code == 403  # without the session's token


def test_who_is_bound_to_a_site_overrides_and_sees_that_one_alone(signed_in):
    ben, nora = signed_in("ben"), signed_in("nora")
    assert post(nora, facility_id="south").json()["errors"][0]["field"] == "facility_id"
    post(ben, facility_id="south")
    post(nora)
    assert [one["override_id"] for one in nora.get("/v1/overrides").json()["items"]] == [2]
    assert nora.get("/v1/overrides/1").status_code == 404
    assert withdraw(nora, 1).status_code == 404
    assert nora.get("/v1/overrides", params={"facility_id": "south"}).json()["items"] == []


def test_the_list_filters_and_comes_in_pages_newest_first(signed_in, clock):
    ben = signed_in("ben")
    post(ben)
    post(ben, product_id=None, drug="warfarin", expires_on="2026-11-23")
    post(ben, product_id="warfarin-5", kind="quantity", value=0)
    withdraw(ben, 3)

    def listed(**filters):
        return [one["override_id"] for one in ben.get("/v1/overrides", params=filters).json()["items"]]

    first = ben.get("/v1/overrides", params={"limit": 2}).json()
    rest = ben.get("/v1/overrides", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["override_id"] for one in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    assert listed(state="withdrawn") == [3]
    assert listed(drug="warfarin") == [3, 2]
    assert listed(product_id="ticagrelor-90") == [1]
    assert listed(state="active") == [2, 1]
    clock.now = NOW.replace(day=24)
    ben = signed_in("ben")
    assert listed(state="active") == [1]
    assert listed(state="expired") == [2]
    assert withdraw(ben, 2).status_code == 409
    answer = ben.get("/v1/overrides")
    assert ben.get("/v1/overrides", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_note_27_the_preview_says_whether_an_edit_changes_the_order_and_stores_nothing(
    signed_in, recommended, database
):
    ben = signed_in("ben")
    small, large = (post(ben, "/preview", value=value).json() for value in (1.001, 2.0))
    one = small["products"][0]
    assert (small["changes_an_order"], one["order"]) == (False, "same")
    assert one["packs_now"] == one["packs_then"] == recommended
    assert one["message"] == f"This does not change the order: {recommended} packs either way."
    other = large["products"][0]
    assert (large["changes_an_order"], other["order"], other["packs_now"]) == (True, "changes", recommended)
    assert other["packs_then"] > recommended
    assert other["message"] == f"This changes the order from {recommended} packs to {other['packs_then']} packs."
    assert other["expected_then"] == pytest.approx(2 * other["expected_now"], rel=1e-3)
    later = post(ben, "/preview", value=5, starts_on="2027-01-11", ends_on="2027-01-31").json()
    assert later["products"][0]["order"] == "same"
    assert ben.get("/v1/overrides").json()["items"] == []
    assert trail(database) == []


def test_the_preview_shows_the_forecast_step_by_step_and_what_the_edit_takes_the_place_of(signed_in):
    ben = signed_in("ben")
    post(ben, product_id=None, drug="warfarin")
    told = post(ben, "/preview", product_id="warfarin-1", kind="quantity", value=1000).json()
    assert told["takes_the_place_of"] == [1]
    assert post(ben, "/preview", product_id="clopidogrel-75").json()["takes_the_place_of"] == []
    periods = told["products"][0]["periods"]
    assert [one["period_start"] for one in periods] == ["2026-11-23", "2026-11-30", "2026-12-07", "2026-12-14"]
    for one in periods:
        now = one["baseline"] + one["genetic_shift"] + one["override_now"]
        assert now == pytest.approx(one["final_now"])
        assert one["final_then"] == 1000
        assert one["baseline"] + one["genetic_shift"] + one["override_then"] == pytest.approx(1000)
    both = post(ben, "/preview", product_id=None, drug="warfarin", value=2).json()["products"]
    assert [one["product_id"] for one in both] == ["warfarin-1", "warfarin-5"]
    assert post(ben, "/preview", facility_id="clinic").json()["products"][0]["order"] == "no_forecast"


def test_note_27_packs_that_change_nothing_are_told_before_the_decision(signed_in, recommended):
    ben = signed_in("ben")

    def ask(**body):
        headers = {"X-CSRF-Token": ben.csrf_token}
        body = {"recommendation_id": "rec-01"} | body
        return ben.post("/v1/overrides/packs-preview", json=body, headers=headers)

    even = recommended + recommended % 2
    same = ask(quantity=recommended * 56 - 3)
    assert same.status_code == 200, same.text
    assert same.json()["packs_then"] == max(even, 4)
    assert ask(packs=recommended).json()["message"].endswith("is what is proposed; approve it.")
    more = ask(packs=even + 4).json()
    assert (more["order"], more["packs_then"]) == ("changes", even + 4)
    assert more["days_of_use"] == pytest.approx((even + 4 - recommended) * 28 / 60, rel=0.05)
    assert ask(packs=even + 5).json()["errors"][0]["reason"].startswith("must be a multiple of 2")
    assert ask(packs=4, quantity=4).status_code == 422
    assert ask(recommendation_id="rec-10", packs=4).json()["order"] == "decided"
    assert ask(recommendation_id="rec-99", packs=4).status_code == 404


def test_forecasts_tell_what_overrides_moved(signed_in):
    rows = signed_in("ben").get("/v1/forecasts").json()["items"]
    assert {one["override_shift"] for one in rows} == {0}


def test_both_databases_set_withdraw_and_measure(each_database, clock):
    app = create_app(each_database, clock=clock)
    ben = signed_in_at(app, each_database, "buyer", ["north"])
    assert post(ben).status_code == 201
    assert post(ben, "/preview").json()["takes_the_place_of"] == [1]
    assert withdraw(ben).json()["state"] == "withdrawn"
    assert [one["state"] for one in ben.get("/v1/overrides?state=withdrawn").json()["items"]] == ["withdrawn"]
    assert ben.get("/v1/overrides/value-added").json()["items"] == []
    with each_database.connect() as connection:
        assert [one["recommendation_id"] for one in edited_lines(connection, NOW.date())] == []
        assert overridden_forecasts(connection, NOW.date()).empty


def test_a_changed_line_is_measured_with_its_last_change_on_both_databases(each_database):
    later = NOW.date() + dt.timedelta(days=1)
    change = {"recommendation_id": "rec-11", "kind": "modify", "status_before": "proposed", "user_id": 2}
    change |= {"status_after": "modified", "packs_before": 30, "version_seen": 1, "decided_at": NOW}
    with writing(each_database) as connection:
        for packs, reason in ((25, "storage"), (20, "budget")):
            row = change | {"packs_after": packs, "reason_code": reason}
            connection.execute(sa.insert(table("decisions")), row)
    with each_database.connect() as connection:
        (line,) = edited_lines(connection, later)
        assert edited_lines(connection, AS_OF) == []
    assert (line["packs_before"], line["packs_ordered"], line["reason_code"]) == (30, 20, "budget")
    assert line["document"]["version"] == 1


def test_of_two_overrides_the_newest_is_measured_from_the_first_plan_it_acted_in(each_database):
    rows = {"facility_id": "north", "product_id": "warfarin-1", "drug": "warfarin", "kind": "factor", "value": 2.0}
    rows |= {"starts_on": AS_OF, "ends_on": dt.date(2026, 12, 20), "expires_on": dt.date(2026, 12, 20)}
    rows |= {"reason_code": "new_service", "created_at": NOW, "user_id": 2}
    acting = {name: rows[name] for name in ("facility_id", "product_id", "kind", "value", "starts_on", "ends_on")}
    acting |= {"as_of": AS_OF, "reason_code": "new_service", "decided_by": "Ben"}
    forecasts = table("forecasts")
    here = (forecasts.c.facility_id == "north", forecasts.c.product_id == "warfarin-1")
    with writing(each_database) as connection:
        for number in (1, 2):
            connection.execute(sa.insert(table("forecast_overrides")), rows)
            connection.execute(sa.insert(table("acting_overrides")), acting | {"override_id": number})
        moved = {"mean": 300.0, "override_shift": 100.0}
        connection.execute(forecasts.update().where(*here).values(**moved))
    with each_database.connect() as connection:
        found = overridden_forecasts(connection, dt.date(2026, 12, 7))
        assert len(overridden_forecasts(connection, AS_OF)) == 0
    assert found["override_id"].tolist() == [2, 2]
    assert found["period_start"].dt.date.tolist() == [AS_OF, AS_OF + dt.timedelta(weeks=1)]
    assert found[["without", "with_it"]].to_numpy().tolist() == [[200, 300]] * 2
    with writing(each_database) as connection:
        taken = {"override_id": 2, "withdrawn_at": NOW + dt.timedelta(days=2), "user_id": 2}
        connection.execute(sa.insert(table("override_withdrawals")), taken)
    with each_database.connect() as connection:
        left = overridden_forecasts(connection, dt.date(2026, 12, 7))
    kept = left[["override_id", "period_start"]].astype({"period_start": str}).to_numpy().tolist()
    assert kept == [[1, "2026-11-30"], [2, "2026-11-23"]]


def test_of_many_who_withdraw_at_once_one_does_and_the_others_are_told(each_database, clock):
    app = create_app(each_database, clock=clock)
    browsers = [signed_in_at(app, each_database, role, None) for role in ("buyer", "approver", "pharmacist", "admin")]
    post(browsers[0])
    gate = threading.Barrier(len(browsers))

    def take(browser):
        gate.wait()
        return withdraw(browser).status_code

    with ThreadPoolExecutor(len(browsers)) as pool:
        assert sorted(pool.map(take, browsers)) == [200, 409, 409, 409]
    assert [one["action"] for one in trail(each_database)] == ["override.created", "override.withdrawn"]
