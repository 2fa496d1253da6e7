"""Value added by people's edits: the rows that it is measured on, and sums by person, reason, drug, direction."""

import datetime as dt
import json
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.terms import DecisionKind, RecommendationStatus
from warehouse import store
from warehouse.queries.lines import Scope, within
from warehouse.schema.explanations import Explanation
from warehouse.schema.inputs import Product
from warehouse.schema.ledger import Decision, OverrideWithdrawal, User
from warehouse.schema.overrides import ActingOverride, EditValue, OverrideValue
from warehouse.schema.results import Forecast, Recommendation

ORDERED = (
    RecommendationStatus.MODIFIED,
    RecommendationStatus.EXPORTED,
    RecommendationStatus.ACKNOWLEDGED,
    RecommendationStatus.RECEIVED,
)
SMALL = 0.1
"""An edit that changes less than this share is small."""

GROUPS = {
    "all": [],
    "person": ["decided_by"],
    "reason": ["reason_code"],
    "drug": ["drug"],
    "direction": ["direction"],
    "size": ["size", "direction"],
}
SUMS = ["error_without", "error_with", "value_added", "bias_without", "bias_with"]


def overridden_forecasts(connection: sa.Connection, before: dt.date) -> pd.DataFrame:
    """Past periods that an override moved, from the first plan in which it acted on them, without and with it.

    Columns: facility_id, override_id, product_id, drug, decided_by, reason_code, period_start, without, with_it. Of
    several overrides on a period the newest acted. Periods that began after it was withdrawn are left out.
    """
    row, plan = ActingOverride, Forecast
    query = (
        sa.select(
            *(row.facility_id, row.override_id, row.product_id, Product.drug, row.decided_by, row.reason_code),
            *(plan.period_start, plan.as_of, (plan.mean - plan.override_shift).label("without")),
            plan.mean.label("with_it"),
        )
        .join(Product, Product.product_id == row.product_id)
        .join(
            plan,
            sa.and_(
                plan.as_of == row.as_of,
                plan.facility_id == row.facility_id,
                plan.product_id == row.product_id,
                plan.period_start.between(row.starts_on, row.ends_on),
            ),
        )
        .outerjoin(OverrideWithdrawal, OverrideWithdrawal.override_id == row.override_id)
        .where(row.as_of < before, plan.period_start < before)
        # what was taken back in time is held against nobody
        .where(sa.or_(OverrideWithdrawal.withdrawn_at.is_(None), OverrideWithdrawal.withdrawn_at >= plan.period_start))
    )
    frame = pd.DataFrame(connection.execute(query).mappings().all())
    columns = [column.name for column in query.selected_columns]
    if frame.empty:
        return pd.DataFrame(columns=columns).drop(columns="as_of")
    cell = ["facility_id", "product_id", "period_start"]
    acted = frame.sort_values("override_id").drop_duplicates([*cell, "as_of"], keep="last")
    first = acted.sort_values("as_of").drop_duplicates([*cell, "override_id"], keep="first")
    first = first.assign(period_start=pd.to_datetime(first["period_start"]))
    return first[columns].drop(columns="as_of").sort_values(["override_id", *cell], ignore_index=True)


def edited_lines(connection: sa.Connection, before: dt.date) -> list[dict[str, Any]]:
    """Lines whose packs a person changed and that are ordered so: the change, the line's drug and its calculation."""
    last = (
        sa.select(sa.func.max(Decision.decision_id))
        .where(Decision.recommendation_id == Recommendation.recommendation_id)
        .where(Decision.kind == DecisionKind.MODIFY.value)
        .correlate(Recommendation)
        .scalar_subquery()
    )
    query = (
        sa.select(
            *(Recommendation.recommendation_id, Recommendation.facility_id, Recommendation.product_id, Product.drug),
            *(User.display_name.label("decided_by"), Decision.reason_code, Decision.packs_before),
            *(Recommendation.packs.label("packs_ordered"), Product.pack_size, Explanation.document),
        )
        .join(Decision, Decision.decision_id == last)
        .join(User, User.user_id == Decision.user_id)
        .join(Product, Product.product_id == Recommendation.product_id)
        .join(Explanation, Explanation.recommendation_id == Recommendation.recommendation_id)
        .where(Recommendation.as_of < before, Recommendation.status.in_([status.value for status in ORDERED]))
        .order_by(Recommendation.recommendation_id)
    )
    return [{**row, "document": json.loads(row["document"])} for row in connection.execute(query).mappings()]


def measured_edits(connection: sa.Connection, scope: Scope) -> tuple[dt.date | None, pd.DataFrame, pd.DataFrame]:
    """Origin of the newest run that measured edits, with its rows of `override_value` and `edit_value` in scope."""
    tables: list[Any] = [OverrideValue.__table__, EditValue.__table__]
    newest = [connection.scalar(sa.select(sa.func.max(table.c.as_of))) for table in tables]
    as_of = max((day for day in newest if day is not None), default=None)
    frames = [
        store.read(connection, table, table.c.as_of == as_of, within(table.c.facility_id, scope)) for table in tables
    ]
    return as_of, frames[0], frames[1]


def as_forecast_edits(edits: pd.DataFrame) -> pd.DataFrame:
    """Rows of `edit_value` in the terms of `override_value`: errors in dose units."""
    size = edits["pack_size"].astype(float)
    over = {name: edits[f"packs_{name}"].astype(float) for name in ("proposed", "ordered", "needed")}
    change = (over["ordered"] - over["proposed"]) / over["proposed"].where(over["proposed"] > 0)
    without, with_it = (over[name] - over["needed"] for name in ("proposed", "ordered"))
    values = {"error_without": without.abs() * size, "error_with": with_it.abs() * size}
    values |= {"bias_without": without * size, "bias_with": with_it * size}
    value_added = values["error_without"] - values["error_with"]
    return edits.assign(relative_change=change, **values).assign(value_added=value_added)


def edit_sums(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Sums over edits by each of `GROUPS`: group_by, group, edits, improved, `SUMS` and value_added over error_without.

    The groups of size separate small edits (under 10 %) from larger ones, and up from down.
    """
    if rows.empty:
        return []
    small = rows["relative_change"].abs() < SMALL
    rows = rows.assign(size=small.map({True: "small", False: "large"}), better=rows["value_added"] > 0)
    sums_by_group = []
    for group_by, columns in GROUPS.items():
        for name, group in rows.groupby(columns) if columns else [(("all",), rows)]:
            sums = {name_of_sum: float(group[name_of_sum].sum()) for name_of_sum in SUMS}
            relative = sums["value_added"] / sums["error_without"] if sums["error_without"] > 0 else None
            facts = {"group_by": group_by, "group": " ".join(map(str, name)), "edits": len(group)}
            sums_by_group.append(facts | {"improved": int(group["better"].sum())} | sums | {"relative": relative})
    return sums_by_group
