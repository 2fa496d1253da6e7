"""What holds for every request: an id, a bound on the body, its media type, security headers, no leaked internals."""

import json
import logging
import secrets
import sqlite3
from typing import Any

import sqlalchemy as sa
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import ApiError, InvalidRequest, TooLarge, Unavailable, UnsupportedMediaType, answer

logger = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"
FORM_TYPE = "application/x-www-form-urlencoded"
JSON_TYPE = "application/json"
X12_TYPE = "application/edi-x12"
X12_PATHS = frozenset({"/v1/x12-acknowledgements"})


class Guard:
    """ASGI middleware around the whole app, errors included."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = secrets.token_hex(8)
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message, request)
            await send(message)

        try:
            body = await self._checked_body(request, receive)
            await self.app(scope, _replayed(body, receive), send_guarded)
        except Exception as error:
            refusal = _refusal_of(error, request)
            if started:
                raise
            await answer(request, refusal)(scope, receive, send_guarded)

    async def _checked_body(self, request: Request, receive: Receive) -> bytes:
        if b"%00" in request.scope["query_string"] or "\x00" in request.scope["path"]:
            raise InvalidRequest("the address must not contain NUL characters")
        if request.method not in ("POST", "PUT", "PATCH"):
            return b""
        _check_media_type(request)
        too_large = TooLarge(f"the body may have at most {self.max_body_bytes} bytes", max_bytes=self.max_body_bytes)
        stated = request.headers.get("content-length", "")
        if stated.isdigit() and int(stated) > self.max_body_bytes:
            raise too_large
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
            if len(body) > self.max_body_bytes:
                raise too_large
        if request.url.path not in X12_PATHS and request.url.path.startswith("/v1/"):
            _check_json(bytes(body))
        return bytes(body)


def _check_json(body: bytes) -> None:
    """Refuse what parsers read differently, or break on: a name given twice, NaN, nesting without end.

    Text that is no JSON at all is left to the endpoint, which says so.
    """
    try:
        json.loads(body, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise InvalidRequest.field("body", "is nested too deeply") from error
    except (json.JSONDecodeError, UnicodeDecodeError):
        return
    except ValueError as error:
        raise InvalidRequest.field("body", str(error)[:200]) from error


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        repeated = next(name for place, (name, _) in enumerate(pairs) if name in dict(pairs[:place]))
        printable = repeated.encode("utf-8", "replace").decode()[:80]
        raise ValueError(f"names {printable!r} twice in one object")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_media_type(request: Request) -> None:
    path = request.url.path
    expected = X12_TYPE if path in X12_PATHS else JSON_TYPE if path.startswith("/v1/") else FORM_TYPE
    media_type = Headers(scope=request.scope).get("content-type", "").split(";")[0].strip().lower()
    if media_type != expected:
        raise UnsupportedMediaType(f"send {expected}, not {media_type[:80] or 'a body without Content-Type'}")


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _refusal_of(error: Exception, request: Request) -> ApiError:
    if isinstance(error, ApiError):
        return error
    logger.error("request %s failed: %s %s", request.state.request_id, request.method, request.url.path, exc_info=error)
    if _is_busy_or_away(error):
        return Unavailable("nothing was changed; try again")
    return ApiError("nothing was changed; the server's log has the request_id")


def _is_busy_or_away(error: Exception) -> bool:
    if isinstance(error, sa.exc.TimeoutError):
        return True
    if not isinstance(error, sa.exc.OperationalError):
        return False
    # SQLite's driver calls a wrong column operational too: only these two words are about the moment
    is_sqlite = isinstance(error.orig, sqlite3.Error)
    return not is_sqlite or any(word in str(error.orig) for word in ("locked", "unable to open"))


def _add_headers(message: Message, request: Request) -> None:
    headers: list[tuple[bytes, bytes]] = [*message.get("headers", []), *_RAW_HEADERS]
    headers.append((b"x-request-id", request.state.request_id.encode()))
    if not any(name == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    if request.scope["scheme"] == "https":
        headers.append((b"strict-transport-security", STRICT_TRANSPORT.encode()))
    message["headers"] = headers


_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
