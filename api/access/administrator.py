"""Who manages keys and webhooks: an administrator of every site, with the session's token to change them."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends

from api.access.callers import Caller, CsrfToken, check_csrf
from api.http.errors import NotAllowed
from api.principal import Principal


def administrator(manages: str) -> Callable[..., Principal]:
    """The dependency of reading what only administrators see."""

    def allowed(caller: Caller) -> Principal:
        if not caller.may_administer():
            raise NotAllowed(f"only a signed-in administrator of every site manages {manages}")
        return caller

    return allowed


def changing_administrator(manages: str) -> Callable[..., Principal]:
    """The dependency of changing it."""
    allowed = Depends(administrator(manages))

    def changing(person: Annotated[Principal, allowed], x_csrf_token: CsrfToken = None) -> Principal:
        check_csrf(person, x_csrf_token)
        return person

    return changing
