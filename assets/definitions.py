"""The whole graph as Dagster loads it: inputs, assets in the order of the data, checks, the job and its schedule."""

from typing import Any

import dagster as dg

from assets.checks import all_checks
from assets.dagster_io.executors import executor_of
from assets.dagster_io.resources import Warehouse, WarehouseIOManager
from assets.stages.aggregates import aggregate_forecasts
from assets.stages.backtest import backtest_scores
from assets.stages.baseline import BETWEEN_STEPS, baseline_forecasts
from assets.stages.demand import clean_demand, forecast_with_genetics, reference_demand
from assets.stages.effects import learned_effects
from assets.stages.override_value import edit_value, override_value
from assets.stages.overrides import acting_overrides
from assets.stages.pharmacogenomics import prevalence
from assets.stages.planning import content_releases, input_tables, runs, site_releases
from assets.stages.procurement import lead_times, recommendations
from assets.stages.regimens import exposure, regimen_moves
from assets.stages.release_previews import previews_of_releases
from assets.stages.replay import replay_scores
from assets.stages.representation import representation
from warehouse.settings import Settings

computed_assets = [
    content_releases,
    runs,
    site_releases,
    prevalence,
    exposure,
    regimen_moves,
    clean_demand,
    learned_effects,
    reference_demand,
    baseline_forecasts,
    acting_overrides,
    override_value,
    forecast_with_genetics,
    representation,
    previews_of_releases,
    backtest_scores,
    lead_times,
    recommendations,
    edit_value,
]

on_request = [aggregate_forecasts, replay_scores]
"""Computed when somebody asks: they take longer than a plan."""

plan_assets = dg.AssetSelection.assets(*computed_assets)
# the checks of a table that is made on request run with it
plan_checks = dg.AssetSelection.checks(*all_checks) - dg.AssetSelection.checks_for_assets(*on_request)


def _job(name: str, selection: Any, description: str, executor: dg.ExecutorDefinition) -> Any:
    return dg.define_asset_job(name, selection=selection, description=description, executor_def=executor)


def _jobs(executor: dg.ExecutorDefinition) -> list[Any]:
    in_process = dg.in_process_executor
    return [
        _job("plan", plan_assets | plan_checks, "One planning run: from what was loaded to recommendations.", executor),
        _job("plan_assets", plan_assets, "A planning run without its checks.", executor),
        _job("plan_checks", plan_checks, "The checks of what is stored.", in_process),
        _job(
            "aggregates",
            dg.AssetSelection.assets(aggregate_forecasts),
            "Totals by Prophet and statsmodels beside the engine: a minute, when somebody asks.",
            in_process,
        ),
        _job("replay", dg.AssetSelection.assets(replay_scores), "The last year under four order rules.", in_process),
    ]


weekly_schedule = dg.ScheduleDefinition(
    name="plan_weekly",
    job_name="plan",
    cron_schedule="0 5 * * 1",
    description="Every Monday at 05:00, before the buyers' day.",
)


def definitions(warehouse: Warehouse, settings: Settings) -> dg.Definitions:
    """The graph over one warehouse, run by the executor of the settings."""
    executor, between_steps = executor_of(settings)
    return dg.Definitions(
        assets=[*input_tables, *computed_assets, *on_request],
        asset_checks=all_checks,
        jobs=_jobs(executor),
        schedules=[weekly_schedule],
        executor=executor,
        resources={
            "warehouse": warehouse,
            "warehouse_io": WarehouseIOManager(warehouse=warehouse),
            BETWEEN_STEPS: between_steps,
        },
    )


defs = definitions(Warehouse.from_environment(), Settings.from_environment())
