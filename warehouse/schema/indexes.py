"""Indexes over several columns, in the order in which lists are read."""

import sqlalchemy as sa

from warehouse.schema.results import Recommendation

WORKLIST = sa.Index(
    "ix_recommendations_status_urgency",
    Recommendation.status,
    Recommendation.urgency,
    Recommendation.recommendation_id,
)
"""A page of lines of one status, most urgent first: read backwards, without sorting what is not shown."""
