"""What each role may do, and the person or key that asks."""

import dataclasses
import datetime as dt

from warehouse.audit import Actor
from warehouse.queries.lines import Scope

READ = "read"

DECIDE = "decide"

ACTIVATE = "activate"

ROLE_MAY: dict[str, frozenset[str]] = {
    "viewer": frozenset({READ}),
    "buyer": frozenset({READ, DECIDE}),
    "approver": frozenset({READ, DECIDE, ACTIVATE}),
    "pharmacist": frozenset({READ, DECIDE, ACTIVATE}),
    "admin": frozenset({READ, DECIDE, ACTIVATE}),
}
"""What a person of each role may do. Keys are not in this table: no key decides."""


@dataclasses.dataclass(frozen=True)
class Principal:
    """Who asks. `sites` bounds every query (None = all); `csrf_token` and `user_id` only for people.

    `valid_until` is when a key, or the secret that it was sent with, ends by itself (UTC); None = never.
    """

    name: str
    sites: Scope
    role: str | None = None
    user_id: int | None = None
    csrf_token: str | None = None
    key_id: str | None = None
    scopes: frozenset[str] = frozenset()
    valid_until: dt.datetime | None = None
    request_id: str | None = None

    @property
    def actor(self) -> Actor:
        """The same, as the audit trail names it."""
        who = f"key:{self.key_id}" if self.key_id is not None else f"user:{self.user_id}"
        return Actor(who, self.name, self.request_id)

    def may_decide(self) -> bool:
        """True for a person whose role decides; never for a key."""
        return self.role is not None and DECIDE in ROLE_MAY[self.role]

    def may_activate(self) -> bool:
        """True for a person whose role puts releases of guidance in force; never for a key."""
        return self.role is not None and ACTIVATE in ROLE_MAY[self.role]

    def keeps_access(self) -> bool:
        """True for an administrator of every site, who keeps people, keys and webhooks; never for a key."""
        return self.role == "admin" and self.sites is None


def site_scope(stored: str | None) -> Scope:
    return None if stored is None else frozenset(stored.split(";")) - {""}


MAY_AUDIT = frozenset({"approver", "pharmacist", "admin"})
