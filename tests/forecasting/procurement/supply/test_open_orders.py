"""Open orders that may come late: how long they still take, and what of them an order may rely on (group B)."""

import datetime as dt

import numpy as np
import pytest

from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply.lead_time import draw_arrivals, draw_lead_times, key_seeds

AS_OF = dt.date(2026, 11, 23)


def day(number):
    return AS_OF + dt.timedelta(days=number)


def arrivals(mean, sd, elapsed, draws=4000):
    columns = (np.array([float(value)]) for value in (mean, sd, elapsed))
    return draw_arrivals(*columns, draws, key_seeds(["one"]))[0]


@pytest.mark.parametrize("elapsed", [0, 4, 9, 15])
def test_the_time_left_is_that_of_simulated_lead_times_longer_than_the_age_of_the_order(elapsed):
    lead = np.random.default_rng(3).gamma(8**2 / 3**2, 3**2 / 8, 2_000_000)
    left = lead[lead > elapsed] - elapsed
    found = arrivals(8, 3, elapsed)
    levels = [0.1, 0.5, 0.9]
    assert np.quantile(found, levels) == pytest.approx(np.quantile(left, levels), rel=0.03, abs=0.03)
    assert found.min() >= 0


def test_the_older_the_order_the_likelier_it_comes_soon_but_never_in_the_past():
    medians = [np.median(arrivals(8, 3, age)) for age in range(0, 14, 2)]
    assert all(np.diff(medians) < 0)


def test_an_order_that_should_have_come_with_certainty_is_given_up_to_the_rule_of_new_orders():
    assert np.isnan(arrivals(5, 0, 6)).all()
    assert np.isnan(arrivals(5, 0.5, 30)).all()
    assert arrivals(5, 0, 3).tolist() == [2.0] * 4000


def case_with_order(network, orders, *, sd, expected, packs=2):
    case = network(pack_size=28, draws=400)
    case["lead_times"] = case["lead_times"].assign(mean_days=6.0, sd_days=sd)
    return case | {"open_orders": orders({"packs": packs, "expected_at": day(expected), "ordered_at": day(-2)})}


def test_field_note_12__an_order_counts_by_its_chance_to_come_in_time(network, orders):
    """Expected four days before the order after this one can arrive: relied on wholly if certain, partly if not."""
    certain = recommend(OrderInputs(**case_with_order(network, orders, sd=0.0, expected=9))).explanations[0]
    doubtful = recommend(OrderInputs(**case_with_order(network, orders, sd=3.0, expected=9))).explanations[0]
    told = [{step["name"]: float(step["value"]) for step in document["steps"]} for document in (certain, doubtful)]
    assert told[0]["open_orders_in_time"] == told[0]["open_order_quantity"] == 56
    assert 0 < told[1]["open_orders_in_time"] < 56
    assert told[1]["late_orders"] == pytest.approx(56 - told[1]["open_orders_in_time"])
    assert recompute(doubtful)["packs"] > 0


def test_the_order_is_the_smallest_that_covers_enough_draws_of_demand_less_what_has_come(network, orders):
    case = case_with_order(network, orders, sd=3.0, expected=11, packs=40)
    case["items"] = case["items"].assign(target_kind="cycle_service", target=0.9, pack_size=1)
    case["demand"].final[:] = 70.0
    found = recommend(OrderInputs(**case)).lines.iloc[0]
    lead = draw_lead_times(np.array([6.0]), np.array([3.0]), 400, ["1|north|product-0000"])[0]
    seeds = key_seeds(["1|north|product-0000"])
    comes = draw_arrivals(np.array([13.0]), np.array([6.5]), np.array([2.0]), 400, seeds)[0]
    need = np.sort(10 * (lead + 7) - 20 - np.where(comes < lead + 7, 40, 0))
    assert found["packs"] == np.ceil(need[359])


def test_an_order_without_the_day_of_ordering_is_taken_to_be_as_old_as_usual(network, orders):
    case = case_with_order(network, orders, sd=3.0, expected=8)
    dated = case | {"open_orders": case["open_orders"].assign(ordered_at=day(2))}
    undated = case | {"open_orders": case["open_orders"].assign(ordered_at=None)}
    # a mean lead time of 6 days before the expected day is in the future: the order is new
    assert (
        recommend(OrderInputs(**undated)).lines["packs"].tolist()
        == recommend(OrderInputs(**dated)).lines["packs"].tolist()
    )


def test_field_note_37__an_order_placed_today_at_the_usual_lead_time_is_relied_on_wholly(network, orders):
    """Orders do not overtake each other: what was just ordered comes before what is ordered next."""
    case = network(draws=400)
    case["lead_times"] = case["lead_times"].assign(mean_days=6.0, sd_days=3.0)
    packs = recommend(OrderInputs(**case)).lines["packs"].iloc[0]
    case["open_orders"] = orders({"packs": packs, "expected_at": day(6), "ordered_at": day(0)})
    assert recommend(OrderInputs(**case)).lines.empty
