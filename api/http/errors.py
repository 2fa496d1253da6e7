"""What a request can do wrong, as one tree, and how it is answered: problem+json (RFC 9457), or a page for a browser.

ApiError
├── NotSignedIn           401
├── NotAllowed            403
├── NotFound              404
├── NotPending            409   somebody decided first, or the line changed since it was read
├── OverrideEnded         409   an override that was withdrawn or has expired cannot be withdrawn
├── NothingToExport       409   no approved line waits to be ordered
├── KeyReused             409   the Idempotency-Key stands for another request
├── TooLarge              413
├── UnsupportedMediaType  415
├── InvalidRequest        422   names each field and the rule it breaks
├── TooManyRequests       429   the caller's key or address asks too often
└── Unavailable           503   the database does not answer in time
"""

import dataclasses
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.display.templating import Page, render
from forecasting.errors import InvalidInput, MissingContent

PROBLEM_TYPE = "urn:pgx-supply:problem:"
PROBLEM_MEDIA_TYPE = "application/problem+json"


class ApiError(Exception):
    """Base of all refusals; `extra` holds members of the problem document beyond RFC 9457's own."""

    status = 500
    slug = "internal"
    title = "Something went wrong"
    headers: dict[str, str] = {}

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotSignedIn(ApiError):
    """No valid key or session came with the request."""

    status, slug, title = 401, "not-signed-in", "Sign in or send an API key"
    headers = {"WWW-Authenticate": 'Bearer realm="pgx-supply"'}


class NotAllowed(ApiError):
    """Who asks is known and may not do this."""

    status, slug, title = 403, "not-allowed", "Not allowed"


class NotFound(ApiError):
    """There is nothing of that name among the sites of who asks."""

    status, slug, title = 404, "not-found", "Not found"


class NotPending(ApiError):
    """The line is decided already, or is not what the person saw; `current` says how it stands."""

    status, slug, title = 409, "not-pending", "The recommendation changed"


class OverrideEnded(ApiError):
    """The override was withdrawn already, or has expired; nothing was stored."""

    status, slug, title = 409, "override-ended", "The override no longer acts"


class NothingToExport(ApiError):
    """No approved line of the caller waits to be ordered; nothing was stored."""

    status, slug, title = 409, "nothing-to-export", "Nothing to export"


class KeyReused(ApiError):
    """The Idempotency-Key was used for another request; nothing was stored."""

    status, slug, title = 409, "idempotency-key-reused", "Idempotency-Key used before"


class TooLarge(ApiError):
    """The body is larger than this server takes."""

    status, slug, title = 413, "too-large", "Request body too large"


class UnsupportedMediaType(ApiError):
    """The body is of another media type than the endpoint takes."""

    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"


class InvalidRequest(ApiError):
    """A value breaks a rule; `errors` lists field and reason."""

    status, slug, title = 422, "invalid-request", "Invalid request"

    @classmethod
    def field(cls, field: str, reason: str) -> "InvalidRequest":
        """The error of one field."""
        return cls(f"{field}: {reason}", errors=[{"field": field, "reason": reason}])


class TooManyRequests(ApiError):
    """The key or address asks too often; Retry-After says when to ask again."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class Unavailable(ApiError):
    """The database does not answer in time."""

    status, slug, title = 503, "unavailable", "The database is busy or away"
    headers = {"Retry-After": "5"}


Row = TypeVar("Row")


def or_not_found(row: Row | None, name: str) -> Row:
    """The row, or `NotFound` where there is none; `name` says what was looked for, as in 'release cpic-1'."""
    if row is None:
        raise NotFound(f"there is no {name}")
    return row


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorPage(Page, template="error.html"):
    """An error, for a browser."""

    problem: dict[str, Any]  # the problem document


def problem_document(error: ApiError, request_id: str | None) -> dict[str, Any]:
    """The problem document of an error."""
    return {
        "type": PROBLEM_TYPE + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "request_id": request_id,
        **error.extra,
    }


def answer(request: Request, error: ApiError) -> Response:
    """The response to an error: a page where a browser asked for one, else problem+json."""
    document = problem_document(error, getattr(request.state, "request_id", None))
    machine = request.url.path.startswith("/v1") or "text/html" not in request.headers.get("accept", "")
    if machine:
        return JSONResponse(document, error.status, error.headers, media_type=PROBLEM_MEDIA_TYPE)
    return render(ErrorPage(problem=document), status=error.status, headers=error.headers)


def install(app: FastAPI) -> None:
    """Answer every error of the app as a problem."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(InvalidInput, _on_invalid_input)
    app.add_exception_handler(MissingContent, _on_missing_content)


def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return answer(request, error)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # the framework's word for a body that it cannot decode
        return answer(request, InvalidRequest.field("body", "cannot be read: not the text its media type says"))
    refusal = ApiError(str(error.detail))
    refusal.status, refusal.headers = error.status_code, dict(error.headers or {})
    refusal.title = HTTPStatus(error.status_code).phrase
    refusal.slug = refusal.title.lower().replace(" ", "-")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = refusal.headers.get("Allow", "see the OpenAPI")
        refusal.detail = f"{request.method} is not offered here; allowed: {allowed}"
    elif error.status_code == HTTPStatus.NOT_FOUND:
        refusal.detail = f"there is no {request.url.path}"
    return answer(request, refusal)


def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_problem(problem) for problem in error.errors()]
    detail = "; ".join(f"{problem['field']}: {problem['reason']}" for problem in errors[:5])
    return answer(request, InvalidRequest(detail, errors=errors[:100]))


def _field_problem(problem: dict[str, Any]) -> dict[str, str]:
    source, *path = problem["loc"]
    if problem["type"] == "json_invalid":
        return {"field": "body", "reason": "is not JSON"}
    reason = "unknown parameter or field" if problem["type"] == "extra_forbidden" else problem["msg"]
    return {"in": str(source), "field": ".".join(str(part) for part in path) or str(source), "reason": reason}


def _on_invalid_input(request: Request, error: Exception) -> Response:
    return answer(request, InvalidRequest(str(error)))


def _on_missing_content(request: Request, error: Exception) -> Response:
    return answer(request, NotFound(str(error)))
