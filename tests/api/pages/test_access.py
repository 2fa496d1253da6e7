"""Users and keys: kept by administrators of every site alone, audited, secrets shown once, nobody their own."""

import datetime as dt
import json
import re

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from tests.api.conftest import NOW, PASSWORD, hidden_token, signed_in_at
from warehouse.audit import verify
from warehouse.queries.lines import table


@pytest.fixture
def root(signed_in):
    return signed_in("root")


def user_id(database, name):
    with database.connect() as connection:
        return connection.scalar(sa.select(table("users").c.user_id).where(table("users").c.name == name))


def events(database, action):
    with database.connect() as connection:
        verify(connection)
        query = sa.select(table("audit_events")).where(table("audit_events").c.action == action)
        return connection.execute(query).mappings().all()


def act(browser, database, name, what, **more):
    form = {"csrf_token": browser.csrf_token, "act": what} | more
    return browser.post(f"/access/people/{user_id(database, name)}", data=form)


def may_sign_in(app, name, password=PASSWORD):
    browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
    form = {"name": name, "password": password, "csrf_token": hidden_token(browser.get("/sign-in").text)}
    return browser.post("/sign-in", data=form).status_code == 303


def secret_of(html):
    return re.search(r'<code class="id">([^<]+)</code>', html)[1]


def test_a_person_is_added_with_a_password_shown_once(root, app, database):
    form = {
        "csrf_token": root.csrf_token,
        "name": "zoe",
        "display_name": "Zoe",
        "role": "buyer",
        "facility_id": ["north"],
    }
    answer = root.post("/access/people", data=form)
    assert answer.status_code == 200
    password = secret_of(answer.text)
    assert password not in root.get("/access").text
    assert may_sign_in(app, "zoe", password)
    (event,) = [one for one in events(database, "user.add") if json.loads(one["after"])["name"] == "zoe"]
    assert event["actor_name"] == "Root"
    assert json.loads(event["after"]) == {
        "name": "zoe",
        "display_name": "Zoe",
        "role": "buyer",
        "facility_ids": "north",
    }
    assert password not in str(event)
    html = root.get("/access").text
    row = html[html.index("Zoe") :]
    assert "23 Nov 2026, 09:00 UTC" in row[: row.index("</tr>")]  # the last sign-in


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "ben"}, "there is a user"),
        ({"name": "a b"}, "1 to 80 letters"),
        ({"facility_id": []}, "choose sites, or every site"),
        ({"everywhere": "1"}, "choose sites, or every site"),
        ({"facility_id": ["moon"]}, "must be sites of this database"),
    ],
)
def test_a_broken_rule_is_told_and_nothing_is_written(root, database, change, said):
    before = len(events(database, "user.add"))
    form = {"csrf_token": root.csrf_token, "name": "zoe", "role": "buyer", "facility_id": ["north"]} | change
    answer = root.post("/access/people", data=form)
    assert answer.status_code == 422
    assert said in answer.text
    assert len(events(database, "user.add")) == before


def test_an_account_is_changed_closed_opened_and_reset(root, signed_in, app, database):
    ben = signed_in("ben")
    assert act(root, database, "ben", "change", role="viewer", facility_id=["south"]).status_code == 200
    assert ben.get("/v1/session").json()["role"] == "viewer"
    assert ben.get("/v1/session").json()["facility_ids"] == ["south"]
    (changed,) = events(database, "user.change")
    assert json.loads(changed["before"]) == {"role": "buyer", "facility_ids": None}
    assert json.loads(changed["after"]) == {"role": "viewer", "facility_ids": "south"}
    assert "every session is ended" in act(root, database, "ben", "deactivate").text
    assert ben.get("/v1/session").status_code == 401
    assert not may_sign_in(app, "ben")
    act(root, database, "ben", "activate")
    assert may_sign_in(app, "ben")
    again = signed_in("ben")
    password = secret_of(act(root, database, "ben", "reset").text)
    assert again.get("/v1/session").status_code == 401
    assert not may_sign_in(app, "ben")
    assert may_sign_in(app, "ben", password)
    assert [len(events(database, f"user.{one}")) for one in ("deactivate", "activate", "reset_password")] == [1, 1, 1]


def test_a_lock_is_shown_and_lifted(root, app, database):
    for _ in range(5):
        assert not may_sign_in(app, "ben", "wrong password here")
    assert not may_sign_in(app, "ben")
    assert "locked until" in root.get("/access").text
    assert "The account is unlocked" in act(root, database, "ben", "unlock").text
    assert may_sign_in(app, "ben")


def test_nobody_keeps_their_own_account(root, database):
    number = user_id(database, "root")
    assert "kept by another administrator" in root.get(f"/access/people/{number}").text
    for what in ("change", "deactivate", "unlock", "reset"):
        answer = act(root, database, "root", what, role="viewer", everywhere="1")
        assert answer.status_code == 422
        assert "kept by another administrator" in answer.text
    assert root.get("/v1/session").json()["role"] == "admin"


def test_who_signs_in_elsewhere_is_closed_here_and_not_changed(root, database):
    with database.begin() as connection:
        users = table("users")
        connection.execute(users.update().where(users.c.name == "vera").values(subject="https://idp|vera"))
    assert "identity provider" in act(root, database, "vera", "change", role="admin", everywhere="1").text
    assert "has no password here" in act(root, database, "vera", "reset").text
    assert act(root, database, "vera", "deactivate").status_code == 200


def test_a_key_is_made_rotated_and_ended(root, client, database, clock):
    form = {
        "csrf_token": root.csrf_token,
        "name": "stores",
        "scope": ["forecasts:read"],
        "everywhere": "1",
        "days": "30",
    }
    secret = secret_of(root.post("/access/keys", data=form).text)
    assert secret not in root.get("/access").text
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/v1/forecasts", headers=headers).status_code == 200
    key_id = secret.split("_")[1]
    newer = secret_of(root.post(f"/access/keys/{key_id}", data={"csrf_token": root.csrf_token, "act": "rotate"}).text)
    both = [client.get("/v1/forecasts", headers={"Authorization": f"Bearer {one}"}) for one in (secret, newer)]
    assert [one.status_code for one in both] == [200, 200]
    clock.now = NOW + dt.timedelta(hours=11)
    assert "secret before: until 24 Nov 2026, 09:00 UTC" in root.get("/access").text
    root.post(f"/access/keys/{key_id}", data={"csrf_token": root.csrf_token, "act": "revoke"})
    assert client.get("/v1/forecasts", headers={"Authorization": f"Bearer {newer}"}).status_code == 401
    assert [len(events(database, f"key.{one}")) for one in ("add", "rotate", "revoke")] == [1, 1, 1]
    again = root.post(f"/access/keys/{key_id}", data={"csrf_token": root.csrf_token, "act": "revoke"})
    assert (again.status_code, "there is no live key" in again.text) == (422, True)
    none = root.post("/access/keys", data=form | {"scope": []})
    assert (none.status_code, "must be among" in none.text) == (422, True)


def test_only_an_administrator_of_every_site(root, app, database, signed_in, client):
    number = user_id(database, "ben")
    others = [signed_in("vera"), signed_in("ben"), signed_in("ada"), signed_in_at(app, database, "pharmacist", None)]
    others.append(signed_in_at(app, database, "admin", ["north"]))
    posts = {
        "/access/people": {"name": "eve", "role": "admin", "everywhere": "1"},
        f"/access/people/{number}": {"act": "change", "role": "admin", "everywhere": "1"},
        "/access/keys": {"name": "x", "scope": ["stock:write"], "everywhere": "1"},
        "/access/keys/0123456789ab": {"act": "revoke"},
    }
    for browser in others:
        assert browser.get("/access").status_code == 403
        assert browser.get(f"/access/people/{number}").status_code == 403
        for path, form in posts.items():
            answer = browser.post(path, data=form | {"csrf_token": browser.csrf_token})
            assert answer.status_code == 403, path
    for path, form in posts.items():
        assert root.post(path, data=form | {"csrf_token": "made up"}).status_code == 403
        assert client.post(path, data=form | {"csrf_token": "x"}).status_code == 303
    assert 'href="/access"' not in signed_in("ben").get("/").text
    assert 'href="/access"' in root.get("/").text
    assert user_id(database, "eve") is None
    for number in (10**6, 2**40):
        assert root.get(f"/access/people/{number}").status_code == 404


def test_no_secret_is_ever_on_the_pages(root, database):
    with database.connect() as connection:
        hashes = connection.scalars(sa.select(table("users").c.password_hash)).all()
    for path in ("/access", f"/access/people/{user_id(database, 'ben')}"):
        html = root.get(path).text
        assert "argon2" not in html
        assert not [one for one in hashes if one in html]
