"""Users and keys: who may sign in and which systems may call, for signed-in administrators of every site."""

import datetime as dt
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator, Field

from api.access import accounts
from api.access.accounts import create_user
from api.access.callers import check_csrf
from api.access.keys import SCOPES, create_api_key, revoke_api_key, rotate_api_key
from api.access.roles import Principal
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters
from api.http.errors import NotAllowed, NotFound
from api.http.fields import Names, Strict, Text
from api.pages.page_session import Visitor
from api.pages.worklist import blank_is_none
from forecasting.errors import InvalidInput
from warehouse.queries.lines import facilities_query
from warehouse.schema.inputs import Facility
from warehouse.schema.ledger import ROLES

router = APIRouter(dependencies=[Depends(refuse_parameters)])

DEFAULT_DAYS = 365
OLD_SECRET_HOURS = 24
Role = Literal["viewer", "buyer", "approver", "pharmacist", "admin"]


class SitesForm(Strict):
    """Sites of a person or key; either every site or some."""

    csrf_token: Text
    everywhere: Text = ""
    facility_id: Names = []

    def sites(self) -> list[str] | None:
        """The sites, None = every one; neither or both of them raise `InvalidInput`."""
        if bool(self.everywhere) == bool(self.facility_id):
            raise InvalidInput("choose sites, or every site, and not both")
        return None if self.everywhere else self.facility_id


class NewPersonForm(SitesForm):
    """A person who is let in."""

    name: Text
    display_name: Text = ""
    role: Role


class PersonForm(SitesForm):
    """What is done with an account."""

    act: Literal["change", "deactivate", "activate", "unlock", "reset"]
    role: Annotated[Role | None, BeforeValidator(blank_is_none)] = None


class NewKeyForm(SitesForm):
    """A key that a system will call with."""

    name: Text
    scope: Names = []
    days: Annotated[int, Field(ge=1, le=3650)] = DEFAULT_DAYS


class KeyForm(Strict):
    """What is done with a key."""

    csrf_token: Text
    act: Literal["rotate", "revoke"]


def _administrator(person: Visitor) -> Principal:
    if not person.keeps_access():
        raise NotAllowed("only an administrator of every site keeps users and keys")
    return person


Administrator = Annotated[Principal, Depends(_administrator)]


@router.get("/access")
def show_access(person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """People and keys, and the forms that add one."""
    return _page(db, person, now)


@router.post("/access/people")
def add_person(form: Annotated[NewPersonForm, Form()], person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """Let a person in, with a password that is shown this once."""
    check_csrf(person, form.csrf_token)
    password = accounts.new_password()
    try:
        create_user(
            db,
            name=form.name,
            display_name=form.display_name,
            role=form.role,
            password=password,
            facility_ids=form.sites(),
            now=now,
            actor=person.actor,
        )
    except InvalidInput as error:
        # nothing has been written at this point: every rule is checked before the first write
        return _page(db, person, now, error=str(error))
    return _page(db, person, now, secret=("Password of " + form.name, password))


@router.get("/access/people/{user_id}")
def show_person(user_id: int, person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """One account, and what can be done with it."""
    return _person_page(db, person, user_id, now)


@router.post("/access/people/{user_id}")
def keep_person(
    user_id: int, form: Annotated[PersonForm, Form()], person: Administrator, db: Db, now: Now
) -> HTMLResponse:
    """Change, close, open or unlock an account, or give it a new password, shown this once."""
    check_csrf(person, form.csrf_token)
    if user_id > 2**31 - 1 or accounts.person(db, user_id) is None:
        raise NotFound(f"there is no person {user_id}")
    try:
        secret, done = _kept(db, person, user_id, form, now)
    except InvalidInput as error:
        return _person_page(db, person, user_id, now, error=str(error))
    return _person_page(db, person, user_id, now, done=done, secret=secret)


def _kept(
    db: sa.Connection, person: Principal, user_id: int, form: PersonForm, now: dt.datetime
) -> tuple[tuple[str, str] | None, str]:
    """The secret to show once, if any, and what was done in words."""
    by: dict[str, Any] = {"now": now, "actor": person.actor}
    if form.act == "change":
        accounts.change_person(db, user_id, role=form.role or "", facility_ids=form.sites(), **by)
        return None, "Role and sites are changed; they count from the next click."
    if form.act == "unlock":
        accounts.unlock(db, user_id, **by)
        return None, "The account is unlocked."
    if form.act == "reset":
        password = accounts.reset_password(db, user_id, **by)
        return ("New password", password), "The old password no longer counts, and every session is ended."
    accounts.set_active(db, user_id, form.act == "activate", **by)
    closed = "The account is closed, and every session is ended."
    return None, "The account is open again." if form.act == "activate" else closed


@router.post("/access/keys")
def add_key(form: Annotated[NewKeyForm, Form()], person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """A new key, shown this once."""
    check_csrf(person, form.csrf_token)
    try:
        secret = create_api_key(
            db,
            name=form.name,
            scopes=form.scope,
            facility_ids=form.sites(),
            expires_at=now + dt.timedelta(days=form.days),
            now=now,
            actor=person.actor,
        )
    except InvalidInput as error:
        return _page(db, person, now, error=str(error))
    return _page(db, person, now, secret=(f"Key {form.name}", secret))


@router.post("/access/keys/{key_id}")
def keep_key(key_id: Text, form: Annotated[KeyForm, Form()], person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """Give a key a new secret, shown this once, or end it."""
    check_csrf(person, form.csrf_token)
    try:
        if form.act == "revoke":
            revoke_api_key(db, key_id, now=now, actor=person.actor)
            return _page(db, person, now, done=f"Key {key_id} is ended.")
        until = now + dt.timedelta(hours=OLD_SECRET_HOURS)
        secret = rotate_api_key(db, key_id, old_until=until, now=now, actor=person.actor)
    except InvalidInput as error:
        return _page(db, person, now, error=str(error))
    return _page(db, person, now, secret=(f"New secret of key {key_id}", secret))


def _page(
    db: sa.Connection,
    person: Principal,
    now: dt.datetime,
    error: str | None = None,
    secret: tuple[str, str] | None = None,
    done: str | None = None,
) -> HTMLResponse:
    return page(
        "access.html",
        status=422 if error else 200,
        person=person,
        here="access",
        now=now,
        people=accounts.people(db),
        keys=accounts.keys(db),
        sites=_sites(db),
        roles=ROLES,
        scopes=SCOPES,
        days=DEFAULT_DAYS,
        hours=OLD_SECRET_HOURS,
        error=error,
        secret=secret,
        done=done,
    )


def _person_page(
    db: sa.Connection,
    person: Principal,
    user_id: int,
    now: dt.datetime,
    error: str | None = None,
    secret: tuple[str, str] | None = None,
    done: str | None = None,
) -> HTMLResponse:
    account = accounts.person(db, user_id)
    if account is None:
        raise NotFound(f"there is no person {user_id}")
    return page(
        "person.html",
        status=422 if error else 200,
        person=person,
        here="access",
        now=now,
        account=account,
        own=account["user_id"] == person.user_id,
        chosen=(account["facility_ids"] or "").split(";"),
        sites=_sites(db),
        roles=ROLES,
        error=error,
        secret=secret,
        done=done,
    )


def _sites(db: sa.Connection) -> Any:
    return db.execute(facilities_query(None).order_by(Facility.name)).mappings().all()
