"""What a language model may be told of a line, and the check that what it wrote says nothing else.

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
    is_rounding_of,
    number_text,
    supported_by_unit,
    unsupported_numbers,
    without_names,
)

MOST_CHARACTERS = 1500
FEWEST_CHARACTERS = 40

INSTRUCTIONS = (
    "You rewrite one calculation of a hospital pharmacy's order as one short paragraph for its buyer. "
    "Use only the numbers and names given, with their units, rounded as given; write dates as given; do not compute. "
    'Begin with "Order N packs". Say what is ordered by when, what demand is expected and why, what stock is there, '
    "and what the chance to run out is with and without the order. Write plain sentences of at most twenty common "
    "words, without advice, headings, lists or markup, and name no drug, product, place or person but those given."
)

Objection = Callable[[str, Document], list[str]]


def prompt_facts(document: Document) -> dict[str, Any]:
    """What a model is told of a line, as JSON: the drug, the day to order by, reasons, and numbers as they are shown.

    Neither site nor supplier nor people, no identifiers, no demand samples; every number stands in the calculation.
    """
    item, parts = document["item"], [one for one in document["inputs"] if one["name"].startswith("genetic_shift_")]
    told = [one for one in document["inputs"] if one not in parts] + document["steps"] + document["outlook"]
    return {
        "drug": item["drug"],
        "strength": f"{item['strength_value']} {item['strength_unit']}",
        "dose_form": item["dose_form"],
        "currency": item["currency"],
        "order_by": document["dates"]["order_by"],
        "kind_of_target": item["target_kind"],
        "reasons": [document["result"]["reason"], *document["result"].get("other_reasons", [])],
        "numbers": [_told(one) for one in told if one["value"] is not None],
        "genetic_parts": [
            {name: one.get(name) for name in ("gene", "lookup_key", "drug")} | _told(one) for one in parts
        ],
    }


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    value, unit = Decimal(entry["value"]), entry["unit"]
    number = f"{number_text(100 * value)}%" if unit in ("share", "probability") else number_text(value)
    told = {"name": entry["name"], "value": number, "unit": unit}
    return told if entry.get("age_days") is None else told | {"age_days": entry["age_days"]}


def objections(text: str, document: Document) -> list[str]:
    """What speaks against showing a text as the line's paragraph; empty if nothing does.

    >>> objections("<p>Order now</p>", {})[0]
    'it is 16 characters long: 40 to 1500 are allowed'
    """
    if not FEWEST_CHARACTERS <= len(text) <= MOST_CHARACTERS:
        return [f"it is {len(text)} characters long: {FEWEST_CHARACTERS} to {MOST_CHARACTERS} are allowed"]
    odd = sorted(set(_ODD.findall(text)))
    if odd:
        return [f"it holds characters that a paragraph does not need: {' '.join(odd)!r}"]
    return [told for rule in _RULES for told in rule(text, document)]


_ODD = re.compile(r"[^A-Za-z0-9 .,;:%()'*/+£$€-]")
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
    words = {"packs": "packs?", "days": "days?", "periods": "periods?"}
    if currency := document["item"].get("currency"):
        words[str(currency)] = re.escape(str(currency))
    return [
        f"{found.group(1)} {unit} are not in the calculation"
        for unit, word in words.items()
        for found in re.finditer(rf"({NUMBER.pattern})[ -]{word}\b", text, re.IGNORECASE)
        if not is_rounding_of(_value(found.group(1)), supported_by_unit(document, unit))
    ]


def _value(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def _dates(text: str, document: Document) -> list[str]:
    """The only date is the day to order by: of two days of the calculation one could stand for the other."""
    by = str(document["dates"]["order_by"])
    wrong = [f"{day} is not the day to order by" for day in _DATE.findall(text) if day != by]
    if not wrong and by not in text:
        wrong = [f"the day to order by, {by}, is missing"]
    cutoff = str(document["item"].get("order_cutoff") or "")
    rest = _DATE.sub(" ", without_names(text, document)).replace(cutoff or by, " ")
    return wrong + [f"{odd} is not how dates and numbers are written" for odd in _malformed(rest)]


def _malformed(text: str) -> list[str]:
    return [found.group() for rule in (_OTHER_DATE, _MALFORMED) for found in rule.finditer(text)]


def _order(text: str, document: Document) -> list[str]:
    """What is to be ordered is said, and nothing else is said to be ordered."""
    packs = int(document["result"]["packs"])
    right = re.match(rf"Order {packs:,} packs?\b|Order {packs} packs?\b", text)
    wrong = [] if right else [f"it does not begin with the order of {packs} packs"]
    allowed = {Decimal(packs), Decimal(document["result"]["quantity"])}
    given = (_value(found.group(1).rstrip(".,")) for found in _ORDERED.finditer(text) if _is_plain(found.group(1)))
    return wrong + [f"an order of {number} is not what is proposed" for number in given if number not in allowed]


def _is_plain(number: str) -> bool:
    return NUMBER.fullmatch(number.rstrip(".,")) is not None


def _words(text: str, document: Document) -> list[str]:
    """Words that are neither plain nor a name of the calculation, and sentences that command."""
    names = {word.lower() for name in _own_names(document) for word in _WORD.findall(name)}
    plain = without_names(text, document)
    strange = sorted({word for word in _WORD.findall(plain) if not _is_known(word.lower(), names)})
    found = [f"{word!r} is neither a plain word nor a name of the calculation" for word in strange]
    starts = [(one.group(1), one.group(2)) for one in _SENTENCE.finditer(text)]
    commands = [word for number, (word, after) in enumerate(starts) if number and _is_command(word.lower(), after)]
    return found + [f"a sentence begins with {word!r}, as a command does" for word in commands]


def _is_known(word: str, names: set[str]) -> bool:
    known = PLAIN_WORDS | names
    return word in known or all(part in known for part in word.split("-"))


def _is_command(word: str, after: str) -> bool:
    telling = after in ("has", "is", "was", "averaged", "averages", "of", "on", "at", "to", "cover", "days")
    return word in COMMANDS and not telling


def _own_names(document: Document) -> list[str]:
    item = document["item"]
    return [
        str(item[name]) for name in ("drug", "strength_unit", "dose_form", "currency", "criticality") if item.get(name)
    ]


def _direction(text: str, document: Document) -> list[str]:
    """A genetic shift that adds may not be said to take away, nor the other way round."""
    values = {one["name"]: Decimal(one["value"]) for one in document["steps"]}
    shift = values.get("genetic_shift", Decimal(0))
    opposite = _FEWER if shift > 0 else _MORE
    sentences = (one for one in re.split(r"(?<=[.;])\s", text) if re.search(r"\bgen(etic|otyp)", one, re.IGNORECASE))
    number = number_text(abs(shift))
    told = rf"{opposite}\s+(?:about\s+|by\s+|around\s+)?{re.escape(number)}(?![\d.,]*\d)"
    wrong = [one for one in sentences if shift and re.search(told, one, re.IGNORECASE)]
    return [f"it turns the genetic shift of {number_text(shift)} round"] if wrong else []


_FEWER = r"\b(?:takes away|taken away|minus|reduces?|reduced|lowers|less|fewer|decrease[sd]?|falls)"
_MORE = r"\b(?:adds|added|adding|plus|more|extra|additional|increase[sd]?|rises)"

_RULES: tuple[Objection, ...] = (_numbers, _units, _dates, _order, _words, _direction)
