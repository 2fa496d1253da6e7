"""The pages that the menu leads to, those of every day first; one place, so that a new page is added in one line."""

import dataclasses

from api.principal import Principal
from warehouse.roles import Permission


@dataclasses.dataclass(frozen=True)
class Entry:
    """A page in the menu, for people with the permission. On a phone the others than `daily` wait behind one button."""

    name: str
    path: str
    text: str
    daily: bool = False
    permission: Permission = Permission.READ


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
    Entry("access", "/access", "Users and keys", permission=Permission.ADMINISTER),
)


def entries(person: Principal) -> list[Entry]:
    """What the menu shows to a person."""
    return [entry for entry in ENTRIES if person.may(entry.permission)]
