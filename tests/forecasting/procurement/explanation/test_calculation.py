"""The stored calculation gives the order back, shows tampering, and bounds what words may claim."""

import copy
import dataclasses
import json
from decimal import Decimal

import pytest

from api.display.calculation_labels import VALUE_NAMES
from api.display.formatting import doses
from forecasting.demand import cleaning
from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import OPERATIONS, recommendation_id, recompute
from forecasting.procurement.explanation.number_check import number_text, unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from forecasting.terms import CleaningRule


@pytest.fixture(scope="module")
def document(network):
    case = network(daily=10.0)
    return recommend(OrderInputs(**case, context={"guidance_release": "cpic-2026-10"})).explanations[0]


def test_the_document_survives_json_and_gives_the_order_back(document):
    redone = recompute(json.loads(json.dumps(document, allow_nan=False)))
    assert str(redone["packs"]) == next(s["value"] for s in document["steps"] if s["name"] == "packs")
    assert redone["quantity"] == redone["packs"] * 28
    assert redone["cost"] == redone["packs"] * Decimal("4.20")


def test_the_id_is_that_of_the_calculation_and_changes_with_its_releases(document):
    body = {name: value for name, value in document.items() if name != "recommendation_id"}
    assert recommendation_id(body) == document["recommendation_id"]
    assert recommendation_id(body | {"context": {}}) != document["recommendation_id"]


def test_the_steps_stand_in_order(document):
    told = [step["name"] for step in document["steps"]]
    order = ["history_demand", "genetic_shift", "expected_demand", "order_up_to_level", "safety_stock", "usable_stock"]
    order += ["open_order_quantity", "net_need", "packs_needed", "packs", "quantity", "cost"]
    assert [name for name in told if name in order] == order


def test_every_changed_step_is_found(document):
    for number, step in enumerate(document["steps"]):
        changed = copy.deepcopy(document)
        changed["steps"][number]["value"] = str(Decimal(step["value"]) + 1)
        with pytest.raises(InvalidInput, match=step["name"]):
            recompute(changed)


def test_every_changed_input_that_carries_weight_is_found(document):
    silent = {"lead_time_sd_days"}  # tells how the lead times were drawn; the sample holds the draws
    for number, entry in enumerate(document["inputs"]):
        changed = copy.deepcopy(document)
        changed["inputs"][number]["value"] = (
            str(Decimal(entry["value"]) * 2 + 1) if entry["name"] != "target" else "0.5"
        )
        if entry["name"] not in silent | {"minimum_order_packs", "order_multiple_packs"}:
            with pytest.raises(InvalidInput):
                recompute(changed)


@pytest.mark.parametrize("name", ["packs", "quantity", "cost"])
def test_a_changed_result_is_found(document, name):
    changed = document | {"result": document["result"] | {name: 99}}
    with pytest.raises(InvalidInput, match=f"stored {name} 99"):
        recompute(changed)


def test_a_changed_sample_is_found(document):
    changed = copy.deepcopy(document)
    sample = next(s for s in changed["samples"] if s["name"] == "demand_until_next_arrival")
    sample["values"] = [value + 1000 for value in sample["values"]]
    with pytest.raises(InvalidInput, match="order_up_to_level"):
        recompute(changed)


def test_other_versions_unknown_operations_and_missing_parts_are_refused(document):
    broken = copy.deepcopy(document)
    broken["steps"][0]["operation"] = "eval"
    for wrong in ({"version": 2}, document | {"version": 2}, broken, {"version": 1}, document | {"inputs": []}):
        with pytest.raises(InvalidInput):
            recompute(wrong)
    assert "eval" not in OPERATIONS


def test_the_paragraph_names_units_and_holds_only_numbers_of_the_calculation(document):
    text = render_paragraph(document)
    assert unsupported_numbers(text, document) == []
    assert "tablets" in text
    assert "days" in text
    assert text.count(". ") in (3, 4, 5)


@pytest.mark.parametrize(
    ("claim", "wrong"),
    [
        ("Order 4711 packs.", ["4711"]),
        ("Order 4,711 packs by 2031-01-01.", ["2031-01-01", "4,711"]),
        ("The fill rate is 97%.", ["97"]),
        ("CYP9Z9 explains it.", ["9", "9"]),
        ("That is 1e5 tablets.", ["1e5"]),
        ("Order twelve dozen.", ["twelve", "dozen"]),
        ("There is a 23.7 per cent chance.", ["23.7"]),
    ],
)
def test_numbers_from_nowhere_are_found(document, claim, wrong):
    assert unsupported_numbers(claim, document) == wrong


def test_any_packs_but_the_recommended_are_found_in_the_rendered_text(document):
    packs = document["result"]["packs"]
    text = render_paragraph(document)
    assert f"Order {packs} packs" in text
    for wrong in (packs + 50, packs * 1000 + 7):
        assert unsupported_numbers(text.replace(f"Order {packs} packs", f"Order {wrong} packs"), document) == [
            str(wrong)
        ]


def test_rounding_coarser_than_the_display_is_not_supported(document):
    fake = copy.deepcopy(document)
    fake["inputs"] = [{"name": "x", "value": "1234.56", "unit": "dose units", "age_days": None}]
    fake["steps"], fake["outlook"] = [], []
    assert unsupported_numbers("1,235 or 1234.6 or 1234.56", fake) == []
    assert unsupported_numbers("about 1200 or 1234", fake) == ["1200", "1234"]


def test_a_drug_strength_may_be_named_but_no_other(document):
    assert unsupported_numbers("clopidogrel 75 mg", document) == []
    assert unsupported_numbers("clopidogrel 8675 mg", document) == ["8675"]


def test_an_unknown_price_is_said_in_words(network):
    document = recommend(OrderInputs(**network(pack_price=None))).explanations[0]
    assert "the price is not known" in render_paragraph(document)
    assert recompute(document)["cost"] is None


@pytest.mark.parametrize(
    ("value", "text"), [("0", "0"), ("0.04", "0"), ("9.96", "10"), ("99.5", "100"), ("1234.5", "1,234")]
)
def test_display_rounding_is_as_documented(value, text):
    assert number_text(Decimal(value)) == text


def test_what_cleaning_did_to_the_history_is_shown_and_changes_no_number(network, document):
    case = network(daily=10.0)
    demand = dataclasses.replace(case["demand"], history_rules=[{"stock_out": 3, "outlier": 1}])
    told = recommend(
        OrderInputs(**case | {"demand": demand}, context={"guidance_release": "cpic-2026-10"})
    ).explanations[0]
    counted = {one["name"]: one["value"] for one in told["inputs"] if one["name"].startswith("history_periods_")}
    assert counted == {"history_periods_outlier": "1", "history_periods_stock_out": "3"}
    assert recompute(told) == recompute(document)
    text = render_paragraph(told)
    assert (
        "impossible quantities left out (1 period); periods without stock taken as unknown demand (3 periods)" in text
    )
    assert unsupported_numbers(text, told) == []
    assert "history was cleaned" not in render_paragraph(document)


def test_history_rules_must_be_one_an_item(network):
    with pytest.raises(InvalidInput, match="history_rules are of 2 items, not 1"):
        dataclasses.replace(network()["demand"], history_rules=[{}, {}])


def test_every_cleaning_rule_has_words_for_the_buyer_and_a_sentence_in_the_docstring():
    assert all(f"`{rule}`" in str(cleaning.clean.__doc__) for rule in CleaningRule)
    assert {f"history_periods_{rule}" for rule in CleaningRule} <= set(VALUE_NAMES)


@pytest.mark.parametrize("form", ["tablet", "gastro-resistant capsule", "patch", "oral solution", None])
def test_the_page_and_the_paragraph_count_a_dose_form_in_the_same_words(document, form):
    told = copy.deepcopy(document)
    told["item"]["dose_form"] = form
    quantity = Decimal(document["result"]["quantity"])
    assert f"({doses(quantity, form or '')}) of" in render_paragraph(told)
