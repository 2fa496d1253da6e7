"""ETag and If-None-Match for what `/v1` answers to a GET: what has not changed is not sent again."""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ConditionalGet:
    """ASGI middleware. The tag is a digest of the body: it is right whatever changed the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def hold(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False) and start is not None:
                await _answer(scope, start, bytes(body), send)

        await self.app(scope, receive, hold)


def matches(given: str | None, tag: str) -> bool:
    """Whether an If-None-Match names the tag; a weak one counts, as RFC 9110 says for this header.

    >>> matches('W/"a", "b"', '"b"'), matches("*", '"b"'), matches(None, '"b"')
    (True, True, False)
    """
    named = [one.strip().removeprefix("W/") for one in (given or "").split(",")]
    return "*" in named or tag in named


async def _answer(scope: Scope, start: Message, body: bytes, send: Send) -> None:
    if start["status"] == 200:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = MutableHeaders(scope=start)
        headers["ETag"] = tag
        # kept by the caller alone, and asked about again each time
        headers["Cache-Control"] = "private, no-cache"
        if matches(Headers(scope=scope).get("if-none-match"), tag):
            start["status"], body = 304, b""
            for name in ("content-length", "content-type", "content-disposition"):
                if name in headers:
                    del headers[name]
    await send(start)
    await send({"type": "http.response.body", "body": body})
