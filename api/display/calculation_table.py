"""The stored calculation (explanation document, version 1) as rows that a page can show, in the order it was made."""

from typing import Any

from api.display.calculation_labels import OPERATIONS, SETTINGS, VALUE_NAMES
from api.display.formatting import counted, number
from api.display.labels import plain

ABOUT = ("gene", "lookup_key", "recommendation_id", "expected_at", "id", "kind", "set_to")
"""What an input may carry beside its value, shown behind its source."""


def calculation_rows(document: dict[str, Any]) -> dict[str, Any]:
    """Inputs, steps, settings and the rest of a calculation with their labels; a step's operands with their values.

    A name without a label is shown as it is; a document of a later version is shown as far as it is understood.
    """
    inputs, steps = document.get("inputs", []), document.get("steps", [])
    values = {entry["name"]: entry for entry in [*inputs, *steps]}
    protection = values.get("protection_days")
    return {
        "inputs": [_input_row(entry) for entry in inputs],
        "steps": [_step_row(entry, values) for entry in steps],
        "not_counted": document.get("not_counted", []),
        "rules": document.get("rules", {}),
        "version": document.get("version"),
        "protection_days": f"{number(protection['value'])} days" if protection else None,
        "settings": [{**entry, "label": plain(entry["name"], SETTINGS)} for entry in document.get("settings", [])],
        "other_reasons": document.get("result", {}).get("other_reasons", []),
    }


def _label(entry: dict[str, Any]) -> str:
    cause = " ".join(str(entry[name]) for name in ("gene", "lookup_key") if entry.get(name))
    return f"Genetic shift: {cause}" if cause else plain(entry["name"], VALUE_NAMES)


def _input_row(entry: dict[str, Any]) -> dict[str, Any]:
    days = entry.get("age_days")
    age = f"{counted(int(days), 'day')} old" if days is not None else entry.get("as_of")
    details = [str(entry[name]) for name in ABOUT if entry.get(name) is not None]
    details += [entry["reason_code"].replace("_", " ")] if entry.get("reason_code") else []
    source = entry["source"] + (f" ({', '.join(details)})" if details else "")
    values = {name: entry[name] for name in ("value", "unit")}
    return {"label": _label(entry), **values, "source": source, "age": age or "–"}


def _step_row(entry: dict[str, Any], values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    operands = []
    for name in entry["operands"]:
        operand = values.get(name, {"name": name, "value": None})
        operands.append({"label": _label(operand), "value": operand["value"]})
    numbers = {name: entry[name] for name in ("value", "unit")}
    return {"label": _label(entry), "operation": plain(entry["operation"], OPERATIONS), "operands": operands, **numbers}
