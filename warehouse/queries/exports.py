"""What leaves as files: forecasts, recommendations, prevalence and backtest of one origin, with documented columns."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd
import sqlalchemy as sa

from forecasting.errors import MissingContent
from forecasting.terms import ALL_FACILITIES, ALL_GROUPS, QUANTILE_LEVELS, RecommendationStatus
from warehouse import store
from warehouse.schema.explanations import Explanation
from warehouse.schema.overrides import EditValue, OverrideValue
from warehouse.schema.replay import ReplayScore
from warehouse.schema.representation import Representation
from warehouse.schema.results import (
    AggregateForecast,
    BacktestScore,
    Forecast,
    GeneticEffect,
    GeneticShift,
    GeneticValue,
    Prevalence,
    Problem,
    Recommendation,
    Run,
)

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "forecasts": (
            *("facility_id", "product_id", "period_start", "mean", *QUANTILE_LEVELS),
            *("baseline_mean", "genetic_shift", "model", "override_shift"),
        ),
        "recommendations": (
            *("recommendation_id", "facility_id", "product_id", "supplier_id", "packs", "quantity", "cost"),
            *("order_by", "need_by", "reason", "stockout_probability_before", "stockout_probability_after"),
            *("expected_waste", "days_on_hand_before", "days_on_hand_after", "status", "other_reasons"),
            "settings_from",
        ),
        "prevalence": ("facility_id", "gene", "result_type", "result", "mean", "low", "high", "effective_n"),
        "representation": (
            *("facility_id", "drug", "gene", "biogeographic_group", "share_served", "effective_n", "basis"),
            *("alleles_not_tested", "untested_share", "share_moved", "share_moved_low", "share_moved_high"),
            *("packs_per_week", "thin"),
        ),
        "backtest": ("stage", "segment", "horizon", "metric", "value", "value_added", "series", "origins"),
        "replay": (
            *("segment", "rule", "level_factor", "fill_rate", "stockout_weeks", "stockout_share", "mean_stock_value"),
            *("mean_days_on_hand", "expired_value", "orders", "lines", "cost", "same_service_value", "items"),
            *("priced_items", "stated_pars", "weeks"),
        ),
        "genetic_effects": (
            *("facility_id", "drug", "action", "recommendation", "to_drug", "learned", "low", "high", "delay_days"),
            *("evidence", "earned", "strength"),
        ),
        "genetic_value": (
            *("facility_id", "drug", "therapy", "origins", "demand", "error_without", "error_with", "value_added"),
        ),
        "override_value": (
            *("override_id", "facility_id", "product_id", "drug", "decided_by", "reason_code", "direction"),
            *("relative_change", "periods", "demand", "error_without", "error_with", "value_added", "bias_without"),
            "bias_with",
        ),
        "edit_value": (
            *("recommendation_id", "facility_id", "product_id", "drug", "decided_by", "reason_code", "direction"),
            *("packs_proposed", "packs_ordered", "packs_needed", "pack_size", "days", "demand", "value_added"),
        ),
    }
)
"""What can be exported, and its columns in order."""

TABLES: dict[str, Any] = {
    "forecasts": Forecast.__table__,
    "recommendations": Recommendation.__table__,
    "prevalence": Prevalence.__table__,
    "representation": Representation.__table__,
    "backtest": BacktestScore.__table__,
    "replay": ReplayScore.__table__,
    "genetic_effects": GeneticEffect.__table__,
    "genetic_value": GeneticValue.__table__,
    "override_value": OverrideValue.__table__,
    "edit_value": EditValue.__table__,
}
AGGREGATES: Any = AggregateForecast.__table__
RUNS: Any = Run.__table__
PROBLEMS: Any = Problem.__table__
EXPLANATIONS: Any = Explanation.__table__
SHIFTS: Any = GeneticShift.__table__


def latest_origin(connection: sa.Connection) -> dt.date:
    """Origin of the run that was planned last; `MissingContent` before the first."""
    origin = connection.scalar(sa.select(RUNS.c.as_of).order_by(RUNS.c.started_at.desc()).limit(1))
    if origin is None:
        raise MissingContent("nothing was planned yet: run `pgx-supply run` first")
    as_of: dt.date = origin
    return as_of


def export_frame(connection: sa.Connection, subject: str, as_of: dt.date | None = None) -> pd.DataFrame:
    """The rows of one origin (default: the latest run's), sorted by key, with exactly the documented columns.

    Prevalence is that of all people served. Recommendations leave out superseded lines. An origin without rows raises
    `MissingContent`.
    """
    table = TABLES[subject]
    origin = as_of or latest_origin(connection)
    conditions = [table.c.as_of == origin]
    if subject == "prevalence":
        conditions.append(table.c.biogeographic_group == ALL_GROUPS)
    if subject == "recommendations":
        conditions.append(table.c.status != RecommendationStatus.SUPERSEDED.value)
    frame = store.read(connection, table, *conditions)
    ran = connection.scalar(sa.select(sa.func.count()).select_from(RUNS).where(RUNS.c.as_of == origin))
    if frame.empty and not ran:
        raise MissingContent(f"there is no run with origin {origin}")
    if subject == "recommendations":
        money = frame["cost"].astype(float)
        keys = ["urgency", "money", "recommendation_id"]
        frame = frame.assign(money=money).sort_values(keys, ascending=[False, False, True])
    return _plain(frame[list(COLUMNS[subject])])


def aggregate_comparison(connection: sa.Connection) -> pd.DataFrame:
    """The latest comparison on totals: a row a drug and model, the closest first, with the horizon's sums."""
    frame = store.read(connection, AGGREGATES, AGGREGATES.c.as_of == latest_origin(connection))
    keys = ["facility_id", "drug", "product_id", "model", "unit", "error", "chosen"]
    sums = frame.groupby(keys, dropna=False, sort=False)[["mean", "planned"]].sum(min_count=1).reset_index()
    return sums.sort_values(["drug", "error", "model"], ignore_index=True)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Days as ISO text, exact decimals as text: the same in CSV and Parquet."""
    out = frame.reset_index(drop=True)
    for name in out.columns:
        if pd.api.types.is_datetime64_any_dtype(out[name]):
            out[name] = out[name].dt.strftime("%Y-%m-%d")
        elif out[name].dtype == object:
            out[name] = out[name].map(lambda value: None if value is None else str(value))
    return out


def missing_inputs(connection: sa.Connection) -> list[str]:
    """What the latest run could not do for want of input, in sentences."""
    return _problem_messages(connection, PROBLEMS.c.rule == "input_missing")


def problem_messages(connection: sa.Connection, asset: str) -> list[str]:
    """What one asset of the latest run could not do or had to assume, in sentences."""
    return _problem_messages(connection, PROBLEMS.c.asset == asset)


def _problem_messages(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[str]:
    of_run = PROBLEMS.c.as_of == latest_origin(connection)
    return store.read(connection, PROBLEMS, of_run, condition)["message"].tolist()


def top_recommendations(connection: sa.Connection, count: int) -> tuple[int, list[dict[str, Any]]]:
    """How many lines of the latest run wait for a decision, and the most urgent of them with their paragraphs."""
    lines, explanations = TABLES["recommendations"], EXPLANATIONS
    waiting = [lines.c.as_of == latest_origin(connection), lines.c.status == RecommendationStatus.PROPOSED.value]
    total = connection.scalar(sa.select(sa.func.count()).select_from(lines).where(*waiting)) or 0
    query = (
        sa.select(lines, explanations.c.paragraph)
        .join(explanations, explanations.c.recommendation_id == lines.c.recommendation_id)
        .where(*waiting)
        .order_by(lines.c.urgency.desc(), sa.cast(lines.c.cost, sa.Numeric).desc().nulls_last())
        .order_by(lines.c.recommendation_id)
        .limit(count)
    )
    return int(total), [dict(row) for row in connection.execute(query).mappings()]


def genetic_moves(connection: sa.Connection, count: int) -> list[dict[str, Any]]:
    """Products of the latest run whose network demand testing changes most over the horizon, in dose units.

    Each with baseline, planned, change, and the drug, gene and lookup_key that the largest part of it comes from.
    """
    origin = latest_origin(connection)
    shifts = store.read(connection, SHIFTS, SHIFTS.c.as_of == origin)
    if shifts.empty:
        return []
    forecasts = TABLES["forecasts"]
    network = store.read(connection, forecasts, forecasts.c.as_of == origin, forecasts.c.facility_id == ALL_FACILITIES)
    totals = network.groupby("product_id")[["baseline_mean", "genetic_shift"]].sum()
    parts = shifts.groupby(["product_id", "drug", "gene", "lookup_key"], as_index=False)["quantity"].sum()
    causes = parts.loc[parts["quantity"].abs().groupby(parts["product_id"]).idxmax()].set_index("product_id")
    moved = totals.join(causes[["drug", "gene", "lookup_key"]], how="inner")
    moved["planned"] = moved["baseline_mean"] + moved["genetic_shift"]
    chosen = moved.reindex(moved["genetic_shift"].abs().sort_values(ascending=False).index).head(count).reset_index()
    renamed = chosen.rename(columns={"baseline_mean": "baseline", "genetic_shift": "change"})
    return [{str(name): value for name, value in row.items()} for row in renamed.to_dict("records")]
