"""The pages about releases: what is active where, what one would move, and the form that puts one in force."""

import datetime as dt

import pytest
import sqlalchemy as sa

from tests.api.conftest import AS_OF, signed_in_at
from tests.api.releases.test_releases import ASIDE, fill_releases
from warehouse.queries.lines import table

TOMORROW = "2026-11-24"


@pytest.fixture
def releases(database):
    return fill_releases(database)


@pytest.fixture
def pharmacist(app, database):
    return lambda sites=None: signed_in_at(app, database, "pharmacist", sites)


def send(browser, release, **form):
    values = {"effective_on": TOMORROW, "reason": "P&T meeting", "csrf_token": browser.csrf_token} | form
    return browser.post(f"/releases/{release}/activations", data=values)


def in_force(database):
    with database.connect() as connection:
        return [(row.facility_id, row.effective_on) for row in connection.execute(sa.select(table("activations")))]


def test_the_list_says_what_is_in_force_where_and_since_when(releases, pharmacist):
    old, new, empty = releases
    browser = pharmacist()
    html = browser.get("/releases").text
    assert all(one in html for one in releases)
    assert 'every site</span> <span class="quiet">since ever' in html
    assert "Nobody has put a release in force" in html
    assert send(browser, new, facility_id=["south"], effective_on=AS_OF.isoformat()).status_code == 303
    html = browser.get("/releases").text
    assert 'South Infirmary</span> <span class="quiet">since 23 Nov 2026' in html
    assert "P&amp;T meeting" in html
    assert pharmacist(["north"]).get("/releases").text.count("South Infirmary") == 0


def test_a_release_shows_what_it_moves_by_drug_and_site_and_what_differs(releases, pharmacist):
    old, new, _ = releases
    html = pharmacist().get(f"/releases/{new}").text
    assert "1 new, 1 changed, 1 withdrawn" in html
    assert "+2.5" in html  # clopidogrel over both sites: 2 and 0.5 packs
    assert ASIDE in html
    assert "North General Hospital" in html
    assert html.count('class="bar"') == 2
    northern = pharmacist(["north"]).get(f"/releases/{new}").text
    assert "South Infirmary" not in northern
    assert ASIDE not in northern
    assert "No run has looked" in pharmacist(["clinic"]).get(f"/releases/{old}").text


def test_the_form_puts_it_in_force_from_the_day_at_the_sites_chosen(releases, database, pharmacist):
    browser = pharmacist()
    answer = send(browser, releases[1], facility_id=["north", "south"])
    assert answer.status_code == 303
    day = dt.date.fromisoformat(TOMORROW)
    assert in_force(database) == [("north", day), ("south", day)]
    assert "Put in force from 2026-11-24" in browser.get(answer.headers["location"]).text
    assert send(browser, releases[1], everywhere="1").status_code == 303
    assert in_force(database)[-1] == ("*", day)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"effective_on": ""}, "effective_on: name the first day"),
        ({"effective_on": "2026-11-22", "everywhere": "1"}, "is in the past"),
        ({"reason": " ", "everywhere": "1"}, "say why"),
        ({}, "choose sites, or every site"),
        ({"everywhere": "1", "facility_id": ["north"]}, "choose sites, or every site"),
    ],
)
def test_a_broken_rule_keeps_what_was_filled_in(releases, database, pharmacist, form, said):
    answer = send(pharmacist(), releases[1], **form)
    assert answer.status_code == 422
    assert said in answer.text
    if "reason" not in form:
        assert 'value="P&amp;T meeting"' in answer.text
    assert in_force(database) == []


def test_who_may_not_activate_sees_no_form_and_is_refused(releases, database, signed_in, pharmacist):
    ben = signed_in("ben")
    assert "Put it in force" not in ben.get(f"/releases/{releases[1]}").text
    assert send(ben, releases[1], everywhere="1").status_code == 403
    forged = pharmacist()
    assert send(forged, releases[1], everywhere="1", csrf_token="made up").status_code == 403
    assert send(pharmacist(["north"]), releases[1], facility_id=["south"]).status_code == 403
    assert in_force(database) == []
    missing = forged.get("/releases/guidance:nobody:1", headers={"Accept": "text/html"})
    assert missing.status_code == 404


def test_no_page_about_releases_has_script_or_inline_style(releases, pharmacist):
    browser = pharmacist()
    for path in ("/releases", f"/releases/{releases[1]}"):
        html = browser.get(path).text
        assert "<script" not in html
        assert "style=" not in html
