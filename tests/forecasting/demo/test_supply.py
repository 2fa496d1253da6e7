"""Stock, orders and terms of the invented network hold together."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

ORIGIN = pd.Timestamp(dt.date(2026, 11, 23))


@pytest.fixture(scope="module")
def lines(network):
    """Per stocked line: usable units on hand, weekly demand, lead time and review period in days."""
    files = network.files
    expected = network.truth.expected
    soon = expected[expected["period_start"].between(ORIGIN, ORIGIN + pd.Timedelta(weeks=3))]
    weekly = soon.groupby(["facility_id", "product_id"])["expected_quantity"].mean().rename("weekly").reset_index()
    lots = files["stock"]
    usable = lots[(lots["status"] == "available") & ~(lots["expiry_date"] < ORIGIN)]
    on_hand = usable.groupby(["facility_id", "product_id"])["quantity"].sum().rename("on_hand").reset_index()
    terms = files["products"].merge(files["suppliers"], on="supplier_id")[["product_id", "lead_time_days"]]
    return weekly.merge(on_hand, how="left").fillna({"on_hand": 0.0}).merge(terms, on="product_id")


def test_about_a_third_of_the_lines_needs_an_order_and_some_are_comfortable(lines):
    protection = lines["weekly"] / 7 * (lines["lead_time_days"] + 7)
    assert 0.28 < (lines["on_hand"] < protection).mean() < 0.45
    assert 0.08 < (lines["on_hand"] > 4.5 * protection).mean() < 0.22


def test_two_products_of_one_site_are_stocked_out(network):
    empty = network.files["stock"].query("quantity == 0")
    assert (len(empty), empty["facility_id"].nunique(), empty["lot"].isna().all()) == (2, 1, True)


def test_lots_include_one_expired_one_in_quarantine_and_some_that_expire_soon(network):
    stock = network.files["stock"]
    assert (stock["expiry_date"] < ORIGIN).sum() == 1
    assert (stock["status"] == "quarantined").sum() == 1
    assert 4 <= stock["expiry_date"].between(ORIGIN, ORIGIN + pd.Timedelta(days=45)).sum() <= 20
    assert stock.groupby(["facility_id", "product_id"]).size().max() == 3


def test_stock_was_counted_in_the_last_days_but_for_one_site(network):
    age = (ORIGIN - network.files["stock"].groupby("facility_id")["counted_at"].max()).dt.days
    assert sorted(age)[:-1] == sorted(days for days in age if days <= 3)
    assert age.max() in (39, 40)


def test_open_orders_are_placed_on_order_days_some_late_and_one_far_ahead(network):
    orders = network.files["open_orders"].merge(
        network.files["products"][["product_id", "supplier_id"]], on="product_id"
    )
    assert len(orders) == 40
    assert 4 <= (orders["expected_at"] < ORIGIN).sum() <= 6
    assert (orders["expected_at"] > ORIGIN + pd.Timedelta(days=90)).sum() == 1
    assert (orders["ordered_at"] < ORIGIN).all()
    assert_on_order_days(orders, network)


def test_receipts_follow_the_lead_times_of_their_suppliers(network):
    receipts = network.files["receipts"].merge(
        network.files["products"][["product_id", "supplier_id"]], on="product_id"
    )
    assert 380 <= len(receipts) <= 400
    assert (receipts["received_at"] < ORIGIN).all()
    assert (receipts["ordered_at"] >= ORIGIN - pd.Timedelta(days=366)).all()
    assert_on_order_days(receipts, network)
    lead = (receipts["received_at"] - receipts["ordered_at"]).dt.days
    assert lead.min() >= 1
    stated = network.files["suppliers"].set_index("supplier_id")["lead_time_days"]
    assert (lead.groupby(receipts["supplier_id"]).mean() / stated).between(0.9, 1.5).all()


def assert_on_order_days(orders, network):
    taken = orders["supplier_id"].map(network.files["suppliers"].set_index("supplier_id")["order_weekdays"])
    days = orders["ordered_at"].dt.day_name().str[:3]
    assert [day in names.split(";") for day, names in zip(days, taken, strict=True)] == [True] * len(orders)


def test_order_sizes_are_whole_packs_that_the_supplier_takes(network):
    orders = network.files["open_orders"].merge(network.files["products"], on="product_id")
    assert (orders["packs"] % orders["order_multiple_packs"] == 0).all()
    assert (orders["packs"] >= orders["minimum_order_packs"]).all()


def test_prices_and_budgets_are_exact_decimals(network):
    assert {type(price) for price in network.files["products"]["pack_price"]} == {Decimal}
    budget = network.files["policies"]["budget_per_period"].dropna()
    assert [type(amount) for amount in budget] == [Decimal]
    assert 1_000 < budget.iloc[0] < 100_000


def test_policies_have_a_default_tighter_targets_and_one_cap_in_days(network):
    policies = network.files["policies"]
    default = policies.query("facility_id == '*' and product_id == '*' and drug == '*'").iloc[0]
    critical = policies.query("drug in ['clopidogrel', 'ticagrelor', 'tacrolimus']")
    assert (critical["target"] > default["target"]).all()
    assert policies["max_on_hand_days"].notna().sum() == 1


def test_alternatives_are_approved_and_their_shares_add_up(network):
    alternatives = network.files["alternatives"]
    assert alternatives["approved_by"].notna().all()
    assert alternatives.groupby("drug")["share"].sum().to_numpy() == pytest.approx(
        np.ones(alternatives["drug"].nunique())
    )
    assert alternatives.set_index(["drug", "alternative_drug"])["dose_ratio"]["codeine", "morphine"] == 0.1


def test_one_shortage_is_running_in_which_a_part_is_delivered(network):
    shortage = network.files["shortages"].iloc[0]
    assert shortage["starts_on"] < ORIGIN < shortage["ends_on"]
    assert 0 < shortage["allocation_share"] < 1
