"""API keys: created, rotated, revoked and verified; only their digests are kept."""

import dataclasses
import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from forecasting.errors import InvalidInput
from warehouse import audit
from warehouse.audit import COMMAND, Actor, Event
from warehouse.schema.inputs import Facility
from warehouse.schema.ledger import ApiKey

SCOPES = (
    *("recommendations:read", "forecasts:read", "orders:read", "audit:read"),
    *("stock:read", "open_orders:read", "receipts:read"),
    *("stock:write", "dispensing:write", "open_orders:write", "receipts:write", "orders:write"),
)

_KEY = re.compile(r"pgx_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_BY_KEY_ID = sa.select(ApiKey.__table__).where(ApiKey.key_id == sa.bindparam("key_id"))


def create_api_key(
    connection: sa.Connection,
    *,
    name: str,
    scopes: Sequence[str],
    facility_ids: Sequence[str] | None,
    expires_at: dt.datetime | None,
    now: dt.datetime,
    actor: Actor = COMMAND,
) -> str:
    """The new key, `pgx_<key_id>_<secret>`: shown this once, only its digest is kept. `facility_ids` None = all."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidInput(f"scopes {', '.join(unknown) or '(none)'}: must be among {', '.join(SCOPES)}")
    if not name.strip():
        raise InvalidInput("the key's name must not be blank: say what uses it")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput(f"expires_at {expires_at}: must lie in the future")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {
        "key_id": key_id,
        "name": name.strip(),
        "secret_sha256": digest(secret),
        "scopes": ";".join(sorted(set(scopes))),
        "facility_ids": stored_sites(connection, facility_ids),
        "created_at": now,
        "expires_at": expires_at,
    }
    connection.execute(sa.insert(ApiKey).values(row))
    after = {field: row[field] for field in ("name", "scopes", "facility_ids", "expires_at")}
    audit.append(connection, actor, now, [Event("key.add", f"key:{key_id}", after=after)])
    return f"pgx_{key_id}_{secret}"


def rotate_api_key(
    connection: sa.Connection, key_id: str, *, old_until: dt.datetime, now: dt.datetime, actor: Actor = COMMAND
) -> str:
    """The key with a new secret, shown this once; the secret before counts until `old_until`.

    A key that is unknown, revoked or expired raises `InvalidInput`. A secret from before an earlier rotation ends now.
    """
    if old_until < now:
        raise InvalidInput(f"old_until {old_until}: must not lie in the past")
    live = (ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now)) & ApiKey.revoked_at.is_(None)
    secret = secrets.token_urlsafe(32)
    change = {"previous_sha256": ApiKey.secret_sha256, "previous_until": old_until, "secret_sha256": digest(secret)}
    if connection.execute(sa.update(ApiKey).where(ApiKey.key_id == key_id, live).values(change)).rowcount != 1:
        raise InvalidInput(f"there is no live key {key_id!r}")
    audit.append(connection, actor, now, [Event("key.rotate", f"key:{key_id}", after={"old_until": old_until})])
    return f"pgx_{key_id}_{secret}"


def revoke_api_key(connection: sa.Connection, key_id: str, *, now: dt.datetime, actor: Actor = COMMAND) -> None:
    """End a key; one that is unknown or ended already raises `InvalidInput`."""
    live = sa.update(ApiKey).where(ApiKey.key_id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    if connection.execute(live).rowcount != 1:
        raise InvalidInput(f"there is no live key {key_id!r}")
    audit.append(connection, actor, now, [Event("key.revoke", f"key:{key_id}", after={"revoked_at": now})])


def key_row(connection: sa.Connection, key_id: str) -> sa.RowMapping | None:
    """The row of a key, live or ended; None when there is none."""
    return connection.execute(_BY_KEY_ID, {"key_id": key_id}).mappings().one_or_none()


@dataclasses.dataclass(frozen=True)
class VerifiedKey:
    """The row of a key whose secret was sent, and until when that secret counts by itself; None = always."""

    row: sa.RowMapping
    valid_until: dt.datetime | None


def verified_key(connection: sa.Connection, header: str, now: dt.datetime) -> VerifiedKey | None:
    """The key that an Authorization header holds; None when it is malformed, or unknown, wrong, expired or revoked."""
    scheme, _, text = header.partition(" ")
    parts = _KEY.fullmatch(text.strip()) if scheme.lower() == "bearer" else None
    row = key_row(connection, parts[1]) if parts else None
    if parts is None or row is None or row["revoked_at"] is not None:
        return None
    key = _with_secret(row, digest(parts[2]))
    is_over = key is not None and key.valid_until is not None and key.valid_until <= now
    return None if is_over else key


def _with_secret(row: sa.RowMapping, secret_sha256: str) -> VerifiedKey | None:
    """The key where the digest is that of its secret, or of the one before."""
    if hmac.compare_digest(row["secret_sha256"], secret_sha256):
        return VerifiedKey(row, row["expires_at"])
    if row["previous_until"] is None or not hmac.compare_digest(row["previous_sha256"] or "", secret_sha256):
        return None
    return VerifiedKey(row, min(row["expires_at"] or row["previous_until"], row["previous_until"]))


def digest(text: str) -> str:
    """SHA-256 of a secret, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def stored_sites(connection: sa.Connection, facility_ids: Sequence[str] | None) -> str | None:
    """Sites as a row keeps them, None = all; an unknown one, or an empty list, raises `InvalidInput`."""
    if facility_ids is None:
        return None
    known = set(connection.execute(sa.select(Facility.facility_id)).scalars())
    unknown = sorted(set(facility_ids) - known)
    if unknown or not facility_ids:
        raise InvalidInput(f"facility_ids {', '.join(unknown) or '(none)'}: must be sites of this database")
    return ";".join(sorted(set(facility_ids)))
