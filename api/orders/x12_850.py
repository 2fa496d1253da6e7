"""An order as an ASC X12 850 purchase order, version 005010: one interchange, one group, one transaction set.

Segments in the order of the 850: BEG, CUR, N1 (supplier); per line PO1, PID, REF, DTM, N1 (ship to); CTT. What is ours
alone goes in REF with the qualifier ZZ (mutually defined), named in REF03. Quantities are packs (unit PK).
"""

import re
import unicodedata
from decimal import Decimal

from api.http.errors import InvalidRequest
from api.orders.order import OrderDocument, OrderedLine

ELEMENT, SEGMENT, COMPONENT, REPETITION = "*", "~", ">", "^"
DELIMITERS = re.compile(r"[*~>^]")
UNIT = "PK"
LONGEST_ID = 15
LONGEST_NAME = 60
LONGEST_CODE = 48


def write_850(order: OrderDocument) -> str:
    """The interchange. `InvalidRequest` when an identifier cannot be written in X12 without changing it."""
    body = [*_head(order), *(segment for line in order.lines for segment in _line(line)), _totals(order)]
    control, group = f"{order.control_number:09d}", str(order.control_number)
    transaction = [["ST", "850", "0001"], *body]
    transaction.append(["SE", str(len(transaction) + 1), "0001"])
    day, time = order.created_at.strftime("%Y%m%d"), order.created_at.strftime("%H%M")
    sender, receiver = (
        _exact_code(name, value, LONGEST_ID)
        for name, value in (("sender", order.sender_id), ("supplier_id", order.supplier_id))
    )
    segments = [
        ["ISA", "00", " " * 10, "00", " " * 10, "ZZ", f"{sender:<15}", "ZZ", f"{receiver:<15}", day[2:], time]
        + [REPETITION, "00501", control, "0", "P", COMPONENT],
        ["GS", "PO", sender, receiver, day, time, group, "X", "005010"],
        *transaction,
        ["GE", "1", group],
        ["IEA", "1", control],
    ]
    return "".join(_joined(segment) + SEGMENT + "\n" for segment in segments)


def _head(order: OrderDocument) -> list[list[str]]:
    head = [["BEG", "00", "SA", order.order_number, "", order.created_at.strftime("%Y%m%d")]]
    if order.currency:
        head.append(["CUR", "BY", _exact_code("currency", order.currency, 3)])
    supplier = _exact_code("supplier_id", order.supplier_id, LONGEST_NAME)
    return [*head, ["N1", "SU", _ascii_name(order.supplier_name), "92", supplier]]


def _line(line: OrderedLine) -> list[list[str]]:
    price = "" if line.pack_price is None else format(line.pack_price, "f")
    codes = [*_code(line), "BP", _exact_code("product_id", line.product_id, LONGEST_CODE)]
    segments = [
        ["PO1", str(line.line_number), str(line.packs), UNIT, price, "", *codes],
        ["PID", "F", "", "", "", _ascii_name(line.description, 80)],
        ["REF", "ZZ", _exact_code("recommendation_id", line.recommendation_id, 50), "RECOMMENDATION"],
    ]
    if line.account_type:
        segments.append(["REF", "ZZ", line.account_type.upper(), "ACCOUNT TYPE"])
    if line.need_by:
        segments.append(["DTM", "002", line.need_by.strftime("%Y%m%d")])
    ship_to = _exact_code("facility_id", line.facility_id, LONGEST_NAME)
    return [*segments, ["N1", "ST", _ascii_name(line.facility_name), "92", ship_to]]


def _code(line: OrderedLine) -> list[str]:
    """The issued code and its qualifier: N4 = NDC in 5-4-2, ND = NDC as issued, UK = GTIN-14; others have none."""
    if not line.code or line.code_system not in ("ndc", "gtin"):
        return []
    if line.code_system == "gtin":
        digits = _exact_code("code", line.code, LONGEST_CODE)
        return ["UK", digits.zfill(14)] if digits.isdigit() and len(digits) <= 14 else []
    normal = ndc_542(line.code)
    return ["N4", normal] if normal else ["ND", _exact_code("code", line.code, LONGEST_CODE)]


def ndc_542(code: str) -> str | None:
    """An NDC as 11 digits (5-4-2), None when it cannot be told: ten digits without hyphens, or a later longer form.

    >>> ndc_542("0186-0777-60"), ndc_542("00186077760"), ndc_542("0186077760")
    ('00186077760', '00186077760', None)
    """
    parts = code.split("-")
    if re.fullmatch(r"[0-9]{11}", code):
        return code
    lengths = [len(part) for part in parts]
    if lengths in ([4, 4, 2], [5, 3, 2], [5, 4, 1], [5, 4, 2]) and code.isascii() and "".join(parts).isdigit():
        return parts[0].zfill(5) + parts[1].zfill(4) + parts[2].zfill(2)
    return None


def _totals(order: OrderDocument) -> list[str]:
    """Number of lines, and the sum of the ordered packs as a hash total."""
    return ["CTT", str(len(order.lines)), str(Decimal(sum(line.packs for line in order.lines)))]


def _ascii_name(text: str, longest: int = LONGEST_NAME) -> str:
    """A name for people: in ASCII, without delimiters, cut to length."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    printable = "".join(letter if letter.isprintable() else " " for letter in DELIMITERS.sub(" ", plain))
    return " ".join(printable.split())[:longest].strip() or "-"


def _exact_code(name: str, value: str, longest: int) -> str:
    """A code, unchanged; one that X12 cannot carry is refused, never changed."""
    if not value.isascii() or not value.isprintable() or DELIMITERS.search(value) or len(value) > longest:
        rule = f"{value!r} cannot be written in X12: at most {longest} plain characters without * ~ > ^"
        raise InvalidRequest.field(name, rule)
    return value


def _joined(segment: list[str]) -> str:
    text = ELEMENT.join(segment)
    return text if segment[0] == "ISA" else text.rstrip(ELEMENT)
