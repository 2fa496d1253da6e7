"""Stage 5, procurement: the last year simulated again, the plan against par levels and the usual practice."""

import numpy as np
import pandas as pd

from assets.dagster_io.asset_result import AssetResult, ProblemRow, problems_frame, skipped
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import PROCUREMENT, table_asset
from assets.pictures.replay import replay_pictures
from assets.sites.past_forecasts import Forecasts, past_forecasts
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

PAST_INPUTS = (
    *("runs", "facilities", "products", "dispensing", "testing_coverage", "alternatives", "prevalence"),
    *("suppliers", "policies", "clean_demand", "lead_times"),
)


@table_asset(ReplayScore, group=PROCUREMENT, inputs=PAST_INPUTS)
def replay_scores(tables: RunTables) -> AssetResult:
    """Four rules of ordering on the same past: service, stock, waste and cost, by segment."""
    run, products = tables.run, tables["products"]
    history = with_strengths(known_panel(tables["clean_demand"], run), products)
    weeks = replay_weeks(history)
    panel = history.select(known_before_replay(history) & _on_sale(history, products)) if weeks else history
    if not weeks or not len(panel.values):
        message = f"the history of {history.values.shape[1]} periods is too short to live through any of it: no replay"
        return skipped(["as_of", *SCORE_COLUMNS], "history_too_short", message)
    setup = replay_setup(_items(panel, tables), panel, tables["lead_times"], draws_seed=run.seed)
    cuts = sorted({setup.periods_ended(week) for week in range(setup.weeks)})
    forecasts = past_forecasts(tables, panel, cuts, _horizon(setup))
    scores = replay(setup, forecasts.blind, forecasts.informed, np.flatnonzero(forecasts.moved), seed=run.seed)
    problems = _problems(setup, forecasts, tables["testing_coverage"])
    return AssetResult(scores.assign(as_of=run.as_of), problems, replay_pictures(scores))


def _on_sale(panel: DemandPanel, products: pd.DataFrame) -> np.ndarray:
    """Series [series] of products that were not withdrawn before the replay."""
    withdrawn = products["withdrawn_on"] <= pd.Timestamp(replay_start(panel))
    ids = products.loc[withdrawn, "product_id"].tolist()
    on_sale: np.ndarray = ~np.isin(np.array(panel.product_ids, dtype=object), ids)
    return on_sale


def _items(panel: DemandPanel, tables: RunTables) -> pd.DataFrame:
    keys = pd.DataFrame({"facility_id": panel.facility_ids, "product_id": panel.product_ids}, dtype=object)
    calendar = tables["suppliers"][["supplier_id", "order_weekdays", "order_cutoff", "closed_dates"]]
    items = keys.merge(tables["products"], on="product_id", how="left").merge(calendar, on="supplier_id", how="left")
    return with_policies(items, tables["policies"])


def _horizon(setup: ReplaySetup) -> int:
    """Periods ahead that cover nearly every order's days, with the period under way."""
    days = setup.bridged_days + PROTECTION_SPREADS * setup.settings.lead_time_sd_days
    periods = int(np.ceil(days.max() / setup.panel.period.mean_days)) + 1
    return min(periods, setup.panel.period.default_horizon)


def _problems(setup: ReplaySetup, forecasts: Forecasts, coverage: pd.DataFrame) -> pd.DataFrame:
    """What was assumed for want of data, for the reader of the scores."""
    problems: list[ProblemRow] = []
    derived = int((~setup.par_is_stated).sum())
    if derived:
        text = (
            f"{derived} of {len(setup.items)} items have no par level of their own: it is derived from the first half"
        )
        problems.append((None, None, "par_derived", f"{text} of the history ({setup.cover_days} days of mean use)"))
    if forecasts.moved.any() and not _has_past_plan(setup, coverage):
        text = "no plan of testing for the replayed time is on file: exposure is taken to stay as it was last measured"
        problems.append((None, None, "past_plan_missing", text))
    unpriced = int(pd.to_numeric(setup.items["pack_price"]).isna().sum())
    if unpriced:
        problems.append(
            (None, None, "price_missing", f"{unpriced} items have no price: no value of them is in the replay")
        )
    return problems_frame(problems)


def _has_past_plan(setup: ReplaySetup, coverage: pd.DataFrame) -> bool:
    start, end = pd.Timestamp(setup.start), pd.Timestamp(setup.day(setup.weeks))
    planned = coverage[coverage["planned"].astype(bool)]["period_start"]
    return bool(((planned >= start) & (planned < end)).any())
