"""Stage 5, procurement: the last year lived through again, the plan against par levels and the usual practice."""

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import PROCUREMENT, table_asset
from assets.pictures.replay import replay_pictures
from assets.sites.forecasts_then import Forecasts, Tables, forecasts_then
from assets.sites.reference_demand import known_panel
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import with_strengths
from forecasting.procurement.policy.policy_rows import with_policies
from forecasting.procurement.replay.scores import SCORE_COLUMNS, replay
from forecasting.procurement.replay.setup import (
    ReplaySetup,
    known_before_replay,
    replay_setup,
    replay_start,
    replay_weeks,
)
from warehouse.schema.replay import ReplayScore

PROTECTION_SPREADS = 2.0
"""Forecasts reach so many standard deviations of the longest lead time beyond it; later days go on at their rate."""


@table_asset(ReplayScore, group=PROCUREMENT)
def replay_scores(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    facilities: pd.DataFrame,
    products: pd.DataFrame,
    suppliers: pd.DataFrame,
    dispensing: pd.DataFrame,
    testing_coverage: pd.DataFrame,
    alternatives: pd.DataFrame,
    policies: pd.DataFrame,
    clean_demand: pd.DataFrame,
    prevalence: pd.DataFrame,
    lead_times: pd.DataFrame,
) -> Staged:
    """Four rules of ordering on the same past: service, stock, waste and cost, by segment."""
    run = PlanningRun.from_frame(runs)
    whole = with_strengths(known_panel(clean_demand, run), products)
    panel = whole.select(known_before_replay(whole) & _in_use(whole, products)) if replay_weeks(whole) else whole
    if not replay_weeks(whole) or not len(panel.values):
        message = f"the history of {whole.values.shape[1]} periods is too short to live through any of it: no replay"
        frame = pd.DataFrame(columns=["as_of", *SCORE_COLUMNS])
        return Staged(frame, problems_frame([(None, None, "history_too_short", message)]))
    items = _items(panel, products, suppliers, policies)
    setup = replay_setup(items, panel, lead_times, draws_seed=run.seed)
    cuts = sorted({setup.periods_ended(week) for week in range(setup.weeks)})
    tables = Tables(facilities, products, dispensing, testing_coverage, alternatives, prevalence)
    made = forecasts_then(warehouse, run, panel, cuts, _horizon(setup), tables)
    scores = replay(setup, made.blind, made.informed, np.flatnonzero(made.moved), seed=run.seed)
    return Staged(scores.assign(as_of=run.as_of), _problems(setup, made, testing_coverage), replay_pictures(scores))


def _in_use(panel: DemandPanel, products: pd.DataFrame) -> np.ndarray:
    """Series [series] of products that were not withdrawn before the walk."""
    gone = products["withdrawn_on"].notna() & (products["withdrawn_on"] <= pd.Timestamp(replay_start(panel)))
    ended: np.ndarray = np.isin(np.array(panel.product_ids, dtype=object), products.loc[gone, "product_id"].tolist())
    return ~ended


def _items(panel: DemandPanel, products: pd.DataFrame, suppliers: pd.DataFrame, policies: pd.DataFrame) -> pd.DataFrame:
    keys = pd.DataFrame({"facility_id": panel.facility_ids, "product_id": panel.product_ids}, dtype=object)
    calendar = suppliers[["supplier_id", "order_weekdays", "order_cutoff", "closed_dates"]]
    items = keys.merge(products, on="product_id", how="left").merge(calendar, on="supplier_id", how="left")
    return with_policies(items, policies)


def _horizon(setup: ReplaySetup) -> int:
    """Periods ahead that cover nearly every order's days, with the period under way."""
    days = setup.bridged_days + PROTECTION_SPREADS * setup.settings.lead_time_sd_days
    periods = int(np.ceil(days.max() / setup.panel.period.mean_days)) + 1
    return min(periods, setup.panel.period.default_horizon)


def _problems(setup: ReplaySetup, made: Forecasts, coverage: pd.DataFrame) -> pd.DataFrame:
    """What the reader has to know of what was not known."""
    found = []
    derived = int((~setup.par_is_stated).sum())
    if derived:
        text = (
            f"{derived} of {len(setup.items)} items have no par level of their own: it is derived from the first half"
        )
        found.append((None, None, "par_derived", f"{text} of the history ({setup.cover_days} days of mean use)"))
    if made.moved.any() and not _plans_of_the_past(setup, coverage):
        text = "no plan of testing for the replayed time is on file: exposure is taken to stay as it was last measured"
        found.append((None, None, "past_plan_missing", text))
    unpriced = int(pd.to_numeric(setup.items["pack_price"]).isna().sum())
    if unpriced:
        found.append(
            (None, None, "price_missing", f"{unpriced} items have no price: no value of them is in the replay")
        )
    return problems_frame(found)


def _plans_of_the_past(setup: ReplaySetup, coverage: pd.DataFrame) -> bool:
    start, end = pd.Timestamp(setup.start), pd.Timestamp(setup.day(setup.weeks))
    planned = coverage[coverage["planned"].astype(bool)]["period_start"]
    return bool(((planned >= start) & (planned < end)).any())
