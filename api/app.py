"""The application: routers, error answers, headers. `uvicorn --factory api.app:create_app` serves it."""

import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.routing import BaseRoute

from api.access.pooled_reads import Readers
from api.http import errors
from api.http.context import Clock, utc_now
from api.http.etag import ConditionalGet
from api.http.language import Language
from api.http.middleware import Guard
from api.http.observability import Metrics, Observability
from api.http.rate_limit import RateLimit
from api.pages import access, bulk, detail, genetics, imports, overview, problems, routine_rules, sign_in, worklist
from api.pages import orders as order_pages
from api.pages import overrides as override_pages
from api.pages import releases as release_pages
from api.pages import scenarios as scenario_pages
from api.pages import triage as triage_pages
from api.routes import (
    audit,
    batches,
    forecasts,
    health,
    inventory,
    keys,
    kpis,
    orders,
    overrides,
    recommendations,
    reference,
    releases,
    scenarios,
    triage,
    webhooks,
)
from api.settings import ServerSettings
from api.webhooks.delivery import Worker
from warehouse.change_stamp import Stamps
from warehouse.engine import create_engine
from warehouse.settings import DEFAULT_X12_SENDER_ID, Settings

MAX_BODY_BYTES = 2_000_000
STATIC = Path(__file__).parent / "static"

DESCRIPTION = """Procurement recommendations from genotype-aware demand forecasts.

Systems send an API key (`Authorization: Bearer pgx_...`), read what people approved, and push stock. Only signed-in
people decide. Every error is `application/problem+json` (RFC 9457). Lists come in pages: pass `next_cursor` as
`cursor`. Unknown parameters are refused. Times are UTC; money and quantities are exact decimals, sent as text."""


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Deliver webhooks while the app is served, whoever serves it; close the database's connections at the end."""
    engine, server = app.state.engine, app.state.server
    with Worker(engine, server) if server.webhook_hosts else contextlib.nullcontext():
        yield
    engine.dispose()


@functools.cache
def _routes() -> tuple[BaseRoute, ...]:
    """The routes of every resource and page: FastAPI reads all their signatures, once a process."""
    router = APIRouter()
    for module in (
        recommendations,
        triage,
        orders,
        audit,
        forecasts,
        releases,
        overrides,
        reference,
        batches,
        kpis,
        scenarios,
        webhooks,
        keys,
        inventory,
        health,
    ):
        router.include_router(module.router)
    for module in (
        sign_in,
        worklist,
        detail,
        bulk,
        triage_pages,
        routine_rules,
        order_pages,
        override_pages,
        release_pages,
        scenario_pages,
        genetics,
        imports,
        access,
        overview,
        problems,
    ):
        router.include_router(module.router, include_in_schema=False)
    return tuple(router.routes)


def create_app(
    source: sa.Engine | Settings | None = None,
    *,
    clock: Clock = utc_now,
    max_body_bytes: int = MAX_BODY_BYTES,
    x12_sender_id: str = DEFAULT_X12_SENDER_ID,
    server: ServerSettings | None = None,
) -> FastAPI:
    """The application over an engine or settings (default: the environment's). `clock` gives the time, in UTC.

    `x12_sender_id` names this pharmacy in X12 interchanges when an engine is given; settings have their own. `server`
    is what the server may do; default: the environment's when no engine is given, else nothing out of the ordinary.
    """
    app = FastAPI(
        title="pgx-supply",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=_lifespan,
    )
    settings = Settings.from_environment() if source is None else source
    app.state.engine = create_engine(settings.database_url) if isinstance(settings, Settings) else settings
    if server is None:
        server = ServerSettings.from_environment() if isinstance(settings, Settings) else ServerSettings()
    app.state.server = server
    app.state.metrics = Metrics()
    app.state.readers = Readers(app.state.engine)
    app.state.clock = clock
    app.state.x12_sender_id = settings.x12_sender_id if isinstance(settings, Settings) else x12_sender_id
    app.router.routes.extend(_routes())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    errors.install(app)
    app.add_middleware(ConditionalGet, stamps=Stamps(app.state.engine), clock=clock)
    app.add_middleware(Language)
    app.add_middleware(RateLimit, requests_per_minute=server.requests_per_minute)
    app.add_middleware(Guard, max_body_bytes=max_body_bytes)
    app.add_middleware(Observability, metrics=app.state.metrics)
    return app
