"""Forecasts and the prevalence they rest on."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.access.callers import reader
from api.http.context import ONCE_EACH, Db
from api.http.fields import DayIn, Names, PageOut, PageParameters, Text
from api.http.openapi import refusals
from api.http.paging import Key, filtered, list_page
from api.http.units import FORECAST_UNITS, PREVALENCE_UNITS
from api.principal import Principal
from forecasting.terms import ALL_GROUPS, ResultType
from warehouse.queries.lines import newest_origin, within
from warehouse.schema.results import Forecast, Prevalence
from warehouse.settings import small_cell_threshold

router = APIRouter(prefix="/v1", tags=["forecasts"], dependencies=ONCE_EACH)

Reader = Annotated[Principal, reader("forecasts:read")]

FORECAST_KEYS = [Key(Forecast.facility_id), Key(Forecast.product_id), Key(Forecast.period_start)]
PREVALENCE_KEYS = [
    Key(column) for column in (Prevalence.facility_id, Prevalence.gene, Prevalence.result_type, Prevalence.result)
]
SMALL_CELL_NOTE = (
    "Shares are estimates, pooled with published frequencies; no number of people is given. They rest on counts in "
    "steps of {threshold}: no smaller number of people can be worked out from them."
)
FAIR_EVIDENCE, STRONG_EVIDENCE = 100, 1000


class ForecastFilters(PageParameters):
    """Which forecasts."""

    facility_id: Names = Field([], description="Sites; '*' is the whole network.")
    product_id: Names = Field([], description="Products.")
    as_of: DayIn | None = Field(None, description="Origin day; default: the newest.")


class PrevalenceFilters(PageParameters):
    """Which prevalence rows."""

    facility_id: Names = Field([], description="Sites.")
    gene: Text | None = Field(None, description="HGNC symbol.")
    result_type: ResultType | None = Field(None, description="Kind of result.")
    as_of: DayIn | None = Field(None, description="Origin day; default: the newest.")


class ForecastOut(BaseModel):
    """Demand of one site, product and period, in dose units."""

    as_of: dt.date
    facility_id: str
    product_id: str
    period_start: dt.date
    mean: float
    p025: float
    p05: float
    p10: float
    p25: float
    p50: float
    p75: float
    p90: float
    p95: float
    p975: float
    baseline_mean: float = Field(description="Expected demand if testing stayed as at the origin.")
    genetic_shift: float = Field(description="What planned testing adds to baseline_mean.")
    override_shift: float = Field(description="What people's overrides add to both; mean is the sum of the three.")
    model: str


class ForecastPage(PageOut):
    """A page of forecasts."""

    items: list[ForecastOut]


class PrevalenceOut(BaseModel):
    """Estimated share of people with a result, with its 90 % interval; never a count."""

    as_of: dt.date
    facility_id: str
    gene: str = Field(examples=["CYP2C19"])
    result_type: ResultType
    result: str = Field(examples=["Poor Metabolizer"])
    mean: float = Field(examples=[0.0241])
    low: float
    high: float
    evidence: Literal["thin", "fair", "strong"] = Field(
        description="People the estimate is worth: below 100, 100 to 999, 1000 and more."
    )
    share_published: float = Field(description="Weight of published frequencies, to the nearest tenth.")


class PrevalencePage(PageOut):
    """A page of prevalence rows."""

    items: list[PrevalenceOut]
    small_cell_note: str


@router.get("/forecasts", responses=refusals(401, 403))
def list_forecasts(filters: Annotated[ForecastFilters, Query()], caller: Reader, db: Db) -> ForecastPage:
    """Demand per site, product and period: mean, quantiles, baseline and genetic shift. Newest origin by default."""
    query = _of_origin(db, Forecast, filters.as_of, caller)
    query = filtered(query, (Forecast.facility_id, filters.facility_id), (Forecast.product_id, filters.product_id))
    return list_page(ForecastPage, db, query, FORECAST_KEYS, filters, units=FORECAST_UNITS)


@router.get("/prevalence", responses=refusals(401, 403))
def list_prevalence(filters: Annotated[PrevalenceFilters, Query()], caller: Reader, db: Db) -> PrevalencePage:
    """Estimated shares per site, gene and result with 90 % intervals. No counts of people."""
    query = _of_origin(db, Prevalence, filters.as_of, caller).where(Prevalence.biogeographic_group == ALL_GROUPS)
    query = filtered(
        query,
        (Prevalence.facility_id, filters.facility_id),
        (Prevalence.gene, filters.gene or None),
        (Prevalence.result_type, filters.result_type and filters.result_type.value),
    )
    members = {"units": PREVALENCE_UNITS, "small_cell_note": SMALL_CELL_NOTE.format(threshold=small_cell_threshold())}
    return list_page(PrevalencePage, db, query, PREVALENCE_KEYS, filters, item=_publishable, **members)


def _of_origin(db: sa.Connection, results: Any, as_of: dt.date | None, caller: Principal) -> sa.Select[Any]:
    origin = as_of or newest_origin(db, results.__table__, caller.sites)
    return sa.select(results.__table__).where(results.as_of == origin, within(results.facility_id, caller.sites))


def _publishable(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what a count could be computed from: no sizes, weights to the nearest tenth, shares rounded."""
    size = row["effective_n"]
    shares = {name: float(f"{row[name]:.3g}") for name in ("mean", "low", "high")}
    evidence = "strong" if size >= STRONG_EVIDENCE else "fair" if size >= FAIR_EVIDENCE else "thin"
    return {**row, **shares, "evidence": evidence, "share_published": round(row["share_published"], 1)}
