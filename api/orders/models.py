"""Bodies, parameters and answers of order exports, orders and acknowledgements."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.http.fields import (
    MOST_BATCH_ROWS,
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
from forecasting.terms import AcknowledgementStatus


class DocumentFormat(StrEnum):
    """What an order can be written as."""

    CSV = "csv"
    FHIR_R4B = "fhir-r4b"
    FHIR_R5 = "fhir-r5"
    X12_850 = "x12-850"


class OrderExportIn(Strict):
    """Which approved lines to order; an empty list is no limit."""

    model_config = with_examples({"facility_id": ["north"], "account_type": "gpo"}, {})

    facility_id: Names = Field([], description="Only lines of these sites.")
    supplier_id: Names = Field([], description="Only lines of these suppliers.")
    recommendation_id: Annotated[list[Text], Field(max_length=MOST_BATCH_ROWS)] = Field(
        [], description="Only these lines; those that cannot be ordered are named in `not_exported`."
    )
    account_type: Literal["gpo", "340b", "wac"] | None = Field(
        None, description="Purchase account, kept on every line; null = not stated."
    )


class OrderLineOut(BaseModel):
    """One line as it was ordered: codes and price of that moment."""

    line_number: int
    recommendation_id: str = Field(examples=["rec-0e34c08a5a7bf1cfd1e3"])
    facility_id: str
    facility_name: str
    product_id: str
    description: str = Field(examples=["ticagrelor 90 mg tablet, pack of 56"])
    code_system: str | None = Field(examples=["ndc"])
    code: str | None = Field(examples=["00186-0777-60"])
    account_type: str | None = Field(examples=["340b"])
    packs: int
    pack_size: Decimal = Field(examples=["56"], description="Dose units in a pack, exact.")
    quantity: Decimal = Field(examples=["672"], description="The same in dose units, exact.")
    pack_price: Decimal | None = Field(examples=["54.6"], description="In the order's currency; null = unknown.")
    need_by: dt.date | None


class AcknowledgedLineOut(OrderLineOut):
    """A line with what the supplier said last, and what became of the recommendation."""

    acknowledgement: AcknowledgementStatus | None
    packs_confirmed: int | None = Field(description="Packs the supplier will deliver; null = not acknowledged.")
    expected_at: dt.date | None
    acknowledgement_note: str | None
    status: Literal["exported", "acknowledged", "received"]


class _OrderHead(BaseModel):
    order_number: str = Field(examples=["PGX00000012"])
    export_id: str = Field(examples=["exp-00000007"])
    supplier_id: str
    supplier_name: str
    currency: str | None = Field(examples=["GBP"])
    created_at: UtcOut
    cost: Decimal | None = Field(examples=["655.2"], description="Of the lines with a price; null = none has one.")
    documents: dict[DocumentFormat, str] = Field(description="Format -> where to get it.")


class OrderOut(_OrderHead):
    """One order to one supplier, as it was handed off."""

    lines: list[OrderLineOut]


class AcknowledgedOrderOut(_OrderHead):
    """One order and how it stands."""

    units: dict[str, str]
    lines: list[AcknowledgedLineOut]


class OrderSummaryOut(_OrderHead):
    """One order in a list."""

    lines: int


class OrderPage(PageOut):
    """A page of orders, newest first."""

    items: list[OrderSummaryOut]


class OrderFilters(PageParameters):
    """Which orders."""

    supplier_id: Names = Field([], description="Suppliers.")


class NotExported(BaseModel):
    """A line that was asked for and left out."""

    recommendation_id: str
    reason: str = Field(examples=["it was exported already, as PGX00000011"])


class OrderExportOut(BaseModel):
    """What one hand-off locked: an order per supplier (and currency). The same Idempotency-Key gives the same again."""

    export_id: str
    created_at: UtcOut
    created_by: str
    orders: list[OrderOut]
    not_exported: list[NotExported]
    units: dict[str, str]


class AcknowledgedLine(Strict):
    """What the supplier says to one line."""

    line_number: Whole = Field(ge=1, le=MOST_BATCH_ROWS)
    status: AcknowledgementStatus
    packs_confirmed: Whole | None = Field(
        None, ge=0, le=MOST_PACKS, description="Packs that will come; default: all, or none when rejected."
    )
    expected_at: DayIn | None = None
    note: Note | None = None


class AcknowledgementIn(Strict):
    """The supplier's answer; lines it does not name stay as they are."""

    model_config = with_examples(
        {"lines": [{"line_number": 1, "status": "changed", "packs_confirmed": 10, "expected_at": "2026-11-27"}]}
    )

    lines: list[AcknowledgedLine] = Field(min_length=1, max_length=MOST_BATCH_ROWS)
