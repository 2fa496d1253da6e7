"""Webhooks: told once it is true, signed, at least once, and never where the settings do not allow."""

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import ServerSettings
from api.webhooks import delivery
from api.webhooks.delivery import MOST_TRIES, Worker, deliver_due, pause_after
from api.webhooks.targets import ForbiddenTarget, checked_url, permitted_address
from forecasting.errors import InvalidInput
from tests.api.conftest import NOW
from tests.api.webhooks.receiver import Receiver, answer
from warehouse.engine import writing
from warehouse.queries.lines import table

SECRET, NEXT_SECRET = (f"whsec_{base64.b64encode(os.urandom(32)).decode()}" for _ in range(2))
SERVER = ServerSettings(webhook_hosts=frozenset({"127.0.0.1", "stores.example"}), webhook_secrets={"stores": (SECRET,)})
ALL_EVENTS = ["recommendation.approved", "recommendation.modified", "recommendation.exported"]


@pytest.fixture
def app(database, clock):
    return create_app(database, clock=clock, server=SERVER)


@pytest.fixture
def receiver():
    with Receiver().running() as running:
        yield running


@pytest.fixture
def root(signed_in):
    """An administrator's browser whose calls carry the session's token."""
    browser = signed_in("root")
    browser.headers["X-CSRF-Token"] = browser.csrf_token
    return browser


def subscribe(root, url, **fields):
    body = {"url": url, "event_types": ALL_EVENTS, "secret_name": "stores"} | fields
    answer = root.post("/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["webhook_id"]


def approve(browser, number, **fields):
    body = {"kind": "approve", "version": 1} | fields
    headers = {"X-CSRF-Token": browser.csrf_token}
    answer = browser.post(f"/v1/recommendations/rec-{number:02d}/decision", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def deliveries(engine):
    with engine.begin() as connection:
        return connection.execute(sa.select(table("webhook_deliveries")).order_by(sa.text("1"))).mappings().all()


def signature_by_hand(secret, headers, body):
    """Standard Webhooks as its text says it, without the library that signed."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = headers["webhook-id"].encode() + b"." + headers["webhook-timestamp"].encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def test_a_decision_and_an_export_are_told_signed_and_once(root, key, client, receiver, database, clock):
    subscribe(root, receiver.url)
    approve(root, 2)
    approve(root, 1, kind="modify", packs=14, reason_code="storage")
    exported = client.post("/v1/order-exports", json={}, headers=key("orders:write") | {"Idempotency-Key": "a"})
    assert exported.status_code == 201
    assert deliver_due(database, SERVER, clock) == 2 + 4
    assert deliver_due(database, SERVER, clock) == 0
    told = [json.loads(body) for _, _, body in receiver.requests]
    by_type = [(one["type"], one["data"]["recommendation_id"], one["data"]["packs"]) for one in told]
    assert by_type[:2] == [("recommendation.approved", "rec-02", 40), ("recommendation.modified", "rec-01", 14)]
    assert {one for one in by_type[2:]} == {
        ("recommendation.exported", name, packs)
        for name, packs in (("rec-01", 14), ("rec-02", 40), ("rec-10", 12), ("rec-11", 20))
    }
    assert told[2]["data"]["order_number"].startswith("PGX")
    assert told[0]["timestamp"] == "2026-11-23T09:00:00Z"
    for path, headers, body in receiver.requests:
        assert path == "/hook"
        assert headers["webhook-signature"] == signature_by_hand(SECRET, headers, body)
        assert int(headers["webhook-timestamp"]) == int(NOW.replace(tzinfo=dt.UTC).timestamp())
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 6
    assert {one["status"] for one in deliveries(database)} == {"delivered"}


def test_a_secret_that_is_being_replaced_signs_beside_the_new_one(root, receiver, database, clock):
    subscribe(root, receiver.url)
    approve(root, 2)
    both = ServerSettings(webhook_hosts=SERVER.webhook_hosts, webhook_secrets={"stores": (NEXT_SECRET, SECRET)})
    deliver_due(database, both, clock)
    ((_, headers, body),) = receiver.requests
    wanted = [signature_by_hand(one, headers, body) for one in (NEXT_SECRET, SECRET)]
    assert headers["webhook-signature"].split(" ") == wanted


def test_what_is_refused_or_of_another_site_is_not_told(root, signed_in, receiver, database):
    subscribe(root, receiver.url, facility_ids=["north"])
    stale = {"kind": "approve", "version": 7}
    assert root.post("/v1/recommendations/rec-02/decision", json=stale).status_code == 409
    approve(root, 5)
    rejected = {"kind": "reject", "reason_code": "budget", "version": 1}
    assert root.post("/v1/recommendations/rec-03/decision", json=rejected).status_code == 200
    assert deliveries(database) == []
    approve(signed_in("nora"), 2)
    assert [json.loads(one["body"])["data"]["recommendation_id"] for one in deliveries(database)] == ["rec-02"]


def test_a_change_that_is_rolled_back_leaves_no_event(root, receiver, database, clock, monkeypatch):
    subscribe(root, receiver.url)

    def broken(*_):
        raise sa.exc.OperationalError("append", None, Exception("the disk is full"))

    monkeypatch.setattr("warehouse.audit.append", broken)  # the last write of the transaction
    answer = root.post("/v1/recommendations/rec-02/decision", json={"kind": "approve", "version": 1})
    assert answer.status_code == 503
    assert deliveries(database) == []


def test_a_failing_receiver_is_tried_again_with_growing_pauses_then_given_up_then_replayed(
    root, receiver, database, clock
):
    subscribe(root, receiver.url)
    approve(root, 2)
    receiver.behave = lambda handler: answer(handler, 500)
    for tries in range(1, MOST_TRIES + 1):
        assert deliver_due(database, SERVER, clock) == 1
        (row,) = deliveries(database)
        assert (row["tries"], row["status_code"]) == (tries, 500)
        if tries < MOST_TRIES:
            assert row["next_try_at"] - clock.now == pause_after(tries)
            clock.now += pause_after(tries) - dt.timedelta(seconds=1)
            assert deliver_due(database, SERVER, clock) == 0
            clock.now += dt.timedelta(seconds=1)
    assert row["status"] == "dead"
    clock.now += dt.timedelta(hours=1)  # the administrator's session still lives
    assert deliver_due(database, SERVER, clock) == 0


def test_what_was_given_up_is_listed_and_posted_again_on_request_under_the_same_id(root, receiver, database, clock):
    subscribe(root, receiver.url)
    approve(root, 2)
    receiver.behave = lambda handler: answer(handler, 500)
    with writing(database) as connection:
        connection.execute(table("webhook_deliveries").update().values(tries=MOST_TRIES - 1))
    deliver_due(database, SERVER, clock)
    (dead,) = root.get("/v1/webhook-deliveries?status=dead").json()["items"]
    assert (dead["tries"], dead["error"]) == (MOST_TRIES, "answered 500; only 2xx takes an event")
    replay = f"/v1/webhook-deliveries/{dead['delivery_id']}/replay"
    assert root.post(replay, json={}).json()["status"] == "waiting"
    receiver.behave = lambda handler: answer(handler, 200)
    assert deliver_due(database, SERVER, clock) == 1
    assert root.post(replay, json={}).status_code == 200  # also what was taken
    assert deliver_due(database, SERVER, clock) == 1
    assert {headers["webhook-id"] for _, headers, _ in receiver.requests} == {dead["event_id"]}
    assert root.post("/v1/webhook-deliveries/99/replay", json={}).status_code == 404


def test_a_redirect_is_not_followed(root, receiver, database, clock):
    subscribe(root, receiver.url)
    approve(root, 2)
    receiver.behave = lambda handler: answer(handler, 307, Location=receiver.url.replace("/hook", "/elsewhere"))
    deliver_due(database, SERVER, clock)
    assert [path for path, _, _ in receiver.requests] == ["/hook"]
    assert deliveries(database)[0]["status_code"] == 307


@pytest.mark.parametrize("drip", [False, True])
def test_a_slow_receiver_is_left_after_a_fixed_time_however_it_is_slow(
    root, receiver, database, clock, monkeypatch, drip
):
    monkeypatch.setattr(delivery, "TRY_SECONDS", 0.5)
    subscribe(root, receiver.url)
    approve(root, 2)
    ended = threading.Event()

    def slow(handler):
        # a byte now and then would keep a mere read timeout from ending
        while not ended.wait(0.1):
            if drip:
                with contextlib.suppress(OSError):
                    handler.wfile.write(b"H")
        handler.close_connection = True

    receiver.behave = slow
    deliver_due(database, SERVER, clock)
    ended.set()
    (row,) = deliveries(database)
    assert (row["status"], row["tries"], row["status_code"]) == ("waiting", 1, None)
    assert row["error"] == "no answer within 0.5 s"


def test_nobody_listening_is_a_failed_try(root, receiver, database, clock):
    subscribe(root, "http://127.0.0.1:9/hook")
    approve(root, 2)
    deliver_due(database, SERVER, clock)
    assert "ConnectError" in deliveries(database)[0]["error"]


def test_an_ended_webhook_is_told_nothing_more(root, receiver, database, clock):
    webhook_id = subscribe(root, receiver.url)
    approve(root, 2)
    assert root.delete(f"/v1/webhooks/{webhook_id}").json()["active"] is False
    approve(root, 3)
    assert deliver_due(database, SERVER, clock) == 0
    (row,) = deliveries(database)
    assert (row["status"], row["error"]) == ("dead", "the webhook was ended")
    assert root.post(f"/v1/webhook-deliveries/{row['delivery_id']}/replay", json={}).status_code == 422
    assert root.delete("/v1/webhooks/wh-unknown").status_code == 404


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://stores.example/hook", "https"),
        ("https://evil.example/hook", "not among the hosts"),
        ("https://stores.example:8443/hook", "not among the hosts"),
        ("https://stores.example@evil.example/", "no user"),
        ("https://user:secret@stores.example/", "no user"),
        ("https://stores.example/#x", "fragment"),
        ("https://stores.example\\@evil.example/", "backslashes"),
        ("https://stores.example.evil.example/", "not among the hosts"),
        ("https://169.254.169.254/latest/meta-data", "not among the hosts"),
        ("ftp://stores.example/", "https"),
        ("file:///etc/passwd", "https"),
        ("//stores.example/", "https"),
        ("stores.example", "https"),
        ("https://stores.example/\r\nX: y", "printable"),
        ("https://[::1", "not a URL"),
    ],
)
def test_a_target_that_the_settings_do_not_list_is_refused(root, url, rule):
    body = {"url": url, "event_types": ALL_EVENTS, "secret_name": "stores"}
    answer = root.post("/v1/webhooks", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "url"
    assert rule in error["reason"]


@pytest.mark.parametrize(
    ("address", "networks", "permitted"),
    [
        ("10.1.2.3", "", False),
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("192.168.0.9", "", False),
        ("169.254.169.254", "", False),
        ("100.64.0.1", "", False),
        ("0.0.0.0", "", False),
        ("224.0.0.1", "", False),
        ("127.0.0.2", "127.0.0.0/8", False),
        ("[::ffff:10.1.2.3]", "", False),
        ("[::ffff:127.0.0.2]", "", False),
        ("[fd00::1]", "", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fe80::1]", "", False),
        ("93.184.215.14", "", True),
    ],
)
def test_an_address_inside_the_network_is_called_only_when_its_network_is_listed(address, networks, permitted):
    environment = {"PGX_SUPPLY_WEBHOOK_HOSTS": address.strip("[]"), "PGX_SUPPLY_WEBHOOK_NETWORKS": networks}
    server = ServerSettings.from_environment(environment)
    url = checked_url(f"https://{address}/hook", server)
    if permitted:
        assert asyncio.run(permitted_address(url, server)) == address.strip("[]")
    else:
        with pytest.raises(ForbiddenTarget, match="may not call"):
            asyncio.run(permitted_address(url, server))


def test_settings_are_checked_again_at_every_try(root, receiver, database, clock):
    subscribe(root, receiver.url)
    approve(root, 2)
    deliver_due(database, ServerSettings(webhook_secrets=SERVER.webhook_secrets), clock)
    assert "not among the hosts" in deliveries(database)[0]["error"]
    clock.now += pause_after(1)
    deliver_due(database, ServerSettings(webhook_hosts=SERVER.webhook_hosts), clock)
    assert "no secret named 'stores'" in deliveries(database)[0]["error"]
    assert receiver.requests == []


@pytest.mark.parametrize("text", ["swordfish", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%"])
def test_a_weak_secret_is_refused_and_never_told(text):
    with pytest.raises(InvalidInput, match="PGX_SUPPLY_WEBHOOK_SECRET_STORES") as told:
        ServerSettings.from_environment({"PGX_SUPPLY_WEBHOOK_SECRET_STORES": text})
    assert text == "whsec_" or text not in str(told.value)


def test_secrets_are_in_no_row_and_no_answer(root, receiver, database):
    subscribe(root, receiver.url)
    approve(root, 2)
    assert SECRET not in root.get("/v1/webhooks").text + root.get("/v1/webhook-deliveries").text
    with database.begin() as connection:
        rows = [connection.execute(sa.select(table(name))).all() for name in ("webhooks", "audit_events")]
    assert SECRET not in str(rows)
    assert SECRET not in str(SERVER)
    assert SECRET not in str(SERVER.redacted())


def test_of_several_workers_each_event_is_posted_once(each_database, receiver, clock):
    with writing(each_database) as connection:
        connection.execute(sa.insert(table("webhooks")).values(_webhook(receiver.url)))
        connection.execute(sa.insert(table("webhook_deliveries")), [_delivery(number) for number in range(40)])
    with ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(lambda _: deliver_due(each_database, SERVER, clock), range(4)))
    assert sum(tried) == 40
    assert sorted(headers["webhook-id"] for _, headers, _ in receiver.requests) == sorted(
        f"evt-{number}" for number in range(40)
    )


def test_the_worker_delivers_until_it_is_stopped(each_database, receiver):
    with writing(each_database) as connection:
        connection.execute(sa.insert(table("webhooks")).values(_webhook(receiver.url)))
        connection.execute(sa.insert(table("webhook_deliveries")), [_delivery(1)])
    with Worker(each_database, SERVER):
        deadline = time.monotonic() + 20
        while not receiver.requests and time.monotonic() < deadline:
            time.sleep(0.05)
    assert deliveries(each_database)[0]["status"] == "delivered"


def test_an_app_delivers_while_it_is_served_whoever_serves_it(each_database, receiver):
    with writing(each_database) as connection:
        connection.execute(sa.insert(table("webhooks")).values(_webhook(receiver.url)))
        connection.execute(sa.insert(table("webhook_deliveries")), [_delivery(1)])
    with TestClient(create_app(each_database, server=SERVER)):
        deadline = time.monotonic() + 20
        while not receiver.requests and time.monotonic() < deadline:
            time.sleep(0.05)
    assert deliveries(each_database)[0]["status"] == "delivered"


@pytest.mark.slow
def test_killed_while_it_posts_the_event_is_posted_again_under_the_same_id(each_database, receiver):
    with writing(each_database) as connection:
        connection.execute(sa.insert(table("webhooks")).values(_webhook(receiver.url)))
        connection.execute(sa.insert(table("webhook_deliveries")), [_delivery(1)])
    held, ended = threading.Event(), threading.Event()

    def hold(handler):
        held.set()
        ended.wait(60)
        answer(handler, 204)

    receiver.behave = hold
    process = _deliver(each_database)
    assert held.wait(120)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ended.set()
    (row,) = deliveries(each_database)
    assert (row["status"], row["tries"]) == ("waiting", 1)
    receiver.behave = lambda handler: answer(handler, 204)
    with writing(each_database) as connection:  # the claim ends by itself after a minute
        connection.execute(table("webhook_deliveries").update().values(next_try_at=NOW))
    assert _deliver(each_database, "--once").wait(120) == 0
    assert [headers["webhook-id"] for _, headers, _ in receiver.requests] == ["evt-1", "evt-1"]
    assert deliveries(each_database)[0]["status"] == "delivered"


def _deliver(engine, *arguments):
    environment = os.environ | {
        "PGX_SUPPLY_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "PGX_SUPPLY_WEBHOOK_HOSTS": "127.0.0.1",
        "PGX_SUPPLY_WEBHOOK_SECRET_STORES": SECRET,
    }
    return subprocess.Popen(
        [Path(sys.executable).with_name("pgx-supply"), "deliver", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
    )


def _webhook(url):
    return {"webhook_id": "wh-1", "url": url, "event_types": ";".join(ALL_EVENTS), "secret_name": "stores"} | {
        "active": True,
        "created_at": NOW,
        "created_by": "user:5",
    }


def _delivery(number):
    return {"webhook_id": "wh-1", "event_id": f"evt-{number}", "event_type": ALL_EVENTS[0], "body": "{}"} | {
        "status": "waiting",
        "tries": 0,
        "next_try_at": NOW,
        "created_at": NOW,
    }
