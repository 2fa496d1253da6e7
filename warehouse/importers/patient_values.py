"""Rejected values that look like personal data: they are kept with the refused row, and never shown."""

import re

SIGNS = (
    re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),  # an e-mail address
    re.compile(r"(?<!\d)\d{3}[- ]?\d{2}[- ]?\d{4}(?!\d)"),  # nine digits, as in social security numbers
    re.compile(r"(?<!\d)\d{3}[- ]?\d{3}[- ]?\d{4}(?!\d)"),  # ten, as in NHS numbers and telephone numbers
    re.compile(r"^\s*[A-Z][A-Za-z'-]+,\s*[A-Z][A-Za-z'-]+"),  # Surname, Given
    re.compile(r"^\s*(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?\s+[A-Z]", re.IGNORECASE),
    re.compile(r"(?<!\d)(?:19\d\d|200\d)[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)"),  # a day long ago, as of birth
    re.compile(r"(?<!\d)\d{1,2}[-/.]\d{1,2}[-/.](?:19\d\d|200\d)(?!\d)"),
)


def looks_personal(value: str | None) -> bool:
    """Whether a value could be personal data: rather once too often than once too rarely.

    >>> [looks_personal(one) for one in ("Smith, Jane", "943 476 5919", "3/4/1961", "12 tablets", "H01", None)]
    [True, True, True, False, False, False]
    """
    return value is not None and any(sign.search(value) for sign in SIGNS)
