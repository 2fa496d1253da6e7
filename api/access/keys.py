"""API keys: made, rotated, revoked and found again; only their digests are kept."""

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
    told = {one: row[one] for one in ("name", "scopes", "facility_ids", "expires_at")}
    audit.append(connection, actor, now, [Event("key.add", f"key:{key_id}", after=told)])
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


def found_key(
    connection: sa.Connection, header: str, now: dt.datetime
) -> tuple[sa.RowMapping, dt.datetime | None] | None:
    """The row of the key that an Authorization header holds and until when the secret counts by itself, None = always.

    None when the header is malformed, or the key unknown, wrong, expired or revoked.
    """
    scheme, _, text = header.partition(" ")
    parts = _KEY.fullmatch(text.strip()) if scheme.lower() == "bearer" else None
    if parts is None:
        return None
    row = connection.execute(_BY_KEY_ID, {"key_id": parts[1]}).mappings().one_or_none()
    if row is None or row["revoked_at"] is not None:
        return None
    counts, valid_until = _secret_counts(row, digest(parts[2]))
    if not counts or (valid_until is not None and valid_until <= now):
        return None
    return row, valid_until


def _secret_counts(row: sa.RowMapping, given: str) -> tuple[bool, dt.datetime | None]:
    """Whether the digest is that of the key's secret, or of the one before; when that ends, None = never."""
    if hmac.compare_digest(row["secret_sha256"], given):
        return True, row["expires_at"]
    if row["previous_until"] is None or not hmac.compare_digest(row["previous_sha256"] or "", given):
        return False, None
    return True, min(row["expires_at"] or row["previous_until"], row["previous_until"])


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
