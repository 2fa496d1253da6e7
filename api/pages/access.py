"""Users and keys: who may sign in and which systems may call, for signed-in administrators of every site."""

import dataclasses
import datetime as dt
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse
from pydantic import Field

from api.access import accounts
from api.access.callers import check_csrf
from api.access.keys import SCOPES, create_api_key, revoke_api_key, rotate_api_key
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, Db, Now
from api.http.errors import NotAllowed, or_not_found
from api.http.fields import LARGEST_INTEGER, Names, Text
from api.pages.forms import OrBlank, PageForm, sites_by_name
from api.pages.page_session import Visitor
from api.principal import Principal
from forecasting.errors import InvalidInput
from warehouse.queries.lines import Rows
from warehouse.roles import Role

router = APIRouter(dependencies=NO_PARAMETERS)

DEFAULT_DAYS = 365
OLD_SECRET_HOURS = 24


class SitesForm(PageForm):
    """Sites of a person or key; either every site or some."""

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
    role: OrBlank[Role] = None


class NewKeyForm(SitesForm):
    """A key that a system will call with."""

    name: Text
    scope: Names = []
    days: Annotated[int, Field(ge=1, le=3650)] = DEFAULT_DAYS


class KeyForm(PageForm):
    """What is done with a key."""

    act: Literal["rotate", "revoke"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a form: an error, or what was done, and a secret with its label that is shown this once."""

    error: str | None = None
    done: str | None = None
    secret_label: str | None = None
    secret: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccessPage(Page, template="access.html", menu_entry="access"):
    """People and keys, and the forms that add one."""

    now: dt.datetime
    people: Rows
    keys: Rows
    sites: Rows  # to choose from
    scopes: tuple[str, ...]  # to choose from
    default_days: int  # that a new key is valid for
    old_secret_hours: int  # that an old secret counts after a rotation
    outcome: Outcome


@dataclasses.dataclass(frozen=True, kw_only=True)
class PersonPage(Page, template="person.html", menu_entry="access"):
    """One account, and what can be done with it."""

    now: dt.datetime
    account: sa.RowMapping
    own: bool  # whether it is the account of who looks at it
    account_sites: list[str]  # facility_ids of the account; [""] = all
    sites: Rows  # to choose from
    outcome: Outcome


def _administrator(person: Visitor) -> Principal:
    if not person.may_administer():
        raise NotAllowed("only an administrator of every site keeps users and keys")
    return person


Administrator = Annotated[Principal, Depends(_administrator)]


@router.get("/access")
def show_access(person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """People and keys, and the forms that add one."""
    return _access_page(db, person, now)


@router.post("/access/people")
def add_person(form: Annotated[NewPersonForm, Form()], person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """Let a person in, with a password that is shown this once."""
    check_csrf(person, form.csrf_token)
    password = accounts.new_password()
    try:
        user = accounts.NewUser(form.name, form.display_name, form.role, password, form.sites())
        accounts.create_user(db, user, now=now, actor=person.actor)
    except InvalidInput as error:
        # nothing has been written at this point: every rule is checked before the first write
        return _access_page(db, person, now, Outcome(error=str(error)))
    return _access_page(db, person, now, Outcome(secret_label=f"Password of {form.name}", secret=password))


@router.get("/access/people/{user_id}")
def show_person(user_id: int, person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """One account, and what can be done with it."""
    return _person_page(db, person, user_id, now)


@router.post("/access/people/{user_id}")
def change_account(
    user_id: int, form: Annotated[PersonForm, Form()], person: Administrator, db: Db, now: Now
) -> HTMLResponse:
    """Change, close, open or unlock an account, or give it a new password, shown this once."""
    check_csrf(person, form.csrf_token)
    _account(db, user_id)
    try:
        outcome = _changed(db, person, user_id, form, now)
    except InvalidInput as error:
        outcome = Outcome(error=str(error))
    return _person_page(db, person, user_id, now, outcome)


def _changed(db: sa.Connection, person: Principal, user_id: int, form: PersonForm, now: dt.datetime) -> Outcome:
    by: dict[str, Any] = {"now": now, "actor": person.actor}
    if form.act == "change":
        accounts.change_person(db, user_id, role=form.role or "", facility_ids=form.sites(), **by)
        return Outcome(done="Role and sites are changed; they count from the next click.")
    if form.act == "unlock":
        accounts.unlock(db, user_id, **by)
        return Outcome(done="The account is unlocked.")
    if form.act == "reset":
        password = accounts.reset_password(db, user_id, **by)
        done = "The old password no longer counts, and every session is ended."
        return Outcome(done=done, secret_label="New password", secret=password)
    active = form.act == "activate"
    accounts.set_active(db, user_id, active, **by)
    closed = "The account is closed, and every session is ended."
    return Outcome(done="The account is open again." if active else closed)


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
        return _access_page(db, person, now, Outcome(error=str(error)))
    return _access_page(db, person, now, Outcome(secret_label=f"Key {form.name}", secret=secret))


@router.post("/access/keys/{key_id}")
def change_key(key_id: Text, form: Annotated[KeyForm, Form()], person: Administrator, db: Db, now: Now) -> HTMLResponse:
    """Give a key a new secret, shown this once, or end it."""
    check_csrf(person, form.csrf_token)
    try:
        if form.act == "revoke":
            revoke_api_key(db, key_id, now=now, actor=person.actor)
            return _access_page(db, person, now, Outcome(done=f"Key {key_id} is ended."))
        until = now + dt.timedelta(hours=OLD_SECRET_HOURS)
        secret = rotate_api_key(db, key_id, old_until=until, now=now, actor=person.actor)
    except InvalidInput as error:
        return _access_page(db, person, now, Outcome(error=str(error)))
    return _access_page(db, person, now, Outcome(secret_label=f"New secret of key {key_id}", secret=secret))


NOTHING_DONE = Outcome()


def _access_page(
    db: sa.Connection, person: Principal, now: dt.datetime, outcome: Outcome = NOTHING_DONE
) -> HTMLResponse:
    page = AccessPage(
        person=person,
        now=now,
        people=accounts.people(db),
        keys=accounts.keys(db),
        sites=sites_by_name(db, person),
        scopes=SCOPES,
        default_days=DEFAULT_DAYS,
        old_secret_hours=OLD_SECRET_HOURS,
        outcome=outcome,
    )
    return render(page, status=422 if outcome.error else 200)


def _person_page(
    db: sa.Connection, person: Principal, user_id: int, now: dt.datetime, outcome: Outcome = NOTHING_DONE
) -> HTMLResponse:
    account = _account(db, user_id)
    page = PersonPage(
        person=person,
        now=now,
        account=account,
        own=account["user_id"] == person.user_id,
        account_sites=(account["facility_ids"] or "").split(";"),
        sites=sites_by_name(db, person),
        outcome=outcome,
    )
    return render(page, status=422 if outcome.error else 200)


def _account(db: sa.Connection, user_id: int) -> sa.RowMapping:
    return or_not_found(accounts.person(db, user_id) if user_id <= LARGEST_INTEGER else None, f"person {user_id}")
