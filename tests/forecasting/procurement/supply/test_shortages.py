"""Shortages: capped supply, and demand moved to approved alternatives as far as patients may take them."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply.shortages import (
    ShortageMove,
    blocked_share,
    move_demand,
    share_inside,
    shortage_at,
    units_per_unit,
)

AS_OF = dt.date(2026, 11, 23)


def moves(share=0.5, units=2.0, periods=12):
    return [ShortageMove(0, 1, share, units, np.ones(periods), "shortage of ticagrelor")]


def test_a_move_conserves_treatment_days_in_every_draw_and_period(network):
    demand = network(2)["demand"]
    moved = move_demand(demand, moves(units=2.0))  # a unit of the target is half a treatment-day
    for name in ("final", "baseline_mean", "final_mean"):
        before, after = getattr(demand, name), getattr(moved, name)
        assert after[0] + after[1] / 2 == pytest.approx(before[0] + before[1] / 2)
        assert after[0] == pytest.approx(before[0] / 2)
    assert moved.shortage_quantity[0] * -2 == pytest.approx(moved.shortage_quantity[1])


def test_no_item_gives_away_more_than_it_has(network):
    with pytest.raises(InvalidInput, match="more than an item's demand"):
        move_demand(network(2)["demand"], moves(share=0.6) * 2)


def test_a_capped_order_and_the_moved_demand_recompute_and_are_told_on_both_lines(network):
    case = network(2)
    free = recommend(OrderInputs(**case)).lines.set_index("product_id")["packs"]
    case["demand"] = move_demand(case["demand"], moves(share=0.5, units=1.0))
    case["items"] = case["items"].assign(allocation_share=[0.5, None], shortage_ends_on=[dt.date(2027, 1, 31), None])
    found = recommend(OrderInputs(**case))
    packs = found.lines.set_index("product_id")["packs"]
    assert packs["product-0000"] < free["product-0000"] < free["product-0001"] + 1 <= packs["product-0001"] + 1
    assert packs["product-0001"] > free["product-0001"]
    assert set(found.lines["reason"]) == {"shortage"}
    for document in found.explanations:
        recompute(document)
        shift = next(one for one in document["inputs"] if one["name"] == "shortage_shift")
        assert shift["source"] == "shortage of ticagrelor"
        text = render_paragraph(document)
        assert unsupported_numbers(text, document) == []
        assert "A shortage moves" in text


def test_nothing_is_ordered_of_what_cannot_be_had(network):
    none = recommend(OrderInputs(**network(allocation_share=0.0)))
    assert none.lines.empty
    told = none.problems.set_index("rule")["message"]
    assert "max_on_hand_limits" not in told
    assert "a share of 0.0 of what is asked for, which lets 0 through" in told["allocation_limits"]


GUIDANCE = pd.DataFrame(
    [
        ("clopidogrel", "ACS", "alternative", "CYP2C19", "Poor Metabolizer", "", ""),
        ("clopidogrel", "ACS", "alternative", "CYP2C19", "Intermediate Metabolizer", "", ""),
        ("clopidogrel", "stroke", "alternative", "CYP2C19", "Poor Metabolizer", "", ""),
        ("clopidogrel", "ACS", "standard", "CYP2C19", "Normal Metabolizer", "", ""),
    ],
    columns=["drug", "population", "action", "gene_1", "lookup_key_1", "gene_2", "lookup_key_2"],
)
PREVALENCE = pd.DataFrame(
    [("CYP2C19", "Poor Metabolizer", 0.03), ("CYP2C19", "Intermediate Metabolizer", 0.27)],
    columns=["gene", "result", "mean"],
)


def test_patients_whose_guidance_asks_for_another_drug_cannot_be_moved_to_it():
    assert blocked_share(GUIDANCE, PREVALENCE, "clopidogrel") == pytest.approx(0.30)
    assert blocked_share(GUIDANCE, PREVALENCE, "prasugrel") == 0


def test_an_unknown_prevalence_blocks_and_is_not_zero():
    assert blocked_share(GUIDANCE, PREVALENCE.iloc[:0], "clopidogrel") == 1


def test_two_genes_of_one_row_are_not_multiplied():
    row = ("x", "*", "alternative", "CYP2C9", "A", "CYP2C19", "B")
    known = pd.DataFrame([("CYP2C9", "A", 0.1), ("CYP2C19", "B", 0.4)], columns=["gene", "result", "mean"])
    assert blocked_share(pd.DataFrame([row], columns=GUIDANCE.columns), known, "x") == pytest.approx(0.1)


def test_dose_units_follow_treatment_days_unless_a_ratio_is_approved():
    ticagrelor = pd.Series({"strength_value": 90, "strength_unit": "mg", "usual_daily_dose": 180})
    clopidogrel = pd.Series({"strength_value": 75, "strength_unit": "mg", "usual_daily_dose": 75})
    assert units_per_unit(ticagrelor, clopidogrel, None) == pytest.approx(0.5)
    codeine = pd.Series({"strength_value": 30, "strength_unit": "mg", "usual_daily_dose": None})
    morphine = pd.Series({"strength_value": 10, "strength_unit": "mg", "usual_daily_dose": None})
    assert units_per_unit(codeine, morphine, 0.1) == pytest.approx(0.3)
    assert units_per_unit(codeine, morphine, None) is None


def test_the_shortage_that_delivers_least_holds_and_only_while_it_lasts():
    rows = pd.DataFrame(
        [
            ("p", "*", AS_OF - dt.timedelta(9), None, 0.5),
            ("*", "d", AS_OF, AS_OF + dt.timedelta(3), None),
            ("p", "*", AS_OF + dt.timedelta(9), None, 0.0),
        ],
        columns=["product_id", "drug", "starts_on", "ends_on", "allocation_share"],
    ).astype({"starts_on": "datetime64[us]", "ends_on": "datetime64[us]"})
    assert shortage_at(rows, "p", "d", AS_OF)["allocation_share"] == 0.0
    assert shortage_at(rows, "p", "d", AS_OF + dt.timedelta(5))["allocation_share"] == 0.5
    assert shortage_at(rows, "q", "e", AS_OF) is None
    assert share_inside([AS_OF], AS_OF + dt.timedelta(7), None).tolist() == [1.0]
