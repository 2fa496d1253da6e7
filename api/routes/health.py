"""Whether the process lives, and whether it can serve."""

import importlib
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request

from api.context import Db, refuse_parameters
from api.errors import Unavailable
from api.routes.documented import refusals
from warehouse.schema import Base

router = APIRouter(tags=["health"], dependencies=[Depends(refuse_parameters)])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses=refusals())
def readyz(request: Request, db: Db) -> dict[str, str]:
    """The database answers and has the tables of this version."""
    db.execute(sa.text("SELECT 1"))
    if not _schema_is_current(request.app.state.engine, db):
        raise Unavailable("the database has not the tables of this version: run the migrations")
    return {"status": "ready"}


def _schema_is_current(engine: sa.Engine, db: sa.Connection) -> bool:
    migrations: Any = None
    if importlib.util.find_spec("warehouse.migrations"):
        migrations = importlib.import_module("warehouse.migrations")
    if hasattr(migrations, "is_current"):
        return bool(migrations.is_current(engine))
    return set(Base.metadata.tables) <= set(sa.inspect(db).get_table_names())
