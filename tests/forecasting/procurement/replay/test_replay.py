"""The replay: what rules may know, what they order, and what is told of it."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.procurement.replay.rules import lots_on_shelf, par_rule, peak_rule, plan_rule
from forecasting.procurement.replay.scores import FACTORS, burden_at_fill_rate, measures, replay
from forecasting.procurement.replay.setup import daily_demand, imputed, replay_setup, replay_start, replay_weeks
from forecasting.procurement.replay.simulation import ORDER_DAYS, ShelfView
from forecasting.terms import Period, ReplayRule

FIRST = dt.date(2025, 1, 6)
SITES, PRODUCTS, WEEKS = 2, 4, 44


def panel_of(values, period=Period.WEEK):
    sites = tuple(f"s{row // PRODUCTS}" for row in range(len(values)))
    return DemandPanel(sites, tuple(f"p{row % PRODUCTS}" for row in range(len(values))), values, FIRST, period)


def items_of(panel, **given):
    frame = pd.DataFrame({"facility_id": panel.facility_ids, "product_id": panel.product_ids})
    return frame.assign(**({"pack_size": 10, "pack_price": 2.5, "shelf_life_days": 40.0, "supplier_id": "S"} | given))


def lead_times_of(panel, mean=5.0, sd=2.0):
    frame = pd.DataFrame({"product_id": sorted(set(panel.product_ids)), "mean_days": mean, "sd_days": sd})
    return frame.assign(observations=9, source="receipts")


def forecasts_of(panel, setup, horizon=4):
    cuts = sorted({setup.periods_ended(week) for week in range(setup.weeks)})
    return {cut: forecast_with_shared_season(panel.until(cut), horizon, origins=4) for cut in cuts}


@pytest.fixture(scope="module")
def panel():
    random = np.random.default_rng(5)
    return panel_of(random.negative_binomial(4, 0.1, (SITES * PRODUCTS, WEEKS)).astype(float))


@pytest.fixture(scope="module")
def setup(panel):
    return replay_setup(items_of(panel), panel, lead_times_of(panel), draws_seed=3)


@pytest.fixture(scope="module")
def forecasts(panel, setup):
    return forecasts_of(panel, setup)


def rules_of(setup, forecasts):
    return {
        ReplayRule.PAR: par_rule(setup),
        ReplayRule.PEAK: peak_rule(setup),
        ReplayRule.PLAN: plan_rule(setup, forecasts, seed=3),
    }


def test_what_comes_later_changes_no_decision_before_it(panel, setup, forecasts):
    week = 12
    changed = panel.values.copy()
    changed[:, WEEKS - setup.weeks + week :] *= np.random.default_rng(1).uniform(
        0, 9, changed[:, -setup.weeks + week :].shape
    )
    other_panel = panel_of(changed)
    other = replay_setup(items_of(panel), other_panel, lead_times_of(panel), draws_seed=3)
    assert (other.demand != setup.demand).any()
    others = rules_of(other, forecasts_of(other_panel, other))
    for name, rule in rules_of(setup, forecasts).items():
        ordered = setup.simulate(rule).packs
        again = other.simulate(others[name]).packs
        # the order of that week is made before its demand is known
        np.testing.assert_array_equal(ordered[:, : week + 1], again[:, : week + 1])
        if name is not ReplayRule.PAR:
            assert (ordered[:, week + 1 :] != again[:, week + 1 :]).any()


def test_every_rule_meets_the_same_demand_lead_times_and_opening_stock(setup, panel):
    again = replay_setup(items_of(panel), panel, lead_times_of(panel), draws_seed=3)
    for name in ("demand", "opening_stock", "par_level"):
        np.testing.assert_array_equal(getattr(setup, name), getattr(again, name))
    np.testing.assert_array_equal(setup.terms.lead_days, again.terms.lead_days)
    other = replay_setup(items_of(panel), panel, lead_times_of(panel), draws_seed=4)
    assert (other.terms.lead_days != setup.terms.lead_days).any()


def test_no_order_overtakes_an_earlier_one(setup):
    due = np.arange(setup.weeks) * ORDER_DAYS + setup.terms.lead_days
    assert (np.diff(due, axis=1) >= 0).all()


def test_an_item_keeps_its_fate_when_others_come_or_go(setup, forecasts):
    rows = np.array([1, 6, 7])
    part = setup.take(rows)
    whole = setup.simulate(plan_rule(setup, forecasts, seed=3))
    alone = part.simulate(plan_rule(part, forecasts, seed=3))
    np.testing.assert_array_equal(whole.packs[rows], alone.packs)
    np.testing.assert_array_equal(whole.stock[rows], alone.stock)


@pytest.mark.parametrize("period", [Period.DAY, Period.WEEK, Period.MONTH, Period.QUARTER])
def test_days_add_up_to_their_periods_whatever_the_period(period):
    quantity = np.random.default_rng(2).integers(0, 900, (5, 24)).astype(float) / 8
    panel = panel_of(quantity, period)
    panel = dataclasses.replace(panel, first_start=dt.date(2025, 1, 1))
    days = daily_demand(panel, panel.first_start)
    edges = [*panel.period_starts(), period.step(panel.first_start, 24)]
    for number, (start, end) in enumerate(zip(edges, edges[1:], strict=False)):
        of_period = days[:, (start - edges[0]).days : (end - edges[0]).days]
        np.testing.assert_array_equal(of_period.sum(axis=1), quantity[:, number] * 1000)
        assert (of_period.max(axis=1) - of_period.min(axis=1) <= 1).all()


def test_a_month_is_over_when_the_next_has_begun_and_the_replay_ends_with_the_history():
    panel = dataclasses.replace(panel_of(np.full((2, 30), 31.0), Period.MONTH), first_start=dt.date(2024, 1, 1))
    setup = replay_setup(items_of(panel), panel, lead_times_of(panel), draws_seed=1)
    assert replay_start(panel) + dt.timedelta(weeks=replay_weeks(panel)) == dt.date(2026, 7, 1)
    for week in range(setup.weeks):
        begun = Period.MONTH.step(panel.first_start, setup.periods_ended(week))
        assert begun <= setup.day(week) < Period.MONTH.step(begun)
    assert forecasts_of(panel, setup, horizon=2)


def test_a_period_without_stock_is_guessed_from_what_came_before_it():
    found = imputed(np.array([[4.0, 6.0, np.nan, 100.0, np.nan]]))
    np.testing.assert_allclose(found, [[4, 6, 5, 100, 28.75]])


def test_a_stated_par_level_is_taken_as_it_is_and_others_are_derived_from_the_first_half(panel):
    stated = [70.0] + [None] * (len(panel.values) - 1)
    setup = replay_setup(items_of(panel, par_level=stated), panel, lead_times_of(panel), draws_seed=3)
    assert setup.par_level[0] == 70_000
    assert setup.par_is_stated.tolist() == [True] + [False] * (len(panel.values) - 1)
    use = panel.values[1, : WEEKS // 2].sum() / (WEEKS // 2 * 7)
    assert setup.par_level[1] == round(use * setup.cover_days * 1000)


def test_histories_too_short_to_live_through_are_refused(panel):
    short = panel.until(12)
    assert replay_weeks(short) == 0
    with pytest.raises(InvalidInput, match="nothing to replay"):
        replay_setup(items_of(short), short, lead_times_of(short), draws_seed=3)


def test_lots_that_may_expire_are_told_apart_and_the_rest_is_one():
    shelf = ShelfView(2, np.array([[50, *[50] * 6, 80, *[80] * 7]]), np.array([30]), np.zeros((1, 2), dtype=np.int64))
    lots = lots_on_shelf(shelf, np.array([16]), 20.0)
    assert lots.on_hand.tolist() == [50]
    # 20 of the first 50 are left, good for 16 days after day 0: 3 days from day 14; 30 came a week later
    assert lots.quantity.tolist() == [[20, 30, 0]]
    assert (lots.last_day[0, :2] <= [3, 10]).all()
    np.testing.assert_array_equal(np.diff(lots.last_day[0, :2]), [7])


def test_measures_are_those_of_a_plain_loop(setup):
    result = setup.simulate(par_rule(setup, 0.7))
    told = measures(setup, result)
    first = 6 * ORDER_DAYS
    asked = short = short_weeks = expired = lines = cost = 0
    value, orders = 0.0, set()
    for item, site in enumerate(setup.items["facility_id"]):
        price = 2.5 / 10_000
        for day in range(first, setup.demand.shape[1]):
            asked += int(setup.demand[item, day])
            short += int(result.unmet[item, day])
            expired += int(result.expired[item, day]) * price
            value += int(result.stock[item, day]) * price / (setup.demand.shape[1] - first)
        for week in range(6, setup.weeks):
            short_weeks += any(result.unmet[item, week * 7 : week * 7 + 7])
            lines += bool(result.packs[item, week])
            cost += int(result.packs[item, week]) * 2.5
            orders |= {(site, week)} if result.packs[item, week] else set()
    assert told["fill_rate"] == pytest.approx(1 - short / asked)
    assert (told["stockout_weeks"], told["lines"], told["orders"]) == (short_weeks, lines, len(orders))
    assert told["mean_stock_value"] == pytest.approx(value)
    assert told["expired_value"] == pytest.approx(expired)
    assert told["cost"] == pytest.approx(cost)


def test_an_unknown_price_is_not_a_price_of_nothing(setup):
    items = setup.items.assign(pack_price=None)
    told = measures(
        dataclasses.replace(setup, items=items),
        setup.simulate(par_rule(setup)),
    )
    assert np.isnan(told["mean_stock_value"])
    assert told["priced_items"] == 0


def test_the_scores_hold_every_rule_and_try_in_both_segments(setup, forecasts):
    higher = {
        cut: dataclasses.replace(one, mean=one.mean * 1.5, quantiles=one.quantiles * 1.5)
        for cut, one in forecasts.items()
    }
    moved = np.array([0, 5])
    scores = replay(setup, forecasts, higher, moved, seed=3)
    assert not scores.duplicated(["segment", "rule", "level_factor"]).any()
    as_it_is = scores[scores["level_factor"] == 1].set_index(["segment", "rule"])
    assert set(as_it_is.index) == {(s, str(r)) for s in ("all", "moved by genotype") for r in ReplayRule}
    assert set(scores.loc[scores["rule"] == "par_levels", "level_factor"]) == set(FACTORS)
    # outside the moved items the plan is the blind one: the difference of all is that of the moved
    stock = as_it_is["mean_stock_value"]
    gained = [
        stock[segment, "plan"] - stock[segment, "plan_without_genetics"] for segment in ("all", "moved by genotype")
    ]
    assert gained[0] == pytest.approx(gained[1])
    assert gained[0] > 0
    own = as_it_is.loc[("all", "plan")]
    assert own["same_service_value"] == pytest.approx(own["mean_stock_value"] + own["expired_value"])


def test_without_anything_moved_the_plan_is_the_blind_one(setup, forecasts):
    scores = replay(setup, forecasts, {}, np.array([], dtype=np.int64), seed=3)
    assert set(scores["segment"]) == {"all"}
    blind, plan = (scores[scores["rule"] == rule].iloc[0] for rule in ("plan_without_genetics", "plan"))
    pd.testing.assert_series_equal(blind.drop("rule"), plan.drop("rule"), check_names=False)


def test_service_that_no_try_reaches_has_no_price():
    tries = pd.DataFrame({"segment": "all", "rule": "par_levels", "fill_rate": [0.9, 0.95]})
    tries = tries.assign(mean_stock_value=[10.0, 20.0], expired_value=0.0)
    assert np.isnan(burden_at_fill_rate(tries, "all", "par_levels", 0.99))
