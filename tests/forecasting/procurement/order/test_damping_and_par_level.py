"""A plan that is not nervous, par levels that a site keeps, settings with their source, urgency and reasons."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend

AS_OF = dt.date(2026, 11, 23)


def noisy_days(network, standing_kept, days=8, items=60):
    """Packs [day, item] proposed on successive mornings from the same facts but for a per cent of noise in demand."""
    case = network(items, draws=80, daily=np.linspace(2, 40, items), pack_size=7)
    rng = np.random.default_rng(3)
    keys = pd.MultiIndex.from_frame(case["items"][["facility_id", "product_id"]])
    lots = case["lots"].assign(quantity=np.round(np.linspace(2, 40, items) * rng.uniform(5, 14, items)))
    standing, seen = pd.Series(0, index=keys), []
    for _ in range(days):
        noise = 1 + 0.01 * rng.standard_normal((items, 1, 1))
        demand = dataclasses.replace(case["demand"], final=case["demand"].final * noise)
        lines = recommend(OrderInputs(**case | {"demand": demand, "lots": lots, "standing_packs": standing})).lines
        packs = lines.set_index(["facility_id", "product_id"])["packs"].reindex(keys).fillna(0).astype(int)
        seen.append(packs.to_numpy())
        standing = packs if standing_kept else standing
    return np.array(seen)


def test_field_note_37__noise_in_the_forecast_does_not_change_what_was_proposed_yesterday(network):
    kept, forgot = (noisy_days(network, standing_kept) for standing_kept in (True, False))
    changes = [(np.diff(seen, axis=0) != 0).mean() for seen in (kept, forgot)]
    assert changes[0] < 0.03
    assert changes[0] < changes[1] / 4
    assert (kept > 0).any()


def test_packs_that_stand_proposed_are_shown_and_recompute(network):
    case = network(pack_size=7)
    fresh = int(recommend(OrderInputs(**case)).lines["packs"].iloc[0])
    keys = pd.MultiIndex.from_tuples([("north", "product-0000")])
    kept = [
        one
        for before in (fresh - 1, fresh + 1)
        for one in recommend(OrderInputs(**case | {"standing_packs": pd.Series([before], index=keys)})).explanations
        if any(step["name"] == "packs_at_most" for step in one["steps"])
    ]
    for document in kept:
        recompute(document)
        assert unsupported_numbers(render_paragraph(document), document) == []
    far = recommend(OrderInputs(**case | {"standing_packs": pd.Series([fresh + 40], index=keys)})).lines
    assert far["packs"].tolist() == [fresh]


def test_a_need_smaller_than_what_matters_waits(network):
    case = network(target_kind="cycle_service", target=0.98, pack_size=1)
    need = int(recommend(OrderInputs(**case)).lines["packs"].iloc[0])
    barely = case["lots"].assign(quantity=20.0 + need - 2)
    assert recommend(OrderInputs(**case | {"lots": barely})).lines.empty
    assert not recommend(OrderInputs(**case | {"lots": case["lots"].assign(quantity=20.0 + need - 12)})).lines.empty


@pytest.mark.parametrize(("par", "word"), [(30, "low"), (900, "high")])
def test_a_par_is_ordered_to_and_reported_when_it_is_wrong(network, par, word):
    found = recommend(OrderInputs(**network(policy_kind="par", par_level=par, pack_size=1)))
    line, document = found.lines.iloc[0], found.explanations[0]
    assert line["packs"] == par - 20
    assert line["reason"] == "par_change"
    assert recompute(document)["order_up_to_level"] == par
    message = found.problems.set_index("rule").loc[f"par_too_{word}", "message"]
    proposed = next(step["value"] for step in document["steps"] if step["name"] == "target_level")
    assert f"{par} dose units is too {word}" in message
    assert f"{proposed} would meet it" in message


def test_a_par_that_is_about_right_is_left_alone(network):
    level = recompute(recommend(OrderInputs(**network())).explanations[0])["order_up_to_level"]
    found = recommend(OrderInputs(**network(policy_kind="par", par_level=level, pack_size=1)))
    assert not [rule for rule in found.problems["rule"] if rule.startswith("par_")]
    assert found.lines["reason"].tolist() == ["stock_out_risk"]


def test_an_order_cost_makes_orders_rarer_and_larger_and_its_levels_recompute(network):
    plain = recommend(OrderInputs(**network(pack_size=1))).lines["packs"].iloc[0]
    case = network(pack_size=1, policy_kind="reorder_point", fixed_order_cost=30, pack_price=2, draws=60)
    found = recommend(OrderInputs(**case))
    assert found.lines["packs"].iloc[0] > plain
    recompute(found.explanations[0])


def test_what_expires_is_stocked_by_the_cost_of_waste_and_shortage_and_no_limit_in_days_holds(network):
    case = {"daily": 0.3, "pack_size": 1, "review_period_days": 28}
    kind = {"policy_kind": "newsvendor", "max_on_hand_days": 1, "shelf_life_days": 14, "shortage_cost": 2}
    empty = network(**case)["lots"].assign(quantity=0.0)
    usual = recommend(OrderInputs(**network(**case) | {"lots": empty})).lines["packs"].sum()
    found = recommend(OrderInputs(**network(**case, **kind) | {"lots": empty}))
    assert 0 < found.lines["packs"].sum() < usual
    recompute(found.explanations[0])


def test_a_kind_without_its_inputs_falls_back_and_says_so_on_the_line(network):
    found = recommend(OrderInputs(**network(policy_kind="reorder_point")))
    settings = {one["name"]: one for one in found.explanations[0]["settings"]}
    assert settings["policy_kind"]["value"] == "order_up_to"
    assert settings["policy_kind"]["source"] == "default: reorder_point without order cost, holding rate or price"


def test_the_line_says_where_each_setting_came_from(network):
    case = network()
    case["items"]["setting_sources"] = [{"target": "policy of drug", "review_period_days": "policy of facility"}]
    line = recommend(OrderInputs(**case)).lines.iloc[0]
    assert "target: policy of drug" in line["settings_from"]
    assert "review_period_days: policy of facility" in line["settings_from"]
    assert "policy_kind: default" in line["settings_from"]


def test_harm_comes_first_and_counts_more_for_critical_items(network):
    case = network(3, daily=np.array([4.0, 4.0, 12.0]))
    case["items"]["criticality"] = ["standard", "critical", "standard"]
    lines = recommend(OrderInputs(**case)).lines
    assert lines["urgency"].is_monotonic_decreasing
    urgency = lines.set_index("product_id")["urgency"]
    assert urgency["product-0001"] > 3 * urgency["product-0000"]


def test_launch_and_withdrawal_are_reasons_beside_the_primary_one(network):
    line = recommend(
        OrderInputs(**network(launched_on=AS_OF - dt.timedelta(30), withdrawn_on=AS_OF + dt.timedelta(60)))
    ).lines.iloc[0]
    assert line["reason"] == "launch"
    assert line["other_reasons"].split(";") == ["withdrawal", "stock_out_risk"]
