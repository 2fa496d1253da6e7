"""Does it change the order? What an edit would do, told before it is saved; nothing is written."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import sqlalchemy as sa

from api.display.labels import counted, number
from api.http.errors import InvalidRequest, NotFound
from api.overrides.models import (
    OrderChange,
    OverrideIn,
    OverridePreviewOut,
    PacksIn,
    PacksPreviewOut,
    PeriodOut,
    ProductPreviewOut,
)
from api.recommendations.decisions import broken_pack_rule
from forecasting.procurement.explanation.what_if import DemandChange, days_of_use, order_after_change, packs_of
from forecasting.terms import OverrideKind, Period, RecommendationStatus
from warehouse.queries.lines import Rows, Scope, explanation, planning_run, recommendation
from warehouse.queries.overrides import forecasts_by_product, newest_recommendations, overlapping_overrides
from warehouse.schema.inputs import Product

UNITS = dict.fromkeys(
    ("baseline", "genetic_shift", "override_now", "final_now", "override_then", "final_then"), "dose units"
) | {"packs_now": "packs", "packs_then": "packs", "expected_now": "dose units", "expected_then": "dose units"}


def preview_override(connection: sa.Connection, asked: OverrideIn, today: dt.date) -> OverridePreviewOut:
    """What an override that keeps the rules (`overrides.checked`) would do to each product's forecast and order."""
    product_ids, days = _products(connection, asked), (asked.starts_on, asked.ends_on)
    forecasts = forecasts_by_product(connection, asked.facility_id, product_ids)
    as_of = next((rows[0]["as_of"] for rows in forecasts.values()), None)
    lines = newest_recommendations(connection, as_of, asked.facility_id, product_ids) if as_of else {}
    # of a drug, products that the site does not forecast are not touched
    shown = [one for one in product_ids if one in forecasts] or product_ids[:1]
    products = [_product(connection, asked, one, forecasts.get(one, []), lines.get(one)) for one in shown]
    return OverridePreviewOut(
        changes_an_order=any(one.order is OrderChange.CHANGES for one in products),
        takes_the_place_of=overlapping_overrides(connection, asked.facility_id, product_ids, days, today),
        products=products,
        units=UNITS,
    )


def preview_packs(connection: sa.Connection, scope: Scope, asked: PacksIn) -> PacksPreviewOut:
    """Whether other packs, or a quantity that is rounded as orders are, change what a line orders."""
    if (asked.packs is None) == (asked.quantity is None):
        raise InvalidRequest.field("packs", "give packs or a quantity, and not both")
    line = recommendation(connection, scope, asked.recommendation_id)
    if line is None:
        raise NotFound(f"there is no recommendation {asked.recommendation_id}")
    told = explanation(connection, asked.recommendation_id)
    document = told["document"] if told else None
    packs = asked.packs
    if packs is None:
        packs = packs_of(line, Decimal(str(asked.quantity)))
    rule = broken_pack_rule(line, packs) if packs not in (0, line["packs"]) else None
    if rule:
        raise InvalidRequest.field("packs", rule)
    order = OrderChange.CHANGES if packs != line["packs"] else OrderChange.SAME
    days = _days(document, packs - line["packs"])
    if line["status"] != RecommendationStatus.PROPOSED.value:
        order = OrderChange.DECIDED
    return PacksPreviewOut(
        recommendation_id=asked.recommendation_id,
        order=order,
        packs_now=line["packs"],
        packs_then=packs,
        days_of_use=days,
        message=_said_of_packs(asked, line, order, packs, days),
    )


def _days(document: dict[str, Any] | None, packs: int) -> float | None:
    try:
        days = days_of_use(document, packs) if document else None
    except KeyError:  # a document of another version
        return None
    return None if days is None else round(float(days), 1)


def _said_of_packs(asked: PacksIn, line: sa.RowMapping, order: OrderChange, packs: int, days: float | None) -> str:
    now = counted(line["packs"], "pack")
    if order is OrderChange.DECIDED:
        return f"The line is {line['status']}: take the decision back before changing its packs."
    if order is OrderChange.SAME and asked.quantity is not None:
        return f"This does not change the order: {number(asked.quantity)} dose units are {now} as well."
    if order is OrderChange.SAME:
        return f"This does not change the order: {now} is what is proposed; approve it."
    text = f"This changes the order from {now} to {counted(packs, 'pack')}"
    if days is None:
        return f"{text}."
    return f"{text}: {number(abs(days))} days of expected use {'more' if days > 0 else 'less'}."


def _products(connection: sa.Connection, asked: OverrideIn) -> list[str]:
    if asked.product_id is not None:
        return [asked.product_id]
    query = sa.select(Product.product_id).where(Product.drug == asked.drug).order_by(Product.product_id)
    return list(connection.scalars(query))


def _product(
    connection: sa.Connection, asked: OverrideIn, product_id: str, rows: Rows, line: sa.RowMapping | None
) -> ProductPreviewOut:
    periods = [_period(asked, row) for row in rows]
    covered = [one for one in periods if asked.starts_on <= one.period_start <= asked.ends_on]
    facts: dict[str, Any] = {"product_id": product_id, "periods": covered}
    facts |= dict.fromkeys(("recommendation_id", "packs_now", "packs_then", "expected_now", "expected_then"))
    if not rows:
        message = "Nothing is forecast of it here yet: the next run tells whether an order follows."
        return ProductPreviewOut(**facts, order=OrderChange.NO_FORECAST, message=message)
    told = explanation(connection, line["recommendation_id"]) if line else None
    if line is None or told is None:
        message = "No order is proposed for it now: the next run tells whether the changed forecast asks for one."
        return ProductPreviewOut(**facts, order=OrderChange.NO_LINE, message=message)
    run = planning_run(connection, told["run_id"])
    facts |= {"recommendation_id": line["recommendation_id"]}
    if line["status"] != RecommendationStatus.PROPOSED.value or run is None:
        message = f"Its line is {line['status']} already and stays as it is; the next run counts the changed demand."
        return ProductPreviewOut(**facts, order=OrderChange.DECIDED, message=message)
    return _recomputed(facts, told["document"], Period(run["period"]), periods)


def _recomputed(
    facts: dict[str, Any], document: dict[str, Any], period: Period, periods: list[PeriodOut]
) -> ProductPreviewOut:
    now, then = (np.array([getattr(one, name) for one in periods]) for name in ("final_now", "final_then"))
    try:
        found = order_after_change(document, DemandChange(period, [one.period_start for one in periods], now, then))
    except KeyError:  # a document of another version
        message = "The stored calculation of its line cannot be redone: the next run tells."
        return ProductPreviewOut(**facts, order=OrderChange.NO_LINE, message=message)
    facts |= {"packs_now": found.packs_now, "packs_then": found.packs_then}
    facts |= {"expected_now": float(found.expected_now), "expected_then": float(found.expected_then)}
    limits = ", before limits that lines share" if found.before_limits else ""
    if found.packs_now == found.packs_then:
        message = f"This does not change the order: {counted(found.packs_now, 'pack')} either way{limits}."
        return ProductPreviewOut(**facts, order=OrderChange.SAME, message=message)
    packs = f"from {counted(found.packs_now, 'pack')} to {counted(found.packs_then, 'pack')}"
    return ProductPreviewOut(**facts, order=OrderChange.CHANGES, message=f"This changes the order {packs}{limits}.")


def _period(asked: OverrideIn, row: sa.RowMapping) -> PeriodOut:
    before = row["baseline_mean"] + row["genetic_shift"]
    then = row["mean"]
    if asked.starts_on <= row["period_start"] <= asked.ends_on:
        then = asked.value if asked.kind is OverrideKind.QUANTITY else before * asked.value
    return PeriodOut(
        period_start=row["period_start"],
        baseline=row["baseline_mean"],
        genetic_shift=row["genetic_shift"],
        override_now=row["override_shift"],
        final_now=row["mean"],
        override_then=then - before,
        final_then=then,
    )
