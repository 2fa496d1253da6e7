"""How problems stand: said by people with a note, audited, open again when a later run still reports them."""

import datetime as dt
import json
import re

import pytest
import sqlalchemy as sa

from api.display.problem_labels import RULES, Severity
from tests.api.conftest import AS_OF, NOW, signed_in_at
from warehouse.audit import verify
from warehouse.engine import writing
from warehouse.queries.freshness import INPUTS, input_ages
from warehouse.queries.lines import table
from warehouse.queries.problems import reported_problems


def names(database, scope=None):
    with database.connect() as connection:
        return {one.problem["rule"]: one.name for one in reported_problems(connection, scope)}


def states(database):
    with database.connect() as connection:
        return {one.problem["rule"]: (one.state, one.reported_again) for one in reported_problems(connection, None)}


def say(browser, state, *which, note="counted again", **more):
    form = {"csrf_token": browser.csrf_token, "problem": list(which), "state": state, "note": note} | more
    return browser.post("/problems", data=form)


def run_again(database, moment):
    with writing(database) as connection:
        run = dict(connection.execute(sa.select(table("runs"))).mappings().first())
        connection.execute(sa.insert(table("runs")).values(run | {"run_id": "run-2", "started_at": moment}))


def test_a_problem_is_addressed_resolved_and_open_again_with_the_next_run(signed_in, database):
    ben, name = signed_in("ben"), names(database)["stock_too_old"]
    assert states(database) == {"stock_too_old": ("open", False), "price_unknown": ("open", False)}
    answer = say(ben, "addressed", name, note="pharmacy is counting")
    assert answer.headers["location"] == "/problems?said=1"
    html = ben.get("/problems?said=1").text
    assert "Saved for 1 problem" in html
    assert "Ben, 23 Nov 2026, 09:00 UTC: pharmacy is counting" in html
    assert say(ben, "resolved", name).status_code == 303
    assert states(database)["stock_too_old"] == ("resolved", False)
    assert "was counted 6 days ago" not in ben.get("/problems").text
    assert "was counted 6 days ago" in ben.get("/problems?show=all").text
    run_again(database, NOW + dt.timedelta(hours=1))
    assert states(database)["stock_too_old"] == ("open", True)
    assert "reported again" in ben.get("/problems").text


def test_all_problems_of_a_rule_at_once(signed_in, database):
    with writing(database) as connection:
        row = dict(
            connection.execute(sa.select(table("problems")).where(table("problems").c.number == 1)).mappings().one()
        )
        more = [row | {"number": 10 + n, "facility_id": site} for n, site in enumerate(("north", None))]
        connection.execute(sa.insert(table("problems")), more)
    assert say(signed_in("nora"), "addressed", every="stock_too_old").headers["location"] == "/problems?said=1"
    assert say(signed_in("ben"), "resolved", every="stock_too_old").headers["location"] == "/problems?said=3"
    assert states(database) == {"stock_too_old": ("resolved", False), "price_unknown": ("open", False)}


def test_it_is_the_same_problem_when_only_its_numbers_change(signed_in, database):
    say(signed_in("ben"), "addressed", names(database)["stock_too_old"])
    with writing(database) as connection:
        rows = table("problems")
        connection.execute(rows.update().where(rows.c.number == 1).values(number=7, message="counted 7 days ago"))
    assert states(database)["stock_too_old"] == ("addressed", False)


def test_every_word_is_in_the_audit_trail_and_none_is_taken_back(signed_in, database):
    say(signed_in("ben"), "addressed", *names(database).values())
    with database.connect() as connection:
        verify(connection)
        found = (
            connection.execute(
                sa.select(table("audit_events")).where(table("audit_events").c.action == "problem.state")
            )
            .mappings()
            .all()
        )
    assert [(one["facility_id"], json.loads(one["after"])["state"]) for one in found] == [
        ("south", "addressed"),
        (None, "addressed"),
    ]
    for change in (table("problem_states").update().values(note="x"), table("problem_states").delete()):
        with pytest.raises(sa.exc.DBAPIError), writing(database) as connection:
            connection.execute(change)


def test_problem_states_are_append_only_on_both_databases(each_database):
    row = {"stage": "inputs", "asset": "a", "rule": "r", "state": "open", "user_id": 1, "set_at": NOW}
    with writing(each_database) as connection:
        connection.execute(sa.insert(table("problem_states")).values(row))
    for change in (table("problem_states").update().values(note="x"), table("problem_states").delete()):
        with pytest.raises(sa.exc.DBAPIError), writing(each_database) as connection:
            connection.execute(change)


@pytest.mark.parametrize(
    ("state", "note", "which", "said"),
    [
        ("resolved", " ", ["stock_too_old"], "say in the note how"),
        ("addressed", "", [], "tick the problems"),
        ("addressed", "", ["of no run"], "no longer reports"),
    ],
)
def test_a_broken_rule_is_told_and_nothing_is_written(signed_in, database, state, note, which, said):
    known = names(database)
    answer = say(signed_in("ben"), state, *[known.get(one, one) for one in which], note=note)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert set(states(database).values()) == {("open", False)}


def test_who_may_say_what(signed_in, app, database, client):
    known = names(database)
    assert say(signed_in("vera"), "addressed", known["stock_too_old"]).status_code == 403
    assert 'type="checkbox" name="problem"' not in signed_in("vera").get("/problems").text
    ben = signed_in("ben")
    assert say(ben, "addressed", known["stock_too_old"], csrf_token="made up").status_code == 403
    nora = signed_in("nora")  # the north site's: the south's problem is not hers, that of all sites not hers alone
    assert "no longer reports" in say(nora, "addressed", known["stock_too_old"]).text
    assert "a problem of all sites" in say(nora, "addressed", known["price_unknown"]).text
    south = signed_in_at(app, database, "buyer", ["south"])
    assert say(south, "addressed", known["stock_too_old"]).status_code == 303
    assert client.post("/problems", data={"csrf_token": "x", "state": "open"}).status_code == 303
    assert set(states(database).values()) == {("addressed", False), ("open", False)}


def test_ages_are_days_since_the_newest_row_of_each_site(database, signed_in):
    with writing(database) as connection:
        for days in (40, 3):
            row = {"order_id": f"o{days}", "product_id": "warfarin-1", "facility_id": "north", "packs": 1}
            row |= {"received_at": AS_OF - dt.timedelta(days=days), "ordered_at": AS_OF - dt.timedelta(days=50)}
            connection.execute(sa.insert(table("receipts")).values(row))
        coverage = {"facility_id": "north", "gene": "CYP2C19", "share_tested": 0.1, "share_followed": 0.5}
        rows = [
            coverage | {"period_start": AS_OF - dt.timedelta(days=200), "planned": False},
            coverage | {"period_start": AS_OF + dt.timedelta(days=200), "planned": True},
        ]
        connection.execute(sa.insert(table("testing_coverage")), rows)
        connection.execute(
            sa.insert(table("genotype_counts")).values(
                {"facility_id": "north", "gene": "CYP2C19", "result_type": "phenotype", "result": "x"}
                | {"biogeographic_group": "*", "as_of": dt.date(1900, 1, 1), "count": 20.0, "tested": 50.0}
            )
        )
    with database.connect() as connection:
        found = {(one.input.name, one.facility_id): one for one in input_ages(connection, None, AS_OF)}
        north = input_ages(connection, frozenset({"north"}), AS_OF)
    assert {one.facility_id for one in north} == {"north"}
    days = {name: found[name, "north"].days for name in [one.name for one in INPUTS]}
    assert days == {
        "Stock count": 0,
        "Dispensing": None,
        "Receipts": 3,
        "Genotype counts": None,  # a count whose day is not stated has no age
        "Testing coverage": 200,
    }
    old = {name for (name, site), one in found.items() if site == "north" and one.old}
    assert old == {"Dispensing", "Genotype counts", "Testing coverage"}
    assert (found["Stock count", "south"].days, found["Stock count", "south"].old) == (6, True)
    html = signed_in("vera").get("/problems").text
    assert "Count again, or let the inventory system push the count" in html
    assert re.search(r"Age of every input", html)


def test_each_rule_has_a_known_severity_and_something_to_do():
    assert {severity for severity, _ in RULES.values()} <= set(Severity)
    assert all(text.endswith(".") for _, text in RULES.values())
