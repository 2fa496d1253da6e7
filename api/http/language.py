"""Numbers on pages in the reader's language: what the browser asks for first, and English where it asks for none."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.display.formatting import ENGLISH, in_locale, locale_of


class Language:
    """ASGI middleware. The API's answers and documents are for systems and stay as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for_systems = scope["type"] != "http" or scope["path"].startswith("/v1/")
        accepted = "" if for_systems else Headers(scope=scope).get("accept-language", "")
        with in_locale(locale_of(accepted) if accepted else ENGLISH):
            await self.app(scope, receive, send)
