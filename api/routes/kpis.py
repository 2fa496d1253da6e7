"""Key figures of the last weeks, as the overview page shows them."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.access.callers import reader
from api.http.context import ONCE_EACH, Db, Now
from api.http.fields import Strict
from api.http.openapi import refusals
from api.principal import Principal
from warehouse.queries.kpi_sources import WHOLE
from warehouse.queries.kpis import DEFINITIONS, KeyFigure, key_figures

router = APIRouter(prefix="/v1", tags=["key figures"], dependencies=ONCE_EACH)

MOST_WEEKS = 104


class KpiParameters(Strict):
    """How far back."""

    weeks: int = Field(13, ge=1, le=MOST_WEEKS, description="Weeks that end with today (UTC).")


class WeekOut(BaseModel):
    """A week of the period."""

    week: dt.date = Field(description="Its first day.")
    value: float | None = Field(description="Null = not known for that week.")


class KpiOut(BaseModel):
    """A key figure of one site, or of all the caller's sites together."""

    kpi: str = Field(examples=["stockout_rate"])
    name: str
    meaning: str
    facility_id: str | None = Field(description="Null = all the caller's sites together.")
    value: float | None = Field(description="Null = not known, never zero; `note` says why.")
    unit: str = Field(description="share, days, per year, count, or the currency of an amount.", examples=["share"])
    rests_on: int = Field(description="How many of what `rests_on_unit` names it was computed from.")
    rests_on_unit: str
    note: str | None = Field(description="Why it is not known, or what it leaves out.")
    trend: list[WeekOut] = Field(description="Per week; empty where no two weeks are known.")


class KpisOut(BaseModel):
    """The figures of all sites, by kind and then by site."""

    items: list[KpiOut]


@router.get("/kpis", responses=refusals(401, 403))
def list_kpis(
    parameters: Annotated[KpiParameters, Query()],
    caller: Annotated[Principal, reader("recommendations:read")],
    db: Db,
    now: Now,
) -> KpisOut:
    """Stock-out rate, expired stock, days on hand, inventory turns, what is overdue, and decisions."""
    figures = key_figures(db, caller.sites, now.date(), parameters.weeks)
    return KpisOut(items=[_resource(figure) for figure in figures])


def _resource(figure: KeyFigure) -> KpiOut:
    definition = DEFINITIONS[figure.kpi]
    return KpiOut(
        kpi=figure.kpi,
        name=definition.name,
        meaning=definition.meaning,
        facility_id=None if figure.facility_id == WHOLE else figure.facility_id,
        value=figure.value,
        unit=figure.unit,
        rests_on=figure.rests_on,
        rests_on_unit=definition.rests_on,
        note=figure.note,
        trend=[WeekOut(week=week, value=value) for week, value in figure.trend],
    )
