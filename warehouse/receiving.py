"""What arrived of what was ordered: receipts name their order, and a line that came in full is received."""

import datetime as dt
from collections import defaultdict
from typing import Any

import sqlalchemy as sa

from forecasting.terms import RecommendationStatus
from warehouse import audit
from warehouse.audit import Actor, Event
from warehouse.schema.inputs import Receipt
from warehouse.schema.ledger import OrderLine
from warehouse.schema.results import Recommendation

SENT = (RecommendationStatus.EXPORTED.value, RecommendationStatus.ACKNOWLEDGED.value)


def receive_lines(connection: sa.Connection, actor: Actor, now: dt.datetime) -> int:
    """Lines that became received: as many packs came as the supplier confirmed, or as were ordered."""
    received_packs = packs_received(connection, now.date())
    events = []
    for line in _sent_lines(connection):
        packs = received_packs.get(line["recommendation_id"], 0)
        if not 0 < due_packs(line) <= packs:
            continue
        name = line["recommendation_id"]
        still = (Recommendation.recommendation_id == name) & Recommendation.status.in_(SENT)
        received = {"status": RecommendationStatus.RECEIVED.value, "version": line["version"] + 1}
        change = sa.update(Recommendation).where(still, Recommendation.version == line["version"])
        if connection.execute(change.values(**received, updated_at=now)).rowcount:
            before = {"status": line["status"], "version": line["version"]}
            after = received | {"packs_received": packs}
            events.append(Event("recommendation.receive", f"recommendation:{name}", line["facility_id"], before, after))
    audit.append(connection, actor, now, events)
    return len(events)


def packs_received(connection: sa.Connection, until: dt.date) -> dict[str, int]:
    """Packs that came up to a day, by recommendation, of orders with a line that is still awaited.

    A receipt names the order number, or the recommendation as some systems do. Where an order has a site's product
    twice, the first line is filled first and the last takes what is left over.
    """
    awaited = sa.select(OrderLine.order_number).join(
        Recommendation, Recommendation.recommendation_id == OrderLine.recommendation_id
    )
    awaited = awaited.where(Recommendation.status.in_(SENT))
    lines = connection.execute(
        sa.select(OrderLine.__table__)
        .where(OrderLine.order_number.in_(awaited))
        .order_by(OrderLine.order_number, OrderLine.line_number)
    ).mappings()
    named = sa.union(awaited, sa.select(OrderLine.recommendation_id).where(OrderLine.order_number.in_(awaited)))
    receipts = connection.execute(
        sa.select(Receipt.order_id, Receipt.facility_id, Receipt.product_id, sa.func.sum(Receipt.packs).label("packs"))
        .where(Receipt.order_id.in_(named), Receipt.received_at <= until)
        .group_by(Receipt.order_id, Receipt.facility_id, Receipt.product_id)
    )
    received = {(row.order_id, row.facility_id, row.product_id): int(row.packs) for row in receipts}
    groups: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for line in lines:
        groups[(line["order_number"], line["facility_id"], line["product_id"])].append(line)
    by_line = {}
    for (order_number, facility_id, product_id), lines_of_product in groups.items():
        left = received.get((order_number, facility_id, product_id), 0)
        for line in lines_of_product:
            share = left if line is lines_of_product[-1] else min(left, due_packs(line))
            left -= share
            by_line[line["recommendation_id"]] = share + received.get(
                (line["recommendation_id"], facility_id, product_id), 0
            )
    return by_line


def due_packs(line: Any) -> int:
    """Packs that a line will bring: what the supplier confirmed, else what was ordered."""
    return int(line["packs"] if line["packs_confirmed"] is None else line["packs_confirmed"])


def sent_orders(connection: sa.Connection) -> dict[str, sa.RowMapping]:
    """Lines that were sent and are awaited, by recommendation."""
    return {line["recommendation_id"]: line for line in _sent_lines(connection)}


def _sent_lines(connection: sa.Connection) -> list[sa.RowMapping]:
    query = (
        sa.select(OrderLine.__table__, Recommendation.status, Recommendation.version)
        .join(Recommendation, Recommendation.recommendation_id == OrderLine.recommendation_id)
        .where(Recommendation.status.in_(SENT))
        .order_by(OrderLine.recommendation_id)
    )
    return list(connection.execute(query).mappings())
