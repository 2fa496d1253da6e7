"""Keys are managed by signed-in administrators of every site: shown once, audited, ended at once."""

import datetime as dt

import pytest

from tests.api.conftest import NOW, signed_in_at

LIST = "/v1/recommendations"
WANTED = {"name": "stores", "scopes": ["recommendations:read", "stock:read"], "facility_ids": ["north"], "days": 30}


@pytest.fixture
def admin(app, database):
    return signed_in_at(app, database, "admin", None)


def change(browser, verb, path, body=None):
    headers = {"X-CSRF-Token": browser.csrf_token}
    return browser.request(verb, path, headers=headers, **({} if body is None else {"json": body}))


def bearer(answer):
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def test_a_key_is_made_shown_once_listed_without_its_secret_and_audited(client, admin):
    made = change(admin, "POST", "/v1/keys", WANTED)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    body = made.json()
    assert body["expires_at"] == f"{(NOW + dt.timedelta(days=30)).isoformat()}Z"
    read = client.get(f"{LIST}?status=proposed", headers=bearer(made))
    assert {one["facility_id"] for one in read.json()["items"]} == {"north"}
    listed = admin.get("/v1/keys")
    assert [one["scopes"] for one in listed.json()["items"]] == [["recommendations:read", "stock:read"]]
    secret = body["key"].split("_", 2)[2]
    assert secret not in listed.text
    events = admin.get("/v1/audit-events?limit=500")
    assert secret not in events.text
    told = [one for one in events.json()["items"] if one["action"] == "key.add"]
    assert [(one["subject"], one["actor"].split(":")[0]) for one in told] == [(f"key:{body['key_id']}", "user")]


def test_rotation_gives_a_new_secret_and_lets_the_old_one_end(client, admin, clock):
    made = change(admin, "POST", "/v1/keys", WANTED)
    path = f"/v1/keys/{made.json()['key_id']}"
    new = change(admin, "POST", f"{path}/rotation", {"hours": 1})
    assert [client.get(LIST, headers=bearer(one)).status_code for one in (made, new)] == [200, 200]
    clock.now = NOW + dt.timedelta(hours=1)
    assert [client.get(LIST, headers=bearer(one)).status_code for one in (made, new)] == [401, 200]


def test_a_revoked_key_ends_at_once_and_for_good(client, admin):
    made = change(admin, "POST", "/v1/keys", WANTED)
    path = f"/v1/keys/{made.json()['key_id']}"
    ended = change(admin, "DELETE", path)
    assert ended.json()["revoked_at"] is not None
    assert client.get(LIST, headers=bearer(made)).status_code == 401
    assert change(admin, "DELETE", path).status_code == 422
    assert change(admin, "POST", f"{path}/rotation", {}).status_code == 422
    assert change(admin, "DELETE", "/v1/keys/000000000000").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"days": 0}, "days"),
        ({"days": True}, "days"),
        ({"name": ""}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_told_by_field(admin, wrong, field):
    answer = change(admin, "POST", "/v1/keys", WANTED | wrong)
    assert answer.status_code == 422
    assert field in [one["field"] for one in answer.json()["errors"]]


def test_an_unknown_site_or_a_missing_token_makes_no_key(admin):
    unknown = change(admin, "POST", "/v1/keys", WANTED | {"facility_ids": ["moon"]})
    assert (unknown.status_code, "moon" in unknown.json()["detail"]) == (422, True)
    assert admin.post("/v1/keys", json=WANTED).status_code == 403
    assert admin.get("/v1/keys").json()["items"] == []


def test_an_administrator_of_one_site_and_a_key_manage_none(app, database, client, key):
    bound = signed_in_at(app, database, "admin", ["north"])
    assert change(bound, "POST", "/v1/keys", WANTED).status_code == 403
    assert client.get("/v1/keys", headers=key("audit:read")).status_code == 403
