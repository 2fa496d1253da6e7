"""An order as CSV (RFC 4180) that is safe to open in a spreadsheet."""

import csv
import dataclasses
import io
from decimal import Decimal
from typing import Any

from api.orders.order import OrderDocument, OrderedLine

COLUMNS = (
    *("order_number", "ordered_at", "supplier_id", "supplier_name"),
    *(field.name for field in dataclasses.fields(OrderedLine)),
    "currency",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(order: OrderDocument) -> str:
    """One row a line, with a header; packs and quantities are plain numbers, everything else is text."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    head = (order.order_number, order.created_at.isoformat() + "Z", order.supplier_id, order.supplier_name)
    for line in order.lines:
        row = [*head, *dataclasses.astuple(line), order.currency]
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return "" if value is None else spreadsheet_text(str(value))


def spreadsheet_text(text: str) -> str:
    """The text as a spreadsheet shows it, never as a formula: an apostrophe goes before what would start one.

    >>> spreadsheet_text("=1+1"), spreadsheet_text("0186-0777")
    ("'=1+1", '0186-0777')
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
