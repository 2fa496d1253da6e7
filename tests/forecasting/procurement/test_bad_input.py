"""Input that cannot be right: a clear message or a named default, and nothing silently zero."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.procurement.recommend import recommend

AS_OF = dt.date(2026, 11, 23)


def said(found):
    return dict(zip(found.problems["rule"], found.problems["message"], strict=True))


def test_a_missing_lead_time_is_assumed_long_and_named_on_the_line(network):
    case = network()
    found = recommend(**case | {"lead_times": case["lead_times"].iloc[:0]})
    assert "14 days are assumed" in said(found)["lead_time_assumed"]
    lead = next(one for one in found.explanations[0]["inputs"] if one["name"] == "lead_time_mean_days")
    assert (lead["value"], lead["source"]) == ("14", "lead time: assumed, 0 receipts")


@pytest.mark.parametrize("price", [Decimal(0), None])
def test_a_price_of_zero_is_unknown_and_the_cost_is_blank(network, price):
    found = recommend(**network(pack_price=price))
    assert pd.isna(found.lines["cost"].iloc[0])
    assert "price is not known" in said(found)["price_unknown"]


def test_without_a_stock_count_nothing_is_ordered_and_the_item_is_named(network):
    case = network()
    found = recommend(**case | {"lots": case["lots"].iloc[:0]})
    assert found.lines.empty
    assert "stock not counted" in said(found)["stock_not_counted"]


def test_negative_stock_counts_as_none_and_is_reported(network):
    case = network()
    empty, below = (recommend(**case | {"lots": case["lots"].assign(quantity=q)}) for q in (0.0, -50.0))
    assert empty.lines["packs"].tolist() == below.lines["packs"].tolist()
    assert "below zero" in said(below)["stock_below_zero"]


def test_a_pack_of_nothing_is_refused_with_its_item(network):
    with pytest.raises(InvalidInput, match=r"item north, product-0000: pack_size 0 is not"):
        recommend(**network(pack_size=Decimal(0)))


def test_an_order_of_last_year_due_tomorrow_counts_and_is_named_with_its_day(network, orders):
    case = network()
    old = orders({"packs": 1, "ordered_at": AS_OF - dt.timedelta(364), "expected_at": AS_OF + dt.timedelta(1)})
    found = recommend(**case | {"open_orders": old})
    plain = recommend(**case)
    assert found.lines["packs"].sum() < plain.lines["packs"].sum()
    told = [one for one in found.explanations[0]["inputs"] if one["name"] == "open_order_1"]
    assert told[0]["expected_at"] == str(AS_OF + dt.timedelta(1))


@pytest.mark.parametrize(("column", "word"), [("policy_kind", "guess"), ("criticality", "vital")])
def test_an_unknown_word_is_refused_with_the_known_ones(network, column, word):
    with pytest.raises(InvalidInput, match=f"{column} '{word}' is none of"):
        recommend(**network(**{column: word}))
