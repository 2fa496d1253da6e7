"""Two people for a large order, and for an order of somebody who changed what it rests on."""

import datetime as dt
from decimal import Decimal

import pytest
import sqlalchemy as sa

from api.app import create_app
from api.settings import ApprovalLimits, ServerSettings
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.engine import writing
from warehouse.queries.lines import table

# rec-01: 12 packs of 54.60 = 655.20; rec-02: 40 packs of 3.60 = 144; rec-08 has no price
LIMITS = ApprovalLimits(second_above=Decimal(600), own_change_above=Decimal(100))


@pytest.fixture
def app(database, clock):
    return create_app(database, clock=clock, server=ServerSettings(approvals=LIMITS))


def decide(browser, number, version=1, kind="approve", **fields):
    headers = {"X-CSRF-Token": browser.csrf_token}
    body = {"kind": kind, "version": version} | fields
    return browser.post(f"/v1/recommendations/rec-{number:02d}/decision", json=body, headers=headers)


def line(engine, number):
    lines = table("recommendations")
    with engine.begin() as connection:
        query = sa.select(lines).where(lines.c.recommendation_id == f"rec-{number:02d}")
        return connection.execute(query).mappings().one()


def changed_by(engine, clock, user_id, action, facility_id=None):
    with writing(engine) as connection:
        event = Event(action, "x:1", facility_id)
        audit.append(connection, Actor(f"user:{user_id}", "x"), clock.now, [event])


def test_a_line_above_the_limit_needs_two_people_and_is_not_ordered_before(signed_in, key, client, database):
    ben, ada = signed_in("ben"), signed_in("ada")
    first = decide(ben, 1)
    assert first.json()["awaits_second_approval"] is True
    assert (line(database, 1)["status"], line(database, 1)["version"]) == ("proposed", 2)
    orders = key("orders:write") | {"Idempotency-Key": "one"}
    exported = client.post("/v1/order-exports", json={"recommendation_id": ["rec-01"]}, headers=orders)
    assert (exported.status_code, exported.json()["title"]) == (409, "Nothing to export")
    assert "a second person" in ada.get("/recommendations/rec-01").text
    own = decide(ben, 1, version=2)
    assert own.status_code == 403
    assert "second person" in own.json()["detail"]
    second = decide(ada, 1, version=2)
    assert second.json()["awaits_second_approval"] is False
    assert second.json()["recommendation"]["status"] == "approved"
    with database.begin() as connection:
        query = sa.select(table("audit_events").c.action).where(
            table("audit_events").c.subject == "recommendation:rec-01"
        )
        actions = connection.scalars(query.order_by(table("audit_events").c.sequence)).all()
    assert actions == ["recommendation.first_approval", "recommendation.approve"]


def test_at_the_limit_one_person_is_enough(signed_in, database, clock):
    exact = ServerSettings(approvals=ApprovalLimits(second_above=Decimal("655.2")))
    assert exact.approvals.second_above == line(database, 1)["cost"]
    signed = signed_in("ben")
    signed.app.state.server = exact
    assert decide(signed, 1).json()["recommendation"]["status"] == "approved"


def test_a_changed_number_of_packs_is_applied_by_the_second_person_only(signed_in, database):
    assert decide(signed_in("ben"), 1, kind="modify", packs=14, reason_code="storage").json()["awaits_second_approval"]
    assert (line(database, 1)["packs"], line(database, 1)["status"]) == (12, "proposed")
    assert decide(signed_in("ada"), 1, version=2).status_code == 200
    done = line(database, 1)
    assert (done["status"], done["packs"], str(done["quantity"]), str(done["cost"])) == (
        "modified", 14, "784", "764.4"
    )  # fmt: skip


def test_changed_down_below_the_limit_one_person_is_enough(signed_in, database):
    answer = decide(signed_in("ben"), 1, kind="modify", packs=10, reason_code="budget")
    assert (answer.json()["awaits_second_approval"], line(database, 1)["status"]) == (False, "modified")


def test_a_second_person_may_also_reject_or_change_which_begins_anew(signed_in, database):
    ben, ada = signed_in("ben"), signed_in("ada")
    decide(ben, 1)
    again = decide(ada, 1, version=2, kind="modify", packs=14, reason_code="storage")
    assert again.json()["awaits_second_approval"] is True
    assert decide(ada, 1, version=3).status_code == 403
    assert decide(ada, 1, version=3, kind="reject", reason_code="budget").status_code == 200
    assert line(database, 1)["status"] == "rejected"


def test_a_buyer_does_not_give_the_second_approval(signed_in):
    decide(signed_in("ada"), 1)
    assert decide(signed_in("ben"), 1, version=2).status_code == 403


def test_a_line_that_changed_since_needs_the_first_approval_again(signed_in, database):
    decide(signed_in("ben"), 1)
    with writing(database) as connection:
        lines = table("recommendations")
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-01").values(version=3))
    assert decide(signed_in("ada"), 1, version=3).json()["awaits_second_approval"] is True


def test_an_unknown_price_is_not_below_the_limit(signed_in):
    assert decide(signed_in("ben"), 8).json()["awaits_second_approval"] is True


@pytest.mark.parametrize(
    ("action", "facility_id", "days_ago", "waits"),
    [
        ("release.activate", None, 0, True),
        ("release.activate", "north", 0, True),
        ("release.activate", "south", 0, False),
        ("policy.change", "north", 89, True),
        ("policy.change", "north", 91, False),
        ("override.created", None, 0, True),
        ("recommendation.approve", "north", 0, False),
    ],
)
def test_who_changed_what_a_line_rests_on_does_not_approve_it_alone(
    signed_in, database, clock, action, facility_id, days_ago, waits
):
    clock.now -= dt.timedelta(days=days_ago)
    changed_by(database, clock, 2, action, facility_id)  # user 2 is ben
    clock.now += dt.timedelta(days=days_ago)
    assert decide(signed_in("ben"), 2).json()["awaits_second_approval"] is waits
    assert decide(signed_in("ada"), 3).json()["awaits_second_approval"] is False


def test_without_limits_one_person_is_enough(signed_in, database, clock):
    ben = signed_in("ben")
    ben.app.state.server = ServerSettings()
    changed_by(database, clock, 2, "release.activate")
    assert decide(ben, 1).json()["awaits_second_approval"] is False
    assert decide(ben, 8).json()["awaits_second_approval"] is False


@pytest.mark.parametrize("text", ["-1", "many", "NaN", "Infinity"])
def test_a_limit_that_is_no_amount_is_refused(text):
    with pytest.raises(InvalidInput, match="SECOND_APPROVAL_ABOVE"):
        ServerSettings.from_environment({"PGX_SUPPLY_SECOND_APPROVAL_ABOVE": text})
