"""Whether the process lives, and whether it can serve."""

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.http.context import NO_PARAMETERS, Db
from api.http.errors import Unavailable
from api.http.observability import Metrics
from api.http.openapi import documents, refusals
from warehouse import migrations

TEXT_FORMAT = CONTENT_TYPE_LATEST.split(";")[0]

router = APIRouter(tags=["health"], dependencies=NO_PARAMETERS)


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/metrics", response_class=Response, responses=refusals() | documents(TEXT_FORMAT))
def metrics(request: Request, db: Db) -> Response:
    """Counts for Prometheus: requests by route and status, times, webhook deliveries that wait or were given up."""
    counts: Metrics = request.app.state.metrics
    counts.count_deliveries(db)
    return Response(generate_latest(counts.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/readyz", responses=refusals())
def readyz(request: Request, db: Db) -> dict[str, str]:
    """The database answers and has the tables of this version."""
    db.execute(sa.text("SELECT 1"))
    if not migrations.is_current(request.app.state.engine):
        raise Unavailable("the database has not the tables of this version: run the migrations")
    return {"status": "ready"}
