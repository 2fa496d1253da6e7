"""Does it change the order? The stored calculation redone with other demand agrees with planning that demand."""

import dataclasses
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting.procurement.explanation.what_if import (
    DemandChange,
    days_of_use,
    needed_in_hindsight,
    order_after_change,
    packs_of,
)
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from forecasting.terms import Period


def planned(case, factor):
    """The same case with all demand times a factor."""
    demand = case["demand"]
    changed = dataclasses.replace(demand, final=demand.final * factor, final_mean=demand.final_mean * factor)
    return case | {"demand": dataclasses.replace(changed, baseline_mean=demand.baseline_mean * factor)}


def asked(case, now, then):
    return DemandChange(Period.WEEK, case["period_starts"], np.asarray(now, dtype=float), np.asarray(then, dtype=float))


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.floats(0.3, 3),
    st.sampled_from([{}, {"target_kind": "cycle_service"}, {"max_on_hand_days": 20}, {"order_multiple_packs": 4}]),
    st.integers(0, 3),
)
def test_it_agrees_with_a_run_on_the_changed_demand(network, factor, terms, seed):
    case = network(daily=30.0, seed=seed, **terms)
    before = recommend(OrderInputs(**case))
    mean = case["demand"].final_mean[0]
    standing = before.lines.set_index(["facility_id", "product_id"])["packs"]
    after = recommend(OrderInputs(**planned(case, factor), standing_packs=standing)).lines["packs"].sum()
    found = order_after_change(before.explanations[0], asked(case, mean, mean * factor))
    assert found.packs_now == before.lines["packs"].sum()
    assert found.packs_then == after
    assert not found.before_limits


def test_note_30_unchanged_demand_shows_the_very_number_of_the_line(network):
    for terms in (
        {},
        {"shelf_life_days": 20},
        {"policy_kind": "newsvendor"},
        {"policy_kind": "par", "par_level": 400.0},
    ):
        case = network(daily=30.0, **terms)
        line = recommend(OrderInputs(**case))
        mean = case["demand"].final_mean[0]
        found = order_after_change(line.explanations[0], asked(case, mean, mean))
        assert found.packs_then == found.packs_now == line.lines["packs"].iloc[0]
        assert found.expected_then == found.expected_now


def test_note_27_a_small_edit_that_does_not_change_the_order_is_shown_as_such(network):
    case = network(daily=30.0)
    document = recommend(OrderInputs(**case)).explanations[0]
    mean = case["demand"].final_mean[0]
    assert (
        order_after_change(document, asked(case, mean, mean * 1.005)).packs_then
        == order_after_change(document, asked(case, mean, mean)).packs_now
    )
    assert order_after_change(document, asked(case, mean, mean * 2)).packs_then > packs_now(document)


def packs_now(document):
    return document["result"]["packs"]


def test_demand_after_the_interval_does_not_change_the_order(network):
    case = network(daily=30.0)
    document = recommend(OrderInputs(**case)).explanations[0]
    mean = case["demand"].final_mean[0]
    later = mean.copy()
    later[4:] *= 5
    found = order_after_change(document, asked(case, mean, later))
    assert found.packs_then == found.packs_now
    assert found.expected_then == found.expected_now


def test_no_demand_at_all_needs_no_order(network):
    case = network(daily=30.0)
    mean = case["demand"].final_mean[0]
    found = order_after_change(recommend(OrderInputs(**case)).explanations[0], asked(case, mean, mean * 0))
    assert (found.packs_then, found.expected_then) == (0, 0)


def test_note_27_a_quantity_that_rounds_to_the_same_packs_is_seen(network):
    document = recommend(OrderInputs(**network(daily=30.0, order_multiple_packs=4))).explanations[0]
    packs, terms = packs_now(document), document["item"] | {"pack_size": "28"}
    assert packs_of(terms, Decimal(packs * 28)) == packs
    assert packs_of(terms, Decimal(packs * 28 - 3)) == packs
    assert packs_of(terms, Decimal(packs * 28 + 1)) == packs + 4
    assert float(days_of_use(document, 1)) == pytest.approx(28 / 30, rel=0.05)


def weeks(case, quantity):
    """Periods from three weeks before the origin, with so much dispensed in each."""
    starts = [Period.WEEK.step(case["as_of"], number) for number in range(-3, 12)]
    return starts, np.full(len(starts), quantity)


def test_hindsight_asks_for_the_packs_of_a_calculation_that_expected_what_came(network):
    case = network(daily=30.0)
    document = recommend(OrderInputs(**case)).explanations[0]
    values = {one["name"]: Decimal(one["value"]) for one in [*document["inputs"], *document["steps"]]}
    starts, dispensed = weeks(case, 350.0)
    found = needed_in_hindsight(document, Period.WEEK, starts, dispensed)
    days = float(values["protection_days"])
    assert (found.days, found.demand) == (days, pytest.approx(50 * days))
    need = Decimal(50 * days) + values["safety_stock"] - values["usable_stock"] - values["open_orders_in_time"]
    assert found.packs == math.ceil(need / values["pack_size"])
    expected = float(values["expected_demand"]) * 7 / days
    as_expected = needed_in_hindsight(document, Period.WEEK, *weeks(case, expected))
    assert as_expected.packs == packs_now(document)
    assert needed_in_hindsight(document, Period.WEEK, *weeks(case, 0.0)).packs <= packs_now(document)


def test_hindsight_is_silent_until_all_of_the_time_is_known(network):
    case = network(daily=30.0)
    document = recommend(OrderInputs(**case)).explanations[0]
    starts, dispensed = weeks(case, 350.0)
    assert needed_in_hindsight(document, Period.WEEK, starts[:4], dispensed[:4]) is None
    assert needed_in_hindsight(document, Period.WEEK, [], dispensed[:0]) is None
    unknown = dispensed.copy()
    unknown[4] = np.nan
    assert needed_in_hindsight(document, Period.WEEK, starts, unknown) is None
    unknown = dispensed.copy()
    unknown[[0, -1]] = np.nan
    assert needed_in_hindsight(document, Period.WEEK, starts, unknown) is not None
