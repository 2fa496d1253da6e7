"""Bodies, parameters and answers of the JSON API, with units and examples: the OpenAPI document is made from here."""

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from forecasting.terms import DecisionKind, DecisionReason, Reason, RecommendationStatus, ResultType

MOST_ROWS_A_PAGE = 500
MOST_PACKS = 1_000_000
MOST_BATCH_ROWS = 10_000


def clean_text(text: str) -> str:
    """The text, which must not hold what a database cannot."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _not_a_truth(value: Any) -> Any:
    # JSON's true is not the number 1, and "5" is not a number
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


def _written_out(value: Any) -> Any:
    # a bare number would be read as seconds since 1970
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("must be written as in 2026-11-23")
    return value


def _utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:
        # the first and the last hours of the calendar have no UTC; they are before and after everything as they stand
        return moment.replace(tzinfo=None)


Text = Annotated[str, AfterValidator(clean_text), Field(max_length=200)]
Note = Annotated[str, AfterValidator(clean_text), Field(max_length=1000)]
Whole = Annotated[int, BeforeValidator(_not_a_truth)]
DayIn = Annotated[dt.date, BeforeValidator(_written_out)]
UtcIn = Annotated[dt.datetime, BeforeValidator(_written_out), AfterValidator(_utc)]
UtcOut = Annotated[
    dt.datetime, PlainSerializer(lambda moment: f"{moment.isoformat()}Z", return_type=str, when_used="json")
]
Names = Annotated[list[Text], Field(max_length=100)]


class Strict(BaseModel):
    """A body or parameter set that takes nothing it does not know."""

    model_config = ConfigDict(extra="forbid")


class PageParameters(Strict):
    """How much of a list, and where to go on."""

    limit: int = Field(100, ge=1, le=MOST_ROWS_A_PAGE, description="Rows a page.")
    cursor: Text | None = Field(None, description="`next_cursor` of the page before; the other parameters unchanged.")


class RecommendationFilters(PageParameters):
    """Which recommendations. A list parameter may be repeated: any of its values."""

    status: list[RecommendationStatus] = Field(
        [RecommendationStatus.APPROVED, RecommendationStatus.MODIFIED],
        description="Default: approved and modified, the lines that may be ordered.",
    )
    facility_id: Names = Field([], description="Sites.")
    product_id: Names = Field([], description="Products.")
    supplier_id: Names = Field([], description="Suppliers.")
    reason: list[Reason] = Field([], description="Primary reasons.")
    order_by_before: DayIn | None = Field(None, description="Only lines to order before this day.")
    updated_since: UtcIn | None = Field(None, description="Only lines changed at or after this moment (UTC).")
    sort: Literal["urgency", "order_by", "updated_at"] = Field(
        "urgency", description="urgency: most urgent first; order_by and updated_at: earliest first."
    )


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


class RecommendationOut(BaseModel):
    """One line: so many packs of this product for this site, by this day. `units` of the answer names the units."""

    recommendation_id: str = Field(examples=["rec-0e34c08a5a7bf1cfd1e3"])
    as_of: dt.date
    facility_id: str = Field(examples=["north"])
    facility_name: str
    product_id: str = Field(examples=["clopidogrel-75-tab"])
    drug: str = Field(examples=["clopidogrel"])
    strength_value: float = Field(examples=[75])
    strength_unit: str = Field(examples=["mg"])
    dose_form: str = Field(examples=["tablet"])
    code_system: str | None
    code: str | None
    supplier_id: str | None
    packs: int = Field(examples=[12], description="Packs to order.")
    pack_size: Decimal = Field(examples=["28"], description="Dose units in a pack, exact.")
    quantity: Decimal = Field(examples=["336"], description="The same order in dose units, exact.")
    cost: Decimal | None = Field(examples=["43.20"], description="In `currency`; null = price unknown.")
    currency: str | None = Field(examples=["GBP"])
    order_by: dt.date
    need_by: dt.date | None = Field(description="null = not within the forecast.")
    reason: Reason
    stockout_probability_before: float = Field(description="Without the order, over the protection interval.")
    stockout_probability_after: float = Field(description="With the order as proposed.")
    expected_waste: float = Field(description="Dose units expected to expire unused, as proposed.")
    days_on_hand_before: float | None
    days_on_hand_after: float | None
    thin_evidence: str | None = Field(
        description="Genes whose evidence is thin here, and what stands in; null = none that moves this product.",
        examples=["CYP2C19: published frequencies stand in for counts of the site's own; worth about 20 people."],
    )
    status: RecommendationStatus
    version: int = Field(description="Counts changes; a decision names the version it saw.")
    updated_at: UtcOut


class ExplainedRecommendationOut(RecommendationOut):
    """A line with its stored calculation and the same in words."""

    units: dict[str, str]
    explanation: dict[str, Any] | None = Field(description="The stored calculation, version 1.")
    paragraph: str | None = Field(description="The calculation in plain language.")
    paragraph_by: str | None = Field(
        description="Who wrote it: the template, or a model whose every number was found in the calculation.",
        examples=["template"],
    )
    writer_problem: str | None = Field(description="Why what a model wrote is not shown; null = nothing was refused.")
    problems: list[str] = Field(
        description="What the run could not do with the drug's guidance or genetics at the site, with the reason.",
        examples=[["codeine: the prevalence of CYP2D6 is unknown at north; planned without genetics"]],
    )


class PageOut(BaseModel):
    """A page of a list; `next_cursor` is null on the last one."""

    next_cursor: str | None
    units: dict[str, str] = Field(description="Field -> unit.")


class RecommendationPage(PageOut):
    """A page of recommendations."""

    items: list[RecommendationOut]


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


class DecisionIn(Strict):
    """What a signed-in person decides about a line, and the version of it that was seen."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"kind": "approve", "version": 1},
                {"kind": "modify", "packs": 10, "reason_code": "storage", "note": "shelf is full", "version": 1},
                {"kind": "undo", "version": 2},
            ]
        },
    )

    kind: DecisionKind = Field(description="undo takes back a decision until the line is ordered.")
    version: Whole = Field(ge=1, le=2**31 - 1)
    packs: Whole | None = Field(None, ge=0, le=MOST_PACKS, description="For modify: packs to order instead.")
    reason_code: DecisionReason | None = Field(None, description="Required for modify and reject.")
    note: Note | None = None


class DecisionOut(BaseModel):
    """The line after the decision."""

    decision_id: int
    awaits_second_approval: bool = Field(description="The line stays proposed until a second person approves.")
    recommendation: RecommendationOut


def _batch_config(row: dict[str, Any]) -> ConfigDict:
    """Settings of a batch whose example holds this one row."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rows": [row]}]})


class BatchIn(Strict):
    """Rows, each judged on its own."""

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_BATCH_ROWS)


class StockIn(BatchIn):
    """Counted stock, one row per lot."""

    model_config = _batch_config(
        {
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "counted_at": "2026-11-23T06:00:00Z",
            "lot": "A123",
            "quantity": 280,
            "expiry_date": "2027-08-31",
            "status": "available",
        }
    )


class DispensingIn(BatchIn):
    """Quantity dispensed in dose units, one row per site, product and period; negative = return."""

    model_config = _batch_config(
        {
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "period_start": "2026-11-16",
            "quantity": 612,
        }
    )


class OpenOrdersIn(BatchIn):
    """Packs still to come, one row per order, product and site."""

    model_config = _batch_config(
        {
            "order_id": "PGX00000012",
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "packs": 40,
            "ordered_at": "2026-11-23",
            "expected_at": "2026-11-25",
        }
    )


class ReceiptsIn(BatchIn):
    """Packs that arrived, one row per order, product, site and day."""

    model_config = _batch_config(
        {
            "order_id": "PGX00000012",
            "facility_id": "north",
            "product_id": "clopidogrel-75-tab",
            "packs": 40,
            "ordered_at": "2026-11-23",
            "received_at": "2026-11-25",
        }
    )


class RefusedRow(BaseModel):
    """A row that was refused: which (the first is 1), which field, which rule."""

    row: int
    field: str
    reason: str


class BatchReport(BaseModel):
    """What became of the rows. Rows that are there already are `unchanged`: sending twice changes nothing."""

    accepted: int
    unchanged: int
    rejected: int
    rejected_rows: list[RefusedRow]


class SessionOut(BaseModel):
    """Who is signed in, and the token that a decision carries in the header X-CSRF-Token."""

    name: str
    role: str
    facility_ids: list[str] | None = Field(description="null = all sites")
    csrf_token: str
