"""An order as it is stored, and its documents: written from the stored rows alone, so always the same bytes."""

import dataclasses
from collections.abc import Callable

from api.orders.models import DocumentFormat
from api.orders.order import OrderDocument


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
