"""Who asks: a person by session or a system by API key, as the dependencies of routes and pages."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Header, Request

from api.access.keys import verified_key
from api.access.sign_in import SESSION_COOKIE, same_token, session_person
from api.http.context import Db, Now
from api.http.errors import NotAllowed, NotSignedIn
from api.principal import Principal, site_scope
from warehouse.roles import Permission

CSRF = Header(description="`csrf_token` of /v1/session.")
CsrfToken = Annotated[str | None, CSRF]


def key_of(connection: sa.Connection, header: str, now: dt.datetime) -> Principal | None:
    """Which key an Authorization header holds; None when it is malformed, unknown, wrong, expired or revoked."""
    key = verified_key(connection, header, now)
    if key is None:
        return None
    return Principal(
        key.row["name"],
        site_scope(key.row["facility_ids"]),
        key_id=key.row["key_id"],
        scopes=frozenset(key.row["scopes"].split(";")),
        valid_until=key.valid_until,
    )


def check_csrf(person: Principal, token: str | None) -> None:
    """Refuse a form or call that does not carry its session's token."""
    if not same_token(token, person.csrf_token):
        raise NotAllowed("the form's token is missing or not this session's; reload the page and try again")


def principal(request: Request, db: sa.Connection, now: dt.datetime) -> Principal:
    """Who asks, by key or session; nobody raises `NotSignedIn`. A key leaves its end in the request's `valid_until`."""
    header = request.headers.get("authorization")
    if header is not None:
        caller = key_of(db, header, now)
    else:
        caller = session_person(db, request.cookies.get(SESSION_COOKIE), now)
    if caller is None:
        raise NotSignedIn("send a valid API key as 'Authorization: Bearer pgx_...', or sign in")
    if caller.key_id is not None:
        request.state.valid_until = caller.valid_until
    return dataclasses.replace(caller, request_id=request.state.request_id)


def _principal(request: Request, db: Db, now: Now) -> Principal:
    return principal(request, db, now)


Caller = Annotated[Principal, Depends(_principal)]
"""A key or a signed-in person."""


def check_scope(caller: Principal, scopes: Sequence[str]) -> None:
    """Refuse a key that has none of the scopes; every person reads."""
    if caller.key_id is not None and not caller.scopes & set(scopes):
        raise NotAllowed(f"the key needs the scope {' or '.join(scopes)}")


def reader(*scopes: str) -> Any:
    """The dependency of a read: a key needs one of the scopes, a person a role that reads."""

    async def allowed(caller: Caller) -> Principal:
        check_scope(caller, scopes)
        return caller

    return Depends(allowed)


def writer_key(scope: str) -> Any:
    """The dependency of a system's write: a key with the scope."""

    async def allowed(caller: Caller) -> Principal:
        if scope not in caller.scopes:
            raise NotAllowed(f"this needs an API key with the scope {scope}")
        return caller

    return Depends(allowed)


def check_may(person: Principal, permission: Permission, refusal: str) -> None:
    """Refuse a person whose role has not the permission; `refusal` says what the role does, or does not."""
    if not person.may(permission):
        raise NotAllowed(f"the role {person.role} {refusal}")


def _person_who_may(permission: Permission, *, keys_never: str, refusal: str) -> Any:
    """The dependency of a person's deed: a signed-in person with the permission, never a key."""

    async def allowed(caller: Caller) -> Principal:
        if caller.key_id is not None:
            raise NotAllowed(f"an API key never {keys_never}: a person has to sign in")
        check_may(caller, permission, refusal)
        return caller

    return Depends(allowed)


Decider = Annotated[
    Principal, _person_who_may(Permission.DECIDE, keys_never="decides", refusal="reads and does not decide")
]
Activator = Annotated[
    Principal,
    _person_who_may(Permission.ACTIVATE, keys_never="puts a release in force", refusal="puts no release in force"),
]
