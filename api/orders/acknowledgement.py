"""The supplier's answer to an order: checked as a whole, then kept on the lines. The same answer again changes nothing.

A line the supplier will not deliver (in full) no longer counts as on order for what is not coming, so that the next run
proposes it anew; see `warehouse.publication`.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from api.http.errors import InvalidRequest
from api.orders.models import AcknowledgedLine
from api.orders.queries import order_lines, order_row
from api.principal import Principal
from forecasting.terms import AcknowledgementStatus, RecommendationStatus
from warehouse import audit
from warehouse.audit import Event
from warehouse.schema.ledger import OrderLine
from warehouse.schema.results import Recommendation

ANSWER_COLUMNS = ("acknowledgement", "packs_confirmed", "expected_at", "acknowledgement_note")


def acknowledge(
    connection: sa.Connection,
    caller: Principal,
    order_number: str,
    answers: Sequence[AcknowledgedLine],
    now: dt.datetime,
) -> None:
    """Keep what the supplier said. A rule that any line breaks raises `InvalidRequest`, and nothing is kept."""
    order_row(connection, caller.sites, order_number)
    lines = {
        line["line_number"]: line for line in order_lines(connection, [order_number], for_update=True)[order_number]
    }
    numbers = [answer.line_number for answer in answers]
    events = []
    for place, answer in enumerate(answers):
        line = lines.get(answer.line_number)
        rule = "is named twice" if numbers.count(answer.line_number) > 1 else _broken_rule(line, answer)
        if rule or line is None:
            raise InvalidRequest.field(f"lines.{place}", f"line {answer.line_number} {rule}")
        values = _values(line, answer)
        if any(line[name] != values[name] for name in ANSWER_COLUMNS):
            events.append(_store(connection, line, values, now))
    audit.append(connection, caller.actor, now, events)


def _broken_rule(line: Any, answer: AcknowledgedLine) -> str | None:
    if line is None:
        return "is not on this order"
    if line["status"] == RecommendationStatus.RECEIVED.value:
        return "is received already"
    packs, confirmed = line["packs"], answer.packs_confirmed
    if confirmed is not None and confirmed > packs:
        return f"confirms {confirmed} packs of {packs} ordered: more than was authorised"
    if answer.status is AcknowledgementStatus.CHANGED and confirmed is None:
        return "is changed: packs_confirmed is required"
    if answer.status is AcknowledgementStatus.ACCEPTED and confirmed not in (None, packs):
        return f"is accepted with {confirmed} packs of {packs}: say changed"
    if answer.status is AcknowledgementStatus.REJECTED and confirmed not in (None, 0):
        return "is rejected: packs_confirmed must be 0"
    return None


def _values(line: Any, answer: AcknowledgedLine) -> dict[str, Any]:
    all_packs = 0 if answer.status is AcknowledgementStatus.REJECTED else line["packs"]
    return {
        "acknowledgement": answer.status.value,
        "packs_confirmed": all_packs if answer.packs_confirmed is None else answer.packs_confirmed,
        "expected_at": answer.expected_at,
        "acknowledgement_note": (answer.note or "").strip() or None,
    }


def _store(connection: sa.Connection, line: Any, values: dict[str, Any], now: dt.datetime) -> Event:
    connection.execute(
        sa.update(OrderLine)
        .where(OrderLine.order_number == line["order_number"], OrderLine.line_number == line["line_number"])
        .values(**values)
    )
    status = RecommendationStatus.ACKNOWLEDGED.value
    connection.execute(
        sa.update(Recommendation)
        .where(Recommendation.recommendation_id == line["recommendation_id"])
        .values(status=status, version=Recommendation.version + 1, updated_at=now)
    )
    before = {"status": line["status"], "version": line["version"]} | {name: line[name] for name in ANSWER_COLUMNS}
    after = {"status": status, "version": line["version"] + 1} | values
    subject = f"recommendation:{line['recommendation_id']}"
    return Event("recommendation.acknowledge", subject, line["facility_id"], before, after)
