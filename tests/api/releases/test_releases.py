"""Releases through the API: what is in force where, diffs, stored impact, and activation by a person alone."""

import datetime as dt
import json

import pandas as pd
import pytest
import sqlalchemy as sa

from forecasting.pharmacogenomics.content import builtin_content
from tests.api.conftest import AS_OF, NOW, signed_in_at
from warehouse.engine import writing
from warehouse.importers.content import releases as content_releases
from warehouse.queries.lines import table
from warehouse.releases import activate

TOMORROW = dt.date(2026, 11, 24)
URL = "/v1/guideline-releases"
PIA = 1


def clopidogrel():
    rows = builtin_content().guidance
    return rows[rows["drug"] == "clopidogrel"].reset_index(drop=True)


def changed():
    """One field of one row changed, one row withdrawn, one new."""
    rows = clopidogrel()
    new = rows.iloc[[0]].assign(recommendation_id="new-row")
    rows.loc[1, "strength"] = "Optional"
    return pd.concat([rows.iloc[:-1], new], ignore_index=True)


def fill_releases(engine):
    """A built-in and a curated release of guidance, and what a run said that the curated one would move."""
    with writing(engine) as connection:
        old = content_releases.store_release(connection, "guidance", "pgx-supply", "1", clopidogrel())
        new = content_releases.store_release(connection, "guidance", "curated", "2026-11", changed())
        empty = content_releases.store_release(connection, "usual_daily_dose", "curated", "none", _no_doses())
        times = {old: NOW - dt.timedelta(days=9), new: NOW - dt.timedelta(days=2), empty: NOW - dt.timedelta(days=1)}
        for release, moment in times.items():
            stored = table("content_releases")
            connection.execute(stored.update().where(stored.c.release_id == release).values(loaded_at=moment))
        connection.execute(sa.insert(table("release_previews")), [_preview(site, new, old) for site in SITES])
        connection.execute(sa.insert(table("release_moves")), [_move(new, *one) for one in MOVES])
    return old, new, empty


SITES = ("clinic", "north", "south")
MOVES = [
    ("north", "clopidogrel-75", "clopidogrel", 500.0, 556.0),
    ("north", "ticagrelor-90", "ticagrelor", 300.0, 188.0),
    ("south", "clopidogrel-75", "clopidogrel", 200.0, 214.0),
]
PACKS = {"clopidogrel-75": 28, "ticagrelor-90": 56}
ASIDE = "voriconazole: guidance curated does not cover what is published (1 unmapped); planned without genetics"


def _no_doses():
    return builtin_content().usual_daily_dose.iloc[:0]


def _preview(site, release, against):
    aside = [ASIDE] if site == "south" else []
    return {"as_of": AS_OF, "release_id": release, "facility_id": site, "against_release_id": against} | {
        "stands_aside": json.dumps(aside)
    }


def _move(release, site, product_id, drug, before, after):
    return {"as_of": AS_OF, "release_id": release, "facility_id": site, "product_id": product_id, "drug": drug} | {
        "units_per_week_before": before,
        "units_per_week_after": after,
        "packs_per_week": (after - before) / PACKS[product_id],
    }


@pytest.fixture
def releases(database):
    return fill_releases(database)


@pytest.fixture
def pia(app, database):
    """A function: a browser of a pharmacist of these sites."""
    return lambda sites=None, role="pharmacist": signed_in_at(app, database, role, sites)


def post(browser, release, **changes):
    body = {"effective_on": TOMORROW.isoformat(), "facility_id": ["south"], "reason": "P&T meeting"} | changes
    return browser.post(f"{URL}/{release}/activations", json=body, headers={"X-CSRF-Token": browser.csrf_token})


def ledger(database):
    with database.connect() as connection:
        rows = connection.execute(sa.select(table("activations"))).mappings().all()
    return [(row["release_id"], row["facility_id"], row["effective_on"], row["note"]) for row in rows]


def test_releases_come_last_loaded_first_in_pages_with_where_they_are_in_force(releases, database, client, key, clock):
    old, new, empty = releases
    with writing(database) as connection:
        activate(
            connection, [new], facility_ids=["south"], effective_on=TOMORROW, user_id=PIA, decided_at=NOW, note="why"
        )
    clock.now = NOW + dt.timedelta(days=2)
    headers, cursor, seen = key("forecasts:read"), "", []
    while cursor is not None:
        body = client.get(URL, params={"limit": 1} | ({"cursor": cursor} if cursor else {}), headers=headers).json()
        seen += body["items"]
        cursor = body["next_cursor"]
    assert [one["release_id"] for one in seen] == ["guidance:test:1", empty, new, old]
    used = {one["release_id"]: [(site["facility_id"], site["since"]) for site in one["in_force"]] for one in seen}
    assert used[new] == [("south", "2026-11-24")]
    assert used[old] == [("clinic", "1900-01-01"), ("north", "1900-01-01")]
    assert used[empty] == []
    only = client.get(f"{URL}?kind=usual_daily_dose", headers=headers).json()["items"]
    assert [one["release_id"] for one in only] == [empty]
    told = client.get(f"{URL}/{new}", headers=headers).json()
    assert told["replaces"] == [old]
    assert [(one["facility_id"], one["decided_by"], one["note"]) for one in told["activations"]] == [
        ("south", "Vera", "why")
    ]
    bound = client.get(f"{URL}/{new}", headers=key("forecasts:read", sites=["north"])).json()
    assert (bound["in_force"], bound["activations"]) == ([], [])


def test_a_diff_names_new_changed_and_withdrawn_rows_in_pages(releases, client, key):
    old, new, _ = releases
    headers, rows = key("forecasts:read"), clopidogrel()
    whole = client.get(f"{URL}/{new}/diff", headers=headers).json()
    assert (whole["against"], whole["rows_by_change"]) == (old, {"new": 1, "changed": 1, "withdrawn": 1})
    expected = {
        ("new-row", "new", "", "", ""),
        (rows.loc[1, "recommendation_id"], "changed", "strength", rows.loc[1, "strength"], "Optional"),
        (rows["recommendation_id"].iloc[-1], "withdrawn", "", "", ""),
    }
    told = [tuple(one[name] for name in ("row", "change", "field", "before", "after")) for one in whole["items"]]
    assert set(told) == expected
    cursor, paged = "", []
    while cursor is not None:
        query = {"limit": 2, "against": old} | ({"cursor": cursor} if cursor else {})
        body = client.get(f"{URL}/{new}/diff", params=query, headers=headers).json()
        paged += body["items"]
        cursor = body["next_cursor"]
    assert paged == whole["items"]
    backwards = client.get(f"{URL}/{old}/diff", params={"against": new}, headers=headers).json()
    assert backwards["rows_by_change"] == {"new": 1, "changed": 1, "withdrawn": 1}


def test_the_stored_impact_is_told_per_site_and_product_within_the_callers_sites(releases, client, key):
    old, new, _ = releases
    whole = client.get(f"{URL}/{new}/impact", headers=key("forecasts:read")).json()
    packs = {(one["facility_id"], one["product_id"]): one["packs_per_week"] for one in whole["items"]}
    assert packs == {("north", "clopidogrel-75"): 2, ("north", "ticagrelor-90"): -2, ("south", "clopidogrel-75"): 0.5}
    assert whole["as_of"] == AS_OF.isoformat()
    assert whole["units"]["packs_per_week"] == "packs per week"
    assert {one["facility_id"]: (one["against_release_id"], one["stands_aside"]) for one in whole["sites"]} == {
        "clinic": (old, []),
        "north": (old, []),
        "south": (old, [ASIDE]),
    }
    bound = client.get(f"{URL}/{new}/impact", headers=key("forecasts:read", sites=["south"])).json()
    assert {one["facility_id"] for one in [*bound["items"], *bound["sites"]]} == {"south"}
    assert client.get(f"{URL}/{old}/impact", headers=key("forecasts:read")).json()["as_of"] is None


def test_a_person_puts_a_release_in_force_once_named_dated_and_audited(releases, database, pia):
    _, new, _ = releases
    answer = post(pia(), new)
    assert answer.status_code == 200, answer.text
    assert ledger(database) == [(new, "south", TOMORROW, "P&T meeting")]
    with database.connect() as connection:
        event = connection.execute(
            sa.select(table("audit_events")).where(table("audit_events").c.action == "release.activate")
        ).mappings()
        (told,) = event.all()
    assert (told["subject"], told["facility_id"]) == (f"release:{new}", "south")
    assert json.loads(told["after"]) == {"effective_on": "2026-11-24", "note": "P&T meeting"}


def test_the_past_can_be_told_as_long_as_nothing_was_planned_since(releases, database, pia):
    with writing(database) as connection:
        connection.execute(table("runs").update().values(as_of=dt.date(2026, 10, 5)))
    person = pia()
    refused = post(person, releases[1], effective_on="2026-10-05")
    assert refused.status_code == 422
    assert "the earliest day is 2026-10-06" in refused.text
    assert post(person, releases[1], effective_on="2026-10-06").status_code == 200
    assert [row[2] for row in ledger(database)] == [dt.date(2026, 10, 6)]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"effective_on": "2026-11-22"}, 422, "is in the past"),
        ({"effective_on": 20261124}, 422, "2026-11-23"),
        ({"facility_id": ["nowhere"]}, 422, "unknown facility nowhere"),
        ({"reason": ""}, 422, "reason"),
        ({"colour": "red"}, 422, "unknown parameter or field"),
    ],
)
def test_what_breaks_a_rule_puts_nothing_in_force(releases, database, pia, changes, status, said):
    answer = post(pia(), releases[1], **changes)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.text
    assert ledger(database) == []


def test_neither_a_key_nor_a_buyer_nor_another_sites_person_nor_a_form_from_elsewhere_activates(
    releases, database, client, key, pia
):
    _, new, empty = releases
    body = {"effective_on": "2026-12-01", "reason": "P&T meeting"}
    keyed = client.post(f"{URL}/{new}/activations", json=body, headers=key("forecasts:read", "orders:write"))
    assert (keyed.status_code, "never puts a release in force" in keyed.text) == (403, True)
    assert post(pia(role="buyer"), new).status_code == 403
    northern = pia(["north"])
    assert post(northern, new).status_code == 403
    assert post(northern, new, facility_id=[]).status_code == 403
    foreign = pia()
    foreign.csrf_token = "made up"
    assert post(foreign, new).status_code == 403
    person = pia(role="approver")
    assert post(person, "guidance:nobody:1").status_code == 404
    refused = post(person, empty)
    assert (refused.status_code, "has no rows" in refused.text) == (422, True)
    assert ledger(database) == []
    assert post(person, new, facility_id=[]).status_code == 200
    assert [row[1] for row in ledger(database)] == ["*"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("?kind=recipes", "kind"),
        ("?limit=0", "limit"),
        ("/{new}?x=1", "x"),
        ("/{new}/diff?limit=1&limit=2", "limit"),
        ("/{new}/diff?cursor=nonsense", "cursor"),
        ("/{new}/diff?cursor=eyJwbGFjZSI6LTF9", "cursor"),
        ("/{new}/impact?against=x", "against"),
    ],
)
def test_a_parameter_that_is_unknown_or_wrong_is_refused_by_name(releases, client, key, path, field):
    answer = client.get(URL + path.format(new=releases[1]), headers=key("forecasts:read"))
    assert answer.status_code == 422
    assert field in [one["field"] for one in answer.json()["errors"]]


def test_what_cannot_be_compared_is_a_problem(releases, client, key):
    _, new, empty = releases
    headers = key("forecasts:read")
    other_kind = client.get(f"{URL}/{new}/diff", params={"against": empty}, headers=headers)
    assert (other_kind.status_code, "compare releases of one kind" in other_kind.text) == (422, True)
    assert client.get(f"{URL}/{new}/diff", params={"against": "x"}, headers=headers).status_code == 422
    for tail in ("", "/diff", "/impact"):
        assert client.get(f"{URL}/guidance:nobody:1{tail}", headers=headers).status_code == 404


def test_where_sites_differ_the_diff_asks_against_which(releases, database, client, key):
    old, new, _ = releases
    with writing(database) as connection:
        third = content_releases.store_release(connection, "guidance", "curated", "2027", clopidogrel().iloc[:3])
        activate(connection, [new], facility_ids=["north"], effective_on=AS_OF, user_id=PIA, decided_at=NOW)
    answer = client.get(f"{URL}/{third}/diff", headers=key("forecasts:read"))
    assert answer.status_code == 422
    assert all(name in answer.json()["errors"][0]["reason"] for name in (old, new))


def test_an_unchanged_answer_is_not_sent_again(releases, client, key):
    headers = key("forecasts:read")
    for tail in ("", f"/{releases[1]}", f"/{releases[1]}/diff", f"/{releases[1]}/impact"):
        first = client.get(URL + tail, headers=headers)
        again = client.get(URL + tail, headers=headers | {"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_activation_works_the_same_on_both_kinds_of_database(each_database, clock):
    from api.app import create_app

    releases = fill_releases(each_database)
    app = create_app(each_database, clock=clock)
    browser = signed_in_at(app, each_database, "pharmacist", None)
    assert post(browser, releases[1], effective_on=AS_OF.isoformat()).status_code == 200
    listed = browser.get(URL).json()["items"]
    assert {one["release_id"]: len(one["in_force"]) for one in listed}[releases[1]] == 1
    assert browser.get(f"{URL}/{releases[1]}/impact").json()["items"]
