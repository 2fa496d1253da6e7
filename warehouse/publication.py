"""Putting a run's recommendations before people without touching what people decided."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.terms import RecommendationStatus
from warehouse import store
from warehouse.schema.results import Explanation, Recommendation

LINES: Any = Recommendation.__table__
EXPLANATIONS: Any = Explanation.__table__

COUNTED_AS_ORDERED = (
    RecommendationStatus.APPROVED,
    RecommendationStatus.MODIFIED,
    RecommendationStatus.EXPORTED,
    RecommendationStatus.ACKNOWLEDGED,
)
"""A line in one of these states will arrive: the next run must not order it again."""


def publish(
    connection: sa.Connection,
    lines: pd.DataFrame,
    documents: Sequence[dict[str, Any]],
    paragraphs: Sequence[str],
    *,
    run_id: str,
    as_of: dt.date,
    facilities: Sequence[str] = (),
    now: dt.datetime,
) -> None:
    """Store new lines as proposed, with their calculations; undecided lines that are not proposed again are superseded.

    A line is known by its recommendation_id: proposed again it stays as it is, whatever was decided about it, and a
    superseded one is proposed anew. Only lines of the sites named (none = all), up to this origin, are superseded.
    """
    ids = set(lines["recommendation_id"])
    scope = [LINES.c.as_of <= as_of] + ([LINES.c.facility_id.in_(facilities)] if facilities else [])
    undecided = sa.select(LINES.c.recommendation_id).where(LINES.c.status == RecommendationStatus.PROPOSED, *scope)
    _withdraw_or_renew(connection, set(connection.scalars(undecided)) - ids, RecommendationStatus.SUPERSEDED, now)
    known = store.read(connection, LINES, *scope, columns=["recommendation_id", "status"])
    known = known[known["recommendation_id"].isin(ids)]
    back = known.loc[known["status"] == RecommendationStatus.SUPERSEDED.value, "recommendation_id"]
    _withdraw_or_renew(connection, set(back), RecommendationStatus.PROPOSED, now)
    new = ~lines["recommendation_id"].isin(set(known["recommendation_id"])).to_numpy()
    if not new.any():
        return
    stored = lines[new].assign(as_of=as_of, status=RecommendationStatus.PROPOSED.value, version=1, updated_at=now)
    store.insert(connection, LINES, stored)
    told = pd.DataFrame(
        {
            "recommendation_id": lines["recommendation_id"],
            "run_id": run_id,
            "document": [json.dumps(document, sort_keys=True) for document in documents],
            "paragraph": list(paragraphs),
        }
    )
    store.insert(connection, EXPLANATIONS, told[new])


def ordered_lines(connection: sa.Connection, until: dt.date) -> pd.DataFrame:
    """Decided lines up to an origin that are on their way: what a run counts as on order."""
    states = [status.value for status in COUNTED_AS_ORDERED]
    return store.read(connection, LINES, LINES.c.status.in_(states), LINES.c.as_of <= until)


def _withdraw_or_renew(
    connection: sa.Connection, ids: set[str], status: RecommendationStatus, now: dt.datetime
) -> None:
    if not ids:
        return
    undecided = sa.or_(
        LINES.c.status == RecommendationStatus.PROPOSED.value, LINES.c.status == RecommendationStatus.SUPERSEDED.value
    )
    # somebody may have decided since the lines were read: the row's own status has the last word
    mine = (LINES.c.recommendation_id == sa.bindparam("id")) & undecided
    changed = LINES.update().where(mine).values(status=status.value, version=LINES.c.version + 1, updated_at=now)
    connection.execute(changed, [{"id": name} for name in sorted(ids)])
