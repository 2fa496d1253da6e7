"""Deciding: once, by a person, on what that person saw."""

import itertools
import threading

import httpx2
import pytest
import sqlalchemy as sa

from api.app import create_app
from api.recommendations.decisions import STATUS_AFTER, TRANSITIONS, UNDOABLE, broken_pack_rule
from forecasting.terms import DecisionKind, RecommendationStatus
from warehouse.engine import writing
from warehouse.queries.lines import table

APPROVE = {"kind": "approve", "version": 1}
PASSWORD = "correct horse battery"


def decide(browser, number, body, token=None):
    headers = {"X-CSRF-Token": browser.csrf_token if token is None else token}
    return browser.post(f"/v1/recommendations/rec-{number:02d}/decision", json=body, headers=headers)


def stored(engine, number):
    with engine.begin() as connection:
        lines, decisions = table("recommendations"), table("decisions")
        line = (
            connection.execute(sa.select(lines).where(lines.c.recommendation_id == f"rec-{number:02d}"))
            .mappings()
            .one()
        )
        made = (
            connection.execute(sa.select(decisions).where(decisions.c.recommendation_id == f"rec-{number:02d}"))
            .mappings()
            .all()
        )
    return line, made


def test_approving_changes_the_line_and_writes_who_did_it(signed_in, database):
    answer = decide(signed_in("ben"), 2, APPROVE | {"note": "as usual"})
    assert answer.status_code == 200
    assert answer.json()["recommendation"]["status"] == "approved"
    line, made = stored(database, 2)
    assert (line["status"], line["version"], line["packs"]) == ("approved", 2, 40)
    assert len(made) == 1
    expected = {"kind": "approve", "status_before": "proposed", "status_after": "approved", "packs_before": 40}
    expected |= {"packs_after": 40, "version_seen": 1, "reason_code": None, "note": "as usual", "user_id": 2}
    assert {name: made[0][name] for name in expected} == expected


def test_modifying_recomputes_quantity_and_cost_exactly(signed_in, database):
    answer = decide(signed_in("ada"), 1, {"kind": "modify", "packs": 14, "reason_code": "demand_event", "version": 1})
    assert answer.status_code == 200
    line, made = stored(database, 1)
    assert (line["packs"], str(line["quantity"]), str(line["cost"])) == (14, "784", "764.4")
    assert (made[0]["packs_before"], made[0]["packs_after"]) == (12, 14)


def test_a_line_without_price_stays_without_cost(signed_in, database):
    decide(signed_in("ben"), 8, {"kind": "modify", "packs": 4, "reason_code": "other", "version": 1})
    assert stored(database, 8)[0]["cost"] is None


def test_rejecting_keeps_the_proposal_on_the_line(signed_in, database):
    assert decide(signed_in("ben"), 2, {"kind": "reject", "reason_code": "budget", "version": 1}).status_code == 200
    line, made = stored(database, 2)
    assert (line["status"], line["packs"], made[0]["packs_after"]) == ("rejected", 40, 0)


@pytest.mark.parametrize(
    ("number", "body", "field", "rule"),
    [
        (1, {"kind": "modify", "packs": 2, "reason_code": "other"}, "packs", "minimum_order_packs"),
        (1, {"kind": "modify", "packs": 13, "reason_code": "other"}, "packs", "order_multiple_packs"),
        (2, {"kind": "modify", "packs": 40, "reason_code": "other"}, "packs", "approve it"),
        (2, {"kind": "modify", "packs": 0, "reason_code": "other"}, "packs", "reject"),
        (2, {"kind": "modify", "packs": 10}, "reason_code", "required"),
        (2, {"kind": "modify", "reason_code": "other"}, "packs", "required"),
        (2, {"kind": "reject"}, "reason_code", "required"),
        (2, {"kind": "reject", "reason_code": "because"}, "reason_code", "should be"),
        (2, {"kind": "approve", "packs": 10}, "packs", "modify"),
        (2, {"kind": "approve", "reason_code": "other"}, "reason_code", "does not go"),
        (2, {"kind": "modify", "packs": True, "reason_code": "other"}, "packs", "whole number"),
        (2, {"kind": "modify", "packs": "10", "reason_code": "other"}, "packs", "whole number"),
        (2, {"kind": "modify", "packs": 1.5, "reason_code": "other"}, "packs", "integer"),
        (2, {"kind": "modify", "packs": 10**12, "reason_code": "other"}, "packs", "less than"),
        (2, {"kind": "approve", "note": "x\x00"}, "note", "NUL"),
        (2, {"kind": "approve", "note": "x" * 1001}, "note", "1000"),
        (2, {"kind": "approve", "surprise": 1}, "surprise", "unknown"),
        (2, {"kind": "forget"}, "kind", "should be"),
    ],
)
def test_a_decision_that_breaks_a_rule_names_it_and_changes_nothing(signed_in, database, number, body, field, rule):
    answer = decide(signed_in("ben"), number, {"version": 1} | body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert rule in error["reason"]
    line, made = stored(database, number)
    assert (line["status"], line["version"], made) == ("proposed", 1, [])


def test_a_second_decision_meets_the_current_state(signed_in):
    ben, ada = signed_in("ben"), signed_in("ada")
    assert decide(ben, 2, APPROVE).status_code == 200
    late = decide(ada, 2, {"kind": "reject", "reason_code": "budget", "version": 1})
    assert late.status_code == 409
    assert late.json()["current"]["status"] == "approved"
    assert late.json()["current"]["version"] == 2


def test_a_decision_on_an_older_version_is_refused(signed_in, database):
    with writing(database) as connection:
        lines = table("recommendations")
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-02").values(version=2, packs=44))
    stale = decide(signed_in("ben"), 2, APPROVE)
    assert stale.status_code == 409
    assert stale.json()["current"] == {
        "status": "proposed", "version": 2, "packs": 44, "updated_at": "2026-11-23T06:02:00Z"
    }  # fmt: skip


def test_no_key_decides_whatever_its_scopes(client, key, database):
    robot = key("recommendations:read", "forecasts:read", "stock:write")
    answer = client.post("/v1/recommendations/rec-02/decision", json=APPROVE, headers=robot)
    assert answer.status_code == 403
    assert stored(database, 2)[0]["status"] == "proposed"


def test_a_key_beside_a_session_still_does_not_decide(signed_in, key):
    browser = signed_in("ben")
    headers = key("recommendations:read") | {"X-CSRF-Token": browser.csrf_token}
    answer = browser.post("/v1/recommendations/rec-02/decision", json=APPROVE, headers=headers)
    assert answer.status_code == 403


def test_someone_unknown_or_a_viewer_does_not_decide(client, signed_in):
    assert client.post("/v1/recommendations/rec-02/decision", json=APPROVE).status_code == 401
    assert decide(signed_in("vera"), 2, APPROVE).status_code == 403
    vera = signed_in("vera")
    form = {"kind": "approve", "version": 1, "csrf_token": vera.csrf_token}
    assert vera.post("/recommendations/rec-02/decision", data=form).status_code == 403


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_decision_needs_the_token_of_its_own_session(signed_in, token):
    ben, ada = signed_in("ben"), signed_in("ada")
    assert decide(ben, 2, APPROVE, token=token).status_code == 403
    assert decide(ben, 2, APPROVE, token=ada.csrf_token).status_code == 403
    form = {"kind": "approve", "version": 1, "csrf_token": token or "x"}
    assert ben.post("/recommendations/rec-02/decision", data=form).status_code == 403


def test_a_line_of_another_site_cannot_be_decided(signed_in):
    assert decide(signed_in("nora"), 5, APPROVE).status_code == 404
    assert decide(signed_in("nora"), 2, APPROVE).status_code == 200


def test_of_many_deciders_exactly_one_wins(each_database, served, clock, hidden):
    url = served(create_app(each_database, clock=clock))
    browsers = [
        _signed_in_over_http(url, name, hidden) for name in itertools.islice(itertools.cycle(("ben", "ada")), 8)
    ]
    start, answers = threading.Barrier(len(browsers)), []

    def go(browser, token):
        start.wait()
        body = {"kind": "reject", "reason_code": "budget", "version": 1}
        address = f"{url}/v1/recommendations/rec-02/decision"
        answers.append(browser.post(address, json=body, headers={"X-CSRF-Token": token}).status_code)

    threads = [threading.Thread(target=go, args=one) for one in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for browser, _ in browsers:
        browser.close()
    assert sorted(answers) == [200] + [409] * 7
    line, made = stored(each_database, 2)
    assert (line["version"], len(made)) == (2, 1)


def _signed_in_over_http(url, name, hidden):
    browser = httpx2.Client(timeout=30)
    token = hidden(browser.get(f"{url}/sign-in").text)
    form = {"name": name, "password": PASSWORD, "csrf_token": token}
    assert browser.post(f"{url}/sign-in", data=form).status_code == 303
    return browser, browser.get(f"{url}/v1/session").json()["csrf_token"]


def test_every_status_has_its_transitions_and_every_road_ends():
    assert set(TRANSITIONS) == set(RecommendationStatus)
    assert set(STATUS_AFTER) == set(DecisionKind)

    def roads(status, seen=()):
        assert status not in seen, "a line must never come back to a status"
        return [roads(after, (*seen, status)) for after in TRANSITIONS[status] if (status, after) not in anew]

    # the same line, by a later run; or what was decided is taken back
    anew = [(status, RecommendationStatus.PROPOSED) for status in (RecommendationStatus.SUPERSEDED, *UNDOABLE)]
    roads(RecommendationStatus.PROPOSED)


@pytest.mark.parametrize("status", [one for one in RecommendationStatus if one != "proposed"])
def test_only_a_proposed_line_can_be_decided(status, signed_in, database):
    deciding = {after for kind, after in STATUS_AFTER.items() if kind is not DecisionKind.UNDO}
    assert not deciding & TRANSITIONS[status]
    with writing(database) as connection:
        lines = table("recommendations")
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-02").values(status=status.value))
    assert decide(signed_in("ben"), 2, APPROVE).status_code == 409


def test_packs_that_keep_the_rules_are_those_a_count_finds():
    line = {"packs": 6, "minimum_order_packs": 4, "order_multiple_packs": 3}
    assert [packs for packs in range(20) if broken_pack_rule(line, packs) is None] == [9, 12, 15, 18]
