"""Stage 4, demand: the baseline forecast, made per group of sites so that groups can go to processes of their own.

Dagster's executor decides which process works on a group. The number of groups changes no result: a group does what
depends on its own series alone, and what is estimated from all series is estimated at the end.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import AssetResult, ProblemRow, problems_frame
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_facts
from assets.sites.reference_demand import known_panel
from forecasting.arrays import joined
from forecasting.demand.forecast import PointForecasts, add_quantiles, forecast_points
from forecasting.demand.season import remove_shared_season, restore_season
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import with_strengths
from forecasting.terms import QUANTILE_LEVELS
from warehouse.schema.results import BaselineForecast
from warehouse.settings import Settings

BETWEEN_STEPS = "between_steps"
"""Resource key of the IO manager that hands a group's arrays from step to step."""

INPUTS = ("runs", "clean_demand", "reference_demand", "products", "facilities")
INPUT_OF_STEP = {name: dg.In() for name in INPUTS}
FACTS = table_facts(BaselineForecast, DEMAND)


def forecast_groups(panel: DemandPanel, groups: int) -> list[DemandPanel]:
    """The panel cut into at most so many groups of whole sites, of about as many series each, in its own order.

    >>> from datetime import date
    >>> from forecasting.terms import Period
    >>> panel = DemandPanel(("a", "a", "b"), ("x", "y", "x"), np.ones((3, 2)), date(2026, 1, 5), Period.WEEK)
    >>> [group.facility_ids for group in forecast_groups(panel, 2)]
    [('a', 'a'), ('b',)]
    """
    begins = np.r_[True, np.array(panel.facility_ids[1:]) != np.array(panel.facility_ids[:-1])]
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    group = first * groups // len(first)
    return [panel.select(group == number) for number in np.unique(group)]


@dg.op(ins=INPUT_OF_STEP, out=dg.DynamicOut(io_manager_key=BETWEEN_STEPS))
def site_groups(warehouse: Warehouse, **frames: pd.DataFrame) -> Iterator[dg.DynamicOutput[tuple[DemandPanel, int]]]:
    """The panel to forecast, a group of sites for each worker."""
    tables = RunTables.declared(warehouse, frames)
    panel, _ = _to_forecast(tables)
    deseasonalised, _ = remove_shared_season(panel, tables.run.horizon, dispensed=_as_dispensed(panel, tables))
    for number, group in enumerate(forecast_groups(deseasonalised, Settings.from_environment().workers)):
        yield dg.DynamicOutput((group, tables.run.horizon), mapping_key=f"group_{number:04d}")


@dg.op(out=dg.Out(io_manager_key=BETWEEN_STEPS))
def group_forecast(group: tuple[DemandPanel, int]) -> PointForecasts:
    """What depends on a group's own series: nearly all of the work."""
    panel, horizon = group
    return forecast_points(panel, horizon)


@dg.op(
    ins={"forecasts": dg.In()} | INPUT_OF_STEP,
    out=dg.Out(io_manager_key="warehouse_io", metadata=FACTS["metadata"]),
)
def baseline_of_groups(warehouse: Warehouse, forecasts: list[PointForecasts], **frames: pd.DataFrame) -> AssetResult:
    """The groups put together, and what is estimated from all series together."""
    tables = RunTables.declared(warehouse, frames)
    panel, problems = _to_forecast(tables)
    deseasonalised, season = remove_shared_season(panel, tables.run.horizon, dispensed=_as_dispensed(panel, tables))
    forecast = restore_season(add_quantiles(deseasonalised, joined(forecasts)), season)
    rows = _nothing_after_withdrawal(forecast.to_frame(), tables["products"])
    return AssetResult(rows.assign(as_of=tables.run.as_of), problems)


@dg.graph_asset(
    group_name=DEMAND,
    description=FACTS["description"],
    metadata=FACTS["metadata"],
    kinds=FACTS["kinds"],
    ins={name: dg.AssetIn() for name in INPUTS},
)
def baseline_forecasts(**inputs: Any) -> Any:
    """Demand to come if testing stayed where it is: mean, calibrated quantiles, and what sample paths need."""
    forecasts = site_groups(**inputs).map(group_forecast).collect()
    return baseline_of_groups(forecasts=forecasts, **inputs)


def _to_forecast(tables: RunTables) -> tuple[DemandPanel, pd.DataFrame]:
    """The series to forecast, and why others are not."""
    run, products = tables.run, tables["products"]
    panel = known_panel(tables["reference_demand"], run)
    on_sale = ~np.isin(np.array(panel.product_ids), _withdrawn(products, run.as_of))
    has_history = np.isfinite(panel.values).any(axis=1)
    closed = _closed(tables["facilities"], run.as_of)
    is_open = ~np.isin(np.array(panel.facility_ids), closed)
    series = zip(panel.facility_ids, panel.product_ids, has_history, strict=True)
    problems: list[ProblemRow] = [
        (facility_id, product_id, "no_history", f"{product_id} at {facility_id} has no usable history: no forecast")
        for facility_id, product_id, usable in series
        if not usable
    ]
    unplanned = "is closed and no successor is named: its demand is not planned"
    for site in sorted(set(closed) & set(panel.facility_ids)):
        problems.append((site, None, "closed_without_successor", f"{site} {unplanned}"))
    return with_strengths(panel.select(on_sale & has_history & is_open), products), problems_frame(problems)


def _as_dispensed(panel: DemandPanel, tables: RunTables) -> DemandPanel:
    """The panel's series and periods, with what was dispensed."""
    clean = known_panel(tables["clean_demand"], tables.run)
    place = {key: row for row, key in enumerate(zip(clean.facility_ids, clean.product_ids, strict=True))}
    rows = [place[key] for key in zip(panel.facility_ids, panel.product_ids, strict=True)]
    return dataclasses.replace(panel, values=clean.values[rows, -panel.values.shape[1] :])


def _closed(facilities: pd.DataFrame, as_of: Any) -> list[str]:
    """Sites that dispense nothing any more; what a successor took over is in its own history."""
    closed = facilities["closed_on"] <= pd.Timestamp(as_of)
    return facilities.loc[closed, "facility_id"].tolist()


def _withdrawn(products: pd.DataFrame, as_of: Any) -> list[str]:
    return products.loc[products["withdrawn_on"] <= pd.Timestamp(as_of), "product_id"].tolist()


def _nothing_after_withdrawal(frame: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    # a map over no rows keeps the type of text
    ends = pd.to_datetime(frame["product_id"].map(products.set_index("product_id")["withdrawn_on"]))
    frame.loc[(frame["period_start"] >= ends).to_numpy(), ["mean", *QUANTILE_LEVELS]] = 0.0
    return frame
