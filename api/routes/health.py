"""Whether the process lives, and whether it can serve."""

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request

from api.context import Db, refuse_parameters
from api.errors import Unavailable
from api.routes.documented import refusals
from warehouse import migrations

router = APIRouter(tags=["health"], dependencies=[Depends(refuse_parameters)])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses=refusals())
def readyz(request: Request, db: Db) -> dict[str, str]:
    """The database answers and has the tables of this version."""
    db.execute(sa.text("SELECT 1"))
    if not migrations.is_current(request.app.state.engine):
        raise Unavailable("the database has not the tables of this version: run the migrations")
    return {"status": "ready"}
