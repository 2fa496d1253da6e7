"""Signing in and out."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from api import auth
from api.auth import SESSION_COOKIE, check_csrf, same_token
from api.context import Db, Now, refuse_parameters
from api.errors import NotAllowed
from api.models import Strict, Text
from api.pages.visitor import Visitor, local_path, must_be_secure, see_other, set_session_cookie
from api.templating import page

router = APIRouter()

FORM_COOKIE = "pgx_sign_in"
FORM_SECONDS = 3600


class SignInParameters(Strict):
    """Where to go after signing in."""

    next: Annotated[str, Field(max_length=2000)] = "/"


class SignInForm(Strict):
    """Name and password, with the token that ties the form to this browser."""

    name: Text
    password: Annotated[str, Field(max_length=1000)]
    next: Annotated[str, Field(max_length=2000)] = "/"
    csrf_token: Text


class SignOutForm(Strict):
    """The session's token."""

    csrf_token: Text


@router.get("/sign-in")
def show_sign_in(request: Request, parameters: Annotated[SignInParameters, Query()]) -> HTMLResponse:
    """The sign-in form."""
    return _form(request, local_path(parameters.next))


@router.post("/sign-in", dependencies=[Depends(refuse_parameters)])
def sign_in(request: Request, form: Annotated[SignInForm, Form()], db: Db, now: Now) -> Response:
    """A new session, or the form again."""
    if not same_token(form.csrf_token, request.cookies.get(FORM_COOKIE)):
        raise NotAllowed("the sign-in form is too old or of another browser; load it again")
    token = auth.sign_in(db, form.name, form.password, now)
    if token is None:
        # returned, not raised: the failure has to be counted, so the transaction must end well
        return _form(request, local_path(form.next), failed=form.name)
    response = see_other(local_path(form.next))
    set_session_cookie(request, response, token)
    response.delete_cookie(FORM_COOKIE)
    return response


@router.post("/sign-out", dependencies=[Depends(refuse_parameters)])
def sign_out(request: Request, form: Annotated[SignOutForm, Form()], person: Visitor, db: Db) -> Response:
    """End this browser's session."""
    check_csrf(person, form.csrf_token)
    auth.sign_out(db, request.cookies[SESSION_COOKIE])
    response = see_other("/sign-in")
    response.delete_cookie(SESSION_COOKIE)
    return response


def _form(request: Request, path: str, failed: str | None = None) -> HTMLResponse:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    shown = page("sign_in.html", status=401 if failed is not None else 200, next=path, failed=failed, csrf_token=token)
    shown.set_cookie(
        FORM_COOKIE, token, max_age=FORM_SECONDS, httponly=True, samesite="lax", secure=must_be_secure(request)
    )
    return shown
