"""What pages call the codes of vocabularies, products, actions and names of people."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from api.display import figures, formatting
from api.display.formatting import counted, day, number
from forecasting.terms import DescribedEnum


def plain(code: str | None, names: dict[str, str] | None = None) -> str:
    """The name of a code; one that is not listed is shown as it is, without underscores.

    >>> plain("open_order_2"), plain("packs", {"packs": "Packs to order"}), plain(None)
    ('Open order 2', 'Packs to order', '')
    """
    if code is None:
        return ""
    return (names or {}).get(code) or code.replace("_", " ").capitalize()


def label(code: str | None, vocabulary: type[DescribedEnum]) -> str:
    """The description of a vocabulary's code, as a sentence begins; any other code as `plain` shows it.

    >>> from forecasting.terms import Reason
    >>> label("budget", Reason), label("a_code_of_tomorrow", Reason)
    ('Budget limit', 'A code of tomorrow')
    """
    if code is None or code not in tuple(vocabulary):
        return plain(code)
    description = vocabulary(code).description
    return description[:1].upper() + description[1:]


def choices(vocabulary: type[StrEnum]) -> list[tuple[str, str]]:
    """Code and label of each member, as a select element lists them."""
    if issubclass(vocabulary, DescribedEnum):
        return [(code.value, label(code, vocabulary)) for code in vocabulary]
    return [(code.value, plain(code)) for code in vocabulary]


def action_summary(action: Any) -> str:
    """What an action on the worklist did."""
    if action["kind"] == "snooze":
        until = action["snoozed_until"]
        text = f"Put off until {day(until)}" if until else "Brought back"
    else:
        text = f"Given to {action['assignee_name']}" if action["assignee_id"] else "Given to nobody"
    return f"Taken back, now: {text[0].lower()}{text[1:]}" if action["undoes"] else text


def alternatives(names: Sequence[str]) -> str:
    """Names of people as a choice, the first three of them.

    >>> alternatives(["Ada", "Root"]), alternatives([]), alternatives(["Ada", "Bo", "Cy", "Di"])
    ('Ada or Root', 'nobody: no other approver sees this site', 'Ada, Bo, Cy or 1 other')
    """
    if not names:
        return "nobody: no other approver sees this site"
    listed = [*names[:3], *([counted(len(names) - 3, "other")] if len(names) > 3 else [])]
    return " or ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def product(line: Any) -> str:
    """Drug, strength and form of a line."""
    return f"{line['drug']} {number(line['strength_value'], 3)} {line['strength_unit']} {line['dose_form']}"


FILTERS = {
    **{name: getattr(formatting, name) for name in ("number", "exact", "signed", "percent", "share", "money")},
    **{name: getattr(formatting, name) for name in ("day", "moment", "next_day", "counted", "doses")},
    **{"plain": plain, "label": label, "action_summary": action_summary},
    **{"alternatives": alternatives, "product": product, "figure_text": figures.figure_text},
}
"""What templates write values with, by name."""
