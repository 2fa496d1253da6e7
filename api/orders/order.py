"""One order and its lines, as every document format reads them."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any


@dataclasses.dataclass(frozen=True)
class OrderedLine:
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
    lines: tuple[OrderedLine, ...]
    sender_id: str = "PGXSUPPLY"

    @classmethod
    def from_rows(cls, order: Any, lines: Any, sender_id: str) -> "OrderDocument":
        """From the rows of `orders` and `order_lines`."""
        names = [field.name for field in dataclasses.fields(OrderedLine)]
        ordered = tuple(OrderedLine(**{name: line[name] for name in names}) for line in lines)
        head = ("order_number", "control_number", "supplier_id", "supplier_name", "currency", "created_at")
        return cls(**{name: order[name] for name in head}, lines=ordered, sender_id=sender_id)
