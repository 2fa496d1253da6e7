"""The whole graph as Dagster loads it: inputs, assets in the order of the data, checks, the job and its schedule."""

import dagster as dg

from assets.backtest import backtest_scores
from assets.checks import all_checks
from assets.demand import baseline_forecasts, clean_demand, forecast_with_genetics, reference_demand
from assets.pharmacogenomics import prevalence
from assets.planning import content_releases, input_tables, runs, site_releases
from assets.procurement import lead_times, recommendations
from assets.regimens import exposure, regimen_moves
from assets.resources import Warehouse, WarehouseIOManager

computed_assets = [
    content_releases,
    runs,
    site_releases,
    prevalence,
    exposure,
    regimen_moves,
    clean_demand,
    reference_demand,
    baseline_forecasts,
    forecast_with_genetics,
    backtest_scores,
    lead_times,
    recommendations,
]

plan_job = dg.define_asset_job(
    "plan",
    selection=dg.AssetSelection.assets(*computed_assets) | dg.AssetSelection.checks(*all_checks),
    description="One planning run: everything from what was loaded to recommendations.",
    executor_def=dg.in_process_executor,
)

weekly_schedule = dg.ScheduleDefinition(
    name="plan_weekly",
    job=plan_job,
    cron_schedule="0 5 * * 1",
    description="Every Monday at 05:00, before the buyers' day.",
)


def definitions(warehouse: Warehouse) -> dg.Definitions:
    """The graph over one warehouse."""
    return dg.Definitions(
        assets=[*input_tables, *computed_assets],
        asset_checks=all_checks,
        jobs=[plan_job],
        schedules=[weekly_schedule],
        executor=dg.in_process_executor,
        resources={"warehouse": warehouse, "warehouse_io": WarehouseIOManager(warehouse=warehouse)},
    )


defs = definitions(Warehouse.from_environment())
