"""What users of other systems met, turned into tests; further notes are tested beside the part that they touch."""

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from api.display.calculation_labels import VALUE_NAMES
from assets.sites.history_problems import history_problems
from forecasting.procurement.explanation.calculation import OPERATIONS, recompute
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend

AS_OF = dt.date(2026, 11, 23)


def rules_of(found):
    return set(found.problems["rule"])


@pytest.mark.parametrize("pack_size", [Decimal(28), Decimal("0.3"), Decimal("2.5")])
def test_field_note_7__a_par_that_is_what_the_target_asks_for_raises_no_warning(network, pack_size):
    level = recompute(recommend(OrderInputs(**network(pack_size=pack_size))).explanations[0])["order_up_to_level"]
    same = recommend(OrderInputs(**network(pack_size=pack_size, policy_kind="par", par_level=level)))
    assert not {"par_too_low", "par_too_high", "max_on_hand_limits"} & rules_of(same)
    assert (
        same.lines["packs"].tolist() == recommend(OrderInputs(**network(pack_size=pack_size))).lines["packs"].tolist()
    )
    assert "par_too_high" in rules_of(
        recommend(OrderInputs(**network(pack_size=pack_size, policy_kind="par", par_level=level * 2)))
    )


@pytest.mark.parametrize(("in_packs", "told"), [((7, 30, 31, 52), True), ((7, 30), False), ((), False)])
def test_field_note_9__quantities_in_packs_among_dose_units_are_named_with_the_product(in_packs, told):
    quantity = np.random.default_rng(4).poisson(560, 78).astype(float)
    quantity[list(in_packs)] = np.round(quantity[list(in_packs)] / 28)
    weeks = [pd.Timestamp(AS_OF) - pd.Timedelta(weeks=78 - week) for week in range(78)]
    history = pd.DataFrame({"facility_id": "north", "product_id": "a", "period_start": weeks, "quantity": quantity})
    products = pd.DataFrame({"product_id": ["a"], "pack_size": [28], "launched_on": [pd.NaT], "withdrawn_on": [pd.NaT]})
    found = history_problems(
        history,
        products.astype({"launched_on": "datetime64[ns]", "withdrawn_on": "datetime64[ns]"}),
        SimpleNamespace(as_of=AS_OF),
    )
    expected = [("north", "a", "unit_doubtful", "a: 4 quantities look like packs among dose units; see its unit")]
    assert list(found.itertuples(index=False, name=None)) == (expected if told else [])


def test_field_note_9__an_uneven_demand_is_not_taken_for_another_unit():
    quantity = np.random.default_rng(4).negative_binomial(0.4, 0.4 / 300, 104).astype(float)
    weeks = [pd.Timestamp(AS_OF) - pd.Timedelta(weeks=104 - week) for week in range(104)]
    history = pd.DataFrame({"facility_id": "north", "product_id": "a", "period_start": weeks, "quantity": quantity})
    products = pd.DataFrame({"product_id": ["a"], "pack_size": [28], "launched_on": pd.NaT, "withdrawn_on": pd.NaT})
    assert history_problems(history, products, SimpleNamespace(as_of=AS_OF)).empty


def test_field_note_23__every_step_of_the_calculation_is_shown_from_what_stands_before_it(network, orders):
    case = network(max_on_hand_days=30) | {"open_orders": orders({"packs": 1, "expected_at": AS_OF})}
    document = recommend(OrderInputs(**case)).explanations[0]
    known = {one["name"] for one in [*document["inputs"], *document["samples"]]}
    assert all(one["source"] for one in document["inputs"])
    for step in document["steps"]:
        assert step["operation"] in OPERATIONS
        assert set(step["operands"]) <= known
        assert VALUE_NAMES.get(step["name"]), step["name"]
        known.add(step["name"])
    assert str(recompute(document)["packs"]) == str(document["result"]["packs"])


def test_field_note_28__stock_of_another_product_or_promised_to_others_is_not_netted(network):
    case = network(2)
    plain = recommend(OrderInputs(**case)).lines.set_index("product_id")["packs"]
    lots = case["lots"]
    rich = lots.assign(quantity=[20.0, 5000.0])
    assert recommend(OrderInputs(**case | {"lots": rich})).lines.set_index("product_id")["packs"].to_dict() == {
        "product-0000": plain["product-0000"]
    }
    held = pd.concat([lots, lots.assign(quantity=500.0, lot="B", status="quarantined")], ignore_index=True)
    assert recommend(OrderInputs(**case | {"lots": held})).lines["packs"].tolist() == plain.tolist()
    promised = lots.assign(quantity=520.0, committed=500.0)
    assert recommend(OrderInputs(**case | {"lots": promised})).lines["packs"].tolist() == plain.tolist()


def test_field_note_30__target_need_forecast_and_order_have_names_of_their_own(network):
    document = recommend(OrderInputs(**network())).explanations[0]
    names = (
        "target",
        "order_up_to_level",
        "expected_demand",
        "baseline_demand",
        "quantity_needed",
        "packs_needed",
        "packs",
    )
    assert set(names) <= {one["name"] for one in [*document["inputs"], *document["steps"]]}
    assert len({VALUE_NAMES[name] for name in names}) == len(names)


def test_field_note_31__one_horizon_is_computed_from_calendar_and_policy_and_told(network):
    packs = {}
    for review in (None, 3, 7, 30):
        [document] = recommend(OrderInputs(**network(order_weekdays="Mon", review_period_days=review))).explanations
        values = {one["name"]: Decimal(one["value"]) for one in [*document["inputs"], *document["steps"]]}
        assert [name for name in values if "review" in name] == ["review_days"]
        parts = ("wait_days", "lead_time_mean_days", "review_days")
        assert values["protection_days"] == sum(values[name] for name in parts)
        packs[review] = int(values["review_days"]), document["result"]["packs"]
    assert packs[None] == packs[3] == packs[7]
    assert packs[30][0] == 35  # the first Monday after 30 days


def test_field_note_32__what_history_forecast_and_genotypes_each_say_stands_side_by_side(network):
    case = network(daily=33.0)
    demand = case["demand"]
    demand.history_mean_per_day[:] = 21.0
    told = recommend(OrderInputs(**case)).explanations[0]
    values = {one["name"]: Decimal(one["value"]) for one in [*told["inputs"], *told["steps"]]}
    assert values["history_demand"] == 21 * values["protection_days"]
    assert values["change_since_history"] == values["baseline_demand"] - values["history_demand"] > 0
    assert values["expected_demand"] == values["baseline_demand"] + values["genetic_shift"] + values["override"]


def test_field_note_36__what_is_below_its_level_is_listed_by_supplier_and_nothing_else(network):
    case = network(4)
    case["items"] = case["items"].assign(supplier_id=["a", "b", "a", "b"])
    case["lots"] = case["lots"].assign(quantity=[20.0, 20.0, 900.0, 20.0])
    lines = recommend(OrderInputs(**case)).lines
    assert {name: sorted(rows["product_id"]) for name, rows in lines.groupby("supplier_id")} == {
        "a": ["product-0000"],
        "b": ["product-0001", "product-0003"],
    }


def test_field_note_40__without_an_approved_alternative_a_shortage_moves_nothing(network):
    case = network(2, drug="clopidogrel")
    case["items"] = case["items"].assign(allocation_share=[0.5, None], shortage_ends_on=[dt.date(2027, 1, 31), None])
    free = recommend(OrderInputs(**network(2))).lines.set_index("product_id")["packs"]
    short = recommend(OrderInputs(**case))
    assert short.lines.set_index("product_id")["packs"]["product-0001"] == free["product-0001"]
    assert not [one for told in short.explanations for one in told["inputs"] if one["name"] == "shortage_shift"]


def test_field_note_41__a_line_says_what_to_do_by_when_from_whom_and_why(network):
    line = recommend(OrderInputs(**network())).lines.iloc[0]
    assert line["packs"] > 0
    assert line["supplier_id"] == "wholesaler"
    assert AS_OF <= line["order_by"] <= AS_OF + dt.timedelta(days=7)
    assert line["need_by"] >= AS_OF
    assert line["reason"] == "stock_out_risk"
