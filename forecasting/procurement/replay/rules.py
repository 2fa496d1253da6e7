"""Rules of ordering that a replay compares: par levels, the recent peak, the plan from its forecasts of the time."""

import datetime as dt
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from forecasting.demand.forecast import PanelForecast
from forecasting.demand.paths import sample_paths
from forecasting.procurement.arrays import Floats, Integers
from forecasting.procurement.order.plan import Situation, plan_orders
from forecasting.procurement.packs import THOUSANDTHS, packs_for_thousandths
from forecasting.procurement.protection_demand import CumulativeDemand, period_edges
from forecasting.procurement.replay.setup import Stage, days_of_periods
from forecasting.procurement.replay.simulation import ORDER_DAYS, Rule, Seen
from forecasting.procurement.supply.lead_time import draw_lead_times, key_seeds
from forecasting.procurement.supply.open_orders import Supply
from forecasting.procurement.supply.stock import Lots

PEAK_DAYS = 56
"""The usual practice looks at the highest use of the last eight weeks."""

DRAWS = 50
LOT_DAYS = 7
"""Deliveries of so many days are one lot to the plan, as old as the oldest of them."""


def par_rule(stage: Stage, factor: float = 1.0) -> Rule:
    """Fill up to the par level (times `factor`), counting what is on its way."""
    level = _scaled(stage.par, factor)
    return lambda seen: packs_for_thousandths(level - seen.position, *stage.terms.pack_rule)


def peak_rule(stage: Stage, factor: float = 1.0) -> Rule:
    """Fill up to the highest use a day of the last eight weeks (times `factor`) over the days of cover."""
    per_day = stage.panel.values / days_of_periods(stage.panel)
    periods = max(round(PEAK_DAYS / stage.panel.period.mean_days), 1)

    def rule(seen: Seen) -> Integers:
        cut = stage.cut(seen.week)
        peak = np.nan_to_num(np.fmax.reduce(per_day[:, max(cut - periods, 0) : cut], axis=1))
        level = _scaled(np.rint(peak * stage.cover_days * THOUSANDTHS).astype(np.int64), factor)
        return packs_for_thousandths(level - seen.position, *stage.terms.pack_rule)

    return rule


def _scaled(level: Integers, factor: float) -> Integers:
    return np.rint(level * factor).astype(np.int64)


def plan_rule(stage: Stage, forecasts: Mapping[int, PanelForecast], *, seed: int, factor: float = 1.0) -> Rule:
    """What `plan.plan_orders` orders from the forecast that was made on the order day.

    `forecasts` are by the number of periods that were over; a series that one of them leaves out has no demand in it.
    `factor` is on demand. Open orders are taken to arrive after their mean lead time, overdue ones like a new order.
    """

    def drawn(cut: int) -> tuple[list[dt.date], Floats]:
        return list(forecasts[cut].starts), _paths(stage, forecasts[cut], seed) * factor

    return rule_of_draws(stage, drawn, seed=seed)


def rule_of_draws(stage: Stage, drawn: Callable[[int], tuple[list[dt.date], Floats]], *, seed: int) -> Rule:
    """What `plan.plan_orders` orders from draws of demand.

    `drawn` gives, by the number of periods that were over, the starts of the periods to come and draws [item, period,
    `DRAWS`] in dose units.
    """
    keys = [f"{seed}|{one.facility_id}|{one.product_id}" for one in stage.items.itertuples()]
    settings = stage.settings
    arrival = draw_lead_times(settings.lead_time_mean_days, settings.lead_time_sd_days, DRAWS, keys)
    next_arrival, seeds = arrival + settings.review_days[:, None], key_seeds(keys)
    made: dict[int, tuple[list[dt.date], Floats]] = {}

    def rule(seen: Seen) -> Integers:
        cut = stage.cut(seen.week)
        if cut not in made:
            made.clear()
            made[cut] = drawn(cut)
        starts, draws = made[cut]
        demand = CumulativeDemand(draws, period_edges(stage.panel.period, starts, stage.day(seen.week)))
        lots = lots_of(seen, stage.terms.keeps_days, float(next_arrival.max(initial=0.0)))
        supply = supply_of(seen, settings.lead_time_mean_days, seeds)
        return plan_orders(demand, Situation.plain(settings, lots, supply, arrival, next_arrival)).packs

    return rule


def _paths(stage: Stage, forecast: PanelForecast, seed: int) -> Floats:
    """Draws [item, period, draw] in the order of the items."""
    wanted = pd.MultiIndex.from_frame(stage.items[["facility_id", "product_id"]])
    row = pd.MultiIndex.from_arrays([forecast.facility_ids, forecast.product_ids]).get_indexer(wanted)
    paths = np.zeros((len(row), len(forecast.starts), DRAWS))
    there = row >= 0
    if there.any():
        paths[there] = sample_paths(forecast.select(row[there]), draws=DRAWS, seed=seed)
    return paths


def lots_of(seen: Seen, keeps_days: Integers, within_days: float) -> Lots:
    """The shelf as `stock.Lots`: what expires within so many days by the week it came in, and the rest as one lot."""
    quantity, last_day = [], []
    oldest = seen.day - keeps_days
    for lot in range(int(within_days) // LOT_DAYS + 1):
        first = oldest + lot * LOT_DAYS
        left = seen.arrived_between(first, first + LOT_DAYS - 1)
        if left.any():
            quantity.append(left)
            last_day.append(np.full(len(left), lot * LOT_DAYS + 1.0))
    rest = seen.on_hand - np.sum(quantity, axis=0, dtype=np.int64)
    nothing, none = np.zeros_like(rest), np.zeros(len(rest), dtype=bool)
    return Lots(
        counted=~none,
        below_zero=none,
        booked=seen.on_hand,
        received=nothing,
        used=nothing,
        use_beyond_stock=nothing,
        committed=nothing,
        on_hand=seen.on_hand,
        expired=nothing,
        blocked=nothing,
        quantity=np.stack([*quantity, rest], axis=1),
        last_day=np.stack([*last_day, np.full(len(rest), np.inf)], axis=1),
        count_age_days=np.zeros(len(rest)),
    )


def supply_of(seen: Seen, mean_days: Floats, seeds: np.ndarray) -> Supply:
    """What is on its way as `supply.Supply`, by the week it was ordered in."""
    weeks = np.flatnonzero(seen.waiting.any(axis=0))
    quantity = seen.waiting[:, weeks]
    elapsed = np.broadcast_to((seen.week - weeks) * float(ORDER_DAYS), quantity.shape)
    return Supply(
        total=quantity.sum(axis=1),
        quantity=quantity,
        arrival_day=np.maximum(mean_days[:, None] - elapsed, 0.0),
        expected_lead_days=np.broadcast_to(mean_days[:, None], quantity.shape),
        elapsed_days=elapsed,
        variation=np.zeros(quantity.shape),
        seed=seeds,
    )
