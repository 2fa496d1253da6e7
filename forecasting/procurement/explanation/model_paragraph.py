"""What a language model is given of a line, and the check that what it wrote says nothing else.

The model is given numbers of the stored calculation and returns one paragraph. Nothing it writes is believed: every
number must be one of the calculation's, in its unit; every word a plain one or one of the calculation's names.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from forecasting.procurement.explanation.allowed_words import COMMANDS, PLAIN_WORDS
from forecasting.procurement.explanation.calculation import Document
from forecasting.procurement.explanation.number_check import (
    NUMBER,
    SHARE_UNITS,
    is_rounding_of,
    number_text,
    supported_by_unit,
    unsupported_numbers,
    without_names,
)

MOST_CHARACTERS = 1500
FEWEST_CHARACTERS = 40
"""A paragraph of three sentences has some 300 characters: fewer say too little, more are no paragraph."""

INSTRUCTIONS = (
    "You rewrite one calculation of a hospital pharmacy's order as one short paragraph for its buyer. "
    "Use only the numbers and names given, with their units, rounded as given; write dates as given; do not compute. "
    'Begin with "Order N packs". Say what is ordered by when, what demand is expected and why, what stock is there, '
    "and what the chance to run out is with and without the order. Write plain sentences of at most twenty common "
    "words, without advice, headings, lists or markup, and name no drug, product, place or person but those given."
)

Rule = Callable[[str, Document], list[str]]


def prompt_facts(document: Document) -> dict[str, Any]:
    """What a model is given of a line, as JSON: the drug, the day to order by, reasons, and numbers as they are shown.

    Neither site nor supplier nor people, no identifiers, no demand samples; every number stands in the calculation.
    """
    item, inputs = document["item"], document["inputs"]
    parts = [entry for entry in inputs if entry["name"].startswith("genetic_shift_")]
    entries = [entry for entry in inputs if entry not in parts] + document["steps"] + document["outlook"]
    return {
        "drug": item["drug"],
        "strength": f"{item['strength_value']} {item['strength_unit']}",
        "dose_form": item["dose_form"],
        "currency": item["currency"],
        "order_by": document["dates"]["order_by"],
        "kind_of_target": item["target_kind"],
        "reasons": [document["result"]["reason"], *document["result"].get("other_reasons", [])],
        "numbers": [_number(entry) for entry in entries if entry["value"] is not None],
        "genetic_parts": [
            {name: part.get(name) for name in ("gene", "lookup_key", "drug")} | _number(part) for part in parts
        ],
    }


def _number(entry: dict[str, Any]) -> dict[str, Any]:
    """A number of the calculation as it is shown."""
    value, unit = Decimal(entry["value"]), entry["unit"]
    text = f"{number_text(100 * value)}%" if unit in SHARE_UNITS else number_text(value)
    number = {"name": entry["name"], "value": text, "unit": unit}
    return number if entry.get("age_days") is None else number | {"age_days": entry["age_days"]}


def objections(text: str, document: Document) -> list[str]:
    """What speaks against showing a text as the line's paragraph; empty if nothing does.

    >>> objections("<p>Order now</p>", {})[0]
    'it is 16 characters long: 40 to 1500 are allowed'
    """
    if not FEWEST_CHARACTERS <= len(text) <= MOST_CHARACTERS:
        return [f"it is {len(text)} characters long: {FEWEST_CHARACTERS} to {MOST_CHARACTERS} are allowed"]
    unexpected = sorted(set(_UNEXPECTED.findall(text)))
    if unexpected:
        return [f"it holds characters that a paragraph does not need: {' '.join(unexpected)!r}"]
    return [objection for rule in _RULES for objection in rule(text, document)]


_UNEXPECTED = re.compile(r"[^A-Za-z0-9 .,;:%()'*/+£$€-]")
_WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
_SENTENCE = re.compile(r"(?:^|[.;:]\s+)([A-Za-z][A-Za-z'-]*)\s*(\S*)")
_ORDERED = re.compile(r"(?<!on )\border(?:ing|ed|s)?\s+(?:of\s+|for\s+)?(\d[\d,.]*)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OTHER_DATE = re.compile(r"\d+[./]\d+[./]\d+|\d+(?:st|nd|rd|th)\b")
_MALFORMED = re.compile(
    r"\d[A-Za-z]|[A-Za-z]\d|[+*/]\s*\d|\d\s*[+*/]|\d,\d{1,2}(?!\d)|\d,\d{4}|\d\s+\d|(?<!\d)[.-]\d|\d-\d"
)


def _numbers(text: str, document: Document) -> list[str]:
    return [f"{number} is not a number of the calculation" for number in unsupported_numbers(text, document)]


def _units(text: str, document: Document) -> list[str]:
    """Numbers that stand before packs, days, periods or the currency must be numbers of that unit."""
    text = _DATE.sub(" ", without_names(text, document))
    patterns = {"packs": "packs?", "days": "days?", "periods": "periods?"}
    if currency := document["item"].get("currency"):
        patterns[str(currency)] = re.escape(str(currency))
    return [
        f"{number} {unit} are not in the calculation"
        for unit, pattern in patterns.items()
        for number in re.findall(rf"({NUMBER.pattern})[ -]{pattern}\b", text, re.IGNORECASE)
        if not is_rounding_of(_value(number), supported_by_unit(document, unit))
    ]


def _value(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _dates(text: str, document: Document) -> list[str]:
    """The only date is the day to order by: of two days of the calculation one could stand for the other."""
    order_by = str(document["dates"]["order_by"])
    wrong = [f"{day} is not the day to order by" for day in _DATE.findall(text) if day != order_by]
    if not wrong and order_by not in text:
        wrong = [f"the day to order by, {order_by}, is missing"]
    cutoff = str(document["item"].get("order_cutoff") or "")
    rest = _DATE.sub(" ", without_names(text, document)).replace(cutoff or order_by, " ")
    malformed = [form for pattern in (_OTHER_DATE, _MALFORMED) for form in pattern.findall(rest)]
    return wrong + [f"{form} is not how dates and numbers are written" for form in malformed]


def _order(text: str, document: Document) -> list[str]:
    """What is to be ordered is said, and nothing else is said to be ordered."""
    packs = int(document["result"]["packs"])
    begins = re.match(rf"Order {packs:,} packs?\b|Order {packs} packs?\b", text)
    wrong = [] if begins else [f"it does not begin with the order of {packs} packs"]
    allowed = {Decimal(packs), Decimal(document["result"]["quantity"])}
    numbers = (number.rstrip(".,") for number in _ORDERED.findall(text))
    ordered = (_value(number) for number in numbers if NUMBER.fullmatch(number))
    return wrong + [f"an order of {number} is not what is proposed" for number in ordered if number not in allowed]


def _words(text: str, document: Document) -> list[str]:
    """Words that are neither plain nor a name of the calculation, and sentences that command."""
    names = (str(document["item"].get(name) or "") for name in _ITEM_NAMES)
    known = PLAIN_WORDS | {word.lower() for name in names for word in _WORD.findall(name)}
    used = set(_WORD.findall(without_names(text, document)))
    unknown = sorted(word for word in used if not ({word.lower()} <= known or set(word.lower().split("-")) <= known))
    wrong = [f"{word!r} is neither a plain word nor a name of the calculation" for word in unknown]
    starts = _SENTENCE.findall(text)[1:]
    commands = [word for word, after in starts if word.lower() in COMMANDS and after not in _AFTER_A_NOUN]
    return wrong + [f"a sentence begins with {word!r}, as a command does" for word in commands]


_ITEM_NAMES = ("drug", "strength_unit", "dose_form", "currency", "criticality")
_AFTER_A_NOUN = ("has", "is", "was", "averaged", "averages", "of", "on", "at", "to", "cover", "days")
"""What follows a word of `COMMANDS` that begins a sentence as a noun: "Stock has", "Use of"."""


def _direction(text: str, document: Document) -> list[str]:
    """A genetic shift that adds may not be said to take away, nor the other way round."""
    shift = next((Decimal(step["value"]) for step in document["steps"] if step["name"] == "genetic_shift"), Decimal(0))
    number, opposite = re.escape(number_text(abs(shift))), _FEWER if shift > 0 else _MORE
    claim = rf"{opposite}\s+(?:about\s+|by\s+|around\s+)?{number}(?![\d.,]*\d)"
    for sentence in re.split(r"(?<=[.;])\s", text) if shift else ():
        if re.search(r"\bgen(etic|otyp)", sentence, re.IGNORECASE) and re.search(claim, sentence, re.IGNORECASE):
            return [f"it turns the genetic shift of {number_text(shift)} round"]
    return []


_FEWER = r"\b(?:takes away|taken away|minus|reduces?|reduced|lowers|less|fewer|decrease[sd]?|falls)"
_MORE = r"\b(?:adds|added|adding|plus|more|extra|additional|increase[sd]?|rises)"

_RULES: tuple[Rule, ...] = (_numbers, _units, _dates, _order, _words, _direction)
