"""Stage 4, demand: how strongly each drug's advice is seen in history, and whether the step earns its place."""

from assets.dagster_io.asset_result import AssetResult
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.sites.learning import learned_tables
from assets.sites.reference_demand import GENETIC_INPUTS, known_panel, site_genetics
from forecasting.demand.strengths import with_strengths
from warehouse.schema.results import GeneticEffect, GeneticValue

UNLEARNED_INPUTS = tuple(name for name in GENETIC_INPUTS if name != GeneticEffect.__tablename__)


@table_asset(GeneticEffect, GeneticValue, group=DEMAND, inputs=(*UNLEARNED_INPUTS, "clean_demand"))
def learned_effects(tables: RunTables) -> tuple[AssetResult, AssetResult]:
    """Strength, delay and interval per site and advice, less where the backtest finds no gain; value added per drug."""
    run = tables.run
    panel = with_strengths(known_panel(tables["clean_demand"], run), tables["products"])
    effects, value = learned_tables(panel, site_genetics(tables, panel, learned=False), run)
    return AssetResult(effects.assign(as_of=run.as_of)), AssetResult(value.assign(as_of=run.as_of))
