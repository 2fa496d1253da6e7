"""Simulated wards with known demand: the service that was aimed at is the service that patients get."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.policy.service_level import order_up_to
from forecasting.procurement.protection_demand import CumulativeDemand
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply.lead_time import draw_lead_times

AS_OF = dt.date(2026, 11, 23)
REVIEW, STEPS = 7, 8  # days between orders, simulated steps in a day


def level_for(kind, target, rate, mean, sd, draws=4000):
    """The order-up-to level in dose units for Poisson demand, from draws as `recommend` uses them."""
    rng = np.random.default_rng(11)
    demand = CumulativeDemand(rng.poisson(rate, (1, 60, draws)).astype(float), np.arange(61.0))
    lead = draw_lead_times(np.array([mean]), np.array([sd]), draws, ["ward"])
    first, second = demand.thousandths_over(lead), demand.thousandths_over(lead + REVIEW)
    none = np.zeros_like(first)
    kinds, targets = np.array([kind]), np.array([round(target * 1e6)])
    return order_up_to(first, second, kinds, targets, lost_first=none, lost=none)[0] / 1000


def simulate_backorders(level, rate, mean, sd, wards, cycles, seed):
    """Fill rate and share of cycles without stock-out when every ward orders up to `level` each week."""
    rng = np.random.default_rng(seed)
    steps = cycles * REVIEW * STEPS
    shape = (mean / sd) ** 2 if sd else None
    arriving = np.zeros((wards, steps + 60 * STEPS))
    net, position = np.full(wards, level), np.full(wards, level)
    unmet, demanded, ran_out, finished, short = 0.0, 0.0, 0, 0, np.zeros(wards, dtype=bool)
    for step in range(steps):
        arrived = arriving[:, step]
        if step > steps // 5:
            ran_out += int(short[arrived > 0].sum())
            finished += int((arrived > 0).sum())
        short = np.where(arrived > 0, False, short)
        net = net + arrived
        if step % (REVIEW * STEPS) == 0:
            lead = rng.gamma(shape, sd**2 / mean, wards) if sd else np.full(wards, mean)
            at = step + np.maximum(np.rint(lead * STEPS).astype(int), 1)
            arriving[np.arange(wards), at] += level - position
            position = np.full(wards, level)
        demand = rng.poisson(rate / STEPS, wards)
        if step > steps // 5:
            demanded += demand.sum()
            unmet += (np.maximum(demand - np.maximum(net, 0), 0)).sum()
        net, position = net - demand, position - demand
        short |= net < 0
    return 1 - unmet / demanded, 1 - ran_out / finished


@pytest.mark.parametrize("sd", [0.0, 1.5])
@pytest.mark.parametrize("target", [0.9, 0.98])
def test_fill_rate_is_reached_although_the_lead_time_varies(target, sd):
    level = level_for("fill_rate", target, 6.0, 5.0, sd)
    fill, _ = simulate_backorders(level, 6.0, 5.0, sd, wards=400, cycles=25, seed=2)
    assert fill == pytest.approx(target, abs=0.012)


@pytest.mark.parametrize("sd", [0.0, 1.5])
def test_cycle_service_is_reached_although_the_lead_time_varies(sd):
    level = level_for("cycle_service", 0.9, 6.0, 5.0, sd)
    _, service = simulate_backorders(level, 6.0, 5.0, sd, wards=400, cycles=25, seed=3)
    assert service == pytest.approx(0.9, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.9, 0.95, 0.98, 0.995])
@pytest.mark.parametrize("rate", [0.3, 3.0, 40.0])
def test_fill_rate_is_reached_for_slow_and_fast_items(target, rate):
    level = level_for("fill_rate", target, rate, 6.0, 2.0, draws=20_000)
    fill, _ = simulate_backorders(level, rate, 6.0, 2.0, wards=2000, cycles=60, seed=4)
    assert target - 0.01 <= fill <= target + 0.02


def run_network(network, items, weeks, target, rate):
    """Weekly recommendations for many wards, carried out; unmet demand is lost. Returns the fill rate."""
    rng = np.random.default_rng(8)
    on_hand, coming = np.full(items, 60.0), []
    demanded = unmet = 0.0
    for week in range(weeks):
        today = AS_OF + dt.timedelta(weeks=week)
        case = network(
            items, draws=200, periods=5, daily=rate, seed=week, target=target, pack_size=1, order_weekdays="Mon"
        )
        case["lots"] = case["lots"].assign(quantity=on_hand, counted_at=today)
        case["lead_times"] = case["lead_times"].assign(mean_days=4.0, sd_days=1.0)
        case["open_orders"] = pd.DataFrame(
            [
                ("north", f"product-{i:04d}", p, today + dt.timedelta(days=d), "open order", f"{i}-{n}")
                for n, (i, p, d) in enumerate(coming)
            ],
            columns=["facility_id", "product_id", "packs", "expected_at", "kind", "id"],
        )
        starts = [today + dt.timedelta(weeks=n) for n in range(5)]
        lines = recommend(OrderInputs(**case | {"as_of": today, "period_starts": starts})).lines
        for item, packs in zip(lines["product_id"].str[-4:].astype(int), lines["packs"], strict=True):
            coming.append((item, packs, max(1, round(rng.gamma(16, 4 / 16)))))
        for day in range(7):
            for item, packs, arrives in coming:
                on_hand[item] += packs if arrives == day else 0
            demand = rng.poisson(rate, items)
            if week >= 3:
                demanded, unmet = demanded + demand.sum(), unmet + np.maximum(demand - on_hand, 0).sum()
            on_hand = np.maximum(on_hand - demand, 0)
        coming = [(item, packs, arrives - 7) for item, packs, arrives in coming if arrives >= 7]
    return 1 - unmet / demanded


def test_recommendations_carried_out_every_week_reach_the_fill_rate(network):
    assert 0.94 <= run_network(network, items=40, weeks=12, target=0.95, rate=5.0) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.9, 0.95, 0.99])
def test_recommendations_carried_out_for_a_year_reach_the_fill_rate(network, target):
    assert target - 0.01 <= run_network(network, items=200, weeks=52, target=target, rate=5.0) <= min(target + 0.035, 1)
