"""The documents that an order can be written as, in one table: each from stored rows alone, so always the same."""

import dataclasses
from collections.abc import Callable

from api.http.middleware import X12_TYPE
from api.orders.csv_order import write_csv
from api.orders.fhir_order import FHIR_TYPE, write_r4b, write_r5
from api.orders.models import DocumentFormat
from api.orders.order import OrderDocument
from api.orders.x12_850 import write_850


@dataclasses.dataclass(frozen=True)
class DocumentKind:
    """A format: what pages call it, its media type, the ending of its file and its writer."""

    label: str
    media_type: str
    file_ending: str
    write: Callable[[OrderDocument], str]


DOCUMENT_KINDS = {
    DocumentFormat.CSV: DocumentKind("CSV, for a spreadsheet", "text/csv; charset=utf-8", "csv", write_csv),
    DocumentFormat.FHIR_R4B: DocumentKind("FHIR R4B SupplyRequests", FHIR_TYPE, "json", write_r4b),
    DocumentFormat.FHIR_R5: DocumentKind("FHIR R5 SupplyRequests", FHIR_TYPE, "json", write_r5),
    DocumentFormat.X12_850: DocumentKind("X12 850 purchase order", X12_TYPE, "edi", write_850),
}
"""Every format; `tests/contracts/test_documents.py` fails while one is missing."""

MEDIA_TYPES = tuple(dict.fromkeys(kind.media_type.split(";")[0] for kind in DOCUMENT_KINDS.values()))
