"""People's accounts as an administrator keeps them: changed, closed, opened, unlocked and given a new password.

Nobody keeps their own account: it takes a second administrator, so that one always remains and no role is self-given.
"""

import dataclasses
import datetime as dt
import re
import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from api.access.keys import stored_sites
from api.access.sign_in import hash_password
from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import COMMAND, Actor, Event
from warehouse.queries.lines import Rows
from warehouse.roles import Role
from warehouse.schema.ledger import ApiKey, AuditEvent, SignInSession, User

PERSON_COLUMNS = (
    "user_id",
    "name",
    "display_name",
    "subject",
    "role",
    "facility_ids",
    "active",
    "locked_until",
    "created_at",
)
KEY_COLUMNS = ("key_id", "name", "scopes", "facility_ids", "created_at", "expires_at", "revoked_at", "previous_until")
PASSWORD_BYTES = 15
"""Random bytes in a password that is made here: 20 characters."""


def people(connection: sa.Connection) -> Rows:
    """Everybody by name, with `signed_in_at` (the last time), without anything secret."""
    last = _last_events(AuditEvent.subject, AuditEvent.action == "user.sign_in", "signed_in_at")
    subject = sa.literal("user:").concat(sa.cast(User.user_id, sa.String))
    columns = [User.__table__.columns[name] for name in PERSON_COLUMNS]
    query = sa.select(*columns, last.c.signed_in_at).outerjoin(last, last.c.key == subject).order_by(User.name)
    return connection.execute(query).mappings().all()


def keys(connection: sa.Connection) -> Rows:
    """Every key, the newest first, with `changed_at`: when it last changed something. Reads are not recorded."""
    last = _last_events(AuditEvent.actor, AuditEvent.actor.startswith("key:"), "changed_at")
    columns = [ApiKey.__table__.columns[name] for name in KEY_COLUMNS]
    query = sa.select(*columns, last.c.changed_at)
    query = query.outerjoin(last, last.c.key == sa.literal("key:").concat(ApiKey.key_id))
    return connection.execute(query.order_by(ApiKey.created_at.desc(), ApiKey.key_id)).mappings().all()


def _last_events(key: Any, condition: sa.ColumnElement[bool], name: str) -> sa.Subquery:
    """By `key` (subject or actor) the time of the last of its events, under that name."""
    newest = sa.select(key.label("key"), sa.func.max(AuditEvent.at).label(name)).where(condition)
    return newest.group_by(key).subquery()


def new_password() -> str:
    """A random password, to be shown once."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def change_person(
    connection: sa.Connection,
    user_id: int,
    *,
    role: str,
    facility_ids: Sequence[str] | None,
    now: dt.datetime,
    actor: Actor,
) -> None:
    """Give a person another role or other sites (None = all); it counts from the next click."""
    _check_role(role)
    user = _other_person(connection, user_id, actor)
    if user["subject"] is not None:
        raise InvalidInput(f"{user['name']} gets role and sites from the identity provider at each sign-in")
    sites = stored_sites(connection, facility_ids)
    _set(connection, user, "user.change", actor, now, role=role, facility_ids=sites)


def set_active(connection: sa.Connection, user_id: int, active: bool, *, now: dt.datetime, actor: Actor) -> None:
    """Close an account, which ends its sessions at once, or open it again."""
    user = _other_person(connection, user_id, actor)
    _set(connection, user, "user.activate" if active else "user.deactivate", actor, now, active=active)
    if not active:
        _end_sessions(connection, user_id)


def unlock(connection: sa.Connection, user_id: int, *, now: dt.datetime, actor: Actor) -> None:
    """Let a person sign in again who mistyped a password too often."""
    user = _other_person(connection, user_id, actor)
    _set(connection, user, "user.unlock", actor, now, locked_until=None, failed_sign_ins=0)


def reset_password(connection: sa.Connection, user_id: int, *, now: dt.datetime, actor: Actor) -> str:
    """A new password, shown this once; it ends the person's sessions and a lock."""
    user = _other_person(connection, user_id, actor)
    if user["subject"] is not None:
        raise InvalidInput(f"{user['name']} signs in through the identity provider and has no password here")
    password = new_password()
    change = {"password_hash": hash_password(password), "failed_sign_ins": 0, "locked_until": None}
    connection.execute(sa.update(User).where(User.user_id == user_id).values(change))
    _end_sessions(connection, user_id)
    audit.append(connection, actor, now, [Event("user.reset_password", f"user:{user_id}")])
    return password


def person(connection: sa.Connection, user_id: int) -> sa.RowMapping | None:
    """The row of one person in `people`, None when there is none."""
    return next((row for row in people(connection) if row["user_id"] == user_id), None)


def _check_role(role: str) -> None:
    if role not in tuple(Role):
        raise InvalidInput(f"role {role!r}: must be one of {', '.join(Role)}")


def _other_person(connection: sa.Connection, user_id: int, actor: Actor) -> sa.RowMapping:
    query = sa.select(User.__table__).where(User.user_id == user_id).with_for_update()
    user = connection.execute(query).mappings().one_or_none()
    if user is None:
        raise InvalidInput(f"there is no person {user_id}")
    if actor.actor == f"user:{user_id}":
        raise InvalidInput("your own account is kept by another administrator")
    return user


def _set(
    connection: sa.Connection, user: sa.RowMapping, action: str, actor: Actor, now: dt.datetime, **values: Any
) -> None:
    before = {name: user[name] for name in values}
    connection.execute(sa.update(User).where(User.user_id == user["user_id"]).values(values))
    audit.append(connection, actor, now, [Event(action, f"user:{user['user_id']}", before=before, after=values)])


def _end_sessions(connection: sa.Connection, user_id: int) -> None:
    connection.execute(sa.delete(SignInSession).where(SignInSession.user_id == user_id))


@dataclasses.dataclass(frozen=True)
class NewUser:
    """A person who is let in; `facility_ids` None = all sites."""

    name: str
    display_name: str
    role: str
    password: str = dataclasses.field(repr=False)
    facility_ids: Sequence[str] | None = None


def create_user(connection: sa.Connection, user: NewUser, *, now: dt.datetime, actor: Actor = COMMAND) -> int:
    """Number of the new person. A broken rule raises `InvalidInput`."""
    _check_role(user.role)
    if not re.fullmatch(r"[A-Za-z0-9._@-]{1,80}", user.name):
        raise InvalidInput(f"name {user.name!r}: 1 to 80 letters, digits, '.', '_', '@' or '-'")
    password_hash = hash_password(user.password)
    if connection.execute(sa.select(User.user_id).where(User.name == user.name)).first():
        raise InvalidInput(f"there is a user {user.name!r} already")
    account = {
        "name": user.name,
        "display_name": user.display_name.strip() or user.name,
        "role": user.role,
        "facility_ids": stored_sites(connection, user.facility_ids),
    }
    row = account | {"password_hash": password_hash, "active": True, "failed_sign_ins": 0, "created_at": now}
    number = int(connection.execute(sa.insert(User).values(row).returning(User.user_id)).scalar_one())
    audit.append(connection, actor, now, [Event("user.add", f"user:{number}", after=account)])
    return number
