"""Signing in and out."""

import logging
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from api.access import oidc
from api.access import sign_in as sessions
from api.access.callers import check_csrf
from api.access.sign_in import SESSION_COOKIE, same_token
from api.display.templating import page
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotAllowed, NotFound
from api.http.fields import Strict, Text
from api.pages.page_session import Visitor, local_path, must_be_secure, see_other, set_session_cookie
from api.settings import IdentityProvider
from warehouse.engine import writing

router = APIRouter()
logger = logging.getLogger(__name__)

FORM_COOKIE = "pgx_sign_in"
FORM_SECONDS = 3600
PROVIDER_COOKIE = "pgx_provider"
PROVIDER_SECONDS = 600


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
    token = sessions.sign_in(db, form.name, form.password, now, request.state.request_id)
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
    sessions.sign_out(db, request.cookies[SESSION_COOKIE])
    response = see_other("/sign-in")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/sign-in/provider", dependencies=[Depends(refuse_repeated_parameters)])
def start_at_provider(request: Request, parameters: Annotated[SignInParameters, Query()]) -> Response:
    """On to the identity provider; what this browser has to bring back is kept in a cookie."""
    try:
        address, attempt = oidc.start(_provider(request), local_path(parameters.next))
    except oidc.NotVouchedFor as error:
        return _refused(request, error)
    response = see_other(address)
    response.set_cookie(
        PROVIDER_COOKIE,
        attempt.cookie(),
        max_age=PROVIDER_SECONDS,
        httponly=True,
        samesite="lax",
        secure=must_be_secure(request),
    )
    return response


@router.get("/sign-in/provider/back")
def back_from_provider(request: Request, now: Now) -> Response:
    """A new session for whom the provider vouches, or the form with what went wrong."""
    provider = _provider(request)
    attempt = oidc.Attempt.of_cookie(request.cookies.get(PROVIDER_COOKIE))
    try:
        if attempt is None or not same_token(request.query_params.get("state"), attempt.state):
            raise oidc.NotVouchedFor("the sign-in was started in another browser, or too long ago")
        claims = oidc.finish(provider, attempt, dict(request.query_params))
        with writing(request.app.state.engine) as db:
            token = oidc.sign_in(db, provider, claims, now, request.state.request_id)
    except oidc.NotVouchedFor as error:
        return _refused(request, error)
    response = see_other(local_path(attempt.path))
    set_session_cookie(request, response, token)
    response.delete_cookie(PROVIDER_COOKIE)
    return response


def _provider(request: Request) -> IdentityProvider:
    provider: IdentityProvider | None = request.app.state.server.identity_provider
    if provider is None:
        raise NotFound("no identity provider is set up here")
    return provider


def _refused(request: Request, error: oidc.NotVouchedFor) -> HTMLResponse:
    logger.warning("request %s: sign-in through the provider failed: %s", request.state.request_id, error)
    return _form(request, "/", refused=str(error))


def _form(request: Request, path: str, failed: str | None = None, refused: str | None = None) -> HTMLResponse:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    shown = page(
        "sign_in.html",
        status=200 if failed is None and refused is None else 401,
        next=path,
        failed=failed,
        refused=refused,
        provider=request.app.state.server.identity_provider is not None,
        csrf_token=token,
    )
    shown.set_cookie(
        FORM_COOKIE, token, max_age=FORM_SECONDS, httponly=True, samesite="lax", secure=must_be_secure(request)
    )
    return shown
