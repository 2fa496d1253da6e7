"""A line in words for a buyer, and the check that every number in such words comes from the calculation.

Display rounding: from 10 up whole numbers, below 10 at most one decimal; money two decimals; shares as per cent,
rounded the same way. More decimals than that are allowed, fewer are not.
"""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from forecasting.procurement.explanation.calculation import Document
from forecasting.procurement.explanation.line_calculation import HISTORY_RULE
from forecasting.terms import OverrideReason, TargetKind

MOST_DECIMALS = 3
CLEANING_WORDS = {
    "revision": "revised by a later load",
    "off_grid": "dates inside a period added to it",
    "merger": "history of a closed site added",
    "isolated": "strays left out",
    "future": "periods that are not over left out",
    "provisional": "periods that are not complete left out",
    "before_launch": "quantities before the launch left out",
    "withdrawn": "quantities after the withdrawal left out",
    "stock_out": "periods without stock taken as unknown demand",
    "outlier": "impossible quantities left out",
    "return": "returns netted",
}
OVERRIDE_WORDS = {
    OverrideReason.NEW_SERVICE: "a service opens or grows",
    OverrideReason.SERVICE_ENDS: "a service closes or shrinks",
    OverrideReason.PROTOCOL_CHANGE: "a protocol or the formulary changes",
    OverrideReason.DEMAND_EVENT: "a known event",
    OverrideReason.SUPPLY_ELSEWHERE: "a shortage elsewhere",
    OverrideReason.HISTORY_MISLEADS: "the history misleads",
    OverrideReason.OTHER: "another reason, in the note",
}
SHARES = ("share", "probability")

NAMED = ("gene", "lookup_key", "drug", "recommendation_id", "decided_by")
"""What an input may carry that can have digits in its name."""

_COUNTED_FORMS = ("tablet", "capsule", "vial", "ampoule", "patch", "sachet", "syringe", "suppository")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WORDS = dict(zip("two three four five six seven eight nine ten eleven twelve".split(), range(2, 13), strict=True))
_WORDS |= dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_WORDS |= {"dozen": 12, "hundred": 100, "thousand": 1000}
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)


def shown(value: Decimal, decimals: int | None = None) -> str:
    """A number as a buyer reads it.

    >>> shown(Decimal("1234.56")), shown(Decimal("7.04")), shown(Decimal("7.46"))
    ('1,235', '7', '7.5')
    """
    places = _display_decimals(value) if decimals is None else decimals
    rounded = _rounded(value, places)
    return f"{rounded:,f}" if decimals is not None or rounded % 1 else f"{int(rounded):,}"


def _display_decimals(value: Decimal) -> int:
    return 0 if abs(value) >= 10 else 1


def _rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def _values(document: Document) -> dict[str, Decimal]:
    named = [*document["inputs"], *document["steps"], *document["outlook"]]
    return {entry["name"]: Decimal(entry["value"]) for entry in named if entry["value"] is not None}


def _percent(share: Decimal) -> str:
    return f"{shown(100 * share)}%"


def _units(document: Document) -> str:
    form = str(document["item"]["dose_form"] or "").strip().lower()
    if form in _COUNTED_FORMS:
        return form.removesuffix("y") + "ies" if form.endswith("y") else form + ("es" if form.endswith("ch") else "s")
    return "dose units"


def _packs(value: Decimal) -> str:
    return f"{shown(value)} pack" if value == 1 else f"{shown(value)} packs"


def _days(value: Decimal) -> str:
    return f"{shown(value)} day" if value == 1 else f"{shown(value)} days"


def render_paragraph(document: Document) -> str:
    """A few sentences on a line, units always shown; every number occurs in the document."""
    values, units = _values(document), _units(document)
    sentences = [
        _order_sentence(document, values, units),
        _demand_sentence(document, values, units),
        *_override_sentence(document, units),
        *_shortage_sentence(values, units),
        *_cleaning_sentence(document),
        _level_sentence(document, values, units),
        _supply_sentence(document, values, units),
        *_shared_sentence(document, values),
        _risk_sentence(values),
    ]
    return " ".join(sentences)


def _order_sentence(document: Document, values: dict[str, Decimal], units: str) -> str:
    item = document["item"]
    what = " ".join(str(part) for part in (item["drug"], item["strength_value"], item["strength_unit"]) if part)
    cost = "the price is not known"
    if "cost" in values:
        cost = f"cost {shown(values['cost'], 2)} {item['currency'] or 'currency units'}"
    cutoff = item.get("order_cutoff")
    by = f"{document['dates']['order_by']}{f' {cutoff}' if cutoff else ''}"
    return f"Order {_packs(values['packs'])} ({shown(values['quantity'])} {units}) of {what} by {by}; {cost}."


def _demand_sentence(document: Document, values: dict[str, Decimal], units: str) -> str:
    start = (
        f"Use has averaged {shown(values['history_mean_per_day'])} {units} a day; for the "
        f"{_days(values['protection_days'])} until the order after this one can arrive, "
    )
    parts = [entry for entry in document["inputs"] if entry["name"].startswith("genetic_shift_")]
    if not parts:
        return f"{start}the forecast is {shown(values['expected_demand'])} {units}, with no genetic shift."
    shift = values["genetic_shift"]
    effect = f"{'adds' if shift >= 0 else 'takes away'} {shown(abs(shift))} {units}"
    largest = max(parts, key=lambda part: abs(Decimal(part["value"])))
    return (
        f"{start}the baseline forecast is {shown(values['baseline_demand'])} {units} and genotype-guided prescribing "
        f"{effect} (largest part: {_part(largest, units)}), "
        f"so {shown(values['expected_demand'])} {units} are expected."
    )


def _override_sentence(document: Document, units: str) -> list[str]:
    """What people set of the forecast, each with who and why; nothing where nobody did."""
    told = []
    for entry in document["inputs"]:
        if entry.get("override_id"):
            moved = Decimal(entry["value"])
            effect = f"{'adds' if moved >= 0 else 'takes away'} {shown(abs(moved))} {units}"
            told.append(
                f"{entry['decided_by']} set a {entry['kind']} ({OVERRIDE_WORDS[entry['reason_code']]}): {effect}"
            )
    return [f"An override counts in it: {'; '.join(told)}."] if told else []


def _shortage_sentence(values: dict[str, Decimal], units: str) -> list[str]:
    if "shortage_shift" not in values:
        return []
    shift = values["shortage_shift"]
    way = "onto this product" if shift > 0 else "off this product, to its approved alternative"
    return [f"A shortage moves {shown(abs(shift))} {units} of demand {way}; the baseline counts it."]


def _cleaning_sentence(document: Document) -> list[str]:
    """What cleaning did to the history that the forecast rests on; nothing where it did nothing."""
    found = [entry for entry in document["inputs"] if entry["name"].startswith(HISTORY_RULE)]
    if not found:
        return []
    told = [
        f"{CLEANING_WORDS.get(rule, rule.replace('_', ' '))} ({shown(periods)} period{'' if periods == 1 else 's'})"
        for entry in found
        for rule, periods in [(entry["name"].removeprefix(HISTORY_RULE), Decimal(entry["value"]))]
    ]
    return [f"Its history was cleaned: {'; '.join(told)}."]


def _part(part: dict[str, Any], units: str) -> str:
    value = Decimal(part["value"])
    cause = " ".join(str(part[name]) for name in ("gene", "lookup_key", "drug") if part.get(name))
    return f"{cause or part['label']}, {'plus' if value >= 0 else 'minus'} {shown(abs(value))} {units}"


def _level_sentence(document: Document, values: dict[str, Decimal], units: str) -> str:
    kind = "a fill rate" if document["item"]["target_kind"] == TargetKind.FILL_RATE else "a cycle service level"
    spare = values["safety_stock"]
    relation = "above" if spare >= 0 else "below"
    return (
        f"For {kind} of {_percent(values['target'])}, stock and open orders are meant to reach "
        f"{shown(values['order_up_to_level'])} {units}, {shown(abs(spare))} {units} {relation} expected demand."
    )


def _supply_sentence(document: Document, values: dict[str, Decimal], units: str) -> str:
    age = next(entry["age_days"] for entry in document["inputs"] if entry["name"] == "stock_counted")
    counted = (
        "counted on an unknown day"
        if age is None
        else f"counted {_days(Decimal(age))} ago"
        if age > 0
        else "counted today"
    )
    have = f"Of {shown(values['stock_counted'])} {units} {counted}, {shown(values['usable_stock'])} {units}"
    coming = f"of {_packs(values['open_order_packs'])} on order {shown(values['open_orders_in_time'])} {units}"
    need = f"{shown(values['quantity_needed'])} {units}, or {_packs(values['packs_needed'])}, are needed"
    pack = f"(a pack holds {shown(values['pack_size'])} {units})"
    limit = ""
    if values.get("packs_allowed", values["packs_needed"]) < values["packs_needed"]:
        limit = f"; the limit on days on hand leaves room for {_packs(values['packs_allowed'])}"
    if "packs_delivered" in values:
        limit += f"; in the shortage {_packs(values['packs_delivered'])} of them can be had"
    return f"{have} can be used{_since_count(values, units)}, and {coming} count as in time, so {need} {pack}{limit}."


def _shared_sentence(document: Document, values: dict[str, Decimal]) -> list[str]:
    """What a budget, room or a minimum order value that lines share did to this one; nothing where it did nothing."""
    told = []
    if "packs_within_limits" in values:
        limits = " and ".join(f"the {one['kind']}" for one in document["inputs"] if one["name"] in _LIMIT_NAMES)
        whom = document["item"]["criticality"]
        told.append(
            f"Of the {_packs(values['packs_before_limits'])}, {limits} leave {_packs(values['packs_within_limits'])}: "
            f"each of them meets more treatment-days for what it takes than those left out among {whom} items"
        )
    if "packs_for_minimum_order_value" in values:
        more = values["packs_for_minimum_order_value"]
        told.append(f"{_packs(more)} were added so that the supplier's minimum order value is reached")
    return [f"{sentence}." for sentence in told]


_LIMIT_NAMES = ("limit_1", "limit_2", "limit_3", "limit_4", "limit_5", "limit_6")


def _since_count(values: dict[str, Decimal], units: str) -> str:
    """What was taken from the count, if anything."""
    words = {"used_since_count": "used since", "stock_committed": "committed", "stock_expired": "expired"}
    parts = [f"{shown(values[name])} {text}" for name, text in words.items() if name in values]
    if "received_since_count" in values:
        parts.insert(0, f"{shown(values['received_since_count'])} received since")
    return f" ({', '.join(parts)}; all in {units})" if parts else ""


def _risk_sentence(values: dict[str, Decimal]) -> str:
    before, after = values["stockout_probability_before"], values["stockout_probability_after"]
    text = f"Between this order's arrival and the next one's, the chance to run out is {_percent(before)} without it"
    text += f" and {_percent(after)} with it"
    if "packs_without_genetic_shift" in values:
        text += f"; without the genetic shift the order would be {_packs(values['packs_without_genetic_shift'])}"
    return f"{text}."


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
    for found in NUMBER.finditer(text):
        after = text[found.end() :].lstrip()
        values = percent if after.startswith(("%", "per cent", "percent")) else plain
        if not occurs(Decimal(found.group().replace(",", "")), values):
            wrong.append(found.group())
    spelled = (found.group() for found in _NUMBER_WORD.finditer(text))
    return wrong + [word for word in spelled if not occurs(Decimal(_WORDS[word.lower()]), plain)]


def occurs(number: Decimal, values: list[Decimal]) -> bool:
    """Whether a number is one of the values, as it stands or as it may be rounded."""
    return any(
        number == value or any(number == _rounded(value, p) for p in range(_display_decimals(value), MOST_DECIMALS + 1))
        for value in values
    )


def _supported(document: Document) -> tuple[list[Decimal], list[Decimal]]:
    """Absolute values that may stand in a text: as plain numbers, and as per cent."""
    entries = [*document["inputs"], *document["steps"], *document["outlook"]]
    plain = [abs(Decimal(entry["value"])) for entry in entries if entry["value"] is not None]
    percent = [100 * Decimal(e["value"]) for e in entries if e["unit"] in SHARES and e["value"] is not None]
    plain += [Decimal(entry["age_days"]) for entry in document["inputs"] if entry["age_days"] is not None]
    for entry in document["inputs"]:
        shares = (entry.get(name) for name in ("exposure_at_origin", "exposure_planned", "prevalence"))
        percent += [100 * Decimal(str(share)) for share in shares if share is not None]
        plain += [Decimal(key) for key in [str(entry.get("lookup_key"))] if _is_number(key)]
    return plain, percent


def supported_by_unit(document: Document, unit: str) -> list[Decimal]:
    """Absolute values of the calculation whose unit begins with `unit`; the age of an input is in days."""
    entries = [*document["inputs"], *document["steps"], *document["outlook"]]
    of_unit = [one for one in entries if one["value"] is not None and str(one["unit"]).startswith(unit)]
    ages = [one["age_days"] for one in document["inputs"] if one["age_days"] is not None] if unit == "days" else []
    return [abs(Decimal(one["value"])) for one in of_unit] + [Decimal(age) for age in ages]


def without_names(text: str, document: Document) -> str:
    """The text without names that hold digits or may hold them: of the drug, its strength, genes and lookup keys."""
    item = document["item"]
    names = {str(item["drug"]), f"{item['strength_value']} {item['strength_unit']}"}
    for entry in document["inputs"]:
        names |= {str(entry["kind"])} if entry["name"] in _LIMIT_NAMES else set()
        names |= {str(entry[name]) for name in NAMED if entry.get(name)}
    for name in sorted((name for name in names if not _is_number(name)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", text, flags=re.IGNORECASE)
    return text


def _is_number(name: str) -> bool:
    return NUMBER.fullmatch(name) is not None
