"""How often one caller may ask: per key and per address, in this process, with `limits`' moving window.

A key is bounded together with its address, and an address as a whole ten times as high: made-up keys gain nothing. Each
server process counts for itself.
"""

import math
import re
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import TooManyRequests, answer

ADDRESS_FACTOR = 10
SIGN_INS_PER_MINUTE = 30
UNBOUNDED = frozenset({"/healthz", "/readyz", "/metrics"})
_KEY = re.compile(r"(?i:bearer) pgx_([0-9a-f]{12})_")


class RateLimit:
    """ASGI middleware: 429 with Retry-After above the bound; 0 requests a minute = no bound."""

    def __init__(self, app: ASGIApp, *, requests_per_minute: int) -> None:
        self.app = app
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._sign_in = RateLimitItemPerMinute(SIGN_INS_PER_MINUTE)
        self._caller = self._address = None
        if requests_per_minute:
            self._caller = RateLimitItemPerMinute(requests_per_minute)
            self._address = RateLimitItemPerMinute(requests_per_minute * ADDRESS_FACTOR)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._caller is None or scope["path"] in UNBOUNDED:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        wait = self._seconds_to_wait(request)
        if wait:
            error = TooManyRequests(f"too many requests: ask again in {wait} s")
            error.headers = {"Retry-After": str(wait)}
            await answer(request, error)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _seconds_to_wait(self, request: Request) -> int:
        """0 when the request may go on, which counts it; else when to ask again."""
        address = request.client.host if request.client else "unknown"
        key = _KEY.match(request.headers.get("authorization", ""))
        assert self._address is not None
        assert self._caller is not None
        bounds = [(self._address, "address", address), (self._caller, "key", f"{address} {key[1] if key else ''}")]
        if request.method == "POST" and request.url.path == "/sign-in":
            bounds.append((self._sign_in, "sign-in", address))
        for item, kind, name in bounds:
            if not self._limiter.hit(item, kind, name):
                return max(math.ceil(self._limiter.get_window_stats(item, kind, name).reset_time - time.time()), 1)
        return 0
