"""Forecasts and the prevalence they rest on."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query

from api.access.callers import reader
from api.access.roles import Principal
from api.http.context import Db, refuse_repeated_parameters
from api.http.openapi import refusals
from api.http.paging import Key, page_of
from api.http.units import FORECAST_UNITS, PREVALENCE_UNITS
from api.routes.resources import ForecastFilters, ForecastPage, PrevalenceFilters, PrevalencePage
from forecasting.terms import ALL_GROUPS
from warehouse.queries.lines import newest_origin, within
from warehouse.schema.results import Forecast, Prevalence
from warehouse.settings import small_cell_threshold

router = APIRouter(prefix="/v1", tags=["forecasts"], dependencies=[Depends(refuse_repeated_parameters)])

Reader = Annotated[Principal, reader("forecasts:read")]

FORECAST_KEYS: list[Key] = [
    ("facility_id", Forecast.facility_id, False),
    ("product_id", Forecast.product_id, False),
    ("period_start", Forecast.period_start, False),
]
PREVALENCE_KEYS: list[Key] = [
    (name, getattr(Prevalence, name), False) for name in ("facility_id", "gene", "result_type", "result")
]
SMALL_CELL_NOTE = (
    "Shares are estimates, pooled with published frequencies; no number of people is given. They rest on counts in "
    "steps of {threshold}: no smaller number of people can be worked out from them."
)
FAIR_EVIDENCE, STRONG_EVIDENCE = 100, 1000


@router.get("/forecasts", responses=refusals(401, 403))
def list_forecasts(filters: Annotated[ForecastFilters, Query()], caller: Reader, db: Db) -> ForecastPage:
    """Demand per site, product and period: mean, quantiles, baseline and genetic shift. Newest origin by default."""
    query = _of_origin(db, Forecast, filters.as_of, caller)
    if filters.facility_id:
        query = query.where(Forecast.facility_id.in_(filters.facility_id))
    if filters.product_id:
        query = query.where(Forecast.product_id.in_(filters.product_id))
    rows, cursor = page_of(db, query, FORECAST_KEYS, limit=filters.limit, cursor=filters.cursor)
    return ForecastPage(items=rows, next_cursor=cursor, units=FORECAST_UNITS)  # type: ignore[arg-type]


@router.get("/prevalence", responses=refusals(401, 403))
def list_prevalence(filters: Annotated[PrevalenceFilters, Query()], caller: Reader, db: Db) -> PrevalencePage:
    """Estimated shares per site, gene and result with 90 % intervals. No counts of people."""
    query = _of_origin(db, Prevalence, filters.as_of, caller).where(Prevalence.biogeographic_group == ALL_GROUPS)
    if filters.facility_id:
        query = query.where(Prevalence.facility_id.in_(filters.facility_id))
    if filters.gene:
        query = query.where(Prevalence.gene == filters.gene)
    if filters.result_type:
        query = query.where(Prevalence.result_type == filters.result_type.value)
    rows, cursor = page_of(db, query, PREVALENCE_KEYS, limit=filters.limit, cursor=filters.cursor)
    items = [_published(row) for row in rows]
    note = SMALL_CELL_NOTE.format(threshold=small_cell_threshold())
    return PrevalencePage.model_validate(
        {"items": items, "next_cursor": cursor, "units": PREVALENCE_UNITS, "small_cell_note": note}
    )


def _of_origin(db: sa.Connection, kind: Any, as_of: dt.date | None, caller: Principal) -> sa.Select[Any]:
    origin = as_of or newest_origin(db, kind.__table__, caller.sites)
    return sa.select(kind.__table__).where(kind.as_of == origin, within(kind.facility_id, caller.sites))


def _published(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what a count could be computed from: no sizes, weights to the nearest tenth, shares rounded."""
    size = row["effective_n"]
    shares = {name: float(f"{row[name]:.3g}") for name in ("mean", "low", "high")}
    evidence = "strong" if size >= STRONG_EVIDENCE else "fair" if size >= FAIR_EVIDENCE else "thin"
    return {**row, **shares, "evidence": evidence, "share_published": round(row["share_published"], 1)}
