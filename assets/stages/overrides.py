"""Stage 4, demand: what people set of the forecast, and which of it a run uses."""

from typing import Any

import numpy as np

from assets.dagster_io.asset_result import AssetResult, ProblemRow, problems_frame
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from warehouse.queries.overrides import known_overrides
from warehouse.schema.overrides import ActingOverride


@table_asset(ActingOverride, group=DEMAND, inputs=("runs", "baseline_forecasts"))
def acting_overrides(tables: RunTables) -> AssetResult:
    """Overrides that were set, not withdrawn and not expired when the run began, and cover a period of its horizon."""
    run, forecasts = tables.run, tables["baseline_forecasts"]
    with tables.warehouse.engine.connect() as connection:
        # what is set while a run is under way counts from the next one
        known = known_overrides(connection, run.as_of, tables["runs"]["started_at"].iloc[0].to_pydatetime())
    starts = np.sort(forecasts["period_start"].unique())
    first, last = (known[name].to_numpy()[:, None] for name in ("starts_on", "ends_on"))
    acting = known.iloc[np.flatnonzero(((starts >= first) & (starts <= last)).any(axis=1))]
    planned = set(forecasts["facility_id"]) | set(run.facilities)
    idle = acting[~acting["facility_id"].isin(planned)].drop_duplicates("override_id")
    problems = problems_frame([_idle_override(row) for row in idle.itertuples()])
    return AssetResult(acting.assign(as_of=run.as_of), problems)


def _idle_override(row: Any) -> ProblemRow:
    message = (
        f"override {row.override_id} by {row.decided_by}: nothing is planned at {row.facility_id}, it does nothing"
    )
    return row.facility_id, row.product_id, "override_idle", message
