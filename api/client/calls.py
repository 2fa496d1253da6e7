"""How the client asks: one connection pool, a key, again after a pause where asking again is safe."""

from collections.abc import Iterator, Mapping
from time import sleep
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel

MOST_TRIES = 5
AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which the same request is sent again. Every call of this client may be: pushes of the same rows change
nothing, an export carries its Idempotency-Key."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0

Answer = TypeVar("Answer", bound=BaseModel)


class Refused(Exception):
    """The server's answer to a call that it did not carry out; `problem` is its problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title') or 'refused'}")
        self.status = status
        self.problem = dict(problem)


class Calls:
    """Requests of one key to one server. Use it as a context manager, or `close` it."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 60.0) -> None:
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout_seconds, follow_redirects=False
        )

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """The answer if it is one of success, else `Refused`; `httpx2.TransportError` when the server stays away."""
        for tried in range(1, MOST_TRIES + 1):
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (tried - 1), LONGEST_PAUSE_SECONDS)
            try:
                answer = self._http.request(method, path, **options)
            except httpx2.TransportError:
                if tried == MOST_TRIES:
                    raise
            else:
                if answer.is_success:
                    return answer
                if answer.status_code not in AGAIN or tried == MOST_TRIES:
                    raise Refused(answer.status_code, _problem(answer))
                retry_after = answer.headers.get("retry-after", "")
                pause = min(float(retry_after), LONGEST_PAUSE_SECONDS) if retry_after.isdigit() else pause
            sleep(pause)
        raise AssertionError("unreachable")

    def read(self, kind: type[Answer], path: str, **parameters: Any) -> Answer:
        """The answer to a GET as its model."""
        return kind.model_validate_json(self.ask("GET", path, params=_as_query(parameters)).content)

    def send(self, kind: type[Answer], path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a POST of JSON as its model."""
        return kind.model_validate_json(self.ask("POST", path, json=body, headers=dict(headers or {})).content)

    def items(self, kind: type[Answer], path: str, **parameters: Any) -> Iterator[Any]:
        """The items of all pages, one page being asked for at a time."""
        cursor: str | None = None
        while True:
            page: Any = self.read(kind, path, **parameters, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return


def _as_query(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as an address takes them: without those not given, moments and days in ISO form."""
    return {name: _text(value) for name, value in parameters.items() if value is not None}


def _text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _problem(answer: httpx2.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"title": answer.reason_phrase}
