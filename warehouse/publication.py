"""Publishing a run's recommendations without touching what people decided."""

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.terms import RecommendationStatus
from warehouse import audit, store
from warehouse.audit import Actor, Event
from warehouse.receiving import due_packs, packs_received, receive_lines, sent_orders
from warehouse.schema.explanations import Explanation
from warehouse.schema.inputs import OpenOrder
from warehouse.schema.results import Recommendation, Run

LINES: Any = Recommendation.__table__
EXPLANATIONS: Any = Explanation.__table__
RUNS: Any = Run.__table__

WRITTEN = ["written_paragraph", "writer_model", "writer_problem"]
"""Columns of an explanation that a language model fills."""

COUNTED_AS_ORDERED = (
    RecommendationStatus.APPROVED,
    RecommendationStatus.MODIFIED,
    RecommendationStatus.EXPORTED,
    RecommendationStatus.ACKNOWLEDGED,
)
"""A line in one of these states will arrive: the next run must not order it again."""


@dataclasses.dataclass(frozen=True)
class PublishedRun:
    """The run that lines come from; `facilities` are the sites it was limited to (none = all)."""

    run_id: str
    as_of: dt.date
    facilities: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Calculations:
    """Calculations of lines in their order, with the template's paragraphs.

    `by_model` has what a model wrote (`WRITTEN`), by recommendation_id; other lines keep the template's alone.
    """

    documents: Sequence[dict[str, Any]]
    paragraphs: Sequence[str]
    by_model: pd.DataFrame | None = None


def publish(
    connection: sa.Connection, lines: pd.DataFrame, calculations: Calculations, run: PublishedRun, now: dt.datetime
) -> None:
    """Store new lines as proposed, with their calculations; undecided lines that are not proposed again are superseded.

    A line is known by its recommendation_id: proposed again it stays as it is, whatever was decided about it, and a
    superseded one is proposed anew. Only lines of the run's sites, up to its origin, are superseded.
    """
    actor = Actor(f"run:{run.run_id}", "planning run")
    receive_lines(connection, actor, now)
    ids = set(lines["recommendation_id"])
    scope = [LINES.c.as_of <= run.as_of]
    scope += [LINES.c.facility_id.in_(run.facilities)] if run.facilities else []
    undecided = sa.select(LINES.c.recommendation_id).where(LINES.c.status == RecommendationStatus.PROPOSED, *scope)
    superseded = set(connection.scalars(undecided)) - ids
    _set_undecided_status(connection, superseded, RecommendationStatus.SUPERSEDED, now)
    stored = store.read(connection, LINES, *scope, columns=["recommendation_id", "status"])
    stored = stored[stored["recommendation_id"].isin(ids)]
    renewed = set(stored.loc[stored["status"] == RecommendationStatus.SUPERSEDED.value, "recommendation_id"])
    _set_undecided_status(connection, renewed, RecommendationStatus.PROPOSED, now)
    is_new = ~lines["recommendation_id"].isin(set(stored["recommendation_id"])).to_numpy()
    if is_new.any():
        status = RecommendationStatus.PROPOSED.value
        stored = lines[is_new].assign(as_of=run.as_of, status=status, version=1, updated_at=now)
        store.insert(connection, LINES, stored)
        store.insert(connection, EXPLANATIONS, _explanations(lines, calculations, run)[is_new])
    proposed = set(lines.loc[is_new, "recommendation_id"])
    changes = {"proposed": proposed, "superseded": superseded, "proposed_again": renewed}
    if any(changes.values()):
        after = {name: sorted(names) for name, names in changes.items()}
        event = Event("recommendations.publish", f"run:{run.run_id}", after=after)
        audit.append(connection, actor, now, [event])


def _explanations(lines: pd.DataFrame, calculations: Calculations, run: PublishedRun) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "recommendation_id": lines["recommendation_id"],
            "run_id": run.run_id,
            "document": [json.dumps(document, sort_keys=True) for document in calculations.documents],
            "paragraph": list(calculations.paragraphs),
        }
    )
    by_model = pd.DataFrame(columns=WRITTEN, dtype=object) if calculations.by_model is None else calculations.by_model
    return rows.join(by_model, "recommendation_id")


def known_lines(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Which of these lines are stored already."""
    stored = set(connection.scalars(sa.select(LINES.c.recommendation_id)))
    return stored.intersection(ids)


def ordered_lines(connection: sa.Connection, until: dt.date) -> pd.DataFrame:
    """Decided lines up to an origin that a run counts as on order, with the packs still to come.

    Of a line that was sent, only what the supplier confirmed and what has not arrived still comes. A line that an
    inventory system handed back as an open order of the same number is counted in that row instead.
    """
    states = [status.value for status in COUNTED_AS_ORDERED]
    lines = store.read(connection, LINES, LINES.c.status.in_(states), LINES.c.as_of <= until)
    sent, received = sent_orders(connection), packs_received(connection, until)
    to_come = [
        max(due_packs(sent[name]) - received.get(name, 0), 0) if name in sent else packs
        for name, packs in zip(lines["recommendation_id"], lines["packs"], strict=True)
    ]
    lines["packs"] = pd.Series(to_come, index=lines.index, dtype=lines["packs"].dtype)
    open_orders = sa.select(OpenOrder.order_id, OpenOrder.facility_id, OpenOrder.product_id)
    known = {tuple(row) for row in connection.execute(open_orders.where(OpenOrder.ordered_at <= until))}
    handed_back = [
        name in sent and (sent[name]["order_number"], sent[name]["facility_id"], sent[name]["product_id"]) in known
        for name in lines["recommendation_id"]
    ]
    return lines[(lines["packs"] > 0) & ~pd.Series(handed_back, index=lines.index, dtype=bool)]


STANDING_DAYS = 31
"""A proposal of so many days ago no longer stands."""


def standing_packs(connection: sa.Connection, as_of: dt.date) -> pd.Series:
    """Packs that the last run before `as_of` proposed and nobody decided on, by (facility_id, product_id).

    That a later run superseded the lines changes nothing, so that planning a day again finds what it found before.
    """
    before = [RUNS.c.as_of < as_of, RUNS.c.as_of >= as_of - dt.timedelta(days=STANDING_DAYS)]
    last = connection.execute(
        sa.select(RUNS.c.run_id, RUNS.c.as_of).where(*before).order_by(RUNS.c.as_of.desc())
    ).first()
    states = [RecommendationStatus.PROPOSED.value, RecommendationStatus.SUPERSEDED.value]
    query = (
        sa.select(LINES.c.facility_id, LINES.c.product_id, LINES.c.packs)
        .join(EXPLANATIONS, EXPLANATIONS.c.recommendation_id == LINES.c.recommendation_id)
        .where(EXPLANATIONS.c.run_id == (last.run_id if last else ""), LINES.c.status.in_(states))
    )
    columns = ["facility_id", "product_id", "packs"]
    rows = pd.DataFrame([tuple(row) for row in connection.execute(query)], columns=columns)
    return rows.set_index(columns[:2])["packs"]


def _set_undecided_status(
    connection: sa.Connection, ids: set[str], status: RecommendationStatus, now: dt.datetime
) -> None:
    if not ids:
        return
    undecided = sa.or_(
        LINES.c.status == RecommendationStatus.PROPOSED.value, LINES.c.status == RecommendationStatus.SUPERSEDED.value
    )
    # somebody may have decided since the lines were read: the row's own status has the last word
    line = (LINES.c.recommendation_id == sa.bindparam("id")) & undecided
    changed = LINES.update().where(line).values(status=status.value, version=LINES.c.version + 1, updated_at=now)
    connection.execute(changed, [{"id": name} for name in sorted(ids)])
