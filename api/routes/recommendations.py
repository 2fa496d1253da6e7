"""Recommendations: collect what is approved, read why, decide."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response

from api.access.callers import CsrfToken, Decider, check_csrf, reader
from api.access.pooled_reads import Read, pooled_read
from api.http.context import NO_PARAMETERS, ONCE_EACH, Db, Now
from api.http.errors import or_not_found
from api.http.fields import Text
from api.http.openapi import refusals
from api.http.page_json import PageWriter
from api.http.paging import Key, filtered, rows_of
from api.http.units import RECOMMENDATION_UNITS
from api.principal import Principal
from api.recommendations.decisions import decide
from api.recommendations.models import (
    DecisionIn,
    DecisionOut,
    ExplainedRecommendationOut,
    RecommendationFilters,
    RecommendationPage,
)
from api.recommendations.second_approval import first_approval
from warehouse.queries.lines import drug_problems, explanation, recommendation, recommendations_query, within
from warehouse.schema.results import Recommendation

router = APIRouter(prefix="/v1/recommendations", tags=["recommendations"])

Reader = Annotated[Principal, reader("recommendations:read")]

_ID = Recommendation.recommendation_id
SORTS = {
    # both descend, so that the index over them is read backwards
    "urgency": [Key(Recommendation.urgency, descending=True), Key(_ID, descending=True)],
    "order_by": [Key(Recommendation.order_by), Key(_ID)],
    "updated_at": [Key(Recommendation.updated_at), Key(_ID)],
}
WRITER = PageWriter(RecommendationPage)
LINES = WRITER.select(recommendations_query(None), "urgency")


@router.get(
    "",
    dependencies=ONCE_EACH,
    response_model=RecommendationPage,
    responses=refusals(401, 403),
)
async def list_recommendations(
    filters: Annotated[RecommendationFilters, Query()], read: Annotated[Read, pooled_read("recommendations:read")]
) -> Response:
    """Lines of the caller's sites. Without `status`: approved and modified only, which is what may be ordered."""

    def page(db: sa.Connection, caller: Principal) -> bytes:
        query = _filtered_lines(LINES.where(within(Recommendation.facility_id, caller.sites)), filters)
        rows, cursor = rows_of(db, query, SORTS[filters.sort], filters)
        return WRITER.write(rows, cursor, RECOMMENDATION_UNITS)

    return await read(page)


def _filtered_lines(query: sa.Select[Any], filters: RecommendationFilters) -> sa.Select[Any]:
    query = filtered(
        query.where(Recommendation.status.in_([status.value for status in filters.status])),
        (Recommendation.facility_id, filters.facility_id),
        (Recommendation.product_id, filters.product_id),
        (Recommendation.supplier_id, filters.supplier_id),
        (Recommendation.reason, [reason.value for reason in filters.reason]),
    )
    if filters.order_by_before:
        query = query.where(Recommendation.order_by < filters.order_by_before)
    if filters.updated_since:
        query = query.where(Recommendation.updated_at >= filters.updated_since)
    return query


_PARAGRAPH = ("paragraph", "paragraph_by", "writer_problem")


@router.get("/{recommendation_id}", dependencies=NO_PARAMETERS, responses=refusals(401, 403, 404))
def read_recommendation(recommendation_id: Text, caller: Reader, db: Db) -> ExplainedRecommendationOut:
    """One line of the caller's sites with its stored calculation. A line of another site is not found."""
    line = recommendation(db, caller.sites, recommendation_id)
    line = or_not_found(line, f"recommendation {recommendation_id}")
    stored = explanation(db, recommendation_id) or dict.fromkeys(("document", *_PARAGRAPH))
    problems = drug_problems(db, line["as_of"], line["facility_id"], line["drug"])
    return ExplainedRecommendationOut.model_validate(
        {**line, "units": RECOMMENDATION_UNITS, "explanation": stored["document"], "problems": problems}
        | {name: stored[name] for name in _PARAGRAPH}
    )


@router.post(
    "/{recommendation_id}/decision",
    dependencies=NO_PARAMETERS,
    responses=refusals(401, 403, 404, 409, 413, 415),
)
def decide_recommendation(
    recommendation_id: Text,
    decision: DecisionIn,
    person: Decider,
    db: Db,
    now: Now,
    request: Request,
    x_csrf_token: CsrfToken = None,
) -> DecisionOut:
    """Approve, modify or reject a proposed line: a signed-in person only, never a key, once, on the version seen.

    `undo` takes a decision back until the line is ordered. Above the site's limits the first approval leaves the line
    proposed; a second person's `approve` completes it.
    """
    check_csrf(person, x_csrf_token)
    number = decide(db, person, recommendation_id, decision, now, request.app.state.server.approvals)
    line = recommendation(db, person.sites, recommendation_id)
    awaits_second = line is not None and first_approval(db, line) is not None
    return DecisionOut.model_validate(
        {"decision_id": number, "recommendation": line, "awaits_second_approval": awaits_second}
    )
