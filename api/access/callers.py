"""Who asks: people by password and session, systems by API key; what each may do and at which sites.

Passwords are kept as argon2id hashes, keys and session tokens as SHA-256 digests. There is no default user.
"""

import dataclasses
import datetime as dt
import hmac
import re
import secrets
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import argon2
import sqlalchemy as sa
from fastapi import Depends, Request

from api.access.keys import SCOPES as SCOPES
from api.access.keys import create_api_key as create_api_key
from api.access.keys import digest, found_key, stored_sites
from api.access.keys import revoke_api_key as revoke_api_key
from api.access.keys import rotate_api_key as rotate_api_key
from api.http.context import Db, Now
from api.http.errors import NotAllowed, NotSignedIn
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import COMMAND, Actor, Event
from warehouse.queries.lines import Scope
from warehouse.schema.ledger import ROLES, SignInSession, User

READ, DECIDE, ACTIVATE = "read", "decide", "activate"
ROLE_MAY: dict[str, frozenset[str]] = {
    "viewer": frozenset({READ}),
    "buyer": frozenset({READ, DECIDE}),
    "approver": frozenset({READ, DECIDE, ACTIVATE}),
    "pharmacist": frozenset({READ, DECIDE, ACTIVATE}),
    "admin": frozenset({READ, DECIDE, ACTIVATE}),
}
"""What a person of each role may do. Keys are not in this table: no key decides."""

SESSION_COOKIE = "pgx_session"
SESSION_LENGTH = dt.timedelta(hours=12)
MOST_FAILURES = 5
LOCKED_FOR = dt.timedelta(minutes=15)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200

_HASHER = argon2.PasswordHasher()
# a hash takes 64 MB: two at a time bound what a flood of sign-ins can use
_HASHING = threading.BoundedSemaphore(2)
_NOBODY = _HASHER.hash(secrets.token_hex(16))


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


def create_user(
    connection: sa.Connection,
    *,
    name: str,
    display_name: str,
    role: str,
    password: str,
    facility_ids: Sequence[str] | None,
    now: dt.datetime,
    actor: Actor = COMMAND,
) -> int:
    """Number of the new person; `facility_ids` None = all sites. A broken rule raises `InvalidInput`."""
    if role not in ROLES:
        raise InvalidInput(f"role {role!r}: must be one of {', '.join(ROLES)}")
    if not re.fullmatch(r"[A-Za-z0-9._@-]{1,80}", name):
        raise InvalidInput(f"name {name!r}: 1 to 80 letters, digits, '.', '_', '@' or '-'")
    hashed = hash_password(password)
    if connection.execute(sa.select(User.user_id).where(User.name == name)).first():
        raise InvalidInput(f"there is a user {name!r} already")
    row = {
        "name": name,
        "display_name": display_name.strip() or name,
        "password_hash": hashed,
        "role": role,
        "facility_ids": stored_sites(connection, facility_ids),
        "active": True,
        "failed_sign_ins": 0,
        "created_at": now,
    }
    number = int(connection.execute(sa.insert(User).values(row).returning(User.user_id)).scalar_one())
    told = {name: row[name] for name in ("name", "display_name", "role", "facility_ids")}
    audit.append(connection, actor, now, [Event("user.add", f"user:{number}", after=told)])
    return number


def sign_in(
    connection: sa.Connection, name: str, password: str, now: dt.datetime, request_id: str | None = None
) -> str | None:
    """A new session's token, or None; five failures in a row close the door for 15 minutes.

    The same work is done whether or not the person exists, so that the answer's time does not tell. What happened to a
    person's account is audited.
    """
    user = _verified(connection, name, password, now, request_id)
    return None if user is None else open_session(connection, user, now, "this server", request_id)


def open_session(
    connection: sa.Connection, user: sa.RowMapping, now: dt.datetime, by: str, request_id: str | None
) -> str:
    """The token of a new session of a person who proved who they are; `by` says how, for the audit trail."""
    connection.execute(sa.delete(SignInSession).where(SignInSession.expires_at <= now))
    token = secrets.token_urlsafe(32)
    row = {
        "token_sha256": digest(token),
        "user_id": user["user_id"],
        "csrf_token": secrets.token_urlsafe(32),
        "created_at": now,
        "expires_at": now + SESSION_LENGTH,
    }
    connection.execute(sa.insert(SignInSession).values(row))
    who = f"user:{user['user_id']}"
    actor = Actor(who, user["display_name"], request_id)
    audit.append(connection, actor, now, [Event("user.sign_in", who, after={"by": by})])
    return token


def person_by_password(connection: sa.Connection, name: str, password: str, now: dt.datetime) -> Principal | None:
    """Who a name and password belong to, without a session; failures count as with `sign_in`."""
    user = _verified(connection, name, password, now)
    if user is None:
        return None
    return Principal(user["display_name"], _sites(user["facility_ids"]), user["role"], user["user_id"])


def _verified(
    connection: sa.Connection, name: str, password: str, now: dt.datetime, request_id: str | None = None
) -> sa.RowMapping | None:
    query = sa.select(User.__table__).where(User.name == name).with_for_update()
    user = connection.execute(query).mappings().one_or_none()
    right = _password_is_right(user["password_hash"] if user else _NOBODY, password)
    if user is None or not user["active"] or (user["locked_until"] and now < user["locked_until"]):
        return None
    if not right:
        _count_failure(connection, user, now, request_id)
        return None
    _set_user(connection, user, failed_sign_ins=0, locked_until=None)
    return user


def sign_out(connection: sa.Connection, token: str) -> None:
    """End the session of a token."""
    connection.execute(sa.delete(SignInSession).where(SignInSession.token_sha256 == digest(token)))


def person_of(connection: sa.Connection, token: str | None, now: dt.datetime) -> Principal | None:
    """Who a session's token belongs to; None when it is unknown or over, or the person may no longer sign in."""
    if not token:
        return None
    query = (
        sa.select(SignInSession.csrf_token, *User.__table__.columns)
        .join(User, User.user_id == SignInSession.user_id)
        .where(SignInSession.token_sha256 == digest(token), SignInSession.expires_at > now, User.active)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    return Principal(
        row["display_name"], _sites(row["facility_ids"]), row["role"], row["user_id"], csrf_token=row["csrf_token"]
    )


def key_of(connection: sa.Connection, header: str, now: dt.datetime) -> Principal | None:
    """Which key an Authorization header holds; None when it is malformed, unknown, wrong, expired or revoked."""
    found = found_key(connection, header, now)
    if found is None:
        return None
    row, valid_until = found
    scopes = frozenset(row["scopes"].split(";"))
    return Principal(
        row["name"], _sites(row["facility_ids"]), key_id=row["key_id"], scopes=scopes, valid_until=valid_until
    )


def same_token(given: str | None, wanted: str | None) -> bool:
    """Whether two tokens are the same, in a time that does not tell where they differ; a blank one never is."""
    return bool(given) and bool(wanted) and hmac.compare_digest(str(given).encode(), str(wanted).encode())


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


def _sites(stored: str | None) -> Scope:
    return None if stored is None else frozenset(stored.split(";")) - {""}


def hash_password(password: str) -> str:
    """The hash that is kept of a password; one that is too short or too long raises `InvalidInput`."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidInput(f"the password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return _HASHER.hash(password)


def random_password_hash() -> str:
    """The hash of a password that nobody knows, for who signs in otherwise."""
    return _HASHER.hash(secrets.token_urlsafe(32))


def _password_is_right(password_hash: str, password: str) -> bool:
    with _HASHING:
        try:
            return _HASHER.verify(password_hash, password[: LONGEST_PASSWORD + 1])
        except argon2.exceptions.VerificationError:
            return False


def _count_failure(connection: sa.Connection, user: sa.RowMapping, now: dt.datetime, request_id: str | None) -> None:
    failures = user["failed_sign_ins"] + 1
    locked = failures >= MOST_FAILURES
    told = {"failures": failures, "locked_until": now + LOCKED_FOR if locked else None}
    event = Event("user.sign_in_failed", f"user:{user['user_id']}", after=told)
    audit.append(connection, Actor("nobody", "not signed in", request_id), now, [event])
    if locked:
        _set_user(connection, user, failed_sign_ins=0, locked_until=now + LOCKED_FOR)
    else:
        _set_user(connection, user, failed_sign_ins=failures)


def _set_user(connection: sa.Connection, user: sa.RowMapping, **values: Any) -> None:
    connection.execute(sa.update(User).where(User.user_id == user["user_id"]).values(**values))
