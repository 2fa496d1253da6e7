"""The refusals of each endpoint, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from api.http import errors
from api.http.errors import PROBLEM_MEDIA_TYPE, PROBLEM_TYPE, ApiError

REFUSALS: dict[int, type[ApiError]] = {
    kind.status: kind
    for kind in (
        errors.NotSignedIn,
        errors.NotAllowed,
        errors.NotFound,
        errors.NotPending,
        errors.TooLarge,
        errors.UnsupportedMediaType,
        errors.InvalidRequest,
        errors.TooManyRequests,
        errors.ApiError,
        errors.Unavailable,
    )
}


class FieldProblem(BaseModel):
    """One field and the rule it breaks."""

    field: str
    reason: str


class Problem(BaseModel):
    """A refusal as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that may refuse with these statuses, and with 422, 429, 500 and 503 as all may."""
    return {status: _refusal(REFUSALS[status]) for status in sorted({*statuses, 422, 429, 500, 503})}


def documents(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The 200 of an endpoint that answers with a document of one of these media types."""
    text = {"schema": {"type": "string"}}
    return {200: {"description": "The document.", "content": dict.fromkeys(media_types, text)}}


def _refusal(kind: type[ApiError]) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": PROBLEM_TYPE + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": (kind.__doc__ or "").split(";")[0],
        "request_id": "5f0c3a9be2d14c77",
    }
    if kind is errors.InvalidRequest:
        example["errors"] = [{"field": "limit", "reason": "Input should be less than or equal to 500"}]
    return {
        "description": kind.title,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": Problem.model_json_schema(), "example": example}},
    }
