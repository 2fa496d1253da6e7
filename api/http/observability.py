"""What an operator sees of a running server: one JSON line per request, and counts for Prometheus.

Neither holds a query string, a body, a header or a person's name; routes stand as they are declared, without ids.
"""

import logging
import time
from typing import Any, TextIO

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse.schema.ledger import DELIVERY_STATES, WebhookDelivery

access_log = logging.getLogger("pgx_supply.access")

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that monitors ask all day: counted, not logged."""
BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """The counts of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("pgx_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "pgx_request_seconds", "Time to answer.", labels[:2], buckets=BUCKETS_SECONDS, registry=self.registry
        )
        self.deliveries = Gauge(
            "pgx_webhook_deliveries", "Webhook deliveries not taken yet.", ("status",), registry=self.registry
        )

    def count_deliveries(self, connection: sa.Connection) -> None:
        """Bring the numbers of waiting and dead deliveries up to date."""
        query = sa.select(WebhookDelivery.status, sa.func.count()).group_by(WebhookDelivery.status)
        counts = {status: count for status, count in connection.execute(query)}
        for status in DELIVERY_STATES:
            if status != "delivered":
                self.deliveries.labels(status).set(counts.get(status, 0))


class Observability:
    """ASGI middleware around everything else: counts and logs each answer once it is sent."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        answer: dict[str, Any] = {"status": 500, "request_id": None}

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.update(status=message["status"], request_id=scope.get("state", {}).get("request_id"))
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            self._log(scope, answer, time.perf_counter() - started)

    def _log(self, scope: Scope, answer: dict[str, Any], seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"
        self.metrics.requests.labels(method, route, answer["status"]).inc()
        self.metrics.seconds.labels(method, route).observe(seconds)
        if scope["path"] not in QUIET:
            members = {"method": method, "route": route, "milliseconds": round(seconds * 1000, 1), **answer}
            access_log.info("request", extra=members)


def log_as_json(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Have all loggers write JSON lines (to stderr by default): time, level, logger, message and what a line adds."""
    handler = logging.StreamHandler(stream)
    names = {"levelname": "level", "name": "logger", "asctime": "time"}
    formatter = JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=names)
    formatter.converter = time.gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "httpx2"):
        logging.getLogger(noisy).setLevel("WARNING")
