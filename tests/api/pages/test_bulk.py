"""Many lines at once, and taking back: each line by the same rules as alone."""

import re

import sqlalchemy as sa

from warehouse.engine import writing
from warehouse.queries.lines import table


def send(browser, lines, kind="approve", **changes):
    form = {"csrf_token": browser.csrf_token, "kind": kind, "line": lines, "next": "/?supplier_id=alpha"}
    return browser.post("/decisions", data=form | changes)


def line_of(engine, number):
    lines = table("recommendations")
    with engine.begin() as connection:
        query = sa.select(lines).where(lines.c.recommendation_id == f"rec-{number:02d}")
        return connection.execute(query).mappings().one()


def decided(engine, number):
    decisions = table("decisions")
    with engine.begin() as connection:
        query = sa.select(decisions).where(decisions.c.recommendation_id == f"rec-{number:02d}")
        return connection.execute(query.order_by(decisions.c.decision_id)).mappings().all()


def decide(browser, number, **body):
    headers = {"X-CSRF-Token": browser.csrf_token}
    return browser.post(f"/v1/recommendations/rec-{number:02d}/decision", json=body, headers=headers)


def test_ticked_lines_are_decided_together_and_shown_with_a_way_back(signed_in, database):
    ben = signed_in("ben")
    shown = ben.get("/").text
    ticks = re.findall(r'type="checkbox" form="bulk" name="line" value="([^"]+)"', shown)
    assert {"rec-01@1", "rec-02@1"} <= set(ticks)
    answer = send(ben, ["rec-02@1", "rec-01@1"])
    assert answer.status_code == 303
    assert [line_of(database, number)["status"] for number in (1, 2)] == ["approved", "approved"]
    assert [len(decided(database, number)) for number in (1, 2)] == [1, 1]
    done = ben.get(answer.headers["location"]).text
    assert done.count('value="undo"') == 2
    assert 'href="/?supplier_id=alpha"' in done


def test_a_line_that_somebody_was_first_at_is_left_and_named_and_the_others_are_decided(signed_in, database):
    assert decide(signed_in("ada"), 1, kind="modify", packs=14, reason_code="storage", version=1).status_code == 200
    answer = send(signed_in("ben"), ["rec-01@1", "rec-02@1", "rec-99@1"])
    assert answer.status_code == 409
    assert "2 lines not decided" in answer.text
    assert "the line is modified" in answer.text
    assert "there is no recommendation rec-99" in answer.text
    assert (line_of(database, 1)["packs"], line_of(database, 2)["status"]) == (14, "approved")


def test_a_rejection_needs_its_reason_and_packs_are_changed_one_by_one(signed_in, database):
    ben = signed_in("ben")
    assert "choose a reason" in send(ben, ["rec-01@1"], "reject").text
    assert send(ben, ["rec-01@1"], "modify").status_code == 422
    assert "tick the lines first" in send(ben, []).text
    assert line_of(database, 1)["status"] == "proposed"
    assert send(ben, ["rec-01@1"], "reject", reason_code="storage").status_code == 303
    assert decided(database, 1)[0]["reason_code"] == "storage"


def test_who_may_not_decides_nothing(signed_in, client, database):
    ben, vera, nora = signed_in("ben"), signed_in("vera"), signed_in("nora")
    assert send(vera, ["rec-01@1"]).status_code == 403
    assert send(ben, ["rec-01@1"], csrf_token="of-somebody-else").status_code == 403
    assert client.post("/decisions", data={"kind": "approve", "line": "rec-01@1"}).status_code in (303, 422)
    assert client.get("/done").headers["location"].startswith("/sign-in")
    assert 'name="line"' not in vera.get("/").text
    assert "there is no recommendation rec-05" in send(nora, ["rec-05@1"]).text  # a line of the south site
    assert [line_of(database, number)["status"] for number in (1, 5)] == ["proposed", "proposed"]
    for broken in ("rec-01", "rec-01@x", "@1", "rec-01@-1"):
        assert send(ben, [broken]).status_code == 422


def test_taking_back_restores_what_was_proposed_and_keeps_both_decisions(signed_in, database):
    ada, before = signed_in("ada"), line_of(database, 1)
    assert decide(ada, 1, kind="modify", packs=14, reason_code="demand_event", version=1).status_code == 200
    assert decide(ada, 1, kind="undo", version=1).status_code == 409
    answer = decide(ada, 1, kind="undo", version=2, note="meant the other site")
    assert answer.status_code == 200
    assert answer.json()["awaits_second_approval"] is False
    after = line_of(database, 1)
    same = ("status", "packs", "quantity", "cost")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["version"] == 3
    kinds = [
        (one["kind"], one["status_before"], one["status_after"], one["packs_after"]) for one in decided(database, 1)
    ]
    assert kinds == [("modify", "proposed", "modified", 14), ("undo", "modified", "proposed", 12)]
    events = table("audit_events")
    with database.begin() as connection:
        actions = connection.execute(sa.select(events.c.action).order_by(events.c.sequence)).scalars().all()
    assert actions[-2:] == ["recommendation.modify", "recommendation.undo"]
    # the line is open again, for anybody who may decide
    assert decide(signed_in("ben"), 1, kind="approve", version=3).status_code == 200


def test_a_rejection_can_be_taken_back_and_an_order_cannot(signed_in, database):
    ben = signed_in("ben")
    assert decide(ben, 2, kind="reject", reason_code="storage", version=1).status_code == 200
    assert decide(ben, 2, kind="undo", version=2).status_code == 200
    assert line_of(database, 2)["packs"] == 40
    assert decide(ben, 2, kind="undo", version=3).status_code == 409  # proposed: there is nothing to take back
    with writing(database) as connection:
        lines = table("recommendations")
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-02").values(status="exported"))
    answer = decide(ben, 2, kind="undo", version=3)
    assert answer.status_code == 409
    assert "there is no decision to take back" in answer.text


def test_undo_takes_neither_packs_nor_a_reason(signed_in, database):
    ben = signed_in("ben")
    assert decide(ben, 2, kind="approve", version=1).status_code == 200
    assert decide(ben, 2, kind="undo", packs=3, version=2).status_code == 422
    assert decide(ben, 2, kind="undo", reason_code="storage", version=2).status_code == 422
    assert line_of(database, 2)["status"] == "approved"
