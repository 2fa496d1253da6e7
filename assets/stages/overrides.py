"""Stage 4, demand: what people set of the forecast, and which of it a run uses."""

from typing import Any

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, table_asset
from warehouse.queries.overrides import known_overrides
from warehouse.schema.overrides import ActingOverride


@table_asset(ActingOverride, group=DEMAND)
def acting_overrides(warehouse: Warehouse, runs: pd.DataFrame, baseline_forecasts: pd.DataFrame) -> Staged:
    """Overrides that were set, not withdrawn and not expired when the run began, and cover a period of its horizon."""
    run = PlanningRun.from_frame(runs)
    with warehouse.engine.connect() as connection:
        # what is set while a run is under way counts from the next one
        known = known_overrides(connection, run.as_of, runs["started_at"].iloc[0].to_pydatetime())
    starts = pd.DatetimeIndex(np.sort(baseline_forecasts["period_start"].unique()))
    first, last = (known[name].to_numpy()[:, None] for name in ("starts_on", "ends_on"))
    covered = ((starts.to_numpy() >= first) & (starts.to_numpy() <= last)).any(axis=1)
    acting = known.iloc[np.flatnonzero(covered)]
    planned = set(baseline_forecasts["facility_id"]) | set(run.facilities)
    idle = acting[~acting["facility_id"].isin(planned)].drop_duplicates("override_id")
    return Staged(acting.assign(as_of=run.as_of), problems_frame([_idle(row) for row in idle.itertuples()]))


def _idle(row: Any) -> tuple[Any, Any, str, Any]:
    message = (
        f"override {row.override_id} by {row.decided_by}: nothing is planned at {row.facility_id}, it does nothing"
    )
    return row.facility_id, row.product_id, "override_idle", message
