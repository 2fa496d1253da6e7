"""Who gets in, where to, and what keeps others out."""

import datetime as dt
import json

import argon2
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.access.accounts import NewUser, create_user
from api.access.keys import revoke_api_key, rotate_api_key
from api.pages.page_session import local_path
from api.principal import Principal
from api.releases.activation import activate_releases
from forecasting.errors import InvalidInput
from warehouse.engine import writing
from warehouse.queries.lines import table
from warehouse.schema.ledger import ApiKey, SignInSession, User

PASSWORD = "correct horse battery"
READS = {
    "/v1/recommendations": "recommendations:read",
    "/v1/recommendations/rec-02": "recommendations:read",
    "/v1/forecasts": "forecasts:read",
    "/v1/prevalence": "forecasts:read",
    "/v1/facilities": "forecasts:read",
    "/v1/products": "stock:write",
}
PAGES = ("/", "/recommendations/rec-02", "/problems")


@pytest.mark.parametrize("path", [*READS, "/v1/session"])
def test_the_api_tells_nothing_to_someone_unknown(client, path):
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", PAGES)
def test_pages_send_someone_unknown_to_sign_in(client, path):
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2F")


@pytest.mark.parametrize(("path", "scope"), READS.items())
def test_a_key_reads_what_its_scope_names_and_nothing_else(client, key, path, scope):
    assert client.get(path, headers=key(scope)).status_code == 200
    others = {"recommendations:read", "forecasts:read", "stock:write"} - {scope}
    if path not in ("/v1/facilities", "/v1/products"):
        assert {client.get(path, headers=key(other)).status_code for other in others} == {403}


@pytest.mark.parametrize("path", [*READS, *PAGES])
@pytest.mark.parametrize("name", ["vera", "ben"])
def test_every_role_reads(signed_in, path, name):
    assert signed_in(name).get(path).status_code == 200


def test_only_pages_take_a_session_and_never_a_key(client, key):
    assert client.get("/", headers=key("recommendations:read")).status_code == 303


def test_a_line_of_another_site_is_not_found(client, key, signed_in):
    north = key("recommendations:read", sites=["north"])
    assert client.get("/v1/recommendations/rec-02", headers=north).status_code == 200
    assert client.get("/v1/recommendations/rec-05", headers=north).status_code == 404
    nora = signed_in("nora")
    assert nora.get("/recommendations/rec-02").status_code == 200
    assert nora.get("/recommendations/rec-05").status_code == 404
    assert "South Infirmary" not in nora.get("/").text
    assert "South Infirmary" not in nora.get("/problems").text
    assert "products.csv" not in nora.get("/problems").text


@pytest.mark.parametrize("path", ["/v1/recommendations?status=proposed&limit=500", "/v1/forecasts", "/v1/prevalence"])
def test_lists_hold_only_the_sites_of_who_asks(client, key, path):
    scopes = ("recommendations:read", "forecasts:read")
    sites = {item["facility_id"] for item in client.get(path, headers=key(*scopes, sites=["south"])).json()["items"]}
    assert sites == {"south"}
    asked = client.get(f"{path}{'&' if '?' in path else '?'}facility_id=north", headers=key(*scopes, sites=["south"]))
    assert asked.json()["items"] == []


@pytest.mark.parametrize(
    "forged",
    ["", "Bearer", "Bearer pgx_", "Basic Zm9vOmJhcg==", "Bearer pgx_0123456789ab_" + "A" * 43, "Bearer ' OR '1'='1"],
)
def test_a_forged_key_is_refused(client, forged):
    assert client.get("/v1/products", headers={"Authorization": forged}).status_code == 401


def test_a_key_ends_when_it_expires_or_is_revoked(client, key, clock, database):
    expiring = key("forecasts:read", expires_at=clock.now + dt.timedelta(hours=1))
    assert client.get("/v1/forecasts", headers=expiring).status_code == 200
    clock.now += dt.timedelta(hours=1)
    assert client.get("/v1/forecasts", headers=expiring).status_code == 401
    lasting = key("forecasts:read")
    key_id = lasting["Authorization"].split("_")[1]
    with writing(database) as connection:
        revoke_api_key(connection, key_id, now=clock.now)
    assert client.get("/v1/forecasts", headers=lasting).status_code == 401
    with writing(database) as connection, pytest.raises(InvalidInput, match="no live key"):
        revoke_api_key(connection, key_id, now=clock.now)


def test_a_wrong_secret_of_a_real_key_is_refused(client, key):
    text = key("forecasts:read")["Authorization"]
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert client.get("/v1/forecasts", headers={"Authorization": wrong}).status_code == 401


def test_secrets_are_kept_as_digests_only(key, database, signed_in):
    text = key("forecasts:read")["Authorization"].split()[1]
    browser = signed_in("ben")
    with database.begin() as connection:
        kept = connection.execute(sa.select(ApiKey.__table__)).mappings().all()
        sessions = connection.execute(sa.select(SignInSession.token_sha256)).scalars().all()
        hashes = connection.execute(sa.select(User.password_hash)).scalars().all()
    assert text.split("_", 2)[2] not in str(kept)
    assert browser.cookies["pgx_session"] not in sessions
    assert all(one.startswith("$argon2id$") for one in hashes)


def test_the_hash_that_is_shipped_meets_rfc_9106s_second_choice():
    shipped = argon2.PasswordHasher()
    assert (shipped.memory_cost, shipped.time_cost, shipped.type) == (65536, 3, argon2.Type.ID)


def _try(client, hidden, name, password):
    token = hidden(client.get("/sign-in").text)
    return client.post("/sign-in", data={"name": name, "password": password, "csrf_token": token})


def test_five_failures_close_the_door_for_fifteen_minutes(client, hidden, clock):
    assert [_try(client, hidden, "ben", "wrong").status_code for _ in range(5)] == [401] * 5
    assert _try(client, hidden, "ben", PASSWORD).status_code == 401
    clock.now += dt.timedelta(minutes=14, seconds=59)
    assert _try(client, hidden, "ben", PASSWORD).status_code == 401
    clock.now += dt.timedelta(seconds=1)
    assert _try(client, hidden, "ben", PASSWORD).status_code == 303


def test_a_success_forgets_earlier_failures(client, hidden):
    for _ in range(2):
        assert [_try(client, hidden, "ben", "wrong").status_code for _ in range(4)] == [401] * 4
        assert _try(client, hidden, "ben", PASSWORD).status_code == 303


def test_the_answer_does_not_tell_whether_a_person_exists(client, hidden):
    known, unknown = _try(client, hidden, "ben", "wrong"), _try(client, hidden, "zoe", "wrong")
    assert known.status_code == unknown.status_code == 401
    assert known.text.replace("ben", "") == unknown.text.replace("zoe", "")


def test_a_session_ends_after_twelve_hours(signed_in, clock):
    browser = signed_in("ben")
    clock.now += dt.timedelta(hours=11, minutes=59)
    assert browser.get("/v1/session").status_code == 200
    clock.now += dt.timedelta(minutes=1)
    assert browser.get("/v1/session").status_code == 401


def test_signing_out_ends_the_session_for_good(signed_in, client):
    browser = signed_in("ben")
    stolen = browser.cookies["pgx_session"]
    assert browser.post("/sign-out", data={"csrf_token": "wrong"}).status_code == 403
    assert browser.post("/sign-out", data={"csrf_token": browser.csrf_token}).status_code == 303
    client.cookies.set("pgx_session", stolen)
    assert client.get("/v1/session").status_code == 401


def test_a_person_who_was_deactivated_is_out_at_once(signed_in, database):
    browser = signed_in("ben")
    with writing(database) as connection:
        connection.execute(sa.update(User).where(User.name == "ben").values(active=False))
    assert browser.get("/v1/session").status_code == 401


def test_a_forged_session_is_refused(client):
    client.cookies.set("pgx_session", "A" * 43)
    assert client.get("/v1/session").status_code == 401


def test_the_sign_in_form_of_another_browser_is_refused(client):
    assert client.post("/sign-in", data={"name": "ben", "password": PASSWORD, "csrf_token": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("base", "secure"), [("http://localhost", False), ("http://pharmacy.example", True), ("https://localhost", True)]
)
def test_cookies_are_secure_except_in_plain_http_on_this_machine(app, base, secure):
    cookie = TestClient(app, base_url=base).get("/sign-in").headers["set-cookie"]
    assert ("Secure" in cookie) is secure
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()


@pytest.mark.parametrize("away", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_away_from_this_server(away):
    assert local_path(away) == "/"


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"role": "root"}, "role"),
        ({"password": "short"}, "12 to 200"),
        ({"name": "a b"}, "letters"),
        ({"name": "ben"}, "already"),
        ({"facility_ids": ["nowhere"]}, "nowhere"),
        ({"facility_ids": []}, "none"),
    ],
)
def test_a_user_that_breaks_a_rule_is_not_made(database, clock, broken, rule):
    good = {"name": "new", "display_name": "", "role": "buyer", "password": PASSWORD, "facility_ids": None}
    with writing(database) as connection, pytest.raises(InvalidInput, match=rule):
        create_user(connection, NewUser(**(good | broken)), now=clock.now)


def test_there_is_no_user_until_one_is_made(engine):
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(User)).scalar_one() == 0


def test_a_rotated_key_counts_at_once_and_the_old_secret_until_the_stated_time(client, key, clock, database):
    old = key("forecasts:read", sites=["north"])
    key_id = old["Authorization"].split("_")[1]
    until = clock.now + dt.timedelta(hours=2)
    with writing(database) as connection:
        new = {"Authorization": f"Bearer {rotate_api_key(connection, key_id, old_until=until, now=clock.now)}"}
    assert {client.get("/v1/forecasts", headers=one).status_code for one in (old, new)} == {200}
    newest = client.get("/v1/forecasts", headers=new).json()
    assert {item["facility_id"] for item in newest["items"]} == {"north"}
    clock.now = until
    assert client.get("/v1/forecasts", headers=old).status_code == 401
    assert client.get("/v1/forecasts", headers=new).status_code == 200


def test_a_second_rotation_ends_the_first_secret_at_once(client, key, clock, database):
    old = key("forecasts:read")
    key_id = old["Authorization"].split("_")[1]
    until = clock.now + dt.timedelta(hours=2)
    with writing(database) as connection:
        for _ in range(2):
            rotate_api_key(connection, key_id, old_until=until, now=clock.now)
    assert client.get("/v1/forecasts", headers=old).status_code == 401


def test_a_key_that_ended_is_not_rotated_back_to_life(key, clock, database):
    revoked, expired = key("forecasts:read"), key("forecasts:read", expires_at=clock.now + dt.timedelta(hours=1))
    with writing(database) as connection:
        revoke_api_key(connection, revoked["Authorization"].split("_")[1], now=clock.now)
    clock.now += dt.timedelta(hours=1)
    for one in (revoked, expired):
        with writing(database) as connection, pytest.raises(InvalidInput, match="no live key"):
            rotate_api_key(connection, one["Authorization"].split("_")[1], old_until=clock.now, now=clock.now)


def test_sign_ins_and_failures_are_in_the_audit_trail_without_what_was_typed(client, hidden, database):
    for _ in range(5):
        _try(client, hidden, "ada", "the wrong one")
    _try(client, hidden, "ben", PASSWORD)
    _try(client, hidden, "nobody-here", "the wrong one")
    audited = table("audit_events")
    with database.begin() as connection:
        rows = connection.execute(sa.select(audited).where(audited.c.action.like("user.sign_in%"))).mappings().all()
    assert [(row["action"], row["subject"], row["actor"]) for row in rows] == [
        *[("user.sign_in_failed", "user:3", "nobody")] * 5,
        ("user.sign_in", "user:2", "user:2"),
    ]
    assert "locked_until" in rows[4]["after"]
    assert "2026-11-23 09:15" in rows[4]["after"]
    assert all(row["request_id"] for row in rows)
    assert "wrong" not in str(rows)
    assert PASSWORD not in str(rows)


def test_an_activation_is_in_the_audit_trail_with_its_sites(database, clock):
    person = Principal("Paula", None, role="pharmacist", user_id=3)
    day = clock.now.date()
    with writing(database) as connection:
        for sites in (["north"], []):
            activate_releases(
                connection,
                person,
                ["guidance:test:1"],
                facility_ids=sites,
                effective_on=day,
                note="agreed",
                now=clock.now,
            )
    audited = table("audit_events")
    with database.begin() as connection:
        query = sa.select(audited).where(audited.c.action == "release.activate").order_by(audited.c.sequence)
        rows = connection.execute(query).mappings().all()
    assert [(row["actor"], row["subject"], row["facility_id"]) for row in rows] == [
        ("user:3", "release:guidance:test:1", site) for site in ("north", None)
    ]
    assert json.loads(rows[0]["after"]) == {"effective_on": "2026-11-23", "note": "agreed"}
