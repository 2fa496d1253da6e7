"""Newsvendor, (R, Q), (s, S) against slow exact enumeration and another program's optima: costs within half a per cent.

`optima_by_stockpyl.csv` is written by `benchmarks/peer_inventory.py` (stockpyl 1.0.2): 200 random instances of each.
"""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from forecasting.procurement.packs import MILLIONTHS, THOUSANDTHS
from forecasting.procurement.policy.least_cost import (
    expected_cost,
    least_cost_levels,
    newsvendor_level,
    renewals,
    reorder_levels,
    steps_of_demand,
)

DRAWS = 4000
WITHIN = 1.005


def sample(distribution, draws=DRAWS):
    """Evenly spread quantiles of a distribution as thousandths [1, draw]."""
    levels = (np.arange(draws) + 0.5) / draws
    return np.rint(distribution.ppf(levels) * THOUSANDTHS).astype(np.int64)[None, :]


def one(value):
    return np.array([round(value)])


@pytest.mark.parametrize("seed", range(4))
def test_newsvendor_costs_within_half_a_per_cent_of_the_optimum_on_fifty_instances_each(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        mean, ratio = rng.uniform(5, 400), rng.uniform(0.6, 0.995)
        demand = stats.gamma(rng.uniform(0.5, 9), scale=mean / 5)
        drawn = sample(demand)
        level = newsvendor_level(drawn, drawn, one(ratio * 1e6), one((1 - ratio) * 1e6), one(0))[0] / THOUSANDTHS
        best = demand.ppf(ratio)

        def cost(at, demand=demand, ratio=ratio):
            grid = np.linspace(0, demand.ppf(0.99999), 20_001)
            density = demand.cdf(grid)
            width = grid[1] - grid[0]
            over = (density * width)[grid <= at].sum()
            return (1 - ratio) * over + ratio * ((1 - density) * width)[grid > at].sum()

        assert cost(level) <= cost(best) * WITHIN


def test_newsvendor_weighs_waste_of_what_keeps_longer_than_the_interval_less():
    needed = sample(stats.poisson(20))
    short, wasted, held = one(900), one(100), one(0)
    levels = [newsvendor_level(needed, needed * longer, short, wasted, held)[0] for longer in (1, 2)]
    assert levels[0] == sorted(needed[0])[int(0.9 * DRAWS) - 1]
    assert levels[1] > levels[0]
    never = np.full_like(needed, np.iinfo(np.int64).max)
    assert newsvendor_level(needed, never, short, wasted, one(100))[0] == levels[0]


def poisson_cost(levels, mean, ratio):
    """Expected (1 - ratio) x over + ratio x short at each level, from the probabilities."""
    counts = np.arange(0, int(mean + 12 * np.sqrt(mean)) + 20)
    weight = stats.poisson.pmf(counts, mean)
    over = np.maximum(levels[:, None] - counts, 0) @ weight
    short = np.maximum(counts - levels[:, None], 0) @ weight
    return (1 - ratio) * over + ratio * short


def rq_cost(reorder, quantity, mean, ratio, setup):
    """Mean cost per unit time of (R, Q): Hadley & Whitin's average of the cost over R + 1 to R + Q."""
    places = np.arange(reorder + 1, reorder + quantity + 1)
    return (setup + poisson_cost(places, mean, ratio).sum()) / quantity


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_reorder_point_and_quantity_cost_within_half_a_per_cent_of_the_optimum_on_fifty_instances_each(seed):
    rng = np.random.default_rng(100 + seed)
    for _ in range(50):
        mean, ratio, setup = rng.uniform(2, 40), rng.uniform(0.7, 0.99), rng.uniform(1, 60)
        levels = np.arange(-1, 140)
        drawn = sample(stats.poisson(mean))
        cost = expected_cost(levels[None, :] * THOUSANDTHS, drawn, one(ratio * MILLIONTHS))
        low, high = (levels[at[0]] for at in least_cost_levels(cost, np.ones_like(cost), np.array([setup])))
        total = np.append(0.0, np.cumsum(poisson_cost(levels, mean, ratio)))  # of the levels before each
        pairs = itertools.combinations(range(1, len(total)), 2)
        best = min((setup + total[above] - total[first]) / (above - first) for first, above in pairs)
        assert rq_cost(low, high - low, mean, ratio, setup) <= best * WITHIN


def ss_cost(reorder, order_to, of_level, pmf, setup):
    """Mean cost per review of (s, S) by the stationary distribution of the level after ordering (a linear system)."""
    levels = np.arange(reorder + 1, order_to + 1)
    size = len(levels)
    move = np.zeros((size, size))
    for row, level in enumerate(levels):
        for demand, weight in enumerate(pmf):
            after = level - demand
            move[row, size - 1 if after <= reorder else int(after - levels[0])] += weight
    orders = np.array([1 - pmf[: level - reorder].sum() for level in levels])
    system = np.vstack([(move.T - np.eye(size))[:-1], np.ones(size)])
    share = np.linalg.solve(system, np.append(np.zeros(size - 1), 1.0))
    return share @ (np.array([of_level[level] for level in levels]) + setup * orders)


def test_least_cost_levels_are_those_of_trying_every_pair():
    rng = np.random.default_rng(5)
    for _ in range(30):
        cost, visits, setup = rng.uniform(0, 9, (1, 9)), rng.uniform(0.2, 2, (1, 9)), rng.uniform(0, 5, 1)

        def mean(low, high, cost=cost, visits=visits, setup=setup):
            steps = high - low
            held = sum(visits[0, j] * cost[0, high - j] for j in range(steps))
            return (setup[0] + held) / visits[0, :steps].sum()

        best = min(itertools.combinations(range(9), 2), key=lambda pair: mean(*pair))
        found = least_cost_levels(cost, visits, setup)
        assert mean(int(found[0][0]), int(found[1][0])) == pytest.approx(mean(*best))


def test_renewals_of_one_step_a_review_visit_every_level_once_and_slow_items_keep_their_mean():
    assert renewals(np.array([[0.0, 1.0, 0.0, 0.0]])).tolist() == [[1.0, 1.0, 1.0, 1.0]]
    demand = np.array([[300, 0, 1700, 2500]])
    pmf = steps_of_demand(demand, np.array([1000]), 6)
    assert pmf.sum() == pytest.approx(1)
    assert (pmf[0] * np.arange(6)).sum() == pytest.approx(demand.mean() / 1000)


def test_a_dearer_order_is_placed_less_often_and_is_larger():
    needed, review = sample(stats.poisson(12)), sample(stats.poisson(4))
    levels = [reorder_levels(needed, review, one(950_000), one(c * 1000), one(1000)) for c in (1, 50, 500)]
    quantities = [int((high - low)[0]) for low, high in levels]
    assert quantities == sorted(quantities)
    assert quantities[0] < quantities[2]
    nothing = np.zeros_like(needed)
    assert reorder_levels(nothing, nothing, one(950_000), one(9000), one(1000)) == (np.array([0]), np.array([0]))


def optima(kind):
    frame = pd.read_csv(Path(__file__).parent / "optima_by_stockpyl.csv")
    chosen = frame[frame["kind"] == kind].to_dict("records")
    assert len(chosen) == 200
    for case in chosen:
        case["scale"] = case["shortage"] + case["holding"]
        case["ratio"] = case["shortage"] / case["scale"]
    return chosen


@pytest.mark.slow
def test_reorder_points_and_order_up_to_levels_cost_what_another_programs_optimum_costs():
    levels = np.arange(-30, 140)
    for case in optima("s_S"):
        mean, scale, fixed = case["demand_mean"], case["scale"], case["fixed"]
        of_level = dict(zip(levels.tolist(), scale * poisson_cost(levels, mean, case["ratio"]), strict=True))
        pmf = stats.poisson.pmf(np.arange(80), mean)
        assert ss_cost(case["low"], case["high"], of_level, pmf, fixed) == pytest.approx(case["cost"], rel=1e-6)
        drawn = sample(stats.poisson(mean))
        costs = (one(case["ratio"] * 1e6), one(fixed / case["holding"] * THOUSANDTHS), one(1000))
        low, high = (int(at[0]) // THOUSANDTHS for at in reorder_levels(drawn, drawn, *costs))
        assert ss_cost(low, high, of_level, pmf, fixed) <= case["cost"] * WITHIN


@pytest.mark.slow
def test_reorder_points_and_quantities_cost_what_another_programs_optimum_costs():
    levels = np.arange(-20, 140)
    for case in optima("r_Q"):
        mean, scale, setup = case["demand_mean"] * case["lead_time"], case["scale"], case["fixed"] * case["demand_mean"]
        quantity = case["high"] - case["low"]
        best = scale * rq_cost(case["low"], quantity, mean, case["ratio"], setup / scale)
        assert best == pytest.approx(case["cost"], rel=1e-6)
        cost = expected_cost(
            levels[None, :] * THOUSANDTHS, sample(stats.poisson(mean)), one(case["ratio"] * MILLIONTHS)
        )
        low, high = (levels[at[0]] for at in least_cost_levels(cost, np.ones_like(cost), np.array([setup / scale])))
        assert scale * rq_cost(low, high - low, mean, case["ratio"], setup / scale) <= best * WITHIN


def test_newsvendor_levels_cost_what_another_programs_optimum_costs():
    for case in optima("newsvendor"):
        mean, ratio = case["demand_mean"], case["ratio"]
        assert case["scale"] * poisson_cost(np.array([case["high"]]), mean, ratio)[0] == pytest.approx(
            case["cost"], rel=1e-5
        )
        drawn = sample(stats.poisson(mean))
        level = newsvendor_level(drawn, drawn, one(ratio * 1e6), one((1 - ratio) * 1e6), one(0))[0] / THOUSANDTHS
        assert case["scale"] * poisson_cost(np.array([level]), mean, ratio)[0] <= case["cost"] * WITHIN


def least_mean_cost(of_level, owed, pmf, setup):
    """Least mean cost per review of ANY policy, by relative value iteration: no (s, S) is assumed (Puterman, ch. 8.5).

    States are levels, the lowest first; demand that would lead below the lowest ends there. Below 0 everybody orders:
    a pharmacy does not plan to owe.
    """
    levels = np.arange(len(of_level))
    of_level = np.where(levels >= owed, of_level, np.inf)
    after = np.maximum(levels[:, None] - np.arange(len(pmf)), 0)
    value = np.zeros(len(of_level))
    while True:
        going_on = of_level + value[after] @ pmf
        best_above = np.minimum.accumulate(going_on[::-1])[::-1]
        new = np.minimum(going_on, setup + best_above)
        gain = new - value
        if gain.max() - gain.min() < 1e-6:
            return gain.mean()
        value = 0.5 * value + 0.5 * (new - new[0])


@pytest.mark.slow
def test_reorder_point_and_order_up_to_cost_within_half_a_per_cent_of_the_best_policy_of_any_form():
    rng = np.random.default_rng(300)
    for _ in range(200):
        review, ratio, setup = rng.uniform(1, 6), rng.uniform(0.7, 0.98), rng.uniform(1, 15)
        interval = review * rng.uniform(1, 3)
        pmf = stats.poisson.pmf(np.arange(40), review)
        levels = np.arange(-40, 140)
        cost = poisson_cost(levels, interval, ratio)
        drawn = sample(stats.poisson(interval)), sample(stats.poisson(review))
        order_cost = one(setup / (1 - ratio) * THOUSANDTHS)
        low, high = (int(at[0]) // 1000 for at in reorder_levels(*drawn, one(ratio * 1e6), order_cost, one(1000)))
        found = ss_cost(low, high, dict(zip(levels.tolist(), cost, strict=True)), pmf, setup)
        assert found <= least_mean_cost(cost, 40, pmf, setup) * WITHIN
