"""How often one may ask, whatever one calls oneself."""

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.http.rate_limit import ADDRESS_FACTOR, SIGN_INS_PER_MINUTE
from api.settings import ServerSettings
from forecasting.errors import InvalidInput


@pytest.fixture
def app(database, clock):
    return create_app(database, clock=clock, server=ServerSettings(requests_per_minute=5))


def statuses(client, times, path="/v1/products", **options):
    return [client.get(path, **options).status_code for _ in range(times)]


def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_not(client, key):
    busy, quiet = key("stock:write"), key("stock:write")
    assert statuses(client, 5, headers=busy) == [200] * 5
    refused = client.get("/v1/products", headers=busy)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "content-security-policy" in refused.headers
    assert statuses(client, 1, headers=quiet) == [200]


def test_made_up_keys_do_not_help(client):
    told = {
        client.get("/v1/products", headers={"Authorization": f"Bearer pgx_{number:012x}_{'A' * 43}"}).status_code
        for number in range(5 * ADDRESS_FACTOR)
    }
    assert told == {401}
    assert statuses(client, 1, headers={"Authorization": f"Bearer pgx_{'f' * 12}_{'A' * 43}"}) == [429]


def test_another_address_is_not_held_up(app):
    one, other = (
        TestClient(app, base_url="http://localhost", client=(address, 1)) for address in ("10.0.0.1", "10.0.0.2")
    )
    assert statuses(one, 6) == [401] * 5 + [429]
    assert statuses(other, 1) == [401]


def test_health_is_always_told(client):
    assert statuses(client, 20, "/healthz") == [200] * 20


def test_sign_ins_are_bounded_by_address(database, clock):
    app = create_app(database, clock=clock, server=ServerSettings(requests_per_minute=1000))
    client = TestClient(app, base_url="http://localhost")
    form = {"name": "ben", "password": "wrong", "csrf_token": "x"}
    told = [client.post("/sign-in", data=form).status_code for _ in range(SIGN_INS_PER_MINUTE + 1)]
    assert told == [403] * SIGN_INS_PER_MINUTE + [429]


def test_no_bound_unless_one_is_set(database, clock, key):
    client = TestClient(create_app(database, clock=clock), base_url="http://localhost")
    assert set(statuses(client, 50)) == {401}
    assert ServerSettings.from_environment({}).requests_per_minute == 1200
    assert ServerSettings.from_environment({"PGX_SUPPLY_REQUESTS_PER_MINUTE": "0"}).requests_per_minute == 0
    with pytest.raises(InvalidInput, match="REQUESTS_PER_MINUTE"):
        ServerSettings.from_environment({"PGX_SUPPLY_REQUESTS_PER_MINUTE": "-1"})
