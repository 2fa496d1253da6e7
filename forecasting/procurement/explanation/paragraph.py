"""A line in words for a buyer, and the check that every number in such words comes from the calculation.

Display rounding: from 10 up whole numbers, below 10 at most one decimal; money two decimals; shares as per cent,
rounded the same way. More decimals than that are allowed, fewer are not.
"""

from decimal import Decimal
from typing import Any

from forecasting.procurement.explanation.calculation import HISTORY_RULE, Document
from forecasting.procurement.explanation.number_check import LIMIT_NAMES, shown
from forecasting.terms import CleaningRule, OverrideReason, TargetKind, dose_noun


def _values(document: Document) -> dict[str, Decimal]:
    named = [*document["inputs"], *document["steps"], *document["outlook"]]
    return {entry["name"]: Decimal(entry["value"]) for entry in named if entry["value"] is not None}


def _percent(share: Decimal) -> str:
    return f"{shown(100 * share)}%"


def _packs(value: Decimal) -> str:
    return f"{shown(value)} pack" if value == 1 else f"{shown(value)} packs"


def _days(value: Decimal) -> str:
    return f"{shown(value)} day" if value == 1 else f"{shown(value)} days"


def render_paragraph(document: Document) -> str:
    """A few sentences on a line, units always shown; every number occurs in the document."""
    values, units = _values(document), dose_noun(document["item"]["dose_form"])
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
            reason = OverrideReason(entry["reason_code"]).description
            told.append(f"{entry['decided_by']} set a {entry['kind']} ({reason}): {effect}")
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
        f"{CleaningRule(rule).description} ({shown(periods)} period{'' if periods == 1 else 's'})"
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
        limits = " and ".join(f"the {one['kind']}" for one in document["inputs"] if one["name"] in LIMIT_NAMES)
        whom = document["item"]["criticality"]
        told.append(
            f"Of the {_packs(values['packs_before_limits'])}, {limits} leave {_packs(values['packs_within_limits'])}: "
            f"each of them meets more treatment-days for what it takes than those left out among {whom} items"
        )
    if "packs_for_minimum_order_value" in values:
        more = values["packs_for_minimum_order_value"]
        told.append(f"{_packs(more)} were added so that the supplier's minimum order value is reached")
    return [f"{sentence}." for sentence in told]


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
