"""The person or key that asks, and what they may do (`warehouse.roles.ROLE_PERMISSIONS`)."""

import dataclasses
import datetime as dt

from warehouse.audit import Actor
from warehouse.queries.lines import Scope
from warehouse.roles import ROLE_PERMISSIONS, Permission, Role


@dataclasses.dataclass(frozen=True)
class Principal:
    """Who asks. `sites` bounds every query (None = all); `csrf_token` and `user_id` only for people.

    `valid_until` is when a key, or the secret that it was sent with, ends by itself (UTC); None = never.
    """

    name: str
    sites: Scope
    role: Role | None = None
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

    def may(self, permission: Permission) -> bool:
        """True for a person whose role has the permission; never for a key."""
        return self.role is not None and permission in ROLE_PERMISSIONS[Role(self.role)]

    def may_decide(self) -> bool:
        """True for a person who decides about recommendations."""
        return self.may(Permission.DECIDE)

    def may_activate(self) -> bool:
        """True for a person who puts releases of guidance in force."""
        return self.may(Permission.ACTIVATE)

    def may_administer(self) -> bool:
        """True for an administrator of every site, who keeps people, keys and webhooks."""
        return self.may(Permission.ADMINISTER) and self.sites is None


def site_scope(stored: str | None) -> Scope:
    """The sites of a stored list of facility_ids ('north;south'); None = all."""
    return None if stored is None else frozenset(stored.split(";")) - {""}
