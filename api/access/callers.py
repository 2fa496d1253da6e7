"""Who asks: a person by session or a system by API key, as the dependencies of routes and pages."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Request

from api.access.keys import found_key
from api.access.roles import Principal, site_scope
from api.access.sign_in import SESSION_COOKIE, person_of, same_token
from api.http.context import Db, Now
from api.http.errors import NotAllowed, NotSignedIn


def key_of(connection: sa.Connection, header: str, now: dt.datetime) -> Principal | None:
    """Which key an Authorization header holds; None when it is malformed, unknown, wrong, expired or revoked."""
    found = found_key(connection, header, now)
    if found is None:
        return None
    row, valid_until = found
    scopes = frozenset(row["scopes"].split(";"))
    return Principal(
        row["name"], site_scope(row["facility_ids"]), key_id=row["key_id"], scopes=scopes, valid_until=valid_until
    )


def check_csrf(person: Principal, given: str | None) -> None:
    """Refuse a form or call that does not carry its session's token."""
    if not same_token(given, person.csrf_token):
        raise NotAllowed("the form's token is missing or not this session's; reload the page and try again")


def principal(request: Request, db: sa.Connection, now: dt.datetime) -> Principal:
    """Who asks, by key or session; nobody raises `NotSignedIn`. A key leaves its end in the request's `valid_until`."""
    header = request.headers.get("authorization")
    if header is not None:
        caller = key_of(db, header, now)
    else:
        caller = person_of(db, request.cookies.get(SESSION_COOKIE), now)
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


async def _deciding_person(caller: Caller) -> Principal:
    if caller.key_id is not None:
        raise NotAllowed("an API key never decides: a person has to sign in")
    if not caller.may_decide():
        raise NotAllowed(f"the role {caller.role} reads and does not decide")
    return caller


Decider = Annotated[Principal, Depends(_deciding_person)]


async def _activating_person(caller: Caller) -> Principal:
    if caller.key_id is not None:
        raise NotAllowed("an API key never puts a release in force: a person has to sign in")
    if not caller.may_activate():
        raise NotAllowed(f"the role {caller.role} puts no release in force")
    return caller


Activator = Annotated[Principal, Depends(_activating_person)]
