"""A line in words for a buyer; every number in them comes from the calculation (`number_check`).

Display rounding: from 10 up whole numbers, below 10 at most one decimal; money two decimals; shares as per cent,
rounded the same way. More decimals than that are allowed, fewer are not.
"""

import dataclasses
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from forecasting.procurement.explanation.calculation import HISTORY_RULE, Document
from forecasting.procurement.explanation.number_check import LIMIT_NAMES, number_text
from forecasting.terms import CleaningRule, OverrideReason, TargetKind, dose_noun


@dataclasses.dataclass(frozen=True)
class _Facts:
    """A document with its numbers by name, and the noun in which its quantities are counted."""

    document: Document
    values: dict[str, Decimal]
    units: str

    def quantity(self, name: str) -> str:
        """A quantity in its unit."""
        return f"{number_text(self.values[name])} {self.units}"

    def size(self, shift: Decimal) -> str:
        """A shift in its unit, without its sign."""
        return f"{number_text(abs(shift))} {self.units}"

    def packs(self, name: str) -> str:
        """A number of packs."""
        return _counted(self.values[name], "pack")

    def inputs(self, beginning: str) -> list[dict[str, Any]]:
        """The inputs whose names begin so."""
        return [entry for entry in self.document["inputs"] if entry["name"].startswith(beginning)]


def render_paragraph(document: Document) -> str:
    """A few sentences on a line, units always shown; every number occurs in the document."""
    named = [*document["inputs"], *document["steps"], *document["outlook"]]
    values = {entry["name"]: Decimal(entry["value"]) for entry in named if entry["value"] is not None}
    facts = _Facts(document, values, dose_noun(document["item"]["dose_form"]))
    sentences = [
        _order_sentence(facts),
        _demand_sentence(facts),
        *_override_sentence(facts),
        *_shortage_sentence(facts),
        *_cleaning_sentence(facts),
        _level_sentence(facts),
        _supply_sentence(facts),
        *_shared_sentences(facts),
        _risk_sentence(facts),
    ]
    return " ".join(sentences)


def _percent(share: Decimal) -> str:
    return f"{number_text(100 * share)}%"


def _counted(value: Decimal, noun: str) -> str:
    return f"{number_text(value)} {noun}{'' if value == 1 else 's'}"


def _order_sentence(facts: _Facts) -> str:
    item, values = facts.document["item"], facts.values
    product = " ".join(str(part) for part in (item["drug"], item["strength_value"], item["strength_unit"]) if part)
    cost = "the price is not known"
    if "cost" in values:
        cost = f"cost {number_text(values['cost'], 2)} {item['currency'] or 'currency units'}"
    cutoff = item.get("order_cutoff")
    by = f"{facts.document['dates']['order_by']}{f' {cutoff}' if cutoff else ''}"
    return f"Order {facts.packs('packs')} ({facts.quantity('quantity')}) of {product} by {by}; {cost}."


def _demand_sentence(facts: _Facts) -> str:
    start = (
        f"Use has averaged {facts.quantity('history_mean_per_day')} a day; for the "
        f"{_counted(facts.values['protection_days'], 'day')} until the order after this one can arrive, "
    )
    parts = facts.inputs("genetic_shift_")
    if not parts:
        return f"{start}the forecast is {facts.quantity('expected_demand')}, with no genetic shift."
    largest = max(parts, key=lambda part: abs(Decimal(part["value"])))
    return (
        f"{start}the baseline forecast is {facts.quantity('baseline_demand')} and genotype-guided prescribing "
        f"{_effect(facts, facts.values['genetic_shift'])} (largest part: {_genetic_part(facts, largest)}), "
        f"so {facts.quantity('expected_demand')} are expected."
    )


def _effect(facts: _Facts, shift: Decimal) -> str:
    return f"{'adds' if shift >= 0 else 'takes away'} {facts.size(shift)}"


def _genetic_part(facts: _Facts, part: dict[str, Any]) -> str:
    value = Decimal(part["value"])
    cause = " ".join(str(part[name]) for name in ("gene", "lookup_key", "drug") if part.get(name))
    return f"{cause or part['label']}, {'plus' if value >= 0 else 'minus'} {facts.size(value)}"


def _override_sentence(facts: _Facts) -> Iterator[str]:
    """What people set of the forecast, each with who and why; nothing where nobody did."""
    overrides = []
    for entry in facts.inputs("override_"):
        reason = OverrideReason(entry["reason_code"]).description
        effect = _effect(facts, Decimal(entry["value"]))
        overrides.append(f"{entry['decided_by']} set a {entry['kind']} ({reason}): {effect}")
    if overrides:
        yield f"An override counts in it: {'; '.join(overrides)}."


def _shortage_sentence(facts: _Facts) -> Iterator[str]:
    shift = facts.values.get("shortage_shift")
    if shift is not None:
        way = "onto this product" if shift > 0 else "off this product, to its approved alternative"
        yield f"A shortage moves {facts.size(shift)} of demand {way}; the baseline counts it."


def _cleaning_sentence(facts: _Facts) -> Iterator[str]:
    """What cleaning did to the history that the forecast rests on; nothing where it did nothing."""
    rules = []
    for entry in facts.inputs(HISTORY_RULE):
        rule = CleaningRule(entry["name"].removeprefix(HISTORY_RULE))
        rules.append(f"{rule.description} ({_counted(Decimal(entry['value']), 'period')})")
    if rules:
        yield f"Its history was cleaned: {'; '.join(rules)}."


def _level_sentence(facts: _Facts) -> str:
    fill_rate = facts.document["item"]["target_kind"] == TargetKind.FILL_RATE
    kind = "a fill rate" if fill_rate else "a cycle service level"
    spare = facts.values["safety_stock"]
    return (
        f"For {kind} of {_percent(facts.values['target'])}, stock and open orders are meant to reach "
        f"{facts.quantity('order_up_to_level')}, {facts.size(spare)} {'above' if spare >= 0 else 'below'} "
        "expected demand."
    )


def _supply_sentence(facts: _Facts) -> str:
    values = facts.values
    stock = f"Of {facts.quantity('stock_counted')} {_count_day(facts)}, {facts.quantity('usable_stock')}"
    coming = f"of {facts.packs('open_order_packs')} on order {facts.quantity('open_orders_in_time')}"
    need = f"{facts.quantity('quantity_needed')}, or {facts.packs('packs_needed')}, are needed"
    pack = f"(a pack holds {facts.quantity('pack_size')})"
    limit = ""
    if values.get("packs_allowed", values["packs_needed"]) < values["packs_needed"]:
        limit = f"; the limit on days on hand leaves room for {facts.packs('packs_allowed')}"
    if "packs_delivered" in values:
        limit += f"; in the shortage {facts.packs('packs_delivered')} of them can be had"
    moved = _moved_since_count(facts)
    return f"{stock} can be used{moved}, and {coming} count as in time, so {need} {pack}{limit}."


def _count_day(facts: _Facts) -> str:
    (counted,) = facts.inputs("stock_counted")
    age = counted["age_days"]
    if age is None:
        return "counted on an unknown day"
    return f"counted {_counted(Decimal(age), 'day')} ago" if age > 0 else "counted today"


def _moved_since_count(facts: _Facts) -> str:
    """What was added to and taken from the count, if anything."""
    verbs = {
        "received_since_count": "received since",
        "used_since_count": "used since",
        "stock_committed": "committed",
        "stock_expired": "expired",
    }
    moves = [f"{number_text(facts.values[name])} {verb}" for name, verb in verbs.items() if name in facts.values]
    return f" ({', '.join(moves)}; all in {facts.units})" if moves else ""


def _shared_sentences(facts: _Facts) -> Iterator[str]:
    """What a budget, room or a minimum order value that lines share did to this one; nothing where it did nothing."""
    if "packs_within_limits" in facts.values:
        limits = " and ".join(
            f"the {entry['kind']}" for entry in facts.inputs("limit_") if entry["name"] in LIMIT_NAMES
        )
        yield (
            f"Of the {facts.packs('packs_before_limits')}, {limits} leave {facts.packs('packs_within_limits')}: "
            "each of them meets more treatment-days for what it takes than those left out among "
            f"{facts.document['item']['criticality']} items."
        )
    if "packs_for_minimum_order_value" in facts.values:
        added = facts.packs("packs_for_minimum_order_value")
        yield f"{added} were added so that the supplier's minimum order value is reached."


def _risk_sentence(facts: _Facts) -> str:
    before, after = (_percent(facts.values[f"stockout_probability_{when}"]) for when in ("before", "after"))
    text = f"Between this order's arrival and the next one's, the chance to run out is {before} without it"
    text += f" and {after} with it"
    if "packs_without_genetic_shift" in facts.values:
        text += f"; without the genetic shift the order would be {facts.packs('packs_without_genetic_shift')}"
    return f"{text}."
