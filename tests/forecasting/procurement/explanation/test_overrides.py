"""Overrides in an order's calculation: who set what and why, in numbers that add up and recompute."""

import dataclasses
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.protection_demand import OVERRIDE_COLUMNS
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply.shortages import ShortageMove, move_demand


def with_overrides(case, *factors):
    """The case with one override a factor, each on the period of its number, of the first item."""
    demand = case["demand"]
    rows, moved, final, mean = [], [], demand.final.copy(), demand.final_mean.copy()
    for number, factor in enumerate(factors):
        shift = np.zeros(mean.shape[1])
        shift[number] = mean[0, number] * (factor - 1)
        final[0, number] *= factor
        mean[0] += shift
        moved.append(shift)
        start = case["period_starts"][number].isoformat()
        rows.append([0, number + 1, "Ben Buyer 2", "factor", factor, "demand_event", start, start])
    steps = pd.DataFrame(rows, columns=OVERRIDE_COLUMNS)
    ratio = np.divide(mean, demand.final_mean)
    case["demand"] = dataclasses.replace(
        demand,
        final=final,
        final_mean=mean,
        override_steps=steps,
        override_quantity=np.array(moved),
        without_genetics=demand.baseline_mean * ratio,
    )
    return case


def told(document):
    return {one["name"]: Decimal(one["value"]) for one in [*document["inputs"], *document["steps"]]}


def test_the_stored_calculation_names_the_override_and_recomputes(network):
    plain = recommend(OrderInputs(**network())).explanations[0]
    document = json.loads(json.dumps(recommend(OrderInputs(**with_overrides(network(), 1.5, 0.8))).explanations[0]))
    values, inputs = told(document), {one["name"]: one for one in document["inputs"]}
    assert values["override"] == values["override_1"] + values["override_2"]
    assert values["override_1"] == Decimal("35")
    assert values["baseline_demand"] + values["override"] == values["expected_demand"]
    about = {"override_id": 1, "decided_by": "Ben Buyer 2", "kind": "factor", "set_to": 1.5}
    about |= {"reason_code": "demand_event", "starts_on": "2026-11-23", "ends_on": "2026-11-23"}
    assert inputs["override_1"] | about == inputs["override_1"]
    assert not [name for name in inputs if name.startswith("genetic_shift_")]
    assert recompute(document)["packs"] > recompute(plain)["packs"]


def test_without_overrides_the_document_is_as_before(network):
    document = recommend(OrderInputs(**network())).explanations[0]
    override = next(one for one in document["inputs"] if one["name"] == "override")
    assert override == {
        "name": "override",
        "value": "0",
        "unit": "dose units",
        "source": "no override",
        "age_days": None,
    }
    assert "verride" not in render_paragraph(document)


def test_the_paragraph_names_who_and_why_and_claims_no_number_of_its_own(network):
    document = recommend(OrderInputs(**with_overrides(network(), 1.5))).explanations[0]
    text = render_paragraph(document)
    assert "Ben Buyer 2 set a factor (a known event): adds 35 tablets." in text
    assert unsupported_numbers(text, document) == []
    assert unsupported_numbers(text.replace("adds 35", "adds 36"), document) == ["36"]


def test_override_steps_that_do_not_fit_their_quantities_are_refused(network):
    demand = with_overrides(network(), 1.5)["demand"]
    with pytest.raises(InvalidInput, match="override_quantity has shape"):
        dataclasses.replace(demand, override_quantity=demand.override_quantity[:0])


def test_an_override_beside_a_shortage_moves_with_the_demand_it_is_part_of(network):
    case = with_overrides(network(2), 2.0)
    demand = case["demand"]
    inside = np.ones(demand.final_mean.shape[1])
    moved = move_demand(demand, [ShortageMove(0, 1, 0.25, 2.0, inside, "short")])
    steps = moved.override_steps
    assert steps["item"].tolist() == [0, 1]
    assert moved.override_quantity[:, 0] == pytest.approx([0.75 * 70, 0.25 * 70 * 2])
    by_people = np.zeros_like(moved.final_mean)
    np.add.at(by_people, steps["item"].to_numpy(dtype=int), moved.override_quantity)
    np.testing.assert_allclose(moved.final_mean - by_people, moved.baseline_mean)
    for document in recommend(OrderInputs(**(case | {"demand": moved}))).explanations:
        assert recompute(document)
        assert not [one for one in document["inputs"] if one["name"].startswith("genetic_shift_")]
