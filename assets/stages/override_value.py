"""What people's edits of forecasts and of packs were worth, measured once their periods are past."""

from typing import Any

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import Staged
from assets.dagster_io.metadata import markdown_table
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, PROCUREMENT, table_asset
from assets.sites.reference_demand import known_panel
from forecasting.demand.overrides import direction_of, value_of_overrides
from forecasting.demand.series import DemandPanel
from forecasting.procurement.explanation.what_if import needed_in_hindsight
from warehouse.queries.override_value import as_forecast_edits, edited_lines, overridden_forecasts, summed
from warehouse.schema import Base
from warehouse.schema.overrides import EditValue, OverrideValue


@table_asset(OverrideValue, group=DEMAND)
def override_value(warehouse: Warehouse, runs: pd.DataFrame, clean_demand: pd.DataFrame) -> Staged:
    """Error without and with each override, against what was dispensed in the periods of it that are past."""
    run = PlanningRun.from_frame(runs)
    with warehouse.engine.connect() as connection:
        planned = overridden_forecasts(connection, run.as_of)
    keys = ["facility_id", "product_id", "period_start"]
    rows = planned.merge(clean_demand[[*keys, "quantity"]], on=keys).rename(columns={"quantity": "actual"})
    rows = rows.dropna(subset="actual")
    if rows.empty:
        return Staged(pd.DataFrame(columns=_columns(OverrideValue)))
    about = planned.drop_duplicates(["override_id", "product_id"])[
        ["override_id", "product_id", "drug", "decided_by", "reason_code"]
    ]
    frame = value_of_overrides(rows).merge(about, on=["override_id", "product_id"]).assign(as_of=run.as_of)
    return Staged(frame, pictures=_shown(frame))


@table_asset(EditValue, group=PROCUREMENT, deps=["recommendations"])
def edit_value(warehouse: Warehouse, runs: pd.DataFrame, clean_demand: pd.DataFrame) -> Staged:
    """Packs as proposed and as changed, against what was needed in hindsight, once the order's time is over."""
    run = PlanningRun.from_frame(runs)
    with warehouse.engine.connect() as connection:
        lines = edited_lines(connection, run.as_of)
    known = known_panel(clean_demand, run) if len(clean_demand) and lines else None
    rows = [row for line in lines if known is not None and (row := _edit(line, known))]
    if not rows:
        return Staged(pd.DataFrame(columns=_columns(EditValue)))
    frame = pd.DataFrame(rows).assign(as_of=run.as_of)
    return Staged(frame, pictures=_shown(as_forecast_edits(frame)))


def _edit(line: dict[str, Any], panel: DemandPanel) -> dict[str, Any] | None:
    """The row of one changed line; None where its time is not over or what was dispensed is not known."""
    here = np.array(panel.facility_ids) == line["facility_id"]
    rows = np.flatnonzero(here & (np.array(panel.product_ids) == line["product_id"]))
    if not len(rows):
        return None
    found = needed_in_hindsight(line["document"], panel.period, panel.period_starts(), panel.values[rows[0]])
    if found is None:
        return None
    proposed, ordered = line["packs_before"], line["packs_ordered"]
    kept = ("facility_id", "recommendation_id", "product_id", "drug", "decided_by", "reason_code")
    return {name: line[name] for name in kept} | {
        "direction": str(direction_of(np.array([ordered - proposed]))[0]),
        "packs_proposed": proposed,
        "packs_ordered": ordered,
        "packs_needed": found.packs,
        "pack_size": float(line["pack_size"]),
        "days": found.days,
        "demand": found.demand,
        "value_added": abs(proposed - found.packs) - abs(ordered - found.packs),
    }


def _columns(model: type[Base]) -> list[str]:
    return [column.name for column in model.__table__.columns]


def _shown(rows: pd.DataFrame) -> dict[str, str]:
    """What edits were worth in total and by person, reason, drug, direction and size, for the UI."""
    return {"value added": markdown_table(pd.DataFrame(summed(rows)))}
