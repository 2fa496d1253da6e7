"""Stage 4, demand: the baseline forecast, made per group of sites so that groups can go to processes of their own.

Which process works on a group is the Dagster executor's business. How many groups there are changes no byte: a group
does what depends on its own series alone, and what series learn from one another is learned of all of them at the end.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.table_asset import DEMAND, table_facts
from assets.sites.reference_demand import known_panel
from forecasting.demand.forecast import OwnForecasts, calibrated, forecast_own
from forecasting.demand.season import share_season, with_season
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import with_strengths
from forecasting.terms import QUANTILE_LEVELS
from warehouse.schema.results import BaselineForecast
from warehouse.settings import Settings

BETWEEN_STEPS = "between_steps"
"""Resource key of the IO manager that hands a group's arrays from step to step."""

INPUTS = ("runs", "clean_demand", "reference_demand", "products", "facilities")
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


@dg.op(out=dg.DynamicOut(io_manager_key=BETWEEN_STEPS))
def site_groups(
    runs: pd.DataFrame,
    clean_demand: pd.DataFrame,
    reference_demand: pd.DataFrame,
    products: pd.DataFrame,
    facilities: pd.DataFrame,
) -> Iterator[dg.DynamicOutput[tuple[DemandPanel, int]]]:
    """The panel to forecast, a group of sites for each worker."""
    run = PlanningRun.from_frame(runs)
    panel, _ = _to_forecast(run, reference_demand, products, facilities)
    flat, _ = share_season(panel, run.horizon, dispensed=_as_dispensed(panel, clean_demand, run))
    for number, group in enumerate(forecast_groups(flat, Settings.from_environment().workers)):
        yield dg.DynamicOutput((group, run.horizon), mapping_key=f"group_{number:04d}")


@dg.op(out=dg.Out(io_manager_key=BETWEEN_STEPS))
def group_forecast(group: tuple[DemandPanel, int]) -> OwnForecasts:
    """What depends on a group's own series: nearly all of the work."""
    panel, horizon = group
    return forecast_own(panel, horizon)


@dg.op(out=dg.Out(io_manager_key="warehouse_io", metadata=FACTS["metadata"]))
def baseline_of_groups(
    forecasts: list[OwnForecasts],
    runs: pd.DataFrame,
    clean_demand: pd.DataFrame,
    reference_demand: pd.DataFrame,
    products: pd.DataFrame,
    facilities: pd.DataFrame,
) -> Staged:
    """The groups put together, and what sound series teach one another."""
    run = PlanningRun.from_frame(runs)
    panel, problems = _to_forecast(run, reference_demand, products, facilities)
    flat, season = share_season(panel, run.horizon, dispensed=_as_dispensed(panel, clean_demand, run))
    made = calibrated(flat, OwnForecasts.joined(forecasts))
    frame = with_season(made, season).to_frame()
    return Staged(_nothing_after_withdrawal(frame, products).assign(as_of=run.as_of), problems)


@dg.graph_asset(
    group_name=DEMAND,
    description=FACTS["description"],
    metadata=FACTS["metadata"],
    kinds=FACTS["kinds"],
)
def baseline_forecasts(
    runs: pd.DataFrame,
    clean_demand: pd.DataFrame,
    reference_demand: pd.DataFrame,
    products: pd.DataFrame,
    facilities: pd.DataFrame,
) -> Any:
    """Demand to come if testing stayed where it is: mean, calibrated quantiles, and what sample paths need."""
    groups = site_groups(runs, clean_demand, reference_demand, products, facilities)
    made = groups.map(group_forecast).collect()
    return baseline_of_groups(made, runs, clean_demand, reference_demand, products, facilities)


def _to_forecast(
    run: PlanningRun, reference_demand: pd.DataFrame, products: pd.DataFrame, facilities: pd.DataFrame
) -> tuple[DemandPanel, pd.DataFrame]:
    """The series to forecast, and why others are not."""
    panel = known_panel(reference_demand, run)
    sold = ~np.isin(np.array(panel.product_ids), _withdrawn(products, run.as_of))
    known = np.isfinite(panel.values).any(axis=1)
    closed = _closed(facilities, run.as_of)
    gone = np.isin(np.array(panel.facility_ids), closed)
    silent = [
        (facility_id, product_id, "no_history", f"{product_id} at {facility_id} has no usable history: no forecast")
        for facility_id, product_id, usable in zip(panel.facility_ids, panel.product_ids, known, strict=True)
        if not usable
    ]
    ended = [
        (
            site,
            None,
            "closed_without_successor",
            f"{site} is closed and no successor is named: its demand is not planned",
        )
        for site in sorted(set(closed) & set(panel.facility_ids))
    ]
    return with_strengths(panel.select(sold & known & ~gone), products), problems_frame([*silent, *ended])


def _as_dispensed(panel: DemandPanel, clean_demand: pd.DataFrame, run: PlanningRun) -> DemandPanel:
    """The panel's series and periods, with what was dispensed."""
    clean = known_panel(clean_demand, run)
    place = {key: row for row, key in enumerate(zip(clean.facility_ids, clean.product_ids, strict=True))}
    rows = [place[key] for key in zip(panel.facility_ids, panel.product_ids, strict=True)]
    return dataclasses.replace(panel, values=clean.values[rows, -panel.values.shape[1] :])


def _closed(facilities: pd.DataFrame, as_of: Any) -> list[str]:
    """Sites that dispense nothing any more; what a successor took over is in its own history."""
    closed = facilities["closed_on"] <= pd.Timestamp(as_of)
    return facilities.loc[closed, "facility_id"].tolist()


def _withdrawn(products: pd.DataFrame, as_of: Any) -> list[str]:
    gone = products["withdrawn_on"].notna() & (products["withdrawn_on"] <= pd.Timestamp(as_of))
    return products.loc[gone, "product_id"].tolist()


def _nothing_after_withdrawal(frame: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    ends = frame["product_id"].map(products.set_index("product_id")["withdrawn_on"])
    gone = (ends.notna() & (frame["period_start"] >= ends)).to_numpy()
    frame.loc[gone, ["mean", *QUANTILE_LEVELS]] = 0.0
    return frame
