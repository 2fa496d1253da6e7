"""Resources that are read alone: forecasts, prevalence, sites, products, the session."""

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field

from api.http.fields import DayIn, Names, PageOut, PageParameters, Text
from forecasting.terms import ResultType


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


class FacilityOut(BaseModel):
    """A site."""

    facility_id: str
    name: str
    network: str | None
    closed_on: dt.date | None
    successor_id: str | None


class FacilityPage(PageOut):
    """A page of sites."""

    items: list[FacilityOut]


class ProductOut(BaseModel):
    """What is stocked: drug, strength, form and pack terms."""

    product_id: str
    drug: str
    strength_value: float
    strength_unit: str
    dose_form: str
    pack_size: Decimal
    pack_price: Decimal | None
    currency: str | None
    code_system: str | None
    code: str | None
    supplier_id: str | None
    minimum_order_packs: int | None
    order_multiple_packs: int | None
    launched_on: dt.date | None
    withdrawn_on: dt.date | None


class ProductPage(PageOut):
    """A page of products."""

    items: list[ProductOut]


class SessionOut(BaseModel):
    """Who is signed in, and the token that a decision carries in the header X-CSRF-Token."""

    name: str
    role: str
    facility_ids: list[str] | None = Field(description="null = all sites")
    csrf_token: str
