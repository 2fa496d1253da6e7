"""Passwords and sessions of people: sign in, sign out, lock after failures.

Passwords are kept as argon2id hashes, session tokens as SHA-256 digests. There is no default user.
"""

import datetime as dt
import hmac
import secrets
import threading
from typing import Any

import argon2
import sqlalchemy as sa

from api.access.keys import digest
from api.principal import Principal, site_scope
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.roles import Role
from warehouse.schema.ledger import SignInSession, User

SESSION_COOKIE = "pgx_session"
SESSION_LENGTH = dt.timedelta(hours=12)
MOST_FAILURES = 5
LOCKED_FOR = dt.timedelta(minutes=15)
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200

_HASHER = argon2.PasswordHasher()
# a hash takes 64 MB: two at a time bound what a flood of sign-ins can use
_HASHING = threading.BoundedSemaphore(2)
_HASH_OF_NOBODY = _HASHER.hash(secrets.token_hex(16))


def sign_in(
    connection: sa.Connection, name: str, password: str, now: dt.datetime, request_id: str | None = None
) -> str | None:
    """A new session's token, or None; five failures in a row lock the account for 15 minutes.

    The same work is done whether or not the person exists, so that the time of the answer does not show it. What
    happened to a person's account is audited.
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
    subject = f"user:{user['user_id']}"
    actor = Actor(subject, user["display_name"], request_id)
    audit.append(connection, actor, now, [Event("user.sign_in", subject, after={"by": by})])
    return token


def person_by_password(connection: sa.Connection, name: str, password: str, now: dt.datetime) -> Principal | None:
    """Who a name and password belong to, without a session; failures count as with `sign_in`."""
    user = _verified(connection, name, password, now)
    if user is None:
        return None
    return _principal(user)


def _verified(
    connection: sa.Connection, name: str, password: str, now: dt.datetime, request_id: str | None = None
) -> sa.RowMapping | None:
    query = sa.select(User.__table__).where(User.name == name).with_for_update()
    user = connection.execute(query).mappings().one_or_none()
    is_right = _password_is_right(user["password_hash"] if user else _HASH_OF_NOBODY, password)
    if user is None or not user["active"] or (user["locked_until"] and now < user["locked_until"]):
        return None
    if not is_right:
        _count_failure(connection, user, now, request_id)
        return None
    _set_user(connection, user, failed_sign_ins=0, locked_until=None)
    return user


def sign_out(connection: sa.Connection, token: str) -> None:
    """End the session of a token."""
    connection.execute(sa.delete(SignInSession).where(SignInSession.token_sha256 == digest(token)))


def session_person(connection: sa.Connection, token: str | None, now: dt.datetime) -> Principal | None:
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
    return _principal(row, row["csrf_token"])


def _principal(user: sa.RowMapping, csrf_token: str | None = None) -> Principal:
    sites, role = site_scope(user["facility_ids"]), Role(user["role"])
    return Principal(user["display_name"], sites, role, user["user_id"], csrf_token=csrf_token)


def same_token(sent: str | None, expected: str | None) -> bool:
    """Whether two tokens are the same, in a time that does not show where they differ; a blank one never is."""
    return bool(sent) and bool(expected) and hmac.compare_digest(str(sent).encode(), str(expected).encode())


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
    after = {"failures": failures, "locked_until": now + LOCKED_FOR if locked else None}
    event = Event("user.sign_in_failed", f"user:{user['user_id']}", after=after)
    audit.append(connection, Actor("nobody", "not signed in", request_id), now, [event])
    if locked:
        _set_user(connection, user, failed_sign_ins=0, locked_until=now + LOCKED_FOR)
    else:
        _set_user(connection, user, failed_sign_ins=failures)


def _set_user(connection: sa.Connection, user: sa.RowMapping, **values: Any) -> None:
    connection.execute(sa.update(User).where(User.user_id == user["user_id"]).values(**values))
