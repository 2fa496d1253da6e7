"""Asset checks: what the schema promises of every table, and what the science promises of its results.

The writer refuses bad rows; these checks show, on every run and in the UI, that what is stored still keeps the rules.
"""

from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from assets.dagster_io.metadata import markdown_table
from assets.dagster_io.resources import Warehouse
from assets.sites.content import knowledge
from assets.sites.moves import approved_alternatives, products_in_use
from forecasting.procurement.policy.service_level import OLD_COUNT_DAYS
from forecasting.regimens.conservation import broken_moves
from forecasting.regimens.strengths import describe_products
from forecasting.terms import ALL_FACILITIES
from warehouse.frames import violations
from warehouse.schema import Base

COVERAGE_80 = (0.72, 0.90)
"""An 80 % interval whose coverage on held-out periods lies outside this is not to be trusted."""

CONSERVATION_TOLERANCE = 1e-6


def _schema_check(table: sa.Table) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table.name, name="rules_of_the_schema", blocking=False, description=f"Every rule of {table.name} holds."
    )
    def check(warehouse: Warehouse) -> dg.AssetCheckResult:
        frame = warehouse.read(table, *_latest(warehouse, table))
        broken = [f"{broken.column} {broken.rule}: {len(broken.rows)} rows" for broken in violations(frame, table)]
        return dg.AssetCheckResult(passed=not broken, metadata={"rows": len(frame), "broken": "; ".join(broken)})

    return check


def _latest(warehouse: Warehouse, table: sa.Table) -> list[sa.ColumnElement[bool]]:
    if table.info["layer"] != "results" or "as_of" not in table.columns or table.name == "runs":
        return []
    return [table.c.as_of == warehouse.latest_run().as_of]


CHECKED_LAYERS = ("inputs", "results")
NOT_ASSETS = ("problems", "explanations")

schema_checks = [
    _schema_check(table)
    for table in Base.metadata.sorted_tables
    if table.info["layer"] in CHECKED_LAYERS and table.name not in NOT_ASSETS
]


def _read(warehouse: Warehouse, name: str) -> pd.DataFrame:
    table = Base.metadata.tables[name]
    return warehouse.read(table, *_latest(warehouse, table))


@dg.asset_check(
    asset="regimen_moves", description="Alternatives conserve treatment-days; dose changes milligrams x factor."
)
def mix_is_conserved(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every stored move of every site, guidance row and product keeps what its row must keep."""
    moves = _read(warehouse, "regimen_moves")
    run = warehouse.latest_run()
    with warehouse.engine.connect() as connection:
        groups = knowledge(connection, _read(warehouse, "site_releases")).groups
    used = products_in_use(_read(warehouse, "products"), _read(warehouse, "dispensing"), run)
    parts = []
    for group in groups:
        products = describe_products(used, group.content.usual_daily_dose)
        of_group = moves[moves["facility_id"].isin(group.facility_ids)]
        for era in group.eras:
            followed = of_group[of_group["followed_from"] == pd.Timestamp(era.since)].drop(columns="followed_from")
            alternatives = approved_alternatives(_read(warehouse, "alternatives"), era.content, run)
            parts.append(broken_moves(followed, products, era.content.guidance, alternatives))
    broken = pd.concat(parts, ignore_index=True)
    metadata: dict[str, Any] = {
        "moves": len(moves),
        "broken": len(broken),
        "first broken": dg.MetadataValue.md(markdown_table(broken.head())),
    }
    return dg.AssetCheckResult(passed=broken.empty, metadata=metadata)


@dg.asset_check(asset="forecasts", description="The network's means are the sums of its sites'.")
def levels_agree(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Sites add up to the network, product by product and period by period."""
    forecasts = _read(warehouse, "forecasts")
    network = forecasts[forecasts["facility_id"] == ALL_FACILITIES].set_index(["product_id", "period_start"])["mean"]
    sites = forecasts[forecasts["facility_id"] != ALL_FACILITIES]
    total = sites.groupby(["product_id", "period_start"])["mean"].sum()
    worst = float((total.reindex(network.index) - network).abs().max()) if len(network) else 0.0
    return _within_tolerance(worst, float(network.max()) if len(network) else 1.0)


@dg.asset_check(asset="genetic_shifts", description="What guidance rows add explains every genetic shift.")
def shifts_are_explained(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Per site and product, the rows of genetic_shifts sum to the forecast's genetic shift over the horizon."""
    forecasts, shifts = _read(warehouse, "forecasts"), _read(warehouse, "genetic_shifts")
    keys = ["facility_id", "product_id"]
    wanted = forecasts[forecasts["facility_id"] != ALL_FACILITIES].groupby(keys)["genetic_shift"].sum()
    explained = shifts.groupby(keys)["quantity"].sum().reindex(wanted.index).fillna(0.0)
    worst = float((explained - wanted).abs().max()) if len(wanted) else 0.0
    return _within_tolerance(worst, float(wanted.abs().max()) if len(wanted) else 0.0)


def _within_tolerance(difference: float, size: float) -> dg.AssetCheckResult:
    """Passes where the largest difference is rounding alone, for numbers of that size."""
    passed = difference <= CONSERVATION_TOLERANCE * max(1.0, size)
    return dg.AssetCheckResult(passed=passed, metadata={"largest difference": difference})


def _warning(
    passed: bool, metadata: dict[str, Any] | None = None, description: str | None = None
) -> dg.AssetCheckResult:
    """A result that a person should look at; the plan counts all the same."""
    severity = dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        passed=passed, severity=severity, metadata=metadata or {}, description=description or None
    )


@dg.asset_check(asset="backtest_scores", description="80 % intervals cover what they say, on held-out periods.")
def intervals_cover(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Coverage of the genetic stage over all series lies within `COVERAGE_80`."""
    scores = _read(warehouse, "backtest_scores")
    everything = (scores["segment"] == "all") & (scores["horizon"] == "all") & (scores["stage"] == "genetic")
    rows = scores[everything & (scores["metric"] == "coverage_80")]
    if rows.empty:
        return _warning(False, description="The history is too short to measure it.")
    value = float(rows["value"].iloc[0])
    return _warning(COVERAGE_80[0] <= value <= COVERAGE_80[1], {"coverage of 80 % intervals": value})


@dg.asset_check(asset="stock", additional_deps=["runs"], description="Stock was counted recently enough to order on.")
def stock_is_recent(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every item's last count is at most `OLD_COUNT_DAYS` old on the origin day."""
    stock = _read(warehouse, "stock")
    if stock.empty:
        return _warning(False, description="There are no stock counts.")
    newest = stock.groupby(["facility_id", "product_id"])["counted_at"].max()
    age = (pd.Timestamp(warehouse.latest_run().as_of) - newest).dt.days
    metadata = {"oldest count (days)": int(age.max()), "items": len(age)}
    return _warning(
        bool(age.max() <= OLD_COUNT_DAYS), metadata | {"items counted too long ago": int((age > OLD_COUNT_DAYS).sum())}
    )


all_checks = [
    *schema_checks,
    mix_is_conserved,
    levels_agree,
    shifts_are_explained,
    intervals_cover,
    stock_is_recent,
]
