"""Value added by people's edits of forecasts and of packs, measured once their periods are past."""

from typing import Any

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import AssetResult
from assets.dagster_io.metadata import markdown_table
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, PROCUREMENT, table_asset
from assets.sites.reference_demand import known_panel
from forecasting.demand.overrides import direction_of, value_of_overrides
from forecasting.demand.series import DemandPanel
from forecasting.procurement.explanation.what_if import needed_in_hindsight
from warehouse.queries.override_value import as_forecast_edits, edit_sums, edited_lines, overridden_forecasts
from warehouse.schema.overrides import EditValue, OverrideValue
from warehouse.store import column_names


@table_asset(OverrideValue, group=DEMAND, inputs=("runs", "clean_demand"))
def override_value(tables: RunTables) -> AssetResult:
    """Error without and with each override, against what was dispensed in the periods of it that are past."""
    with tables.warehouse.engine.connect() as connection:
        planned = overridden_forecasts(connection, tables.run.as_of)
    keys = ["facility_id", "product_id", "period_start"]
    dispensed = tables["clean_demand"][[*keys, "quantity"]].rename(columns={"quantity": "actual"})
    rows = planned.merge(dispensed, on=keys).dropna(subset="actual")
    if rows.empty:
        return AssetResult(pd.DataFrame(columns=column_names(OverrideValue)))
    override = ["override_id", "product_id"]
    about = planned.drop_duplicates(override)[[*override, "drug", "decided_by", "reason_code"]]
    frame = value_of_overrides(rows).merge(about, on=override).assign(as_of=tables.run.as_of)
    return AssetResult(frame, pictures=_sums(frame))


@table_asset(EditValue, group=PROCUREMENT, inputs=("runs", "clean_demand"), deps=["recommendations"])
def edit_value(tables: RunTables) -> AssetResult:
    """Packs as proposed and as changed, against what was needed in hindsight, once the order's time is over."""
    run, clean = tables.run, tables["clean_demand"]
    with tables.warehouse.engine.connect() as connection:
        lines = edited_lines(connection, run.as_of)
    panel = known_panel(clean, run) if len(clean) and lines else None
    rows = [row for line in lines if panel is not None and (row := _edit(line, panel))]
    if not rows:
        return AssetResult(pd.DataFrame(columns=column_names(EditValue)))
    frame = pd.DataFrame(rows).assign(as_of=run.as_of)
    return AssetResult(frame, pictures=_sums(as_forecast_edits(frame)))


def _edit(line: dict[str, Any], panel: DemandPanel) -> dict[str, Any] | None:
    """The row of one changed line; None where its time is not over or what was dispensed is not known."""
    is_line = (np.array(panel.facility_ids) == line["facility_id"]) & (
        np.array(panel.product_ids) == line["product_id"]
    )
    if not is_line.any():
        return None
    dispensed = panel.values[np.flatnonzero(is_line)[0]]
    needed = needed_in_hindsight(line["document"], panel.period, panel.period_starts(), dispensed)
    if needed is None:
        return None
    proposed, ordered = line["packs_before"], line["packs_ordered"]
    copied = ("facility_id", "recommendation_id", "product_id", "drug", "decided_by", "reason_code")
    return {name: line[name] for name in copied} | {
        "direction": str(direction_of(np.array([ordered - proposed]))[0]),
        "packs_proposed": proposed,
        "packs_ordered": ordered,
        "packs_needed": needed.packs,
        "pack_size": float(line["pack_size"]),
        "days": needed.days,
        "demand": needed.demand,
        "value_added": abs(proposed - needed.packs) - abs(ordered - needed.packs),
    }


def _sums(rows: pd.DataFrame) -> dict[str, str]:
    """Value added by edits in total and by person, reason, drug, direction and size, for the UI."""
    return {"value added": markdown_table(pd.DataFrame(edit_sums(rows)))}
