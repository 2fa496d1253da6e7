"""Stage 4, demand: how strongly each drug's advice is seen in history, and whether the step earns its place."""

import dagster as dg
import pandas as pd

from assets.dagster_io.asset_result import Staged
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, table_out
from assets.sites.learning import learned
from assets.sites.reference_demand import known_panel, site_genetics
from forecasting.demand.strengths import with_strengths
from warehouse.schema.results import GeneticEffect, GeneticValue


@dg.multi_asset(outs={model.__tablename__: table_out(model, group=DEMAND) for model in (GeneticEffect, GeneticValue)})
def learned_effects(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    clean_demand: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    products: pd.DataFrame,
) -> tuple[Staged, Staged]:
    """Strength, delay and interval per site and advice, faded where the backtest says so; value added per drug."""
    run = PlanningRun.from_frame(runs)
    panel = with_strengths(known_panel(clean_demand, run), products)
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel)
    frame, value = learned(panel, genetics, run)
    return Staged(frame.assign(as_of=run.as_of)), Staged(value.assign(as_of=run.as_of))
