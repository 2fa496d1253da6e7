"""Stage 3, regimens: how far results are acted on, and what following a guideline row does to each product."""

import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import REGIMENS, table_asset
from assets.sites.content import knowledge
from assets.sites.moves import group_moves, in_use, recent_quantity, stacked
from forecasting.demand.data_quality import history_start
from forecasting.regimens.exposure import exposure_table
from warehouse.schema.results import Exposure, RegimenMove


@table_asset(Exposure, group=REGIMENS)
def exposure(
    runs: pd.DataFrame, testing_coverage: pd.DataFrame, facilities: pd.DataFrame, dispensing: pd.DataFrame
) -> Staged:
    """Exposure per site, gene and period of history and horizon, from measured and planned coverage."""
    run = PlanningRun.from_frame(runs)
    columns = ["as_of", "facility_id", "gene", "period_start", "exposure", "planned"]
    if testing_coverage.empty:
        message = "testing_coverage is missing: it is not known how far testing has come, the genetic step is skipped"
        return Staged(pd.DataFrame(columns=columns), problems_frame([(None, None, "input_missing", message)]))
    first = history_start(dispensing["period_start"], run.period)
    periods = run.period.offset(run.future_starts(first)[-1].date(), first) + 1
    starts = pd.DatetimeIndex([run.period.step(first, number) for number in range(periods)])
    frame = exposure_table(testing_coverage, facilities["facility_id"].tolist(), starts, run.as_of)
    return Staged(frame.assign(as_of=run.as_of))


@table_asset(RegimenMove, group=REGIMENS)
def regimen_moves(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    products: pd.DataFrame,
    alternatives: pd.DataFrame,
    dispensing: pd.DataFrame,
    facilities: pd.DataFrame,
) -> Staged:
    """What one dose unit becomes at each site when a guidance row is followed."""
    run = PlanningRun.from_frame(runs)
    with warehouse.engine.connect() as connection:
        groups = knowledge(connection, site_releases).groups
    stocked = in_use(products, dispensing, run)
    quantity = recent_quantity(dispensing, run)
    parts, problems = [], []
    for group in groups:
        sites = [site for site in facilities["facility_id"] if site in quantity.index and site in group.facility_ids]
        moves, found = group_moves(group, sites, stocked, alternatives, quantity, run)
        parts.append(moves)
        # said once when it holds everywhere, else for each site
        problems += [(site, *one) for one in found for site in (sites if len(groups) > 1 else [None])]
    return Staged(stacked(parts).assign(as_of=run.as_of), problems_frame(problems))
