"""Does it change the order? What an edit would do, before it is saved; nothing is written."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import sqlalchemy as sa

from api.display.formatting import counted, number
from api.http.errors import InvalidRequest, or_not_found
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


def preview_override(connection: sa.Connection, override: OverrideIn, today: dt.date) -> OverridePreviewOut:
    """What an override that keeps the rules (`commands.checked_row`) would do to each product's forecast and order."""
    product_ids, days = _products(connection, override), (override.starts_on, override.ends_on)
    forecasts = forecasts_by_product(connection, override.facility_id, product_ids)
    as_of = next((rows[0]["as_of"] for rows in forecasts.values()), None)
    lines = newest_recommendations(connection, as_of, override.facility_id, product_ids) if as_of else {}
    # of a drug, products that the site does not forecast are not touched
    shown = [name for name in product_ids if name in forecasts] or product_ids[:1]
    products = [_product(connection, override, name, forecasts.get(name, []), lines.get(name)) for name in shown]
    return OverridePreviewOut(
        changes_an_order=any(product.order is OrderChange.CHANGES for product in products),
        takes_the_place_of=overlapping_overrides(connection, override.facility_id, product_ids, days, today),
        products=products,
        units=UNITS,
    )


def preview_packs(connection: sa.Connection, scope: Scope, edit: PacksIn) -> PacksPreviewOut:
    """Whether other packs, or a quantity that is rounded as orders are, change what a line orders."""
    if (edit.packs is None) == (edit.quantity is None):
        raise InvalidRequest.field("packs", "give packs or a quantity, and not both")
    line = recommendation(connection, scope, edit.recommendation_id)
    line = or_not_found(line, f"recommendation {edit.recommendation_id}")
    packs = edit.packs
    if packs is None:
        packs = packs_of(line, Decimal(str(edit.quantity)))
    rule = broken_pack_rule(line, packs) if packs not in (0, line["packs"]) else None
    if rule:
        raise InvalidRequest.field("packs", rule)
    order = OrderChange.CHANGES if packs != line["packs"] else OrderChange.SAME
    days = _days_of_use(explanation(connection, edit.recommendation_id), packs - line["packs"])
    if line["status"] != RecommendationStatus.PROPOSED.value:
        order = OrderChange.DECIDED
    return PacksPreviewOut(
        recommendation_id=edit.recommendation_id,
        order=order,
        packs_now=line["packs"],
        packs_then=packs,
        days_of_use=days,
        message=_packs_message(edit, line, order, packs, days),
    )


def _days_of_use(stored: dict[str, Any] | None, packs: int) -> float | None:
    try:
        days = days_of_use(stored["document"], packs) if stored else None
    except KeyError:  # a document of another version
        return None
    return None if days is None else round(float(days), 1)


def _packs_message(edit: PacksIn, line: sa.RowMapping, order: OrderChange, packs: int, days: float | None) -> str:
    packs_now = counted(line["packs"], "pack")
    if order is OrderChange.DECIDED:
        return f"The line is {line['status']}: take the decision back before changing its packs."
    if order is OrderChange.SAME and edit.quantity is not None:
        return f"This does not change the order: {number(edit.quantity)} dose units are {packs_now} as well."
    if order is OrderChange.SAME:
        return f"This does not change the order: {packs_now} is what is proposed; approve it."
    text = f"This changes the order from {packs_now} to {counted(packs, 'pack')}"
    if days is None:
        return f"{text}."
    return f"{text}: {number(abs(days))} days of expected use {'more' if days > 0 else 'less'}."


def _products(connection: sa.Connection, override: OverrideIn) -> list[str]:
    if override.product_id is not None:
        return [override.product_id]
    query = sa.select(Product.product_id).where(Product.drug == override.drug).order_by(Product.product_id)
    return list(connection.scalars(query))


def _product(
    connection: sa.Connection, override: OverrideIn, product_id: str, rows: Rows, line: sa.RowMapping | None
) -> ProductPreviewOut:
    periods = [_period(override, row) for row in rows]
    covered = [period for period in periods if override.starts_on <= period.period_start <= override.ends_on]
    facts: dict[str, Any] = {"product_id": product_id, "periods": covered}
    facts |= dict.fromkeys(("recommendation_id", "packs_now", "packs_then", "expected_now", "expected_then"))
    if not rows:
        message = "Nothing is forecast of it here yet: the next run tells whether an order follows."
        return ProductPreviewOut(**facts, order=OrderChange.NO_FORECAST, message=message)
    stored = explanation(connection, line["recommendation_id"]) if line else None
    if line is None or stored is None:
        message = "No order is proposed for it now: the next run tells whether the changed forecast asks for one."
        return ProductPreviewOut(**facts, order=OrderChange.NO_LINE, message=message)
    run = planning_run(connection, stored["run_id"])
    facts |= {"recommendation_id": line["recommendation_id"]}
    if line["status"] != RecommendationStatus.PROPOSED.value or run is None:
        message = f"Its line is {line['status']} already and stays as it is; the next run counts the changed demand."
        return ProductPreviewOut(**facts, order=OrderChange.DECIDED, message=message)
    return _recomputed(facts, stored["document"], Period(run["period"]), periods)


def _recomputed(
    facts: dict[str, Any], document: dict[str, Any], period: Period, periods: list[PeriodOut]
) -> ProductPreviewOut:
    now, then = (np.array([getattr(row, name) for row in periods]) for name in ("final_now", "final_then"))
    try:
        order = order_after_change(document, DemandChange(period, [row.period_start for row in periods], now, then))
    except KeyError:  # a document of another version
        message = "The stored calculation of its line cannot be redone: the next run tells."
        return ProductPreviewOut(**facts, order=OrderChange.NO_LINE, message=message)
    facts |= {"packs_now": order.packs_now, "packs_then": order.packs_then}
    facts |= {"expected_now": float(order.expected_now), "expected_then": float(order.expected_then)}
    limits = ", before limits that lines share" if order.before_limits else ""
    if order.packs_now == order.packs_then:
        message = f"This does not change the order: {counted(order.packs_now, 'pack')} either way{limits}."
        return ProductPreviewOut(**facts, order=OrderChange.SAME, message=message)
    packs = f"from {counted(order.packs_now, 'pack')} to {counted(order.packs_then, 'pack')}"
    return ProductPreviewOut(**facts, order=OrderChange.CHANGES, message=f"This changes the order {packs}{limits}.")


def _period(override: OverrideIn, row: sa.RowMapping) -> PeriodOut:
    before = row["baseline_mean"] + row["genetic_shift"]
    then = row["mean"]
    if override.starts_on <= row["period_start"] <= override.ends_on:
        then = override.value if override.kind is OverrideKind.QUANTITY else before * override.value
    return PeriodOut(
        period_start=row["period_start"],
        baseline=row["baseline_mean"],
        genetic_shift=row["genetic_shift"],
        override_now=row["override_shift"],
        final_now=row["mean"],
        override_then=then - before,
        final_then=then,
    )
