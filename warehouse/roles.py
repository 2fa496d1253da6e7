"""Roles of people and what each may do: the one place that says so."""

from enum import StrEnum


class Permission(StrEnum):
    """What a role may let a signed-in person do."""

    READ = "read"
    DECIDE = "decide"
    ACTIVATE = "activate"
    AUDIT = "audit"
    APPROVE_SECOND = "approve_second"
    ADMINISTER = "administer"


class Role(StrEnum):
    """Role of a person, in the order of how far it reaches. `ROLE_PERMISSIONS` says what each may do."""

    VIEWER = "viewer"
    BUYER = "buyer"
    APPROVER = "approver"
    PHARMACIST = "pharmacist"
    ADMIN = "admin"


_P = Permission

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({_P.READ}),
    Role.BUYER: frozenset({_P.READ, _P.DECIDE}),
    Role.APPROVER: frozenset({_P.READ, _P.DECIDE, _P.ACTIVATE, _P.AUDIT, _P.APPROVE_SECOND}),
    Role.PHARMACIST: frozenset({_P.READ, _P.DECIDE, _P.ACTIVATE, _P.AUDIT}),
    Role.ADMIN: frozenset(_P),
}
"""The one table of what a person may do. API keys are not in it: no key decides."""


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """The roles that have a permission, in the order of `Role`.

    >>> [str(role) for role in roles_with(Permission.APPROVE_SECOND)]
    ['approver', 'admin']
    """
    return tuple(role for role in Role if permission in ROLE_PERMISSIONS[role])
