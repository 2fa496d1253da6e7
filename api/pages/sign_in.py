"""Signing in and out."""

import dataclasses
import logging
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from api.access import oidc
from api.access import sign_in as sessions
from api.access.callers import check_csrf
from api.access.sign_in import SESSION_COOKIE, same_token
from api.display.templating import Page, render
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import NotAllowed, NotFound
from api.http.fields import Strict, Text
from api.pages.forms import NextPath, PageForm
from api.pages.page_session import Visitor, local_path, see_other, set_cookie, set_session_cookie
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

    next: NextPath = "/"


class SignInForm(PageForm):
    """Name and password; the token ties the form to this browser."""

    name: Text
    password: Annotated[str, Field(max_length=1000)]
    next: NextPath = "/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignInPage(Page, template="sign_in.html"):
    """The sign-in form."""

    next: str  # path to go on to
    csrf_token: str
    has_provider: bool  # whether an identity provider is set up
    failed_name: str | None = None  # name with which a sign-in has just failed
    refusal: str | None = None  # why the sign-in through the provider failed


@router.get("/sign-in")
def show_sign_in(request: Request, parameters: Annotated[SignInParameters, Query()]) -> HTMLResponse:
    """The sign-in form."""
    return _form(request, local_path(parameters.next))


@router.post("/sign-in", dependencies=NO_PARAMETERS)
def sign_in(request: Request, form: Annotated[SignInForm, Form()], db: Db, now: Now) -> Response:
    """A new session, or the form again."""
    if not same_token(form.csrf_token, request.cookies.get(FORM_COOKIE)):
        raise NotAllowed("the sign-in form is too old or of another browser; load it again")
    token = sessions.sign_in(db, form.name, form.password, now, request.state.request_id)
    if token is None:
        # returned, not raised: the failure has to be counted, so the transaction must end well
        return _form(request, local_path(form.next), failed_name=form.name)
    response = see_other(local_path(form.next))
    set_session_cookie(request, response, token)
    response.delete_cookie(FORM_COOKIE)
    return response


@router.post("/sign-out", dependencies=NO_PARAMETERS)
def sign_out(request: Request, form: Annotated[PageForm, Form()], person: Visitor, db: Db) -> Response:
    """End this browser's session."""
    check_csrf(person, form.csrf_token)
    sessions.sign_out(db, request.cookies[SESSION_COOKIE])
    response = see_other("/sign-in")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/sign-in/provider", dependencies=ONCE_EACH)
def start_at_provider(request: Request, parameters: Annotated[SignInParameters, Query()]) -> Response:
    """On to the identity provider; what this browser has to bring back is kept in a cookie."""
    try:
        address, attempt = oidc.start(_provider(request), local_path(parameters.next))
    except oidc.NotTrusted as error:
        return _provider_failed(request, error)
    response = see_other(address)
    set_cookie(request, response, PROVIDER_COOKIE, attempt.cookie(), PROVIDER_SECONDS)
    return response


@router.get("/sign-in/provider/back")
def back_from_provider(request: Request, now: Now) -> Response:
    """A new session of a person whom the provider names, or the form with what went wrong."""
    provider = _provider(request)
    attempt = oidc.Attempt.from_cookie(request.cookies.get(PROVIDER_COOKIE))
    try:
        if attempt is None or not same_token(request.query_params.get("state"), attempt.state):
            raise oidc.NotTrusted("the sign-in was started in another browser, or too long ago")
        claims = oidc.finish(provider, attempt, dict(request.query_params))
        with writing(request.app.state.engine) as db:
            token = oidc.sign_in(db, provider, claims, now, request.state.request_id)
    except oidc.NotTrusted as error:
        return _provider_failed(request, error)
    response = see_other(local_path(attempt.path))
    set_session_cookie(request, response, token)
    response.delete_cookie(PROVIDER_COOKIE)
    return response


def _provider(request: Request) -> IdentityProvider:
    provider: IdentityProvider | None = request.app.state.server.identity_provider
    if provider is None:
        raise NotFound("no identity provider is set up here")
    return provider


def _provider_failed(request: Request, error: oidc.NotTrusted) -> HTMLResponse:
    logger.warning("request %s: sign-in through the provider failed: %s", request.state.request_id, error)
    return _form(request, "/", refusal=str(error))


def _form(request: Request, path: str, *, failed_name: str | None = None, refusal: str | None = None) -> HTMLResponse:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    page = SignInPage(
        next=path,
        csrf_token=token,
        has_provider=request.app.state.server.identity_provider is not None,
        failed_name=failed_name,
        refusal=refusal,
    )
    response = render(page, status=200 if failed_name is None and refusal is None else 401)
    set_cookie(request, response, FORM_COOKIE, token, FORM_SECONDS)
    return response
