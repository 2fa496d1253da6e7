"""Put off, give away, comment: by the item, with a way back, and an item comes back by itself."""

import datetime as dt
import json
import re
from decimal import Decimal

import pytest
import sqlalchemy as sa

from api.pages import worklist
from tests.api.conftest import NOW
from warehouse.engine import writing
from warehouse.queries.lines import table
from warehouse.queries.worklist import covering_rule, first_approvals, item_states, routine_rules
from warehouse.schema.worklist import Comment, RoutineRule, WorklistAction

LATE = {"past_order_by": True}


def fill_worklist(engine):
    """One item put off, one given to root, one routine line, one that waits for a second approval, one comment."""
    by = {"user_id": 2, "facility_id": "south", "acted_at": NOW, "order_by_seen": dt.date(2026, 11, 26)}
    put_off = by | {"product_id": "capecitabine-500", "recommendation_id": "rec-06", "kind": "snooze"}
    given = by | {"product_id": "ondansetron-inj", "recommendation_id": "rec-07", "kind": "assign", "assignee_id": 5}
    rule = {"facility_id": "north", "most_cost": Decimal(60), "currency": "GBP", "most_urgency": 9, "user_id": 3}
    first = {"recommendation_id": "rec-04", "decided_at": NOW, "user_id": 2, "kind": "approve", "version_seen": 1}
    first |= {"status_before": "proposed", "status_after": "proposed", "packs_before": 6, "packs_after": 6}
    said = {"facility_id": "north", "product_id": "ticagrelor-90", "recommendation_id": "rec-01", "user_id": 2}
    lines = table("recommendations")
    with writing(engine) as connection:
        connection.execute(
            sa.insert(WorklistAction),
            [
                put_off | {"snoozed_until": dt.date(2026, 11, 25), "assignee_id": None, "reason": "ask the ward first"},
                given | {"snoozed_until": None, "reason": "knows the supplier"},
            ],
        )
        connection.execute(sa.insert(RoutineRule), rule | {"expires_on": dt.date(2027, 2, 1), "set_at": NOW})
        connection.execute(sa.insert(table("decisions")), first)
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-04").values(version=2))
        connection.execute(sa.insert(Comment), said | {"text": "Ward 4 opens ten beds.", "written_at": NOW})


def call(browser, number, **body):
    headers = {"X-CSRF-Token": browser.csrf_token}
    return browser.post(f"/v1/recommendations/rec-{number:02d}/worklist-action", json=body, headers=headers)


def form(browser, action, lines=(), **fields):
    data = {"csrf_token": browser.csrf_token, "action": action, "line": list(lines), "next": "/"}
    return browser.post("/worklist-actions", data=data | fields)


def listed(browser, show=None):
    """Ids of the lines of a view."""
    html = browser.get("/", params={"show": show} if show else {}).text
    return {name for name in (f"rec-{n:02d}" for n in range(1, 13)) if 'class="what"' in html and f"/{name}" in html}


def actions(engine):
    with engine.begin() as connection:
        return connection.execute(sa.select(WorklistAction.__table__).order_by("action_id")).mappings().all()


def audited(engine):
    events = table("audit_events")
    with engine.begin() as connection:
        query = sa.select(events.c.action, events.c.subject, events.c.before, events.c.after)
        return connection.execute(query.order_by(events.c.sequence)).all()


def test_a_line_that_is_put_off_leaves_the_list_and_comes_back_by_itself(signed_in, database, clock):
    ben = signed_in("ben")
    answer = call(ben, 6, kind="snooze", until="2026-11-26", reason="ask the ward first")
    assert answer.status_code == 200
    assert answer.json()["snoozed_until"] == "2026-11-26"
    assert "rec-06" not in listed(ben)
    assert listed(ben, "snoozed") == {"rec-06"}
    assert "ask the ward first" in ben.get("/?show=snoozed").text
    clock.now += dt.timedelta(days=2)
    assert "rec-06" not in listed(ben)
    clock.now += dt.timedelta(hours=15)  # the day itself has begun
    ben = signed_in("ben")
    assert "rec-06" in listed(ben)
    assert listed(ben, "snoozed") == set()
    action, subject, before, after = next(one for one in audited(database) if one[0] == "recommendation.snooze")
    assert (subject, json.loads(before)) == ("recommendation:rec-06", {})
    assert json.loads(after) == {"snoozed_until": "2026-11-26", "reason": "ask the ward first", "action_id": 1}


def test_a_new_line_of_the_item_stays_put_off_unless_it_must_be_ordered_earlier(signed_in, database):
    ben = signed_in("ben")
    # rec-06 is to be ordered by the 26th; put off past that on purpose
    assert call(ben, 6, kind="snooze", until="2026-12-01", reason="new contract", **LATE).status_code == 200
    lines = table("recommendations")
    with writing(database) as connection:
        row = dict(connection.execute(sa.select(lines).where(lines.c.recommendation_id == "rec-06")).mappings().one())
        connection.execute(lines.update().where(lines.c.recommendation_id == "rec-06").values(status="superseded"))
        connection.execute(lines.insert().values(row | {"recommendation_id": "rec-13"}))
    assert "rec-13" not in ben.get("/").text
    assert "rec-13" in ben.get("/?show=snoozed").text
    with writing(database) as connection:
        earlier = lines.update().where(lines.c.recommendation_id == "rec-13")
        connection.execute(earlier.values(order_by=dt.date(2026, 11, 25)))
    assert "rec-13" in ben.get("/").text


@pytest.mark.parametrize("number", [1, 4])  # overdue since yesterday; to be ordered by the 26th
def test_nothing_is_put_off_past_its_last_day_to_order_without_saying_so(signed_in, database, number):
    ben = signed_in("ben")
    refused = call(ben, number, kind="snooze", until="2026-11-27", reason="later")
    assert refused.status_code == 422
    assert "the last day to order" in refused.json()["detail"]
    assert "stock-out risk" in refused.json()["detail"]
    page = form(ben, "snooze", [f"rec-{number:02d}@1"], until="2026-11-27", why="later")
    assert page.status_code == 409
    assert "the last day to order" in page.text
    assert actions(database) == []
    done = form(ben, "snooze", [f"rec-{number:02d}@1"], until="2026-11-27", why="later", past_order_by="yes")
    assert done.status_code == 303
    assert f"rec-{number:02d}" not in listed(ben)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "snooze", "until": "2026-11-23", "reason": "x"}, "until"),
        ({"kind": "snooze", "until": "2027-03-01", "reason": "x"}, "until"),
        ({"kind": "snooze", "reason": "x"}, "until"),
        ({"kind": "snooze", "until": "2026-11-24"}, "reason"),
        ({"kind": "snooze", "until": "2026-11-24", "reason": "  "}, "reason"),
        ({"kind": "assign"}, "assignee_id"),
        ({"kind": "assign", "assignee_id": 99}, "assignee_id"),
        ({"kind": "assign", "assignee_id": 1}, "assignee_id"),  # vera reads only
        ({"kind": "assign", "assignee_id": 4}, "assignee_id"),  # nora sees the north, the line is of the south
        ({"kind": "undo"}, "action_id"),
        ({"kind": "undo", "action_id": 5}, "action_id"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field(signed_in, database, body, field):
    refused = call(signed_in("ben"), 6, **body)
    assert refused.status_code == 422
    assert field in refused.json()["detail"]
    assert actions(database) == []


def test_a_line_is_given_to_somebody_and_is_theirs(signed_in, database):
    ben, nora = signed_in("ben"), signed_in("nora")
    answer = form(ben, "assign", ["rec-01@1", "rec-03@1"], assignee_id=4, why="knows the supplier")
    assert answer.status_code == 303
    assert listed(nora, "mine") == {"rec-01", "rec-03"}
    assert listed(ben, "mine") == set()
    assert "Nora" in ben.get("/").text
    assert "knows the supplier" in nora.get("/recommendations/rec-01").text
    assert form(nora, "unassign", ["rec-01@1"]).status_code == 303
    assert listed(nora, "mine") == {"rec-03"}
    with writing(database) as connection:
        users = table("users")
        connection.execute(users.update().where(users.c.name == "nora").values(active=False))
        assert item_states(connection, None, dt.date(2026, 11, 23)) == {}


def test_many_are_put_off_at_once_and_taken_back_at_once(signed_in, database):
    ben = signed_in("ben")
    chosen = ["rec-04@1", "rec-06@1", "rec-07@1"]
    answer = form(ben, "snooze", chosen, until="2026-11-25", why="budget meeting")
    assert answer.headers["location"] == "/done?back=/"
    done = ben.get("/done").text
    assert "Take back all 3" in done
    assert listed(ben, "snoozed") == {"rec-04", "rec-06", "rec-07"}
    assert form(ben, "undo", undo=[1, 2, 3], next="/done").status_code == 303
    assert listed(ben, "snoozed") == set()
    assert [one["undoes"] for one in actions(database)] == [None] * 3 + [1, 2, 3]
    again = form(ben, "undo", undo=[1])
    assert again.status_code == 409
    assert "since" in again.text
    assert [one[0] for one in audited(database)][-3:] == ["recommendation.undo"] * 3


def test_taking_back_gives_what_stood_before(signed_in, database):
    ben = signed_in("ben")
    call(ben, 6, kind="assign", assignee_id=3)
    call(ben, 6, kind="assign", assignee_id=2)
    undone = call(ben, 6, kind="undo", action_id=2)
    assert undone.json()["assignee"] == "Ada"
    assert call(ben, 6, kind="undo", action_id=1).status_code == 409
    # the two kinds do not meet
    call(ben, 6, kind="snooze", until="2026-11-25", reason="later")
    assert call(ben, 6, kind="undo", action_id=4).json() | {"recommendation": None} == {
        "action_id": 5,
        "snoozed_until": None,
        "assignee": "Ada",
        "recommendation": None,
    }


def test_a_decided_line_is_neither_put_off_nor_given_away(signed_in):
    ben = signed_in("ben")
    assert call(ben, 10, kind="snooze", until="2026-11-24", reason="x").status_code == 409
    assert call(ben, 10, kind="assign", assignee_id=3).status_code == 409


def test_who_may_not_does_nothing(signed_in, client, database):
    vera, nora, ben = signed_in("vera"), signed_in("nora"), signed_in("ben")
    assert form(vera, "assign", ["rec-01@1"], assignee_id=2).status_code == 403
    assert form(ben, "assign", ["rec-01@1"], assignee_id=2, csrf_token="other").status_code == 403
    assert form(nora, "assign", ["rec-06@1"], assignee_id=2).status_code == 409  # not found, and named
    assert "Put off or give away" not in vera.get("/").text
    call(ben, 6, kind="assign", assignee_id=2)
    assert form(nora, "undo", undo=[1]).status_code == 409
    assert len(actions(database)) == 1


def test_comments_are_plain_text_and_stay_with_the_item(signed_in, database):
    ben, vera, nora = signed_in("ben"), signed_in("vera"), signed_in("nora")
    said = "<script>alert(1)</script> & 'ten'\nbeds"
    data = {"csrf_token": ben.csrf_token, "text": said}
    assert ben.post("/recommendations/rec-06/comments", data=data).status_code == 303
    headers = {"X-CSRF-Token": ben.csrf_token}
    second = ben.post("/v1/recommendations/rec-06/comments", json={"text": " second "}, headers=headers)
    assert second.json()["text"] == "second"
    page = vera.get("/recommendations/rec-06").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;ten&#39;\nbeds" in page
    assert "<script>" not in page
    assert page.index("alert(1)") < page.index("second")
    assert "Say something" not in page
    told = vera.get("/v1/recommendations/rec-06/comments").json()["items"]
    assert [(one["by"], one["text"]) for one in told] == [("Ben", said), ("Ben", "second")]
    assert nora.get("/v1/recommendations/rec-06/comments").status_code == 404
    assert nora.post("/recommendations/rec-06/comments", data=data | {"csrf_token": nora.csrf_token}).status_code == 404
    assert [one[0] for one in audited(database)][-2:] == ["recommendation.comment"] * 2
    for blank in ("", "   ", "\x00", "x" * 2001):
        refused = ben.post("/v1/recommendations/rec-06/comments", json={"text": blank}, headers=headers)
        assert refused.status_code == 422


@pytest.mark.parametrize("name", ["worklist_actions", "comments", "decisions"])
def test_what_people_did_cannot_be_changed_in_the_database(signed_in, database, name):
    ben = signed_in("ben")
    call(ben, 6, kind="assign", assignee_id=2)
    headers = {"X-CSRF-Token": ben.csrf_token}
    ben.post("/v1/recommendations/rec-06/comments", json={"text": "x"}, headers=headers)
    ben.post("/v1/recommendations/rec-06/decision", json={"kind": "approve", "version": 1}, headers=headers)
    rows = table(name)
    for change in (rows.update().values(user_id=3), rows.delete()):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), writing(database) as connection:
            connection.execute(change)


def test_on_both_databases_the_newest_action_counts(each_database):
    today = dt.date(2026, 11, 23)
    row = {"facility_id": "north", "product_id": "warfarin-1", "recommendation_id": "rec-03", "order_by_seen": today}
    row |= {"user_id": 2, "acted_at": NOW, "assignee_id": None, "snoozed_until": None}
    rows = [
        row | {"kind": "snooze", "snoozed_until": today + dt.timedelta(days=3), "reason": "x"},
        row | {"kind": "assign", "assignee_id": 3},
        row | {"kind": "assign", "assignee_id": 2},
        row | {"kind": "snooze", "snoozed_until": today + dt.timedelta(days=1), "reason": "y"},
    ]
    with writing(each_database) as connection:
        for one in rows:
            connection.execute(sa.insert(WorklistAction).values(one))
        states = item_states(connection, frozenset({"north"}), today)
        assert item_states(connection, frozenset({"south"}), today) == {}
        state = states["north", "warfarin-1"]
        assert (state.snooze["reason"], state.assign["assignee_name"]) == ("y", "Ben")
        assert state.snoozed(today, today)
        assert not state.snoozed(today, today + dt.timedelta(days=1))
        assert first_approvals(connection, None) == {}
        assert routine_rules(connection, None) == []
        assert covering_rule({"reason": "shortage", "other_reasons": None, "thin_evidence": None}, []) is None
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), connection.begin_nested():
            connection.execute(sa.delete(WorklistAction.__table__))


def test_one_form_takes_so_many_lines_and_no_more(signed_in):
    ben = signed_in("ben")
    many = [f"rec-{number:06d}@1" for number in range(worklist.MOST_LINES)]
    answer = form(ben, "assign", many, assignee_id=2)
    assert answer.status_code == 409
    assert "there is no recommendation rec-000899" in answer.text
    assert form(ben, "assign", [*many, "rec-01@1"], assignee_id=2).status_code == 422


def test_every_line_of_the_list_is_ticked_by_a_link_also_those_on_other_pages(signed_in, database, monkeypatch):
    monkeypatch.setattr(worklist, "LINES_A_PAGE", 4)
    ben = signed_in("ben")
    page = ben.get("/?ticked=all&page=2").text
    drawn = re.findall(r'type="checkbox" form="bulk" name="line" value="([^"]+)" checked', page)
    bulk = page[page.index('id="bulk"') : page.index("</form>", page.index('id="bulk"'))]
    hidden = re.findall(r'type="hidden" name="line" value="([^"]+)"', bulk)
    assert (len(drawn), len(hidden)) == (4, 5)
    assert {name.split("@")[0] for name in drawn + hidden} == {f"rec-{n:02d}" for n in range(1, 10)}
    assert "9 lines ticked" in re.sub(r"<[^>]+>", "", page)
    for path in ("/?status=approved&show=mine", "/?show=mine&page=9", "/?acted=7"):
        assert ben.get(path).status_code == 200
    assert ben.get("/?show=nonsense").status_code == 422
