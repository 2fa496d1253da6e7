"""Signing in through a real OpenID Connect provider: who is let in, as what, and what a forged answer gets."""

import dataclasses
import json

import httpx2
import pytest
import sqlalchemy as sa
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import IdentityProvider as Settings
from api.settings import ServerSettings
from forecasting.errors import InvalidInput
from tests.api.access.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider
from warehouse.engine import writing
from warehouse.queries.lines import table

ROLES = {"pgx-pharmacists": "pharmacist", "pgx-viewers": "viewer", "pgx-admins": "admin"}
HERE = "http://localhost"


@pytest.fixture(scope="module")
def running():
    with IdentityProvider().running() as provider:
        yield provider


@pytest.fixture
def provider(running):
    """The provider with nothing bent."""
    running.signing_key, running.bend = running.key, lambda claims: claims
    running.person = {"sub": "4711", "name": "Paula Pharmacist", "roles": ["pgx-pharmacists"], "sites": ["north"]}
    return running


@pytest.fixture
def browser(database, clock, provider):
    """A browser before an app that knows the provider."""
    settings = Settings(provider.issuer, CLIENT_ID, CLIENT_SECRET, HERE, ROLES, facility_claim="sites")
    app = create_app(database, clock=clock, server=ServerSettings(identity_provider=settings))
    return TestClient(app, base_url=HERE, follow_redirects=False)


def go(browser, path="/sign-in/provider?next=%2Fproblems"):
    """The answer to the browser that comes back from the provider."""
    started = browser.get(path)
    assert started.status_code == 303
    sent_back = httpx2.get(started.headers["location"])
    return browser.get(sent_back.headers["location"].removeprefix(HERE))


def events(engine):
    audit = table("audit_events")
    with engine.begin() as connection:
        return [
            (row.action, json.loads(row.after)) for row in connection.execute(sa.select(audit).order_by("sequence"))
        ]


def test_a_person_signs_in_with_the_providers_name_role_and_sites(browser, database):
    assert "/sign-in/provider" in browser.get("/sign-in").text
    back = go(browser)
    assert (back.status_code, back.headers["location"]) == (303, "/problems")
    session = browser.get("/v1/session").json()
    assert {name: session[name] for name in ("name", "role", "facility_ids")} == {
        "name": "Paula Pharmacist", "role": "pharmacist", "facility_ids": ["north"]
    }  # fmt: skip
    headers = {"X-CSRF-Token": session["csrf_token"]}
    decide = "/v1/recommendations/{}/decision"
    approve = {"kind": "approve", "version": 1}
    assert browser.post(decide.format("rec-05"), json=approve, headers=headers).status_code == 404
    assert browser.post(decide.format("rec-02"), json=approve, headers=headers).status_code == 200
    told = [event for event in events(database) if event[0].startswith("user.")][-2:]
    assert [action for action, _ in told] == ["user.add", "user.sign_in"]
    assert told[1][1] == {"by": "identity provider"}


def test_role_and_sites_are_the_providers_at_every_sign_in(browser, provider, database):
    go(browser)
    provider.person |= {"roles": ["pgx-viewers", "unknown"], "sites": ["*"], "name": "Paula Viewer"}
    go(browser)
    session = browser.get("/v1/session").json()
    assert (session["name"], session["role"], session["facility_ids"]) == ("Paula Viewer", "viewer", None)
    users = table("users")
    with database.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(users.c.subject.is_not(None))) == 1
    assert ("user.change", {"role": "viewer", "facility_ids": None, "display_name": "Paula Viewer"}) in events(database)


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"roles": []}, "no role"),
        ({"roles": ["pgx-unknown"]}, "no role"),
        ({"roles": None}, "no role"),
        ({"sites": []}, "no site"),
        ({"sites": ["nowhere"]}, "no site"),
    ],
)
def test_who_has_no_role_or_site_here_is_not_let_in(browser, provider, claims, told):
    provider.person |= claims
    back = go(browser)
    assert back.status_code == 401
    assert told in back.text
    assert browser.get("/v1/session").status_code == 401


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"nonce": "another"},
        {"exp": 1},
        {"iat": 4102444800},
        {"azp": "another-client", "aud": [CLIENT_ID, "another-client"]},
    ],
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(browser, provider, forged):
    provider.bend = lambda claims: claims | forged
    back = go(browser)
    assert back.status_code == 401
    assert "cannot be trusted" in back.text


def test_a_token_that_another_key_signed_is_refused(browser, provider):
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "one"})
    assert go(browser).status_code == 401


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(browser):
    other = TestClient(browser.app, base_url=HERE, follow_redirects=False)
    theirs = httpx2.get(other.get("/sign-in/provider").headers["location"]).headers["location"].removeprefix(HERE)
    assert browser.get(theirs).status_code == 401
    browser.get("/sign-in/provider")
    assert browser.get(theirs).status_code == 401
    assert browser.get("/sign-in/provider/back?code=x&state=").status_code == 401
    assert other.get(theirs).status_code == 303
    assert other.get(theirs).status_code == 401  # a code counts once, and its cookie is gone


def test_a_refusal_of_the_provider_is_told_as_text(browser):
    started = browser.get("/sign-in/provider")
    state = httpx2.QueryParams(httpx2.URL(started.headers["location"]).query)["state"]
    back = browser.get(f"/sign-in/provider/back?state={state}&error=<script>alert(1)</script>")
    assert back.status_code == 401
    assert "<script>alert" not in back.text


def test_where_to_go_on_stays_on_this_server(browser):
    assert go(browser, "/sign-in/provider?next=%2F%2Fevil.example").headers["location"] == "/"


def test_an_account_that_was_closed_here_stays_closed(browser, database):
    go(browser)
    with writing(database) as connection:
        connection.execute(table("users").update().where(table("users").c.subject.is_not(None)).values(active=False))
    assert go(browser).status_code == 401


def test_without_a_provider_there_is_no_such_door(client):
    assert "/sign-in/provider" not in client.get("/sign-in").text
    assert client.get("/sign-in/provider").status_code == 404
    assert client.get("/sign-in/provider/back").status_code == 404


def test_a_provider_that_is_away_or_calls_itself_otherwise_lets_nobody_in(database, clock, provider):
    settings = Settings(provider.issuer + "/", CLIENT_ID, CLIENT_SECRET, HERE, ROLES)
    away = dataclasses.replace(settings, issuer="http://127.0.0.1:9")
    for broken in (settings, away):
        app = create_app(database, clock=clock, server=ServerSettings(identity_provider=broken))
        browser = TestClient(app, base_url=HERE, follow_redirects=False)
        assert browser.get("/sign-in/provider").status_code == 401


OIDC = {
    "PGX_SUPPLY_OIDC_ISSUER": "https://id.example",
    "PGX_SUPPLY_OIDC_CLIENT_ID": "pgx",
    "PGX_SUPPLY_OIDC_CLIENT_SECRET": "swordfish",
    "PGX_SUPPLY_OIDC_ROLES": "leads=approver, cn=admins,dc=x=admin",
    "PGX_SUPPLY_PUBLIC_URL": "https://pgx.example/",
}


def test_the_provider_comes_from_the_environment_and_its_secret_is_never_shown():
    found = ServerSettings.from_environment(OIDC | {"PGX_SUPPLY_OIDC_ROLES": "leads=approver,cn:admins=admin"})
    assert found.identity_provider.roles == {"leads": "approver", "cn:admins": "admin"}
    assert found.identity_provider.public_url == "https://pgx.example"
    assert "swordfish" not in f"{found} {found.redacted()}"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"PGX_SUPPLY_OIDC_ISSUER": "http://id.example"}, "https"),
        ({"PGX_SUPPLY_PUBLIC_URL": "http://pgx.example"}, "https"),
        ({"PGX_SUPPLY_PUBLIC_URL": ""}, "PUBLIC_URL must be too"),
        ({"PGX_SUPPLY_OIDC_CLIENT_SECRET": ""}, "CLIENT_SECRET must be too"),
        ({"PGX_SUPPLY_OIDC_ROLES": "leads=root"}, "CLAIM-VALUE=ROLE"),
        ({"PGX_SUPPLY_OIDC_ROLES": "leads"}, "CLAIM-VALUE=ROLE"),
    ],
)
def test_half_a_provider_is_refused_when_the_server_starts(changed, told):
    with pytest.raises(InvalidInput, match=told):
        ServerSettings.from_environment(OIDC | changed)
