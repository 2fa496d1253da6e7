"""Input that cannot be right: a clear message or a named default, and nothing silently zero."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pytest

from forecasting.errors import InvalidInput
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend

AS_OF = dt.date(2026, 11, 23)


def said(found):
    return dict(zip(found.problems["rule"], found.problems["message"], strict=True))


def test_a_missing_lead_time_is_assumed_long_and_named_on_the_line(network):
    case = network()
    found = recommend(OrderInputs(**case | {"lead_times": case["lead_times"].iloc[:0]}))
    assert "14 days are assumed" in said(found)["lead_time_assumed"]
    lead = next(one for one in found.explanations[0]["inputs"] if one["name"] == "lead_time_mean_days")
    assert (lead["value"], lead["source"]) == ("14", "lead time: assumed, 0 receipts")


@pytest.mark.parametrize("price", [Decimal(0), None])
def test_a_price_of_zero_is_unknown_and_the_cost_is_blank(network, price):
    found = recommend(OrderInputs(**network(pack_price=price)))
    assert pd.isna(found.lines["cost"].iloc[0])
    assert "price is not known" in said(found)["price_unknown"]


def test_without_a_stock_count_nothing_is_ordered_and_the_item_is_named(network):
    case = network()
    found = recommend(OrderInputs(**case | {"lots": case["lots"].iloc[:0]}))
    assert found.lines.empty
    assert "stock not counted" in said(found)["stock_not_counted"]


def test_negative_stock_counts_as_none_and_is_reported(network):
    case = network()
    empty, below = (recommend(OrderInputs(**case | {"lots": case["lots"].assign(quantity=q)})) for q in (0.0, -50.0))
    assert empty.lines["packs"].tolist() == below.lines["packs"].tolist()
    assert "below zero" in said(below)["stock_below_zero"]


def test_a_pack_of_nothing_is_refused_with_its_item(network):
    with pytest.raises(InvalidInput, match=r"item north, product-0000: pack_size 0 is not"):
        recommend(OrderInputs(**network(pack_size=Decimal(0))))


def test_an_order_of_last_year_due_tomorrow_is_flagged_by_its_age_and_not_relied_on_for_that_day(network, orders):
    case = network()
    dated = {"packs": 1, "expected_at": AS_OF + dt.timedelta(1)}
    old = recommend(OrderInputs(**case | {"open_orders": orders(dated | {"ordered_at": AS_OF - dt.timedelta(364)})}))
    undated = recommend(OrderInputs(**case | {"open_orders": orders({"packs": 1, "expected_at": None})}))
    told = said(old)["open_order_old"]
    assert "ordered 364 days ago and is promised for 2026-11-24" in told
    assert "counts as arriving like a new order; ask the supplier" in told
    [line] = [one for one in old.explanations[0]["inputs"] if one["name"] == "open_order_1"]
    assert (line["rule"], line["expected_at"]) == ("open_order_old", "2026-11-24")
    assert old.lines["packs"].tolist() == undated.lines["packs"].tolist()
    new = recommend(OrderInputs(**case | {"open_orders": orders(dated | {"ordered_at": AS_OF - dt.timedelta(2)})}))
    assert "open_order_old" not in said(new)


def test_an_order_expected_last_year_no_longer_counts_and_says_so(network, orders):
    case = network()
    lost = orders({"packs": 1, "ordered_at": AS_OF - dt.timedelta(380), "expected_at": AS_OF - dt.timedelta(364)})
    found = recommend(OrderInputs(**case | {"open_orders": lost}))
    assert found.lines["packs"].tolist() == recommend(OrderInputs(**case)).lines["packs"].tolist()
    assert "too long ago to count; ask the supplier" in said(found)["open_order_long_overdue"]
    [told] = found.explanations[0]["not_counted"]
    assert (told["rule"], told["packs"]) == ("open_order_long_overdue", 1)


def test_an_order_of_a_supplier_with_long_lead_times_is_not_old(network, orders):
    case = network()
    case["lead_times"] = case["lead_times"].assign(mean_days=60.0, sd_days=0.0)
    dated = orders({"packs": 1, "ordered_at": AS_OF - dt.timedelta(100), "expected_at": AS_OF + dt.timedelta(1)})
    assert "open_order_old" not in said(recommend(OrderInputs(**case | {"open_orders": dated})))


@pytest.mark.parametrize(("column", "word"), [("policy_kind", "guess"), ("criticality", "vital")])
def test_an_unknown_word_is_refused_with_the_known_ones(network, column, word):
    with pytest.raises(InvalidInput, match=f"{column} '{word}' is none of"):
        recommend(OrderInputs(**network(**{column: word})))
