"""Who looks at a page: a signed-in person, else on to the sign-in page and back."""

import dataclasses
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from api.access.sign_in import SESSION_COOKIE, SESSION_LENGTH, session_person
from api.http.context import Db, Now
from api.http.errors import ApiError
from api.principal import Principal

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


class SignInFirst(ApiError):
    """A page that needs a signed-in person; the browser is sent to the sign-in page."""

    status, slug, title = 303, "sign-in-first", "Sign in"

    def __init__(self, path: str) -> None:
        super().__init__("sign in first")
        self.headers = {"Location": f"/sign-in?next={quote(path, safe='')}"}


def _visitor(request: Request, db: Db, now: Now) -> Principal:
    person = session_person(db, request.cookies.get(SESSION_COOKIE), now)
    if person is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise SignInFirst(request.url.path + query if request.method == "GET" else "/")
    return dataclasses.replace(person, request_id=request.state.request_id)


Visitor = Annotated[Principal, Depends(_visitor)]


def local_path(path: str | None) -> str:
    """The path if it stays on this server, else the worklist.

    >>> local_path("/problems"), local_path("//evil.example/"), local_path(r"/\\evil.example")
    ('/problems', '/', '/')
    """
    if not path or not path.startswith("/") or path.startswith("//") or "\\" in path:
        return "/"
    parts = urlsplit(path)
    safe = not parts.scheme and not parts.netloc and path.isprintable()
    return path if safe else "/"


def see_other(path: str) -> RedirectResponse:
    """The answer to a form that did something: go on to a page."""
    return RedirectResponse(path, 303)


def must_be_secure(request: Request) -> bool:
    """Whether cookies need TLS: always, but on plain http to this very machine."""
    return request.url.scheme == "https" or request.url.hostname not in LOCAL_HOSTS


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: float) -> None:
    """Hand the browser a cookie that no script reads, for so long."""
    secure = must_be_secure(request)
    response.set_cookie(name, value, max_age=int(seconds), httponly=True, samesite="lax", secure=secure)


def set_session_cookie(request: Request, response: Response, token: str) -> None:
    """Hand the session's token to the browser."""
    set_cookie(request, response, SESSION_COOKIE, token, SESSION_LENGTH.total_seconds())
