"""Fifty clients for two minutes on PostgreSQL: approving, changing, exporting and pushing stock, all at once."""

import datetime as dt
import random
import threading
import time
from collections import Counter

import httpx2
import pytest
import sqlalchemy as sa

from api.access.accounts import NewUser, create_user
from api.access.keys import create_api_key
from api.access.sign_in import SESSION_COOKIE, open_session
from tests.api.conftest import LINES, NOW, _explanation, _line, fill
from tests.api.orders.test_export_killed import Server
from warehouse import audit
from warehouse.engine import writing
from warehouse.queries.lines import table

SECONDS = 120
APPROVERS, CHANGERS, EXPORTERS, PUSHERS = 20, 10, 10, 10
MOST_LINES = 6_000
WINDOW = 25
"""Deciders choose among so many lines around the first undecided one, so that they meet."""
FIRST = 101


@pytest.fixture
def shop(new_engine):
    """A filled PostgreSQL database with many proposed lines."""
    engine = new_engine("postgresql")
    fill(engine)
    shape = [LINES[1], LINES[4], LINES[5]]  # clopidogrel north and south, capecitabine south: no pack rules
    lines = [(number, *shape[number % 3][1:]) for number in range(FIRST, FIRST + MOST_LINES)]
    with writing(engine) as connection:
        connection.execute(sa.insert(table("recommendations")), [_line(*one) for one in lines])
        connection.execute(sa.insert(table("explanations")), [_explanation(*one) for one in lines])
    return engine


class Crowd:
    """What the clients did, and the place around which they decide."""

    def __init__(self, url, until):
        self.url, self.until = url, until
        self.lock = threading.Lock()
        self.front = FIRST
        self.decided = {}
        self.statuses = Counter()
        self.wrong = []

    def note(self, kind, answer, allowed):
        with self.lock:
            self.statuses[kind, answer.status_code] += 1
            if answer.status_code not in allowed:
                self.wrong.append((kind, answer.status_code, answer.text[:300]))

    def running(self):
        return time.time() < self.until and self.front < FIRST + MOST_LINES - WINDOW and len(self.wrong) < 10


def decide(crowd, token, seed, changes):
    chance = random.Random(seed)
    with httpx2.Client(base_url=crowd.url, cookies={SESSION_COOKIE: token}, timeout=60) as browser:
        csrf = browser.get("/v1/session").json()["csrf_token"]
        while crowd.running():
            name = f"rec-{chance.randrange(crowd.front, crowd.front + WINDOW):02d}"
            body = {"kind": "approve", "version": 1}
            if changes:
                body |= {"kind": "modify", "packs": chance.randint(50, 99), "reason_code": "storage"}
            path = f"/v1/recommendations/{name}/decision"
            answer = browser.post(path, json=body, headers={"X-CSRF-Token": csrf})
            crowd.note("decide", answer, (200, 409))
            with crowd.lock:
                _check_decision(crowd, name, answer)


def _check_decision(crowd, name, answer):
    if answer.status_code == 200:
        line = answer.json()["recommendation"]
        if name in crowd.decided:
            crowd.wrong.append(("decided twice", name, crowd.decided[name]))
        crowd.decided[name] = line["packs"]
        crowd.front += 1
    elif answer.status_code == 409:
        current = answer.json()["current"]
        if current["status"] == "proposed" or current["version"] < 2:
            crowd.wrong.append(("409 without cause", name, current))


def export(crowd, headers, seed):
    chance = random.Random(seed)
    with httpx2.Client(base_url=crowd.url, headers=headers, timeout=60) as client:
        for number in range(10**6):
            if not crowd.running():
                return
            name = {"Idempotency-Key": f"{seed}-{number}"}
            first = client.post("/v1/order-exports", json={}, headers=name)
            crowd.note("export", first, (201, 409))
            if first.status_code == 201 and chance.random() < 0.3:
                again = client.post("/v1/order-exports", json={}, headers=name)
                crowd.note("export again", again, (201,))
                if again.json() != first.json():
                    crowd.wrong.append(("replay differs", first.text[:300], again.text[:300]))
            time.sleep(chance.random() / 2)


def push(crowd, headers, seed):
    chance = random.Random(seed)
    products = ("warfarin-1", "warfarin-5", "prasugrel-10")
    with httpx2.Client(base_url=crowd.url, headers=headers, timeout=60) as client:
        while crowd.running():
            row = {"facility_id": chance.choice(("north", "south")), "product_id": chance.choice(products)}
            row |= {"counted_at": (NOW + dt.timedelta(seconds=chance.randrange(50))).isoformat(), "lot": "A"}
            answer = client.post("/v1/stock-snapshots", json={"rows": [row | {"quantity": chance.randrange(500)}]})
            crowd.note("push", answer, (200,))


def sessions(engine, count):
    """Tokens of as many signed-in approvers, made without the cost of their passwords."""
    tokens = []
    with writing(engine) as connection:
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        for place in range(count):
            person = {"name": f"person-{place}", "display_name": f"Person {place}", "role": "approver"}
            create_user(connection, NewUser(**person, password="correct horse battery"), now=now)
            query = sa.select(table("users")).where(table("users").c.name == person["name"])
            user = connection.execute(query).mappings().one()
            tokens.append(open_session(connection, user, now, "this server", None))
    return tokens


def key(engine, *scopes):
    with writing(engine) as connection:
        text = create_api_key(connection, name="robot", scopes=scopes, facility_ids=None, expires_at=None, now=NOW)
    return {"Authorization": f"Bearer {text}"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_line_is_decided_once_and_exported_once_and_nothing_is_lost(shop, monkeypatch):
    monkeypatch.setenv("PGX_SUPPLY_REQUESTS_PER_MINUTE", "0")
    tokens = sessions(shop, APPROVERS + CHANGERS)
    orders, stock = key(shop, "orders:write"), key(shop, "stock:write")
    server = Server(shop).wait()
    crowd = Crowd(server.url, time.time() + SECONDS)
    work = [(decide, token, place, place >= APPROVERS) for place, token in enumerate(tokens)]
    work += [(export, orders, 1000 + place) for place in range(EXPORTERS)]
    work += [(push, stock, 2000 + place) for place in range(PUSHERS)]
    threads = [threading.Thread(target=one, args=(crowd, *rest)) for one, *rest in work]
    assert len(threads) == 50
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = httpx2.post(f"{server.url}/v1/order-exports", json={}, headers=orders | {"Idempotency-Key": "last"})
    server.kill()
    assert crowd.wrong == []
    assert last.status_code in (201, 409)
    # many met, and much was done
    assert crowd.statuses["decide", 409] > 50
    assert crowd.statuses["decide", 200] == len(crowd.decided) > 100
    assert crowd.statuses["export", 201] > 10
    assert crowd.statuses["push", 200] > 100
    _check_database(shop, crowd)


def _check_database(engine, crowd):
    lines, ordered = table("recommendations").c, table("order_lines").c
    with engine.begin() as connection:
        on_orders = connection.execute(sa.select(ordered.recommendation_id, ordered.packs)).all()
        mine = {row.recommendation_id: row.packs for row in on_orders if int(row.recommendation_id[4:]) >= FIRST}
        assert len(on_orders) == len({row.recommendation_id for row in on_orders})
        assert mine == crowd.decided  # every decided line once, with the packs that were decided
        changed = sa.select(lines.recommendation_id).where(lines.status == "exported", lines.version != 3)
        changed = changed.where(lines.recommendation_id.in_(sorted(mine)))
        assert connection.scalars(changed).all() == []
        waiting = sa.select(sa.func.count()).where(lines.status.in_(["approved", "modified"]))
        assert connection.scalar(waiting) == 0
        decisions = sa.select(sa.func.count()).select_from(table("decisions"))
        assert connection.scalar(decisions) == len(crowd.decided)
        assert audit.verify(connection).events >= 2 * len(crowd.decided)
