"""Repeats with If-None-Match: answered without making the page again, and never when anything changed."""

import asyncio
import datetime as dt
import threading

import httpx2
import pytest
import sqlalchemy as sa

from api.access.keys import create_api_key, revoke_api_key, rotate_api_key
from api.app import create_app
from api.http.etag import StampReader
from tests.api.conftest import NOW, fill
from tests.api.orders.test_export_killed import Server
from warehouse.engine import create_engine, writing
from warehouse.queries.lines import table

LIST = "/v1/recommendations?status=proposed"


def key_in(engine, *scopes, expires_at=None):
    with writing(engine) as connection:
        text = create_api_key(
            connection, name="robot", scopes=scopes, facility_ids=None, expires_at=expires_at, now=NOW
        )
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def statements(database):
    """What the database was asked, as it comes."""
    seen = []
    sa.event.listen(database, "before_cursor_execute", lambda *given: seen.append(given[2]))
    return seen


def known(client, headers):
    """The headers of a repeat, after a first repeat that was answered from the page."""
    repeat = headers | {"If-None-Match": client.get(LIST, headers=headers).headers["ETag"]}
    assert client.get(LIST, headers=repeat).status_code == 304
    return repeat


def test_a_repeat_asks_the_database_for_its_stamp_alone(client, key, statements):
    repeat = known(client, key("recommendations:read"))
    statements.clear()
    answer = client.get(LIST, headers=repeat)
    assert (answer.status_code, answer.content, statements) == (304, b"", ["BEGIN", "PRAGMA data_version"])
    assert answer.headers["ETag"] == repeat["If-None-Match"]
    assert answer.headers["cache-control"] == "private, no-cache"
    assert len(answer.headers["x-request-id"]) == 16
    assert 'route="/v1/recommendations",status="304"' in client.get("/metrics").text


def test_another_question_is_another_answer(client, key):
    repeat = known(client, key("recommendations:read"))
    assert client.get(f"{LIST}&limit=1", headers=repeat).status_code == 200
    assert client.get("/v1/forecasts", headers=repeat).status_code == 403
    assert client.get(LIST, headers=repeat | {"If-None-Match": '"other"'}).status_code == 200
    assert client.get(LIST, headers={"If-None-Match": "*"}).status_code == 401
    narrow = key("recommendations:read", sites=["north"])
    assert client.get(LIST, headers=repeat | narrow).status_code == 200


CHANGES = {
    "a line": "UPDATE recommendations SET packs = packs + 1 WHERE recommendation_id = 'rec-02'",
    "a product": "UPDATE products SET dose_form = 'film' WHERE product_id = 'clopidogrel-75'",
    "a site": "UPDATE facilities SET name = 'N' WHERE facility_id = 'north'",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_anything_on_the_page_is_seen_at_once(client, key, database, what):
    repeat = known(client, key("recommendations:read"))
    with writing(database) as connection:
        assert connection.execute(sa.text(CHANGES[what])).rowcount
    assert client.get(LIST, headers=repeat).status_code == 200


def test_a_change_elsewhere_costs_the_page_and_not_the_tag(client, key, database, statements):
    repeat = known(client, key("recommendations:read"))
    with writing(database) as connection:
        connection.execute(sa.text("UPDATE problems SET message = 'x'"))
    statements.clear()
    assert client.get(LIST, headers=repeat).status_code == 304
    assert len(statements) > 2


def test_a_revoked_or_narrowed_key_is_refused_at_once(client, key, database):
    for change, status in (({"scopes": "stock:write"}, 403), ({"revoked_at": NOW}, 401)):
        headers = key("recommendations:read")
        repeat = known(client, headers)
        key_id = headers["Authorization"].split("_")[1]
        with writing(database) as connection:
            connection.execute(sa.update(table("api_keys")).where(table("api_keys").c.key_id == key_id).values(change))
        assert client.get(LIST, headers=repeat).status_code == status


def test_a_key_and_a_rotated_secret_end_by_the_clock_though_nothing_changes(client, key, clock, database):
    ends = key("recommendations:read", expires_at=NOW + dt.timedelta(hours=1))
    rotated = key("recommendations:read")
    with writing(database) as connection:
        until = NOW + dt.timedelta(hours=1)
        rotate_api_key(connection, rotated["Authorization"].split("_")[1], old_until=until, now=NOW)
    repeats = [known(client, headers) for headers in (ends, rotated)]
    clock.now = NOW + dt.timedelta(minutes=59)
    assert [client.get(LIST, headers=repeat).status_code for repeat in repeats] == [304, 304]
    clock.now = NOW + dt.timedelta(hours=1)
    assert [client.get(LIST, headers=repeat).status_code for repeat in repeats] == [401, 401]


class Held:
    """A stamp whose reading waits until it is let go; counts."""

    def __init__(self):
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.count = 0

    def read(self):
        self.count += 1
        found = (1, str(self.count))
        self.begun.release()
        assert self.go.acquire(timeout=20)
        return found


def test_who_asks_while_the_stamp_is_read_is_told_of_a_later_reading_and_all_share_one():
    held = Held()

    async def crowd():
        ask = StampReader(held)
        first = asyncio.ensure_future(ask.now())
        await asyncio.to_thread(held.begun.acquire)
        late = [asyncio.ensure_future(ask.now()) for _ in range(20)]
        gone = asyncio.ensure_future(ask.now())
        await asyncio.sleep(0)
        gone.cancel()
        held.go.release(2)
        return await first, {await one for one in late}

    assert asyncio.run(crowd()) == ((1, "1"), {(1, "2")})
    assert held.count == 2


@pytest.fixture
def of_postgresql(new_engine):
    engine = new_engine("postgresql")
    fill(engine)
    return engine


def test_a_change_through_one_app_is_seen_by_the_other_at_once(of_postgresql, served):
    second = create_engine(of_postgresql.url.render_as_string(hide_password=False))
    check_pair(of_postgresql, [served(create_app(one)) for one in (of_postgresql, second)])
    second.dispose()


@pytest.mark.slow
def test_a_change_through_one_process_is_seen_by_the_other_at_once(of_postgresql):
    servers = [Server(of_postgresql) for _ in range(2)]
    check_pair(of_postgresql, [server.wait().url for server in servers])
    for server in servers:
        server.kill()


def check_pair(engine, urls):
    """Poll both, change through one, ask the other."""
    one, other = urls
    poll = key_in(engine, "recommendations:read")
    push = key_in(engine, "stock:write", "orders:write") | {"Idempotency-Key": "x"}
    with httpx2.Client() as client:
        tag = client.get(one + LIST, headers=poll).headers["ETag"]
        assert client.get(other + LIST, headers=poll).headers["ETag"] == tag
        for number in range(20):
            repeat = poll | {"If-None-Match": tag}
            for _ in range(3):
                assert [client.get(url + LIST, headers=repeat).status_code for url in (one, other)] == [304, 304]
            row = {"facility_id": "north", "product_id": "warfarin-1", "quantity": number, "counted_at": "2026-11-23"}
            pushed = client.post(f"{one}/v1/stock-snapshots", json={"rows": [row]}, headers=push)
            assert pushed.json()["accepted"] == 1, pushed.text
            assert client.get(other + LIST, headers=repeat).status_code == 304
            with writing(engine) as connection:
                connection.execute(sa.text(CHANGES["a line"]))
            changed = client.get([one, other][number % 2] + LIST, headers=repeat)
            assert changed.status_code == 200
            tag = changed.headers["ETag"]
        with writing(engine) as connection:
            revoke_api_key(connection, poll["Authorization"].split("_")[1], now=NOW)
        repeat = poll | {"If-None-Match": tag}
        assert [client.get(url + LIST, headers=repeat).status_code for url in (one, other)] == [401, 401]


def test_a_read_begins_anew_on_a_connection_that_the_database_closed(of_postgresql, served, clock):
    engine = of_postgresql
    headers = key_in(engine, "recommendations:read")
    url = served(create_app(engine, clock=clock))
    assert httpx2.get(url + LIST, headers=headers).status_code == 200
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    for _ in range(6):
        assert httpx2.get(url + LIST, headers=headers).status_code == 200
