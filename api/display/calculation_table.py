"""The stored calculation (explanation document, version 1) as rows that a page can show, in the order it was made."""

from typing import Any

from api.display import labels

ABOUT = ("gene", "lookup_key", "recommendation_id", "expected_at", "id", "kind", "set_to")
"""What an input may carry beside its value, shown behind its source."""


def told(document: dict[str, Any]) -> dict[str, Any]:
    """Inputs, steps and outlook with their words. Each operand of a step is shown with its number.

    Names that have no words are shown as they are; a document of a later version is shown as far as it is understood.
    """
    inputs = document.get("inputs", [])
    steps = document.get("steps", [])
    values = {one["name"]: one for one in [*inputs, *steps]}
    return {
        "inputs": [_input(one) for one in inputs],
        "steps": [_step(one, values) for one in steps],
        "outlook": [{**one, "words": _named(one)} for one in document.get("outlook", [])],
        "not_counted": document.get("not_counted", []),
        "samples": document.get("samples", []),
        "rules": document.get("rules", {}),
        "version": document.get("version"),
        "protection_days": f"{labels.number(values['protection_days']['value'])} days"
        if "protection_days" in values
        else None,
        "settings": [
            {**one, "words": labels.plain(one["name"], labels.SETTINGS)} for one in document.get("settings", [])
        ],
        "other_reasons": document.get("result", {}).get("other_reasons", []),
    }


def _named(entry: dict[str, Any]) -> str:
    cause = " ".join(str(entry[name]) for name in ("gene", "lookup_key") if entry.get(name))
    name = labels.plain(entry["name"], labels.NAMES)
    return f"Genetic shift: {cause}" if cause else name


def _input(entry: dict[str, Any]) -> dict[str, Any]:
    age = entry.get("age_days")
    when = f"{labels.counted(int(age), 'day')} old" if age is not None else entry.get("as_of")
    told = [str(entry[name]) for name in ABOUT if entry.get(name) is not None]
    told += [entry["reason_code"].replace("_", " ")] if entry.get("reason_code") else []
    about = ", ".join(told)
    return {
        "words": _named(entry),
        "value": entry["value"],
        "unit": entry["unit"],
        "source": entry["source"] + (f" ({about})" if about else ""),
        "age": when or "–",
    }


def _step(entry: dict[str, Any], values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    operands = []
    for name in entry["operands"]:
        known = values.get(name)
        shown = labels.plain(name, labels.NAMES) if known is None else _named(known)
        operands.append({"words": shown, "value": None if known is None else known["value"]})
    return {
        "words": _named(entry),
        "operation": labels.plain(entry["operation"], labels.OPERATIONS),
        "operands": operands,
        "value": entry["value"],
        "unit": entry["unit"],
    }
