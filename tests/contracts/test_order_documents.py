"""Every format of an order's documents is in the one table, and no format is written as another."""

from api.orders.documents import DOCUMENT_KINDS
from api.orders.models import DocumentFormat


def test_every_format_has_one_writer_of_its_own():
    assert set(DOCUMENT_KINDS) == set(DocumentFormat)
    assert len({kind.write for kind in DOCUMENT_KINDS.values()}) == len(DOCUMENT_KINDS)
    assert len({kind.label for kind in DOCUMENT_KINDS.values()}) == len(DOCUMENT_KINDS)
    assert all(kind.media_type and kind.file_ending for kind in DOCUMENT_KINDS.values())
