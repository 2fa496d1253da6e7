"""An order as it is stored, and its documents: written from the stored rows alone, so always the same bytes."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from api.orders.models import DocumentFormat


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of an order, as it was ordered."""

    line_number: int
    recommendation_id: str
    facility_id: str
    facility_name: str
    product_id: str
    description: str
    code_system: str | None
    code: str | None
    account_type: str | None
    packs: int
    pack_size: Decimal
    quantity: Decimal
    pack_price: Decimal | None
    need_by: dt.date | None


@dataclasses.dataclass(frozen=True)
class OrderDocument:
    """One order to one supplier with its lines; `sender_id` names this pharmacy in X12 interchanges."""

    order_number: str
    control_number: int
    supplier_id: str
    supplier_name: str
    currency: str | None
    created_at: dt.datetime
    lines: tuple[Line, ...]
    sender_id: str = "PGXSUPPLY"

    @classmethod
    def of(cls, order: Any, lines: Any, sender_id: str) -> "OrderDocument":
        """From the rows of `orders` and `order_lines`."""
        names = [one.name for one in dataclasses.fields(Line)]
        kept = tuple(Line(**{name: line[name] for name in names}) for line in lines)
        head = ("order_number", "control_number", "supplier_id", "supplier_name", "currency", "created_at")
        return cls(**{name: order[name] for name in head}, lines=kept, sender_id=sender_id)


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a format is written: its media type, the ending of its file and its writer."""

    media_type: str
    ending: str
    write: Callable[[OrderDocument], str]


def kind_of(wanted: DocumentFormat) -> Kind:
    """The writer of a format; the FHIR library is loaded only when one of its documents is asked for."""
    if wanted is DocumentFormat.CSV:
        from api.orders.csv_order import write_csv

        return Kind("text/csv; charset=utf-8", "csv", write_csv)
    if wanted is DocumentFormat.X12_850:
        from api.orders.x12_850 import write_850

        return Kind("application/edi-x12", "edi", write_850)
    from api.orders.fhir_order import write_r4b, write_r5

    return Kind("application/fhir+json", "json", write_r4b if wanted is DocumentFormat.FHIR_R4B else write_r5)
