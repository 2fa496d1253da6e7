"""Delivering the outbox: signed, at least once, again with growing pauses, given up after a number of tries.

A delivery is claimed in a transaction of its own by moving its next try out of reach, then posted, then its outcome is
written. Whoever dies in between leaves a claim that ends by itself, and the event is posted again under the same id.
Signatures are those of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 of id.timestamp.body.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
import ssl
import threading
from collections.abc import Callable

import httpx2
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook as Signer

from api.http.context import Clock, utc_now
from api.settings import ServerSettings
from api.webhooks.targets import ForbiddenTarget, checked_url, permitted_address, port_of
from warehouse.engine import writing
from warehouse.schema.ledger import Webhook, WebhookDelivery

logger = logging.getLogger(__name__)

MOST_TRIES = 12
FIRST_PAUSE = dt.timedelta(seconds=30)
LONGEST_PAUSE = dt.timedelta(hours=6)
TRY_SECONDS = 10.0
"""For the whole of a try, from the name's resolution to the answer's status."""
CLAIMED_FOR = dt.timedelta(seconds=60)
IDLE_SECONDS = 1.0
THREADS = 4
"""So that one slow receiver does not hold up the others."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one try; `error` is None when the event was taken."""

    status_code: int | None
    error: str | None


def pause_after(tries: int) -> dt.timedelta:
    """The pause after so many failed tries: 30 s, doubled each time, at most 6 hours.

    >>> [str(pause_after(tries)) for tries in (1, 2, 11)]
    ['0:00:30', '0:01:00', '6:00:00']
    """
    doubled: int = 2 ** min(tries - 1, 20)
    return min(FIRST_PAUSE * doubled, LONGEST_PAUSE)


def deliver_due(
    engine: sa.Engine,
    server: ServerSettings,
    clock: Clock = utc_now,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Post what is due until nothing is, or until stopped; how many were tried."""
    tried = 0
    while not stopped() and (claimed := _claim(engine, clock())) is not None:
        outcome = asyncio.run(_try(claimed, server, clock()))
        _record(engine, claimed, outcome, clock())
        tried += 1
    return tried


def _claim(engine: sa.Engine, now: dt.datetime) -> sa.RowMapping | None:
    """The delivery that waits longest, with its webhook; nobody else claims it for a minute."""
    is_due = (WebhookDelivery.status == "waiting") & (WebhookDelivery.next_try_at <= now)
    with engine.begin() as connection:  # mostly nothing is due: no write lock for that
        if connection.execute(sa.select(WebhookDelivery.delivery_id).where(is_due).limit(1)).first() is None:
            return None
    due = (
        sa.select(WebhookDelivery.__table__, Webhook.url, Webhook.secret_name)
        .join(Webhook, Webhook.webhook_id == WebhookDelivery.webhook_id)
        .where(is_due)
        .order_by(WebhookDelivery.next_try_at, WebhookDelivery.delivery_id)
        .limit(1)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    with writing(engine) as connection:
        row: sa.RowMapping | None = connection.execute(due).mappings().one_or_none()
        if row is not None:
            claim = {"tries": row["tries"] + 1, "next_try_at": now + CLAIMED_FOR}
            _update(connection, row["delivery_id"], claim)
    return row


async def _try(claimed: sa.RowMapping, server: ServerSettings, now: dt.datetime) -> Outcome:
    try:
        async with asyncio.timeout(TRY_SECONDS):
            status = await _post(claimed, server, now)
    except ForbiddenTarget as error:
        return Outcome(None, f"not called: {error}")
    except TimeoutError:
        return Outcome(None, f"no answer within {TRY_SECONDS:g} s")
    except (OSError, httpx2.HTTPError) as error:
        return Outcome(None, f"{type(error).__name__}: {error}"[:500])
    return Outcome(status, None if 200 <= status < 300 else f"answered {status}; only 2xx takes an event")


async def _post(claimed: sa.RowMapping, server: ServerSettings, now: dt.datetime) -> int:
    """The answer's status. Its body is not read, a redirect not followed, a proxy not used."""
    url = checked_url(claimed["url"], server)
    headers = {"Content-Type": "application/json", "User-Agent": "pgx-supply", **signed(claimed, server, now)}
    address = await permitted_address(url, server)
    client = httpx2.AsyncClient(verify=_trusted(), trust_env=False, follow_redirects=False, timeout=TRY_SECONDS)
    async with client:
        request = client.build_request(
            "POST",
            url.copy_with(host=address, port=port_of(url)),
            content=claimed["body"].encode(),
            headers=headers | {"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        )
        response = await client.send(request, stream=True)
        await response.aclose()
        return response.status_code


def signed(claimed: sa.RowMapping, server: ServerSettings, now: dt.datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks; one signature per secret of the name."""
    secrets = server.webhook_secrets.get(claimed["secret_name"])
    if not secrets:
        raise ForbiddenTarget(f"the environment holds no secret named {claimed['secret_name']!r}")
    moment = now.replace(tzinfo=dt.UTC)
    return {
        "webhook-id": claimed["event_id"],
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(claimed["event_id"], moment, claimed["body"]) for secret in secrets
        ),
    }


@functools.cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _record(engine: sa.Engine, claimed: sa.RowMapping, outcome: Outcome, now: dt.datetime) -> None:
    answer: dict[str, object] = {"status_code": outcome.status_code, "error": outcome.error}
    tries = claimed["tries"] + 1
    if outcome.error is None:
        change = answer | {"status": "delivered", "delivered_at": now}
    elif tries >= MOST_TRIES:
        change = answer | {"status": "dead"}
    else:
        change = answer | {"next_try_at": now + pause_after(tries)}
    with writing(engine) as connection:
        # a failure is old news when the claim ended and somebody else tries, or tried with success
        same_try = WebhookDelivery.tries == tries if outcome.error else sa.true()
        _update(connection, claimed["delivery_id"], change, same_try & (WebhookDelivery.status == "waiting"))
    if outcome.error:
        logger.warning(
            "webhook %s, event %s, try %d: %s", claimed["webhook_id"], claimed["event_id"], tries, outcome.error
        )


def _update(
    connection: sa.Connection, delivery_id: int, values: dict[str, object], *conditions: sa.ColumnElement[bool]
) -> None:
    mine = WebhookDelivery.delivery_id == delivery_id
    connection.execute(sa.update(WebhookDelivery).where(mine, *conditions).values(**values))


class Worker:
    """Threads that deliver until stopped; a fault of the database is logged and tried again."""

    def __init__(self, engine: sa.Engine, server: ServerSettings, threads: int = THREADS) -> None:
        self._stop = threading.Event()
        work = {"target": self._run, "args": (engine, server), "daemon": True}
        self._threads = [threading.Thread(name=f"webhooks-{place}", **work) for place in range(threads)]  # type: ignore[arg-type]

    def __enter__(self) -> "Worker":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(TRY_SECONDS + 5)

    def _run(self, engine: sa.Engine, server: ServerSettings) -> None:
        while not self._stop.is_set():
            try:
                deliver_due(engine, server, stopped=self._stop.is_set)
            except sa.exc.SQLAlchemyError:
                logger.exception("webhooks: the database does not answer; trying again")
            self._stop.wait(IDLE_SECONDS)
