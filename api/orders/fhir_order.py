"""An order as a FHIR transaction bundle of SupplyRequests, R4B and R5, built with `fhir.resources`.

One item a resource, as the standard has it. Each entry creates its resource only if none with its identifier is there:
sent twice, it orders once. `fhir.resources` checks structure; the one code bound as required here is the status, and
`active` is in its value set in both releases (hl7.org/fhir/R4B/valueset-supplyrequest-status.html).
"""

import re
import uuid
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from api.orders.order import OrderDocument, OrderedLine

FHIR_TYPE = "application/fhir+json"

LINE_SYSTEM = "urn:pgx-supply:order-line"
RECOMMENDATION_SYSTEM = "urn:pgx-supply:recommendation"
PRODUCT_SYSTEM = "urn:pgx-supply:product"
FACILITY_SYSTEM = "urn:pgx-supply:facility"
SUPPLIER_SYSTEM = "urn:pgx-supply:supplier"
CODE_SYSTEMS = {
    "ndc": "http://hl7.org/fhir/sid/ndc",
    "gtin": "https://www.gs1.org/gtin",
    "dmd": "https://dmd.nhs.uk",
    "bnf": "urn:pgx-supply:code:bnf",
    "local": "urn:pgx-supply:code:local",
}
UCUM = "http://unitsofmeasure.org"


def write_r4b(order: OrderDocument) -> str:
    """The bundle in R4B."""
    from fhir.resources.R4B.bundle import Bundle

    bundle = Bundle.model_validate(_bundle(order, "itemCodeableConcept", lambda concept: concept))
    return bundle.model_dump_json(indent=2) + "\n"


def write_r5(order: OrderDocument) -> str:
    """The bundle in R5."""
    from fhir.resources.bundle import Bundle

    bundle = Bundle.model_validate(_bundle(order, "item", lambda concept: {"concept": concept}))
    return bundle.model_dump_json(indent=2) + "\n"


def _bundle(order: OrderDocument, item: str, wrapped: Any) -> dict[str, Any]:
    entries = []
    for line in order.lines:
        concept = coded(line.code_system, line.code, line.product_id, line.description)
        resource = _request(order, line) | {item: wrapped(concept)}
        name = _line_name(order, line)
        entries.append(
            {
                "fullUrl": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{LINE_SYSTEM}:{name}')}",
                "resource": resource,
                "request": {
                    "method": "POST",
                    "url": "SupplyRequest",
                    "ifNoneExist": f"identifier={quote(LINE_SYSTEM, safe='')}|{quote(name, safe='')}",
                },
            }
        )
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "identifier": {"system": "urn:pgx-supply:order", "value": order.order_number},
        "timestamp": _instant(order),
        "entry": entries,
    }


def _request(order: OrderDocument, line: OrderedLine) -> dict[str, Any]:
    parameters = [
        {"code": {"text": "dose units per pack"}, "valueQuantity": {"value": number(line.pack_size)}},
        {"code": {"text": "dose units ordered"}, "valueQuantity": {"value": number(line.quantity)}},
    ]
    if line.account_type:
        parameters.append({"code": {"text": "purchase account"}, "valueCodeableConcept": {"text": line.account_type}})
    request: dict[str, Any] = {
        "resourceType": "SupplyRequest",
        "identifier": [
            {"system": LINE_SYSTEM, "value": _line_name(order, line)},
            {"system": RECOMMENDATION_SYSTEM, "value": line.recommendation_id},
        ],
        "status": "active",
        "quantity": {"value": line.packs, "unit": "pack", "system": UCUM, "code": "{pack}"},
        "parameter": parameters,
        "authoredOn": _instant(order),
        "supplier": [
            {
                "identifier": {"system": SUPPLIER_SYSTEM, "value": order.supplier_id},
                "display": plain(order.supplier_name),
            }
        ],
        "deliverTo": {
            "identifier": {"system": FACILITY_SYSTEM, "value": line.facility_id},
            "display": plain(line.facility_name),
        },
    }
    if line.need_by:
        request["occurrenceDateTime"] = line.need_by.isoformat()
    return request


def coded(code_system: str | None, code: str | None, product_id: str, text: str) -> dict[str, Any]:
    """The product as a CodeableConcept: its issued code where it has one, always the network's own."""
    codings = [{"system": PRODUCT_SYSTEM, "code": product_id}]
    if code and code_system:
        codings.insert(0, {"system": CODE_SYSTEMS[code_system], "code": code})
    return {"coding": codings, "text": plain(text)}


def plain(text: str) -> str:
    """Text as FHIR's `string` allows it: white space is a blank, tab or line end; any other becomes a blank.

    >>> plain("2.5\xa0mg")
    '2.5 mg'
    """
    return re.sub(r"[^\S \t\r\n]", " ", text)


def number(value: Decimal) -> int | Decimal:
    """A decimal as JSON should show it.

    >>> number(Decimal("56")), number(Decimal("2.5"))
    (56, Decimal('2.5'))
    """
    return int(value) if value == value.to_integral_value() else value


def _line_name(order: OrderDocument, line: OrderedLine) -> str:
    return f"{order.order_number}-{line.line_number}"


def _instant(order: OrderDocument) -> str:
    return order.created_at.replace(microsecond=0).isoformat() + "Z"
