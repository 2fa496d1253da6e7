"""Recommendations a buyer can trust, one test for each field note on ordering, and properties over random networks."""

import dataclasses
import datetime as dt
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.order_line import LINE_COLUMNS
from forecasting.procurement.order.block_plan import BLOCK_ITEMS
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.policy.limits import Limit, LimitKind
from forecasting.procurement.protection_demand import DemandDraws
from forecasting.procurement.recommend import recommend

AS_OF = dt.date(2026, 11, 23)


def day(number):
    return AS_OF + dt.timedelta(days=number)


def packs_of(found):
    return int(found.lines["packs"].sum())


def rules_of(found):
    return set(found.problems["rule"])


def with_genetics(case, quantity_per_period, *, baseline, explained=1.0):
    """The case with so much of each item's final demand moved there by one genetic step a CYP2C19 phenotype."""
    demand, items = case["demand"], len(case["items"])
    steps = pd.DataFrame(
        {
            "item": np.repeat(np.arange(items), 2),
            "gene": "CYP2C19",
            "lookup_key": ["Poor Metabolizer", "Intermediate Metabolizer"] * items,
            "drug": "clopidogrel",
            "recommendation_id": "cpic-clopidogrel-1",
            "action": "alternative",
            "exposure_at_origin": 0.1,
            "exposure_planned": 0.4,
            "prevalence": [0.025, 0.26] * items,
        }
    )
    moved = np.full((2 * items, demand.final.shape[1]), quantity_per_period / 2 * explained)
    means = np.full(demand.final_mean.shape, baseline)
    case["demand"] = DemandDraws(demand.final, means, demand.final_mean, demand.history_mean_per_day, steps, moved)
    return case


@st.composite
def networks(draw, network, orders):
    items = draw(st.integers(1, 4))
    case = network(items, draws=draw(st.integers(2, 30)), daily=draw(st.sampled_from([0.0, 0.1, 2.0, 30.0])), periods=6)
    choose = lambda values: [draw(st.sampled_from(values)) for _ in range(items)]  # noqa: E731
    case["items"] = case["items"].assign(
        pack_size=choose([Decimal("1"), Decimal("28"), Decimal("7.5")]),
        pack_price=choose([Decimal("4.20"), None, Decimal("0")]),
        minimum_order_packs=choose([0, 1, 5]),
        order_multiple_packs=choose([1, 3]),
        target_kind=choose(["fill_rate", "cycle_service"]),
        target=choose([0.5, 0.9, 0.98]),
        max_on_hand_days=choose([None, 10, 60]),
        order_weekdays=choose(["", "Thu", "Tue;Fri"]),
        shelf_life_days=choose([None, 30, 700]),
        policy_kind=choose([None, "reorder_point", "newsvendor", "par"]),
        par_level=choose([None, 0, 90, 500]),
        fixed_order_cost=choose([None, Decimal("2.50")]),
        shortage_cost=choose([None, Decimal("3")]),
        criticality=choose([None, "critical", "important"]),
        allocation_share=choose([None, None, 0.5, 0.0]),
        usual_daily_dose=choose([None, 75.0, 300.0]),
    )
    keys = pd.MultiIndex.from_frame(case["items"][["facility_id", "product_id"]])
    case["standing_packs"] = pd.Series(choose([0, 0, 3, 15]), index=keys)
    lots = [
        case["lots"].assign(quantity=choose([0, 5, 100, 800]), expiry_date=choose([None, day(-1), day(4), day(12)]))
    ]
    lots.append(case["lots"].assign(quantity=choose([0, 50]), expiry_date=choose([None, day(6)])))
    case["lots"] = pd.concat(lots, ignore_index=True)
    rows = [
        {"product_id": f"product-{n:04d}", "packs": draw(st.integers(0, 5)), "expected_at": day(d), "id": f"PO-{n}"}
        for n, d in enumerate(choose([-60, -5, 0, 6, 90]))
    ]
    case["open_orders"] = orders(*rows)
    case["draws_seed"] = draw(st.integers(0, 5))
    if draw(st.booleans()):
        case = with_genetics(
            case, 5.0, baseline=draw(st.sampled_from([0.0, 20.0])), explained=draw(st.sampled_from([1, 0.5]))
        )
    return case


def shared(draw, case):
    """The case with a budget, room and a minimum order value over all its items."""
    least = draw(st.sampled_from([None, Decimal(60), Decimal(4000)]))
    amounts = {
        LimitKind.BUDGET: draw(st.sampled_from([0.0, 9.0, 40.0, 1e6])),
        LimitKind.STORAGE: draw(st.sampled_from([0.0, 5.0, 30.0, 1e6])),
    }
    everything = np.arange(len(case["items"]))
    return case | {
        "items": case["items"].assign(minimum_order_value=least),
        "limits": [Limit(kind, "north", amount, everything) for kind, amount in amounts.items()],
    }


few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(st.data())
def test_every_line_recomputes_and_respects_minimum_multiple_and_exact_quantity(network, orders, data):
    case = shared(data.draw, data.draw(networks(network, orders)))
    found = recommend(OrderInputs(**case))
    items = case["items"].set_index("product_id")
    for line, document in zip(found.lines.to_dict("records"), found.explanations, strict=True):
        item, redone = items.loc[line["product_id"]], recompute(json.loads(json.dumps(document)))
        assert (redone["packs"], redone["quantity"], redone["cost"]) == (line["packs"], line["quantity"], line["cost"])
        assert line["recommendation_id"] == document["recommendation_id"]
        assert line["packs"] >= max(item["minimum_order_packs"], 1)
        assert line["packs"] % item["order_multiple_packs"] == 0
        assert line["quantity"] == line["packs"] * item["pack_size"]
        assert line["stockout_probability_after"] <= line["stockout_probability_before"]


@few
@given(st.data(), st.integers(1, 300), st.sampled_from([None, -2, 3, 9]))
def test_more_stock_never_means_a_larger_order(network, orders, data, extra, expires_after):
    case = data.draw(networks(network, orders))
    lot = {"quantity": extra, "expiry_date": None if expires_after is None else day(expires_after)}
    fuller = case | {"lots": pd.concat([case["lots"], case["lots"].iloc[:1].assign(**lot)], ignore_index=True)}
    assert packs_of(recommend(OrderInputs(**fuller))) <= packs_of(recommend(OrderInputs(**case)))


@few
@given(st.data(), st.integers(1, 9), st.integers(-40, 40))
def test_more_open_orders_never_mean_a_larger_order(network, orders, data, packs, expected):
    case = data.draw(networks(network, orders))
    more = pd.concat([case["open_orders"], orders({"packs": packs, "expected_at": day(expected), "id": "PO-new"})])
    assert packs_of(recommend(OrderInputs(**case | {"open_orders": more}))) <= packs_of(recommend(OrderInputs(**case)))


@few
@given(st.data())
def test_the_same_inputs_give_the_same_bytes(network, orders, data):
    case = data.draw(networks(network, orders))
    first, again = recommend(OrderInputs(**case)), recommend(OrderInputs(**case))
    assert json.dumps(first.explanations) == json.dumps(again.explanations)
    assert first.lines.to_csv() == again.lines.to_csv()
    assert first.problems.to_csv() == again.problems.to_csv()


def test_zero_demand_and_zero_stock_give_no_order(network):
    case = network(daily=0.0, minimum_order_packs=5)
    case["lots"]["quantity"] = 0
    found = recommend(OrderInputs(**case))
    assert list(found.lines.columns) == LINE_COLUMNS
    assert found.lines.empty


def test_an_item_gets_the_same_line_alone_and_among_more_items_than_fit_into_a_block(network):
    many = network(BLOCK_ITEMS + 3, draws=4, periods=4)
    last = BLOCK_ITEMS + 2
    alone = {name: many[name].iloc[[last]] for name in ("items", "lots", "lead_times")}
    demand = many["demand"]
    arrays = {
        name: getattr(demand, name)[[last]] for name in ("final", "baseline_mean", "final_mean", "history_mean_per_day")
    }
    alone["demand"] = dataclasses.replace(demand, **arrays)
    together = recommend(OrderInputs(**many)).lines.set_index("product_id").loc[f"product-{last:04d}"]
    single = recommend(OrderInputs(**many | alone)).lines.set_index("product_id").iloc[0]
    assert together["recommendation_id"] == single["recommendation_id"]


def test_the_order_is_the_level_less_stock_less_orders_worked_out_by_hand(network, orders):
    case = network(draws=4, periods=4, target_kind="cycle_service", target=0.75, pack_size=Decimal(10))
    demand = case["demand"]
    final = np.repeat(np.array([70.0, 140.0, 210.0, 280.0])[None, None, :], 4, axis=1)
    case["demand"] = dataclasses.replace(demand, final=final)
    case["open_orders"] = orders({"packs": 4, "expected_at": day(2)})
    line = recommend(OrderInputs(**case)).lines.iloc[0]
    # 10 days (3 to arrive, 7 to the next order) at 30 a day is the third of four draws: 300 - 20 on hand - 40 coming
    assert (line["packs"], line["quantity"], line["cost"]) == (24, Decimal(240), Decimal("100.80"))
    assert line["order_by"] == AS_OF
    assert line["stockout_probability_before"] == 1.0
    # until the next order arrives the draws use 100, 200, 300 and 400 of the 300 that are then there
    assert line["stockout_probability_after"] == 0.25
    # 60 units last 6, 3, 2 and 1.5 days; of four draws the second smallest is the median
    assert line["days_on_hand_before"] == pytest.approx(2.0)
    assert line["need_by"] == day(2)


def test_field_note_8__raw_doses_are_shown_beside_packs(network):
    document = recommend(OrderInputs(**network())).explanations[0]
    steps = {step["name"]: step for step in document["steps"]}
    assert steps["quantity_needed"]["unit"] == "dose units"
    assert steps["packs"]["unit"] == "packs"


@pytest.mark.parametrize("kind", ["open order", "approved recommendation", "exported recommendation"])
def test_field_note_10__what_is_on_order_is_not_proposed_again(network, orders, kind):
    case = network()
    first = recommend(OrderInputs(**case)).lines.iloc[0]
    case["open_orders"] = orders({"packs": first["packs"], "expected_at": day(3), "kind": kind})
    assert recommend(OrderInputs(**case)).lines.empty


def test_field_note_10__a_delayed_order_is_not_ordered_a_second_time_but_is_reported(network, orders):
    case = network()
    case["open_orders"] = orders(
        {"packs": recommend(OrderInputs(**case)).lines["packs"].iloc[0], "expected_at": day(-4)}
    )
    found = recommend(OrderInputs(**case))
    assert found.lines.empty
    assert "open_order_overdue" in rules_of(found)


def test_field_note_10__an_order_that_never_came_cannot_hide_a_stock_out_for_ever(network, orders):
    case = network()
    case["open_orders"] = orders({"packs": 50, "expected_at": day(-60)})
    found = recommend(OrderInputs(**case))
    assert packs_of(found) > 0
    assert "open_order_long_overdue" in rules_of(found)


def test_field_note_11__the_order_is_the_missing_quantity_and_not_the_level(network):
    case = network()
    document = recommend(OrderInputs(**case)).explanations[0]
    redone = recompute(document)
    level, quantity = redone["order_up_to_level"], redone["quantity"]
    assert level - 20 <= quantity < level - 20 + 28


def test_field_note_12__an_order_far_in_the_future_does_not_count_and_is_shown(network, orders):
    case = network()
    without = packs_of(recommend(OrderInputs(**case)))
    case["open_orders"] = orders({"packs": 50, "expected_at": day(60)})
    found = recommend(OrderInputs(**case))
    assert packs_of(found) == without
    assert "open_order_late" in rules_of(found)
    assert [order["id"] for order in found.explanations[0]["not_counted"]] == ["PO-1"]


def test_field_note_14__the_same_order_reported_twice_counts_once(network, orders):
    case = network()
    row = {"packs": 2, "expected_at": day(3)}
    once = packs_of(recommend(OrderInputs(**case | {"open_orders": orders(row)})))
    twice = recommend(OrderInputs(**case | {"open_orders": orders(row, row | {"kind": "exported recommendation"})}))
    assert packs_of(twice) == once
    assert "open_order_repeated" in rules_of(twice)


def test_field_note_14__the_day_of_the_stock_out_is_shown(network):
    line = recommend(OrderInputs(**network(daily=10.0))).lines.iloc[0]
    assert line["need_by"] in (day(1), day(2))


def test_field_note_20__the_number_ordered_is_the_number_explained_everywhere(network):
    found = recommend(OrderInputs(**network(5)))
    for line, document in zip(found.lines.to_dict("records"), found.explanations, strict=True):
        told = {entry["name"]: entry["value"] for entry in document["outlook"]}
        for name in ("stockout_probability_before", "days_on_hand_after", "expected_waste", "urgency"):
            assert float(told[name]) == line[name]


def test_field_note_21__historic_rate_and_forecast_have_different_names(network):
    document = recommend(OrderInputs(**network())).explanations[0]
    names = [entry["name"] for entry in [*document["inputs"], *document["steps"]]]
    assert {"history_mean_per_day", "history_demand", "baseline_demand", "expected_demand"} <= set(names)
    assert len(names) == len(set(names))


def test_field_note_22__nothing_is_ordered_when_stock_meets_the_target(network):
    case = network()
    case["lots"]["quantity"] = 500
    assert recommend(OrderInputs(**case)).lines.empty


def test_unknown_stock_is_not_zero_and_blocks_the_order(network):
    case = network(2)
    case["lots"] = case["lots"].iloc[1:]
    found = recommend(OrderInputs(**case))
    assert found.lines["product_id"].tolist() == ["product-0001"]
    blocked = found.problems[found.problems["severity"] == "blocks"]
    assert blocked[["product_id", "rule"]].to_numpy().tolist() == [["product-0000", "stock_not_counted"]]


def test_field_note_33__an_order_caused_by_expired_stock_says_so(network):
    case = network()
    case["lots"] = case["lots"].assign(quantity=500, expiry_date=day(-1))
    found = recommend(OrderInputs(**case))
    assert found.lines["reason"].tolist() == ["expiry"]
    assert "stock_expired" in rules_of(found)


def test_field_note_33__stock_that_expires_before_it_is_needed_does_not_count(network):
    case = network(daily=10.0)
    case["lots"] = case["lots"].assign(quantity=500, expiry_date=day(3))
    found = recommend(OrderInputs(**case))
    assert found.lines["reason"].tolist() == ["expiry"]
    # about 40 of the 500 are used in the four days they keep
    assert found.lines["expected_waste"].iloc[0] == pytest.approx(460, abs=10)


def test_field_note_34__an_old_count_is_flagged_with_its_age(network):
    case = network()
    case["lots"]["counted_at"] = day(-45)
    found = recommend(OrderInputs(**case))
    assert found.problems.set_index("rule")["message"]["stock_count_old"] == "stock was counted 45 days ago"


def test_field_note_35__the_limit_on_days_on_hand_trims_the_order_and_says_so(network):
    needed = packs_of(recommend(OrderInputs(**network(target=0.999))))
    found = recommend(OrderInputs(**network(max_on_hand_days=2, target=0.999)))
    # three days of demand to arrival and two to hold, at 10 a day, less 20 on hand, leave room for 1 pack of 28
    assert packs_of(found) == 1 < needed
    assert "max_on_hand_limits" in rules_of(found)
    assert recompute(found.explanations[0])["packs"] == 1


def test_field_note_35__no_order_is_forced_when_even_the_minimum_does_not_fit(network):
    found = recommend(OrderInputs(**network(minimum_order_packs=40, max_on_hand_days=20)))
    assert found.lines.empty
    assert "max_on_hand_limits" in rules_of(found)


def test_field_note_36__lines_carry_the_supplier_and_come_most_urgent_first(network):
    found = recommend(OrderInputs(**network(6, daily=np.array([1.0, 30, 5, 12, 2, 20]))))
    assert found.lines["urgency"].is_monotonic_decreasing
    assert set(found.lines["supplier_id"]) == {"wholesaler"}


def test_field_note_37__an_order_placed_yesterday_is_not_changed_by_running_again_today(network, orders):
    case = network(review_period_days=None, order_weekdays="Mon")
    first = recommend(OrderInputs(**case)).lines.iloc[0]
    case["open_orders"] = orders({"packs": first["packs"], "expected_at": day(3)})
    case["as_of"] = day(0)
    assert recommend(OrderInputs(**case)).lines.empty


def test_an_unknown_or_zero_price_leaves_the_cost_blank_and_is_reported(network):
    for price in (None, Decimal(0)):
        found = recommend(OrderInputs(**network(pack_price=price)))
        assert found.lines["cost"].tolist() == [None]
        assert "price_unknown" in rules_of(found)


def test_genetic_steps_add_up_exactly_to_the_shift_over_the_protection_interval(network):
    case = with_genetics(network(), 35.0, baseline=35.0)
    found = recommend(OrderInputs(**case))
    document = found.explanations[0]
    values = {entry["name"]: Decimal(entry["value"]) for entry in [*document["inputs"], *document["steps"]]}
    parts = [entry for entry in document["inputs"] if entry["name"].startswith("genetic_shift_")]
    assert values["genetic_shift"] == sum(Decimal(part["value"]) for part in parts) == 50
    assert values["baseline_demand"] + values["genetic_shift"] == values["expected_demand"] == 100
    assert [part["lookup_key"] for part in parts] == ["Poor Metabolizer", "Intermediate Metabolizer"]
    assert found.lines["reason"].tolist() == ["genetic_shift"]
    assert values["packs_from_genetic_shift"] >= 1


def test_what_the_genetic_steps_leave_is_shown_as_interaction(network):
    document = recommend(OrderInputs(**with_genetics(network(), 35.0, baseline=35.0, explained=0.6))).explanations[0]
    parts = [entry for entry in document["inputs"] if entry["name"].startswith("genetic_shift_")]
    assert parts[-1]["label"] == "interaction"
    assert sum(Decimal(part["value"]) for part in parts) == 50
    assert Decimal(parts[-1]["value"]) == 20


def test_an_order_that_is_the_same_without_the_genetic_shift_is_not_blamed_on_it(network):
    case = with_genetics(network(), 0.5, baseline=69.5)
    assert recommend(OrderInputs(**case)).lines["reason"].tolist() == ["stock_out_risk"]


def test_an_unknown_lead_time_is_assumed_long_and_said(network):
    case = network()
    case["lead_times"] = case["lead_times"].iloc[:0]
    found = recommend(OrderInputs(**case))
    assert "lead_time_assumed" in rules_of(found)
    assert packs_of(found) > packs_of(recommend(OrderInputs(**network())))


def test_a_blank_policy_takes_the_default_and_the_explanation_says_default(network):
    document = recommend(OrderInputs(**network(target=None, target_kind=None))).explanations[0]
    assert document["item"]["policy_source"] == "default"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": 1.0}, "product-0000: target 1"),
        ({"pack_size": Decimal(0)}, "product-0000: pack_size 0"),
        ({"target_kind": "service level"}, "service level"),
        ({"order_weekdays": "Someday"}, "product-0000: order_weekdays"),
        ({"product_id": "same"}, "same occurs twice"),
    ],
)
def test_impossible_settings_are_refused_with_the_item_named(network, change, message):
    with pytest.raises(InvalidInput, match=message):
        recommend(OrderInputs(**network(2, **change)))


@pytest.mark.parametrize("packs", [1.5, -1])
def test_open_orders_in_parts_of_packs_are_refused(network, orders, packs):
    with pytest.raises(InvalidInput, match="whole number"):
        recommend(OrderInputs(**network() | {"open_orders": orders({"packs": packs})}))


def test_negative_demand_is_refused(network):
    demand = network()["demand"]
    with pytest.raises(InvalidInput, match="0 or more"):
        dataclasses.replace(demand, final=demand.final - 1000)
