"""The pages that the menu leads to, those of every day first; one place, so that a new page is added in one line."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Entry:
    """A page in the menu. `daily` ones stand open on a phone, where the others wait behind one button."""

    name: str
    path: str
    text: str
    daily: bool = False
    roles: frozenset[str] | None = None
    """Who sees it; None = everybody."""


ENTRIES = (
    Entry("worklist", "/", "Worklist", daily=True),
    Entry("done", "/done", "Done today", daily=True),
    Entry("orders", "/orders", "Orders", daily=True),
    Entry("overview", "/overview", "Overview"),
    Entry("genetics", "/genetics", "Genetics"),
    Entry("overrides", "/overrides", "Overrides"),
    Entry("releases", "/releases", "Guidelines"),
    Entry("scenarios", "/scenarios", "Scenarios"),
    Entry("problems", "/problems", "Data and problems"),
    Entry("imports", "/imports", "Imports"),
    Entry("access", "/access", "Users and keys", roles=frozenset({"admin"})),
)


def entries(role: str | None) -> list[Entry]:
    """What the menu shows to a person of that role."""
    return [one for one in ENTRIES if one.roles is None or role in one.roles]
