"""Recommendations: collect what is approved, read why, decide."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.access.callers import Decider, check_csrf, reader
from api.access.roles import Principal
from api.http.context import Db, Now, refuse_parameters, refuse_repeated_parameters
from api.http.errors import NotFound
from api.http.fields import Text
from api.http.openapi import refusals
from api.http.page_json import Lines
from api.http.paging import Key, rows_of
from api.http.units import RECOMMENDATION_UNITS
from api.recommendations.decisions import decide
from api.recommendations.models import (
    DecisionIn,
    DecisionOut,
    ExplainedRecommendationOut,
    RecommendationFilters,
    RecommendationPage,
)
from api.recommendations.second_approval import first_approval
from api.routes.pooled_reads import Read, reads
from warehouse.queries.lines import drug_problems, explanation, recommendation, recommendations_query, within
from warehouse.schema.results import Recommendation

router = APIRouter(prefix="/v1/recommendations", tags=["recommendations"])

Reader = Annotated[Principal, reader("recommendations:read")]

_BY_ID: Key = ("recommendation_id", Recommendation.recommendation_id, False)
SORTS: dict[str, list[Key]] = {
    # both fall, so that the index over them is read backwards
    "urgency": [("urgency", Recommendation.urgency, True), (*_BY_ID[:2], True)],
    "order_by": [("order_by", Recommendation.order_by, False), _BY_ID],
    "updated_at": [("updated_at", Recommendation.updated_at, False), _BY_ID],
}

PAGE = Lines(RecommendationPage)
LINES = PAGE.of(recommendations_query(None), "urgency")


@router.get(
    "",
    dependencies=[Depends(refuse_repeated_parameters)],
    response_model=RecommendationPage,
    responses=refusals(401, 403),
)
async def list_recommendations(
    filters: Annotated[RecommendationFilters, Query()], read: Annotated[Read, reads("recommendations:read")]
) -> Response:
    """Lines of the caller's sites. Without `status`: approved and modified only, which is what may be ordered."""

    def page(db: sa.Connection, caller: Principal) -> bytes:
        query = LINES.where(within(Recommendation.facility_id, caller.sites), *conditions(filters))
        rows, cursor = rows_of(db, query, SORTS[filters.sort], limit=filters.limit, cursor=filters.cursor)
        return PAGE.written(rows, cursor, RECOMMENDATION_UNITS)

    return await read(page)


def conditions(filters: RecommendationFilters) -> list[sa.ColumnElement[bool]]:
    """The filters as conditions on the lines."""
    found: list[Any] = [Recommendation.status.in_([status.value for status in filters.status])]
    for column, wanted in (
        (Recommendation.facility_id, filters.facility_id),
        (Recommendation.product_id, filters.product_id),
        (Recommendation.supplier_id, filters.supplier_id),
        (Recommendation.reason, [reason.value for reason in filters.reason]),
    ):
        if wanted:
            found.append(column.in_(wanted))
    if filters.order_by_before:
        found.append(Recommendation.order_by < filters.order_by_before)
    if filters.updated_since:
        found.append(Recommendation.updated_at >= filters.updated_since)
    return found


_PARAGRAPH = ("paragraph", "paragraph_by", "writer_problem")


@router.get("/{recommendation_id}", dependencies=[Depends(refuse_parameters)], responses=refusals(401, 403, 404))
def read_recommendation(recommendation_id: Text, caller: Reader, db: Db) -> ExplainedRecommendationOut:
    """One line of the caller's sites with its stored calculation. A line of another site is not found."""
    line = recommendation(db, caller.sites, recommendation_id)
    if line is None:
        raise NotFound(f"there is no recommendation {recommendation_id}")
    told = explanation(db, recommendation_id) or dict.fromkeys(("document", *_PARAGRAPH))
    problems = drug_problems(db, line["as_of"], line["facility_id"], line["drug"])
    return ExplainedRecommendationOut.model_validate(
        {**line, "units": RECOMMENDATION_UNITS, "explanation": told["document"], "problems": problems}
        | {name: told[name] for name in _PARAGRAPH}
    )


@router.post(
    "/{recommendation_id}/decision",
    dependencies=[Depends(refuse_parameters)],
    responses=refusals(401, 403, 404, 409, 413, 415),
)
def decide_recommendation(
    recommendation_id: Text,
    decision: DecisionIn,
    person: Decider,
    db: Db,
    now: Now,
    request: Request,
    x_csrf_token: Annotated[str | None, Header(description="`csrf_token` of /v1/session.")] = None,
) -> DecisionOut:
    """Approve, modify or reject a proposed line: a signed-in person only, never a key, once, on the version seen.

    `undo` takes a decision back until the line is ordered. Above the site's limits the first approval leaves the line
    proposed; a second person's `approve` completes it.
    """
    check_csrf(person, x_csrf_token)
    number = decide(db, person, recommendation_id, decision, now, request.app.state.server.approvals)
    line = recommendation(db, person.sites, recommendation_id)
    waits = line is not None and first_approval(db, line) is not None
    return DecisionOut.model_validate({"decision_id": number, "recommendation": line, "awaits_second_approval": waits})
