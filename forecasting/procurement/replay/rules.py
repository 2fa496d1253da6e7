"""Rules of ordering that a replay compares: par levels, the recent peak, the plan from its forecasts of the time."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from forecasting.arrays import Floats, Integers
from forecasting.demand.forecast import PanelForecast
from forecasting.demand.paths import sample_paths
from forecasting.procurement.order.plan import Situation, plan_orders
from forecasting.procurement.packs import THOUSANDTHS, packs_for_thousandths
from forecasting.procurement.protection_demand import CumulativeDemand, period_edges
from forecasting.procurement.replay.setup import ReplaySetup, days_of_periods
from forecasting.procurement.replay.simulation import ORDER_DAYS, Rule, ShelfView
from forecasting.procurement.supply.lead_time import draw_lead_times, key_seeds
from forecasting.procurement.supply.open_orders import Supply
from forecasting.procurement.supply.stock import Lots

PEAK_DAYS = 56
"""The usual practice looks at the highest use of the last eight weeks."""

DRAWS = 50
"""Draws of demand and lead time in a replay: a year of weekly plans has to be made for every item."""

LOT_DAYS = 7
"""Deliveries of so many days are one lot to the plan, as old as the oldest of them."""

StartsAndDraws = tuple[list[dt.date], Floats]


def par_rule(setup: ReplaySetup, factor: float = 1.0) -> Rule:
    """Fill up to the par level (times `factor`), counting open orders."""
    return lambda shelf: _packs_up_to(setup, setup.par_level.astype(float) * factor, shelf)


def peak_rule(setup: ReplaySetup, factor: float = 1.0) -> Rule:
    """Fill up to the highest use a day of the last eight weeks (times `factor`) over the days of cover."""
    per_day = setup.panel.values / days_of_periods(setup.panel)
    periods = max(round(PEAK_DAYS / setup.panel.period.mean_days), 1)

    def rule(shelf: ShelfView) -> Integers:
        ended = setup.periods_ended(shelf.week)
        peak = np.nan_to_num(np.fmax.reduce(per_day[:, max(ended - periods, 0) : ended], axis=1))
        return _packs_up_to(setup, np.rint(peak * setup.cover_days * THOUSANDTHS) * factor, shelf)

    return rule


def _packs_up_to(setup: ReplaySetup, level: Floats, shelf: ShelfView) -> Integers:
    needed = np.rint(level).astype(np.int64) - shelf.position
    return packs_for_thousandths(needed, *setup.terms.pack_rule)


def plan_rule(setup: ReplaySetup, forecasts: Mapping[int, PanelForecast], *, seed: int, factor: float = 1.0) -> Rule:
    """What `plan.plan_orders` orders from the forecast that was made on the order day.

    `forecasts` are by the number of periods that had ended; a series that one of them leaves out has no demand in it.
    `factor` is on demand. Open orders are taken to arrive after their mean lead time, overdue ones like a new order.
    """

    def draws_of(ended: int) -> StartsAndDraws:
        return list(forecasts[ended].starts), _paths(setup, forecasts[ended], seed) * factor

    return plan_rule_from_draws(setup, draws_of, seed=seed)


def plan_rule_from_draws(setup: ReplaySetup, draws_of: Callable[[int], StartsAndDraws], *, seed: int) -> Rule:
    """What `plan.plan_orders` orders from draws of demand.

    `draws_of` gives, by the number of periods that had ended, the starts of the periods to come and draws [item,
    period, `DRAWS`] in dose units.
    """
    keys = [f"{seed}|{item.facility_id}|{item.product_id}" for item in setup.items.itertuples()]
    settings = setup.settings
    arrival = draw_lead_times(settings.lead_time_mean_days, settings.lead_time_sd_days, DRAWS, keys)
    next_arrival, seeds = arrival + settings.review_days[:, None], key_seeds(keys)
    latest: dict[int, StartsAndDraws] = {}

    def rule(shelf: ShelfView) -> Integers:
        ended = setup.periods_ended(shelf.week)
        if ended not in latest:  # several order days can lie in one period
            latest.clear()
            latest[ended] = draws_of(ended)
        starts, draws = latest[ended]
        demand = CumulativeDemand(draws, period_edges(setup.panel.period, starts, setup.day(shelf.week)))
        lots = lots_on_shelf(shelf, setup.terms.usable_days, float(next_arrival.max(initial=0.0)))
        supply = supply_on_order(shelf, settings.lead_time_mean_days, seeds)
        return plan_orders(demand, Situation.plain(settings, lots, supply, arrival, next_arrival)).packs

    return rule


def _paths(setup: ReplaySetup, forecast: PanelForecast, seed: int) -> Floats:
    """Draws [item, period, draw] in the order of the items."""
    keys = pd.MultiIndex.from_frame(setup.items[["facility_id", "product_id"]])
    row = pd.MultiIndex.from_arrays([forecast.facility_ids, forecast.product_ids]).get_indexer(keys)
    paths = np.zeros((len(row), len(forecast.starts), DRAWS))
    forecasted = row >= 0
    if forecasted.any():
        paths[forecasted] = sample_paths(forecast.select(row[forecasted]), draws=DRAWS, seed=seed)
    return paths


def lots_on_shelf(shelf: ShelfView, usable_days: Integers, within_days: float) -> Lots:
    """The shelf as `stock.Lots`: what expires within so many days by the week it came in, and the rest as one lot."""
    quantity, last_day = [], []
    oldest = shelf.day - usable_days
    for lot in range(int(within_days) // LOT_DAYS + 1):
        first = oldest + lot * LOT_DAYS
        left = shelf.arrived_between(first, first + LOT_DAYS - 1)
        if left.any():
            quantity.append(left)
            last_day.append(np.full(len(left), lot * LOT_DAYS + 1.0))
    rest = shelf.on_hand - np.sum(quantity, axis=0, dtype=np.int64)
    return dataclasses.replace(
        Lots.empty(len(rest)),
        booked=shelf.on_hand,
        on_hand=shelf.on_hand,
        quantity=np.stack([*quantity, rest], axis=1),
        last_day=np.stack([*last_day, np.full(len(rest), np.inf)], axis=1),
    )


def supply_on_order(shelf: ShelfView, mean_days: Floats, seeds: np.ndarray) -> Supply:
    """Open orders as `open_orders.Supply`, by the week they were ordered in."""
    weeks = np.flatnonzero(shelf.on_order.any(axis=0))
    quantity = shelf.on_order[:, weeks]
    elapsed = np.broadcast_to((shelf.week - weeks) * float(ORDER_DAYS), quantity.shape)
    return Supply(
        total=quantity.sum(axis=1),
        quantity=quantity,
        arrival_day=np.maximum(mean_days[:, None] - elapsed, 0.0),
        expected_lead_days=np.broadcast_to(mean_days[:, None], quantity.shape),
        elapsed_days=elapsed,
        variation=np.zeros(quantity.shape),
        seed=seeds,
    )
