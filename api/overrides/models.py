"""Bodies, parameters and answers about overrides of forecasts and edits of packs."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic.config import JsonDict

from api.http.fields import (
    MOST_PACKS,
    DayIn,
    Names,
    Note,
    PageOut,
    PageParameters,
    Strict,
    Text,
    UtcOut,
    Whole,
    with_examples,
)
from forecasting.terms import OverrideKind, OverrideReason

MOST_QUANTITY = 1e9
NEW_WARD: JsonDict = {
    "facility_id": "north",
    "product_id": "clopidogrel-75",
    "kind": "factor",
    "value": 1.25,
    "starts_on": "2026-11-30",
    "ends_on": "2026-12-27",
    "expires_on": "2026-12-27",
    "reason_code": "new_service",
    "note": "cardiology ward 3 opens on 1 December",
}


def _not_boolean_or_text(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


Amount = Annotated[float, BeforeValidator(_not_boolean_or_text)]


class OverrideState(StrEnum):
    """Whether the next run uses it."""

    ACTIVE = "active"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class OverrideFilters(PageParameters):
    """Which overrides. A list parameter may be repeated: any of its values."""

    facility_id: Names = Field([], description="Sites.")
    product_id: Names = Field([], description="Products that were named; an override of a drug names none.")
    drug: Text | None = Field(None, description="Ingredient.")
    state: OverrideState | None = Field(None, description="Default: all of them.")


class OverrideIn(Strict):
    """What a signed-in person sets of a site's forecast: for a product or a drug, some periods, with a reason."""

    model_config = with_examples(NEW_WARD)

    facility_id: Text = Field(description="Site.")
    product_id: Text | None = Field(None, description="Product; or name a drug.")
    drug: Text | None = Field(None, description="Every product of this ingredient; a factor only.")
    kind: OverrideKind = Field(description="quantity: dose units for every period; factor: times what is forecast.")
    value: Amount = Field(ge=0, le=MOST_QUANTITY, allow_inf_nan=False, description="A factor must be above 0.")
    starts_on: DayIn = Field(description="Acts on periods that begin on this day or later.")
    ends_on: DayIn = Field(description="Acts on periods that begin on this day or before.")
    expires_on: DayIn = Field(description="Last origin day on which a run still uses it.")
    reason_code: OverrideReason
    note: Note | None = Field(None, description="In your words; required for the reason other.")


class WithdrawalIn(Strict):
    """Taking an override back."""

    model_config = with_examples({"note": "the ward opens in spring"})

    note: Note | None = Field(None, description="Why.")


class PacksIn(Strict):
    """An edit of a line's packs before it is decided."""

    model_config = with_examples(
        {"recommendation_id": "rec-01", "packs": 14}, {"recommendation_id": "rec-01", "quantity": 400}
    )

    recommendation_id: Text = Field(description="Line.")
    packs: Whole | None = Field(None, ge=0, le=MOST_PACKS, description="Packs wanted; or a quantity.")
    quantity: Amount | None = Field(
        None, ge=0, le=MOST_QUANTITY, allow_inf_nan=False, description="Dose units wanted; rounded as orders are."
    )


class OverrideOut(BaseModel):
    """An override and what became of it."""

    override_id: int = Field(examples=[12])
    facility_id: str = Field(examples=["north"])
    facility_name: str
    product_id: str | None = Field(description="null = every product of the drug.")
    drug: str = Field(examples=["clopidogrel"])
    kind: OverrideKind
    value: float = Field(examples=[1.25], description="Dose units for every period, or the factor.")
    starts_on: dt.date
    ends_on: dt.date
    expires_on: dt.date
    reason_code: OverrideReason
    note: str | None
    created_at: UtcOut
    decided_by: str = Field(examples=["Ben"])
    state: OverrideState
    withdrawn_at: UtcOut | None
    withdrawn_by: str | None
    withdrawn_note: str | None


class OverridePage(PageOut):
    """A page of overrides, newest first."""

    items: list[OverrideOut]


class PeriodOut(BaseModel):
    """Expected demand of one period, in dose units, step by step: now, and with the override."""

    period_start: dt.date
    baseline: float
    genetic_shift: float
    override_now: float = Field(description="What acting overrides add now.")
    final_now: float
    override_then: float
    final_then: float


class OrderChange(StrEnum):
    """Whether an edit changes the order."""

    CHANGES = "changes"
    SAME = "same"
    DECIDED = "decided"
    NO_LINE = "no_line"
    NO_FORECAST = "no_forecast"


class ProductPreviewOut(BaseModel):
    """What an override would do to one product: its forecast, and its order."""

    product_id: str
    recommendation_id: str | None = Field(description="The line that was recomputed; null = there is none.")
    order: OrderChange
    packs_now: int | None = Field(description="As stored.")
    packs_then: int | None = Field(description="Of the same calculation with the changed demand.")
    expected_now: float | None = Field(description="Over the protection interval, dose units.")
    expected_then: float | None
    message: str = Field(examples=["This does not change the order: 12 packs either way."])
    periods: list[PeriodOut] = Field(description="Periods of the newest plan that the override covers.")


class OverridePreviewOut(BaseModel):
    """Does it change an order? Nothing was stored."""

    changes_an_order: bool
    takes_the_place_of: list[int] = Field(description="Active overrides that cover some of the same periods.")
    products: list[ProductPreviewOut]
    units: dict[str, str]


class PacksPreviewOut(BaseModel):
    """Does it change the order? Nothing was stored."""

    recommendation_id: str
    order: OrderChange
    packs_now: int
    packs_then: int = Field(description="Packs that would be ordered.")
    days_of_use: float | None = Field(description="The difference in days of expected use; null = not known.")
    message: str = Field(examples=["This does not change the order: 330 dose units are 12 packs as well."])


class ValueOut(BaseModel):
    """What some edits were worth, once their periods were past; all sums in dose units."""

    edits_of: Literal["forecast", "packs"]
    group_by: Literal["all", "person", "reason", "drug", "direction", "size"]
    group: str = Field(examples=["small up"], description="size: small (under 10 %) or large, and up or down.")
    edits: int = Field(description="Edits it rests on: an override and product, or a line whose packs were changed.")
    improved: int = Field(description="Of them, those that came nearer to what happened.")
    error_without: float = Field(description="Sum of absolute errors without the edits.")
    error_with: float
    value_added: float = Field(description="error_without minus error_with; negative = they took.")
    bias_without: float = Field(description="Forecast (or packs) minus what came (or was needed); above 0 = too much.")
    bias_with: float
    relative: float | None = Field(description="value_added over error_without; null = there was no error to take off.")


class ValuePage(BaseModel):
    """What edits at the caller's sites were worth: in total, by person, reason, drug, direction and size."""

    as_of: dt.date | None = Field(description="Origin of the run that measured it; null = none did.")
    items: list[ValueOut]
    units: dict[str, str]
