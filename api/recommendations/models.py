"""Bodies, parameters and answers of the JSON API, with units and examples: the OpenAPI document is made from here."""

import datetime as dt
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from api.http.fields import (
    MOST_PACKS,
    DayIn,
    Names,
    Note,
    PageOut,
    PageParameters,
    Strict,
    UtcIn,
    UtcOut,
    Whole,
    with_examples,
)
from forecasting.terms import DecisionKind, DecisionReason, Reason, RecommendationStatus


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


class RecommendationPage(PageOut):
    """A page of recommendations."""

    items: list[RecommendationOut]


class DecisionIn(Strict):
    """What a signed-in person decides about a line, and the version of it that was seen."""

    model_config = with_examples(
        {"kind": "approve", "version": 1},
        {"kind": "modify", "packs": 10, "reason_code": "storage", "note": "shelf is full", "version": 1},
        {"kind": "undo", "version": 2},
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
