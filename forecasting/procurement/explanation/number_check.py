"""Checks that every number of a paragraph occurs in its calculation."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

from forecasting.procurement.explanation.calculation import Document

MOST_DECIMALS = 3

SHARE_UNITS = ("share", "probability")

NAME_FIELDS = ("gene", "lookup_key", "drug", "recommendation_id", "decided_by")
"""What an input may carry that can have digits in its name."""

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

_NUMBER_WORDS = {
    **dict(zip("two three four five six seven eight nine ten eleven twelve".split(), range(2, 13), strict=True)),
    **dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True)),
    **{"dozen": 12, "hundred": 100, "thousand": 1000},
}

_NUMBER_WORD = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)

LIMIT_NAMES = tuple(f"limit_{number}" for number in range(1, 7))
"""Inputs that carry a limit which several lines share."""


def number_text(value: Decimal, decimals: int | None = None) -> str:
    """A number as a buyer reads it.

    >>> number_text(Decimal("1234.56")), number_text(Decimal("7.04")), number_text(Decimal("7.46"))
    ('1,235', '7', '7.5')
    """
    places = _display_decimals(value) if decimals is None else decimals
    rounded = _rounded(value, places)
    return f"{rounded:,f}" if decimals is not None or rounded % 1 else f"{int(rounded):,}"


def _display_decimals(value: Decimal) -> int:
    return 0 if abs(value) >= 10 else 1


def _rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def unsupported_numbers(text: str, document: Document) -> list[str]:
    """Numbers of the text that the calculation does not hold, as written; empty if all are supported.

    Dates, number words from two up, and names with digits (genes, lookup keys, strengths) are checked too. Samples are
    not numbers of the calculation: with hundreds of values almost anything would pass.
    """
    text = without_names(text, document)
    dates = {document["as_of"], *document["dates"].values()}
    wrong = [date for date in _DATE.findall(text) if date not in dates]
    text = _DATE.sub(" ", text)
    if cutoff := document["item"].get("order_cutoff"):
        text = re.sub(rf"(?<![\d:]){re.escape(str(cutoff))}(?![\d:])", " ", text)
    plain, percent = _supported(document)
    for match in NUMBER.finditer(text):
        after = text[match.end() :].lstrip()
        values = percent if after.startswith(("%", "per cent", "percent")) else plain
        if not is_rounding_of(Decimal(match.group().replace(",", "")), values):
            wrong.append(match.group())
    spelled = _NUMBER_WORD.findall(text)
    return wrong + [word for word in spelled if not is_rounding_of(Decimal(_NUMBER_WORDS[word.lower()]), plain)]


def is_rounding_of(number: Decimal, values: list[Decimal]) -> bool:
    """Whether a number is one of the values, as it stands or as it may be rounded."""
    return any(
        number == value or any(number == _rounded(value, p) for p in range(_display_decimals(value), MOST_DECIMALS + 1))
        for value in values
    )


def _supported(document: Document) -> tuple[list[Decimal], list[Decimal]]:
    """Absolute values that may stand in a text: as plain numbers, and as per cent."""
    entries = [*document["inputs"], *document["steps"], *document["outlook"]]
    plain = [abs(Decimal(entry["value"])) for entry in entries if entry["value"] is not None]
    shares = (entry["value"] for entry in entries if entry["unit"] in SHARE_UNITS)
    percent = [100 * Decimal(share) for share in shares if share is not None]
    plain += [Decimal(entry["age_days"]) for entry in document["inputs"] if entry["age_days"] is not None]
    for entry in document["inputs"]:
        shares = (entry.get(name) for name in ("exposure_at_origin", "exposure_planned", "prevalence"))
        percent += [100 * Decimal(str(share)) for share in shares if share is not None]
        plain += [Decimal(key) for key in [str(entry.get("lookup_key"))] if _is_number(key)]
    return plain, percent


def supported_by_unit(document: Document, unit: str) -> list[Decimal]:
    """Absolute values of the calculation whose unit begins with `unit`; the age of an input is in days."""
    entries = [*document["inputs"], *document["steps"], *document["outlook"]]
    values = [entry["value"] for entry in entries if str(entry["unit"]).startswith(unit)]
    if unit == "days":
        values += [entry["age_days"] for entry in document["inputs"]]
    return [abs(Decimal(value)) for value in values if value is not None]


def without_names(text: str, document: Document) -> str:
    """The text without names that hold digits or may hold them: of the drug, its strength, genes and lookup keys."""
    item = document["item"]
    names = {str(item["drug"]), f"{item['strength_value']} {item['strength_unit']}"}
    for entry in document["inputs"]:
        names |= {str(entry["kind"])} if entry["name"] in LIMIT_NAMES else set()
        names |= {str(entry[name]) for name in NAME_FIELDS if entry.get(name)}
    for name in sorted((name for name in names if not _is_number(name)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text, flags=re.IGNORECASE)
    return text


def _is_number(name: str) -> bool:
    return NUMBER.fullmatch(name) is not None
