"""What is routine: an approver says it, the list shows it apart, and a person still approves."""

import datetime as dt
import json
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.settings import ApprovalLimits, ServerSettings
from tests.api.recommendations.test_triage import audited, call, listed
from warehouse.engine import writing
from warehouse.queries.lines import table
from warehouse.queries.worklist import covering_rule
from warehouse.schema.worklist import RoutineRule

# of the lines that run low: rec-02 costs 144 (urgency 3.1), rec-03 50.40 (2.2), rec-05 90 (2.7), all due today
RULE = {"facility_id": "*", "most_cost": "100", "currency": "GBP", "most_urgency": "5", "expires_on": "2026-12-23"}


@pytest.fixture
def app(database, clock):
    limits = ApprovalLimits(second_above=Decimal(500), own_change_above=Decimal(60))
    return create_app(database, clock=clock, server=ServerSettings(approvals=limits))


def set_rule(browser, **changes):
    return browser.post("/routine-rules", data={"csrf_token": browser.csrf_token} | RULE | changes)


def clear(browser, *lines, **changes):
    form = {"csrf_token": browser.csrf_token, "kind": "approve", "routine": "yes", "line": lines, "next": "/"}
    return browser.post("/decisions", data=form | changes)


def decisions(engine):
    rows = table("decisions")
    with engine.begin() as connection:
        query = sa.select(rows.c.recommendation_id, rows.c.routine_rule_id, rows.c.status_after)
        return [tuple(row) for row in connection.execute(query.order_by(rows.c.decision_id))]


def test_routine_lines_leave_the_list_and_nothing_approves_them_but_a_person(signed_in, database):
    ada, ben = signed_in("ada"), signed_in("ben")
    before = listed(ben)
    assert set_rule(ada, note="cheap and steady").status_code == 303
    assert decisions(database) == []
    assert listed(ben, "routine") == {"rec-03", "rec-05"}
    assert listed(ben) == before - {"rec-03", "rec-05"}
    assert "rule 1 of Ada of 23 Nov 2026, until 23 Dec 2026" in ben.get("/?show=routine").text
    assert "rule 1 of Ada" in ben.get("/recommendations/rec-03").text
    assert clear(ben, "rec-03@1", "rec-05@1").status_code == 303
    assert decisions(database) == [("rec-03", 1, "approved"), ("rec-05", 1, "approved")]
    assert "Routine rule 1 of Ada" in ben.get("/recommendations/rec-03").text
    events = {action: json.loads(after) for action, _, _, after in audited(database) if after}
    assert events["policy.set_routine"]["most_cost"] == "100"
    assert events["policy.set_routine"]["expires_on"] == "2026-12-23"
    assert events["recommendation.approve"]["routine_rule_id"] == 1
    # and it can be taken back until it is ordered
    form = {"csrf_token": ben.csrf_token, "kind": "undo", "line": ["rec-03@2"], "next": "/done"}
    assert ben.post("/decisions", data=form).status_code == 303
    assert listed(ben, "routine") == {"rec-03"}


def test_a_line_that_is_no_longer_routine_is_left_for_a_look(signed_in, database, clock):
    ada, ben = signed_in("ada"), signed_in("ben")
    set_rule(ada)
    left = clear(ben, "rec-02@1", "rec-03@1")
    assert left.status_code == 409
    assert "no longer routine" in left.text
    assert decisions(database) == [("rec-03", 1, "approved")]
    assert ada.post("/routine-rules/end", data={"csrf_token": ada.csrf_token, "rule_id": 1}).status_code == 303
    assert clear(ben, "rec-05@1").status_code == 409
    assert listed(ben, "routine") == set()
    assert "rec-05" in listed(ben)
    assert ada.post("/routine-rules/end", data={"csrf_token": ada.csrf_token, "rule_id": 1}).status_code == 404
    assert [one[0] for one in audited(database)].count("policy.end_routine") == 1


@pytest.mark.parametrize("why", ["expired", "left", "demoted"])
def test_a_rule_ends_with_its_day_and_with_its_author(signed_in, database, clock, why):
    set_rule(signed_in("ada"), expires_on="2026-11-25")
    if why == "expired":
        clock.now += dt.timedelta(days=2)
    else:
        users = table("users")
        change = {"active": False} if why == "left" else {"role": "buyer"}
        with writing(database) as connection:
            connection.execute(users.update().where(users.c.name == "ada").values(**change))
    assert listed(signed_in("ben"), "routine") == set()


def test_what_somebody_looks_after_is_not_routine(signed_in):
    ada, ben = signed_in("ada"), signed_in("ben")
    set_rule(ada)
    call(ben, 3, kind="assign", assignee_id=2)
    call(ben, 5, kind="snooze", until="2026-11-24", reason="x", past_order_by=True)
    assert listed(ben, "routine") == set()
    assert listed(ben, "mine") == {"rec-03"}


def test_who_set_a_rule_does_not_approve_alone_what_is_above_the_own_limit(signed_in, database):
    ada = signed_in("ada")
    set_rule(ada)
    clear(ada, "rec-03@1", "rec-05@1")  # 50.40 and 90: a change of policy counts against its author above 60
    assert decisions(database) == [("rec-03", 1, "approved"), ("rec-05", 1, "proposed")]
    ben = signed_in("ben")
    assert listed(ben, "second") == {"rec-05"}
    assert "approved once by Ada" in ben.get("/").text
    assert "waits for Root" in ben.get("/").text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"most_cost": "500.01"}, "most_cost"),
        ({"most_cost": "0"}, "most_cost"),
        ({"most_cost": "NaN"}, "most_cost"),
        ({"most_urgency": "-1"}, "most_urgency"),
        ({"currency": "pounds"}, "currency"),
        ({"expires_on": "2026-11-23"}, "expires_on"),
        ({"expires_on": "2028-01-01"}, "expires_on"),
        ({"facility_id": "nowhere"}, "facility_id"),
        ({"except_drugs": "warfarin; morphin"}, "except_drugs"),
    ],
)
def test_a_rule_that_breaks_a_rule_is_refused(signed_in, database, changes, field):
    refused = set_rule(signed_in("ada"), **changes)
    assert refused.status_code == 422
    assert field in refused.text
    with database.begin() as connection:
        assert connection.execute(sa.select(RoutineRule.rule_id)).all() == []


def test_only_an_approver_sets_and_ends_and_only_for_own_sites(signed_in, database):
    ben, nora, ada = signed_in("ben"), signed_in("nora"), signed_in("ada")
    assert set_rule(ben).status_code == 403
    assert "Set a rule" not in ben.get("/routine-rules").text
    with writing(database) as connection:
        users = table("users")
        connection.execute(users.update().where(users.c.name == "nora").values(role="approver"))
    assert set_rule(nora).status_code == 422
    assert set_rule(nora, facility_id="south").status_code == 422
    assert set_rule(nora, facility_id="north", except_drugs="Warfarin;").status_code == 303
    assert listed(ben, "routine") == set()  # rec-03 is warfarin, rec-05 of the south
    set_rule(ada)
    assert nora.post("/routine-rules/end", data={"csrf_token": nora.csrf_token, "rule_id": 2}).status_code == 403
    assert listed(nora, "routine") == {"rec-03"}


line_values = st.fixed_dictionaries(
    {
        "reason": st.sampled_from(["stock_out_risk", "shortage"]),
        "other_reasons": st.sampled_from([None, "expiry"]),
        "thin_evidence": st.sampled_from([None, "CYP2C19: worth 7 people."]),
        "cost": st.sampled_from([None, Decimal(99), Decimal(100), Decimal("100.01")]),
        "currency": st.sampled_from(["GBP", "EUR"]),
        "urgency": st.sampled_from([0.0, 5.0, 5.1]),
        "criticality": st.sampled_from([None, "standard", "important", "critical"]),
        "drug": st.sampled_from(["warfarin", "codeine"]),
        "facility_id": st.sampled_from(["north", "south"]),
    }
)


@given(line=line_values)
def test_every_condition_has_to_hold(line):
    rule = {"facility_id": "north", "most_cost": Decimal(100), "currency": "GBP", "most_urgency": 5.0}
    rule["except_drugs"] = "codeine;tramadol"
    wanted = {"reason": "stock_out_risk", "other_reasons": None, "thin_evidence": None, "currency": "GBP"}
    wanted |= {"drug": "warfarin", "facility_id": "north"}
    holds = all(line[name] == value for name, value in wanted.items())
    holds = holds and line["cost"] in (Decimal(99), Decimal(100)) and line["urgency"] <= 5
    assert (covering_rule(line, [rule]) is rule) == (holds and line["criticality"] in (None, "standard"))
