"""What a model wrote about an order: honest words pass, and whatever the calculation does not say is found."""

import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forecasting.procurement.explanation.model_paragraph import MOST_CHARACTERS, objections, prompt_facts
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend

OTHERS = ("north", "product-0000", "wholesaler", "cpic-2026-10", "Dr Miller")


@pytest.fixture(scope="module")
def document(network, orders):
    """A line with a genetic shift, a count of yesterday and an order under way."""
    case = network(daily=33.0, order_cutoff="14:00")
    steps = case["demand"].genetic_steps
    about = {"item": 0, "gene": "CYP2C19", "lookup_key": "Intermediate Metabolizer", "drug": "clopidogrel"}
    steps.loc[0] = [{**about, "recommendation_id": "r1", "action": "avoid"}.get(name, 0.25) for name in steps.columns]
    demand = case["demand"]
    moved = np.full((1, demand.final.shape[1]), 9.0)
    demand = dataclasses.replace(
        demand, final=demand.final + 9, final_mean=demand.baseline_mean + 9, genetic_quantity=moved, genetic_steps=steps
    )
    case |= {"demand": demand, "open_orders": orders({"packs": 1, "expected_at": case["as_of"]})}
    return recommend(OrderInputs(**case, context={"guidance_release": "cpic-2026-10"})).explanations[0]


@pytest.fixture(scope="module")
def honest(document):
    return (
        "Order 11 packs of clopidogrel 75 mg by 2026-11-23, at a cost of 46.20 GBP. Around 343 tablets are expected "
        "to be used in the 10 days until the next order arrives, of which genotype-guided prescribing for CYP2C19 "
        "Intermediate Metabolizer adds 13 tablets to the baseline. With only 20 tablets in stock and 28 tablets "
        "coming, the shelf would run out with a chance of 100%; with this order the chance falls to 26%."
    )


def test_honest_words_and_the_template_pass(document, honest):
    assert objections(honest, document) == []
    assert objections(render_paragraph(document), document) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("Order 11 packs", "Order 12 packs", "begin with the order of 11"),
        ("343 tablets", "344 tablets", "344 is not a number"),
        ("10 days", "28 days", "28 days are not"),
        ("46.20 GBP", "28 GBP", "28 GBP are not"),
        ("2026-11-23", "2026-11-30", "2026-11-30 is not the day to order by"),
        ("by 2026-11-23", "by 23/11/2026", "2026-11-23, is missing"),
        ("by 2026-11-23", "by 2026-11-23 or the 10th", "10th is not how"),
        ("clopidogrel", "ticagrelor", "'ticagrelor' is neither"),
        ("clopidogrel", "zyprexolin", "'zyprexolin' is neither"),
        ("in stock", "in stock at north", "'north' is neither"),
        ("CYP2C19", "CYP2D6", "2 is not a number"),
        ("With only", "Give every patient half the dose. With only", "'Give' is neither"),
        ("With only", "You should order twice. With only", "'You' is neither"),
        ("With only", "Hold the order. With only", "begins with 'Hold'"),
        ("With only", "The pharmacy orders 10 packs. With only", "an order of 10"),
        ("adds 13 tablets", "takes away 13 tablets", "turns the genetic shift"),
        ("falls to 26%", "falls to 27%", "27 is not a number"),
        ("28 tablets coming", "twelve tablets coming", "twelve is not a number"),
        ("46.20 GBP", "4,6.20 GBP", "4,6 is not how"),
        ("343 tablets", "3 43 tablets", "3 4 is not how"),
        ("the shelf", "<b>the shelf</b>", "characters"),
        ("the shelf", "the ⅔ shelf", "characters"),
        ("the shelf", "the shelf\n- and", "characters"),
        ("the shelf", "the shelf " * 200, "characters long"),
    ],
)
def test_a_lie_is_found(document, honest, before, after, told):
    assert before in honest
    assert told in "; ".join(objections(honest.replace(before, after, 1), document))


@pytest.mark.parametrize("text", ["", "   ", "Order 11 packs.", "null", "{}"])
def test_what_is_no_paragraph_is_found(document, text):
    assert objections(text, document)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_changed_digit_is_found_or_gives_another_number_of_the_calculation(document, honest, data):
    places = [found.start() for found in re.finditer(r"\d", honest)]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from("0123456789"))
    assume(digit != honest[place])
    changed = honest[:place] + digit + honest[place + 1 :]
    word = next(one for one in re.finditer(r"[\w.,%-]+", changed) if one.start() <= place < one.end())
    if not objections(changed, document):
        # whatever passes stands in the calculation by itself, and is neither the order, its day nor a name
        assert unsupported_numbers(changed, document) == []
        number = word.group().strip(".,%")
        assert unsupported_numbers(f"{number}%" if "%" in word.group() else number, document) == []
        assert not re.search(r"[A-Za-z]|-", number)
        assert f"Order {document['result']['packs']} packs" in changed


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=12))
def test_an_invented_name_never_passes(document, honest, name):
    from forecasting.procurement.explanation.allowed_words import PLAIN_WORDS

    assume(name not in PLAIN_WORDS)
    for written in (name, name.capitalize(), name.upper(), f"tablet-{name}"):
        assert objections(honest.replace("the shelf", f"the {written} shelf"), document)


def test_a_model_is_told_numbers_of_the_calculation_and_nothing_of_places_people_or_draws(document):
    told = json.dumps(prompt_facts(document))
    assert not [name for name in OTHERS if name in told]
    assert "demand_until" not in told
    assert len(told) < 8000
    numbers = " ".join(one["value"].replace("%", " %") for one in prompt_facts(document)["numbers"])
    assert unsupported_numbers(re.sub(r"(?<=\d) %", "%", numbers), document) == []
    assert MOST_CHARACTERS < 2000
