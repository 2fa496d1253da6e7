"""API keys: for signed-in administrators of every site. A key is shown once, when it is made or rotated."""

import datetime as dt
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.access.administrator import administrator, changing_administrator
from api.access.keys import SCOPES, create_api_key, key_row, revoke_api_key, rotate_api_key
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import InvalidRequest, or_not_found
from api.http.fields import Names, PageOut, PageParameters, Strict, Text, UtcOut, Whole, with_examples
from api.http.openapi import refusals
from api.http.paging import Key, list_page
from api.principal import Principal
from warehouse.schema.ledger import ApiKey

router = APIRouter(prefix="/v1/keys", tags=["keys"])

KEYS = [Key(ApiKey.key_id)]
LONGEST_DAYS, LONGEST_HOURS = 3650, 24 * 30


class KeyIn(Strict):
    """What uses the key, what it may do and where, and for how long."""

    model_config = with_examples({"name": "stores", "scopes": ["recommendations:read", "stock:write"], "days": 365})

    name: Annotated[Text, Field(min_length=1)]
    scopes: list[Literal[SCOPES]] = Field(min_length=1, max_length=len(SCOPES))  # type: ignore[valid-type]
    facility_ids: Annotated[Names, Field(min_length=1)] | None = Field(None, description="Only these; null = all.")
    days: Whole = Field(365, ge=1, le=LONGEST_DAYS, description="Valid for so many days.")


class RotationIn(Strict):
    """How long the secret before still counts."""

    hours: Whole = Field(24, ge=0, le=LONGEST_HOURS, description="0 = it ends now.")


class KeyOut(BaseModel):
    """A key without its secret."""

    key_id: str = Field(examples=["0e34c08a5a7b"])
    name: str
    scopes: list[str]
    facility_ids: list[str] | None = Field(description="null = all sites")
    created_at: UtcOut
    expires_at: UtcOut | None
    revoked_at: UtcOut | None
    previous_until: UtcOut | None = Field(description="The secret before counts until then.")


class NewKeyOut(KeyOut):
    """A key with its secret, which is never shown again."""

    key: str = Field(description="Send it as 'Authorization: Bearer <key>'.")


class KeyPage(PageOut):
    """A page of keys."""

    items: list[KeyOut]


ADMINISTRATOR = Depends(administrator("keys"))
Changing = Annotated[Principal, Depends(changing_administrator("keys"))]


@router.get("", dependencies=[*ONCE_EACH, ADMINISTRATOR], responses=refusals(401, 403))
def list_keys(parameters: Annotated[PageParameters, Query()], db: Db) -> KeyPage:
    """All keys, live and ended."""
    return list_page(KeyPage, db, sa.select(ApiKey.__table__), KEYS, parameters, item=_resource)


@router.post("", status_code=201, dependencies=NO_PARAMETERS, responses=refusals(401, 403, 413, 415))
def create_key(key: KeyIn, person: Changing, db: Db, now: Now) -> NewKeyOut:
    """A new key. The answer holds the secret, this once."""
    text = create_api_key(
        db,
        name=key.name,
        scopes=key.scopes,
        facility_ids=key.facility_ids,
        expires_at=now + dt.timedelta(days=key.days),
        now=now,
        actor=person.actor,
    )
    return _new_key(db, text)


@router.post("/{key_id}/rotation", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404, 413, 415))
def rotate_key(key_id: Text, rotation: RotationIn, person: Changing, db: Db, now: Now) -> NewKeyOut:
    """A new secret for a live key, shown this once; scopes, sites and end stay, the secret before ends later."""
    _check_live(db, key_id, now)
    until = now + dt.timedelta(hours=rotation.hours)
    return _new_key(db, rotate_api_key(db, key_id, old_until=until, now=now, actor=person.actor))


@router.delete("/{key_id}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def revoke_key(key_id: Text, person: Changing, db: Db, now: Now) -> KeyOut:
    """End a live key at once."""
    _check_live(db, key_id, now)
    revoke_api_key(db, key_id, now=now, actor=person.actor)
    return KeyOut.model_validate(_resource(key_row(db, key_id)))


def _check_live(db: sa.Connection, key_id: str, now: dt.datetime) -> None:
    row = or_not_found(key_row(db, key_id), f"key {key_id}")
    if row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= now):
        raise InvalidRequest.field("key_id", "has ended already")


def _new_key(db: sa.Connection, text: str) -> NewKeyOut:
    return NewKeyOut.model_validate(_resource(key_row(db, text.split("_")[1])) | {"key": text})


def _resource(row: Any) -> dict[str, Any]:
    sites = row["facility_ids"]
    return {**row, "scopes": row["scopes"].split(";"), "facility_ids": None if sites is None else sites.split(";")}
