"""ETag and If-None-Match for what `/v1` answers to a GET: what has not changed is not sent again.

The tag is a digest of the body: it is right whatever changed the answer, and the same on every server. Where an answer
follows from the database alone, it is not even made again while the database's stamp is that from before it was made:
then nothing was committed since, be it lines, products, sites or the key itself, revoked or narrowed. What the clock
alone ends, a key that expires, is asked of the clock.
"""

import asyncio
import collections
import dataclasses
import datetime as dt
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.context import Clock
from warehouse.change_stamp import Stamp, Stamps

DATABASE_ONLY_PATHS = frozenset(
    {"/v1/recommendations", "/v1/forecasts", "/v1/prevalence", "/v1/facilities", "/v1/products", "/v1/orders"}
)
"""Lists that say the same as long as the database does; whoever adds the clock to one takes it out."""
MOST_REMEMBERED = 10_000

Question = tuple[bytes, str, bytes]
"""Digest of the Authorization header, path and query string: who asks what."""


@dataclasses.dataclass(frozen=True)
class Remembered:
    """What was answered: its tag, the stamp read before, when the key ends (None = never), and the route."""

    tag: str
    stamp: Stamp
    valid_until: dt.datetime | None
    route: Any


class StampReader:
    """The stamp for requests: those that wait together share one reading, which begins after each of them came."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._thread = ThreadPoolExecutor(1, "stamps")
        self._waiting: asyncio.Future[Stamp | None] | None = None

    async def now(self) -> Stamp | None:
        """The stamp as of some moment after this call; None when the database does not answer."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting
        if waiting is None or waiting.get_loop() is not loop:
            waiting = self._waiting = loop.create_future()
            self._thread.submit(self._read, waiting)
        # one that goes away must not take the others' answer with it
        return await asyncio.shield(waiting)

    def _read(self, waiting: "asyncio.Future[Stamp | None]") -> None:
        # a request that comes from here on needs a later moment than that of the reading that begins now
        self._waiting = None
        stamp = self._stamps.read()
        waiting.get_loop().call_soon_threadsafe(waiting.set_result, stamp)


class ConditionalGet:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, stamps: Stamps, clock: Clock) -> None:
        self.app = app
        self._stamp_reader = StampReader(stamps)
        self._clock = clock
        self._answers: collections.OrderedDict[Question, Remembered] = collections.OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        if_none_match = _header(scope, b"if-none-match")
        question = _question(scope) if if_none_match is not None else None
        stamp = await self._stamp_reader.now() if question is not None else None
        remembered = self._answers.get(question) if question is not None else None
        if (
            remembered
            and remembered.stamp == stamp
            and self._is_valid(remembered)
            and matches(if_none_match, remembered.tag)
        ):
            scope["route"] = remembered.route
            await _send_unchanged(remembered.tag, send)
            return
        tag = await self._answer_of_app(scope, receive, send, if_none_match)
        if question is not None and stamp is not None and tag is not None:
            self._remember(question, tag, stamp, scope)

    def _is_valid(self, remembered: Remembered) -> bool:
        return remembered.valid_until is None or self._clock() < remembered.valid_until

    async def _answer_of_app(self, scope: Scope, receive: Receive, send: Send, if_none_match: str | None) -> str | None:
        """Answer by the app; the tag of what it says, None when that is no 200."""
        start: Message | None = None
        body = bytearray()
        tag: str | None = None

        async def hold(message: Message) -> None:
            nonlocal start, tag
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False) and start is not None:
                tag = await _send_tagged(if_none_match, start, bytes(body), send)

        await self.app(scope, receive, hold)
        return tag

    def _remember(self, question: Question, tag: str, stamp: Stamp, scope: Scope) -> None:
        state = scope["state"]
        if "valid_until" not in state:  # no key was let in
            return
        self._answers[question] = Remembered(tag, stamp, state["valid_until"], scope.get("route"))
        self._answers.move_to_end(question)
        if len(self._answers) > MOST_REMEMBERED:
            self._answers.popitem(last=False)


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether an If-None-Match names the tag; a weak one counts, as RFC 9110 says for this header.

    >>> matches('W/"a", "b"', '"b"'), matches("*", '"b"'), matches(None, '"b"')
    (True, True, False)
    """
    tags = [part.strip().removeprefix("W/") for part in (if_none_match or "").split(",")]
    return "*" in tags or tag in tags


def _header(scope: Scope, header: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == header), None)


def _question(scope: Scope) -> Question | None:
    """Who asks what, when a key asks for what the database alone tells."""
    if scope["path"] not in DATABASE_ONLY_PATHS:
        return None
    keys = [value for name, value in scope["headers"] if name == b"authorization"]
    return (hashlib.sha256(keys[0]).digest(), scope["path"], scope["query_string"]) if len(keys) == 1 else None


async def _send_unchanged(tag: str, send: Send) -> None:
    headers = [(b"etag", tag.encode()), (b"cache-control", b"private, no-cache")]
    await send({"type": "http.response.start", "status": 304, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_tagged(if_none_match: str | None, start: Message, body: bytes, send: Send) -> str | None:
    tag = None
    if start["status"] == 200:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = MutableHeaders(scope=start)
        headers["ETag"] = tag
        # kept by the caller alone, and asked about again each time
        headers["Cache-Control"] = "private, no-cache"
        if matches(if_none_match, tag):
            start["status"], body = 304, b""
            for name in ("content-length", "content-type", "content-disposition"):
                if name in headers:
                    del headers[name]
    await send(start)
    await send({"type": "http.response.body", "body": body})
    return tag
