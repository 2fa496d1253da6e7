"""Demand over an interval and the level that covers it, against slow counting and closed forms."""

import datetime as dt
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from forecasting.errors import InvalidInput
from forecasting.procurement.policy import service_level
from forecasting.procurement.protection_demand import CumulativeDemand, period_edges, shares_of_periods
from forecasting.procurement.supply.lead_time import draw_lead_times
from forecasting.terms import Period

small = st.integers(0, 40)
pairs = st.lists(st.tuples(small, small), min_size=1, max_size=12)
targets = st.sampled_from([100_000, 333_333, 500_000, 900_000, 980_000, 999_999])


def fill_rate_oracle(pairs, target):
    """Raise the level one thousandth at a time until the fill rate, in exact fractions, is high enough."""
    first, second = [a for a, _ in pairs], [a + b for a, b in pairs]
    level = 0
    while True:
        short = sum(max(d - level, 0) for d in second) - sum(max(d - level, 0) for d in first)
        if short <= (1 - Fraction(target, 10**6)) * (sum(second) - sum(first)):
            return level
        level += 1


@given(pairs, targets)
def test_fill_rate_level_is_the_first_that_works_counted_upwards(pairs, target):
    first = np.array([[a for a, _ in pairs]])
    second = first + np.array([[b for _, b in pairs]])
    found = service_level.order_up_to_fill_rate(first, second, np.array([target]))
    assert found.tolist() == [fill_rate_oracle(pairs, target)]


@given(st.lists(small, min_size=1, max_size=20), targets)
def test_cycle_service_level_is_the_first_sorted_draw_that_covers_enough_draws(sample, target):
    ranked = sorted(sample)
    expected = next(d for i, d in enumerate(ranked, 1) if Fraction(i, len(ranked)) >= Fraction(target, 10**6))
    assert service_level.order_up_to_cycle_service(np.array([sample]), np.array([target])).tolist() == [expected]


@pytest.mark.parametrize(
    ("mean", "sd", "holding", "stockout", "level"),
    # Snyder & Shen, Fundamentals of Supply Chain Theory (2nd ed., 2019), as solved by stockpyl's newsvendor_normal
    [(120, 10, 2, 18, 132.815515655446), (50, 8, 0.18, 0.70, 56.60395592743389)],
)
def test_cycle_service_level_is_the_newsvendor_level_of_the_textbook(mean, sd, holding, stockout, level):
    draws = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000, mean, sd)
    target = service_level.target_in_millionths(round(stockout / (stockout + holding), 6))
    found = service_level.order_up_to_cycle_service(np.rint(draws[None, :] * 1000).astype(int), np.array([target]))
    assert found[0] / 1000 == pytest.approx(level, abs=0.005)


@pytest.mark.parametrize("target", [0.9, 0.95, 0.99])
def test_fill_rate_level_solves_the_normal_loss_function(target):
    """Without lead time: sd * G(z) = (1 - target) * mean, Silver, Pyke & Thomas (2017), chapter 6."""
    mean, sd = 100.0, 30.0

    def gap(z):
        return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z)) - (1 - target) * mean

    level = mean + sd * optimize.brentq(gap, -5, 5)
    draws = stats.norm.ppf((np.arange(50_000) + 0.5) / 50_000, mean, sd)
    second = np.rint(draws[None, :] * 1000).astype(int)
    millionths = np.array([service_level.target_in_millionths(target)])
    found = service_level.order_up_to_fill_rate(np.zeros_like(second), second, millionths)[0] / 1000
    assert found == pytest.approx(level, abs=0.05)


def test_fill_rate_level_reaches_the_target_for_poisson_demand_by_its_own_sums():
    rng = np.random.default_rng(5)
    first = rng.poisson(12, (1, 200_000))
    second = first + rng.poisson(28, first.shape)
    level = service_level.order_up_to_fill_rate(first * 1000, second * 1000, np.array([970_000]))[0] / 1000
    counts = np.arange(200)

    def short(mean):
        return np.sum(np.maximum(counts - level, 0) * stats.poisson.pmf(counts, mean))

    assert 1 - (short(40) - short(12)) / 28 == pytest.approx(0.97, abs=0.001)


@pytest.mark.parametrize("target", [0, 1, 1.2, "often", 0.98765432])
def test_a_target_outside_zero_to_one_or_with_too_many_decimals_is_refused(target):
    with pytest.raises(InvalidInput):
        service_level.target_in_millionths(target)


def demand_oracle(per_period, edges, days):
    """Walk in steps of a sixteenth of a day; the average rate after the end, the first rate before the start."""
    total, step = 0.0, 1 / 16
    for number in range(round(days / step)):
        moment = (number + 0.5) * step
        if moment >= edges[-1]:
            total += step * sum(per_period) / (edges[-1] - edges[0])
        else:
            at = max(np.searchsorted(edges, moment, side="right") - 1, 0)
            total += step * per_period[at] / (edges[at + 1] - edges[at])
    return total


sixteenths = st.integers(0, 16 * 40).map(lambda n: n / 16)
paths = st.lists(st.integers(0, 90), min_size=3, max_size=3)


@settings(max_examples=40)
@given(paths, st.integers(-6, 3), sixteenths)
def test_demand_over_days_is_the_sum_of_small_steps_and_the_shares_of_periods_agree(path, start, days):
    edges = start + np.array([0.0, 7.0, 14.0, 21.0])
    demand = CumulativeDemand(np.array(path, dtype=float)[None, :, None], edges)
    found = demand.over(np.array([[days]]))[0, 0]
    assert found == pytest.approx(demand_oracle(path, edges, days), abs=1e-9)
    assert shares_of_periods(np.array([[days]]), edges)[0] @ path == pytest.approx(found, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 90), min_size=3, max_size=3), st.integers(-6, 3), sixteenths)
def test_days_until_undoes_demand_over_days(path, start, days):
    edges = start + np.array([0.0, 7.0, 14.0, 21.0])
    demand = CumulativeDemand(np.array(path, dtype=float)[None, :, None], edges)
    assert demand.days_until(demand.over(np.array([[days]])))[0, 0] == pytest.approx(days, abs=1e-9)


def test_stock_without_demand_lasts_for_ever():
    demand = CumulativeDemand(np.zeros((1, 3, 2)), np.array([0.0, 7, 14, 21]))
    assert np.isinf(demand.days_until(np.array([[5.0, 0.0]]))).all()


def test_demand_over_a_random_lead_time_has_the_textbook_mean_and_variance():
    """Poisson demand: mean = rate L, variance = rate L + rate**2 sd_L**2 (Silver, Pyke & Thomas, chapter 6)."""
    draws, rate, mean, sd = 40_000, 20.0, 6.0, 2.0
    days = draw_lead_times(np.array([mean]), np.array([sd]), draws, ["item"])
    per_day = np.random.default_rng(3).poisson(rate, (1, 40, draws)).astype(float)
    found = CumulativeDemand(per_day, np.arange(41.0)).over(days)
    assert found.mean() == pytest.approx(rate * mean, rel=0.01)
    assert found.var() == pytest.approx(rate * mean + rate**2 * sd**2, rel=0.03)


def test_a_day_inside_the_first_period_counts_from_there():
    starts = [dt.date(2026, 11, 1), dt.date(2026, 12, 1)]
    edges = period_edges(Period.MONTH, starts, dt.date(2026, 11, 16))
    demand = CumulativeDemand(np.array([[[30.0], [62.0]]]), edges)
    assert demand.over(np.array([[16.0]])) == pytest.approx(15 + 2)


@pytest.mark.parametrize("as_of", [dt.date(2026, 10, 31), dt.date(2027, 1, 1)])
def test_a_forecast_that_says_nothing_of_today_is_refused(as_of):
    starts = [dt.date(2026, 11, 30), dt.date(2026, 12, 7)]
    with pytest.raises(InvalidInput, match="outside the forecast"):
        period_edges(Period.WEEK, starts, as_of)


def test_gaps_between_periods_are_refused():
    with pytest.raises(InvalidInput, match="consecutive"):
        period_edges(Period.WEEK, [dt.date(2026, 11, 23), dt.date(2026, 12, 7)], dt.date(2026, 11, 23))
