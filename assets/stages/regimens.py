"""Stage 3, regimens: how far results are acted on, and what following a guideline row does to each product."""

import pandas as pd

from assets.dagster_io.asset_result import AssetResult, problems_frame, skipped
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import REGIMENS, table_asset
from assets.sites.content import knowledge
from assets.sites.moves import dispensing_sites, group_moves, recent_quantity, stacked_moves
from forecasting.demand.data_quality import history_start
from forecasting.regimens.exposure import exposure_table
from warehouse.schema.results import Exposure, RegimenMove


@table_asset(Exposure, group=REGIMENS, inputs=("runs", "testing_coverage", "facilities", "dispensing"))
def exposure(tables: RunTables) -> AssetResult:
    """Exposure per site, gene and period of history and horizon, from measured and planned coverage."""
    run = tables.run
    if tables["testing_coverage"].empty:
        columns = ["as_of", "facility_id", "gene", "period_start", "exposure", "planned"]
        message = "testing_coverage is missing: it is not known how far testing has come, the genetic step is skipped"
        return skipped(columns, "input_missing", message)
    first = history_start(tables["dispensing"]["period_start"], run.period)
    periods = run.period.offset(run.future_starts(first)[-1].date(), first) + 1
    starts = pd.DatetimeIndex([run.period.step(first, number) for number in range(periods)])
    sites = tables["facilities"]["facility_id"].tolist()
    return AssetResult(exposure_table(tables["testing_coverage"], sites, starts, run.as_of).assign(as_of=run.as_of))


@table_asset(
    RegimenMove,
    group=REGIMENS,
    inputs=("runs", "site_releases", "products", "alternatives", "dispensing"),
    deps=["facilities"],
)
def regimen_moves(tables: RunTables) -> AssetResult:
    """What one dose unit becomes at each site when a guidance row is followed."""
    with tables.warehouse.engine.connect() as connection:
        groups = knowledge(connection, tables["site_releases"]).groups
    quantity = recent_quantity(tables["dispensing"], tables.run)
    parts, problems = [], []
    for group in groups:
        moves, of_drugs = group_moves(group, tables)
        parts.append(moves)
        # said once when it holds everywhere, else for each site
        sites = dispensing_sites(group, quantity) if len(groups) > 1 else [None]
        problems += [(site, *problem) for problem in of_drugs for site in sites]
    return AssetResult(stacked_moves(parts).assign(as_of=tables.run.as_of), problems_frame(problems))
