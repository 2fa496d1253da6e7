"""When an order is placed and how long it takes."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply import lead_time
from forecasting.procurement.supply.calendar import WEEKDAYS, days_to_open, order_days, parse_weekdays

days = st.dates(dt.date(2024, 1, 1), dt.date(2030, 1, 1))
weekdays = st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(";".join)


@given(days, weekdays, st.none() | st.integers(1, 40))
def test_order_days_are_the_first_allowed_days_found_by_walking(as_of, words, review):
    found = order_days(as_of, words, review)
    allowed = [WEEKDAYS.index(word) for word in words.split(";")]
    day = as_of
    while day.weekday() not in allowed:
        day += dt.timedelta(days=1)
    after = day + dt.timedelta(days=review or 1)
    while after.weekday() not in allowed:
        after += dt.timedelta(days=1)
    assert (found.order_by, found.next_order) == (day, after)
    assert found.review_days >= (review or 1)


def test_blank_order_weekdays_mean_monday_to_friday():
    assert order_days(dt.date(2026, 11, 28), None).order_by == dt.date(2026, 11, 30)
    assert order_days(dt.date(2026, 11, 27), "").review_days == 3


@pytest.mark.parametrize(("words", "review"), [("Mon;Noday", None), ("Mon", 0)])
def test_a_word_that_is_no_weekday_and_an_empty_review_period_are_refused(words, review):
    with pytest.raises(InvalidInput):
        order_days(dt.date(2026, 11, 23), words, review)


def test_long_weekday_names_are_read():
    assert parse_weekdays("monday; Thursday") == {0, 3}


@pytest.fixture
def tables():
    ordered = pd.to_datetime(["2026-01-01"] * 5)
    taken = [4, 6, 8, 5, 7]
    receipts = pd.DataFrame(
        {
            "order_id": range(5),
            "product_id": "often",
            "facility_id": "north",
            "ordered_at": ordered,
            "received_at": ordered + pd.to_timedelta(taken, unit="D"),
            "packs": 1,
        }
    )
    suppliers = pd.DataFrame({"supplier_id": ["s"], "lead_time_days": [10.0], "lead_time_sd_days": [2.0]})
    products = pd.DataFrame({"product_id": ["often", "stated", "unknown"], "supplier_id": ["s", "s", None]})
    return receipts, suppliers, products


def test_five_receipts_weigh_as_much_as_the_stated_lead_time(tables):
    found = lead_time.lead_times(*tables).set_index("product_id")
    pooled = [4, 6, 8, 5, 7] + list(10 + 2 * np.array([-1, 1]))
    weights = [1] * 5 + [2.5, 2.5]
    mean = np.average(pooled, weights=weights)
    variance = np.average((np.array(pooled) - mean) ** 2, weights=weights)
    assert found.loc["often", "mean_days"] == pytest.approx(mean)
    assert found.loc["often", "sd_days"] == pytest.approx(np.sqrt(variance))
    assert found["source"].to_dict() == {"often": "receipts", "stated": "supplier_receipts", "unknown": "assumed"}
    assert found["observations"].to_dict() == {"often": 5, "stated": 0, "unknown": 0}


def test_no_known_supplier_means_the_named_default_and_never_zero_days(tables):
    unknown = lead_time.lead_times(*tables).set_index("product_id").loc["unknown"]
    assert unknown["mean_days"] == lead_time.DEFAULT_LEAD_TIME_DAYS > 0
    assert unknown["sd_days"] > 0


def test_products_without_any_known_supplier_learn_from_their_own_receipts_alone(tables):
    receipts, suppliers, products = tables
    blank = products.assign(supplier_id=pd.Series([None] * len(products), dtype="str"))
    learned = lead_time.lead_times(receipts, suppliers, blank).set_index("product_id")
    often = learned.loc["often"]
    weight = lead_time.STATED_WEIGHT
    assert often["source"] == "receipts"
    assert often["mean_days"] == pytest.approx((30 + weight * lead_time.DEFAULT_LEAD_TIME_DAYS) / (5 + weight))
    assert set(learned["source"].drop("often")) == {"assumed"}


def test_a_stated_time_without_spread_gets_the_assumed_spread(tables):
    receipts, suppliers, products = tables
    found = lead_time.lead_times(receipts.iloc[:0], suppliers.drop(columns="lead_time_sd_days"), products)
    assert found["sd_days"].iloc[0] == pytest.approx(10 * lead_time.ASSUMED_COEFFICIENT_OF_VARIATION)


def test_a_receipt_before_its_order_is_refused(tables):
    receipts, suppliers, products = tables
    receipts.loc[2, "received_at"] = pd.Timestamp("2025-12-01")
    with pytest.raises(InvalidInput, match="order 2"):
        lead_time.lead_times(receipts, suppliers, products)


def test_draws_have_the_moments_of_the_gamma_and_one_draw_in_each_stratum():
    from scipy import stats

    drawn = lead_time.draw_lead_times(np.array([6.0, 12.0]), np.array([2.0, 1.0]), 1000, ["a", "b"])
    assert drawn.mean(axis=1) == pytest.approx([6, 12], rel=1e-3)
    assert drawn.std(axis=1) == pytest.approx([2, 1], rel=2e-2)
    ranks = stats.gamma.cdf(drawn[0], 9, scale=6 / 9) * 1000
    assert sorted(np.floor(ranks).astype(int)) == list(range(1000))


def test_an_item_keeps_its_draws_when_others_come_and_go_and_two_items_do_not_share_them():
    both = lead_time.draw_lead_times(np.array([6.0, 6.0]), np.array([2.0, 2.0]), 50, ["a", "b"])
    alone = lead_time.draw_lead_times(np.array([6.0]), np.array([2.0]), 50, ["b"])
    np.testing.assert_array_equal(both[1], alone[0])
    assert not np.array_equal(both[0], both[1])


@pytest.mark.parametrize(("mean", "sd"), [(-1.0, 0.0), (1.0, -1.0), (0.0, 1.0), (np.nan, 1.0)])
def test_impossible_lead_times_are_refused(mean, sd):
    with pytest.raises(InvalidInput):
        lead_time.draw_lead_times(np.array([mean]), np.array([sd]), 4, ["a"])


def receipts_of(product, taken, start="2026-01-01"):
    ordered = pd.to_datetime([start] * len(taken))
    columns = {"order_id": range(len(taken)), "product_id": product, "facility_id": "north", "packs": 1}
    received = ordered + pd.to_timedelta(np.asarray(taken, dtype=float), unit="D")
    return pd.DataFrame(columns | {"ordered_at": ordered, "received_at": received})


def test_few_receipts_are_shrunk_to_the_suppliers_other_products_and_many_speak_for_themselves(tables):
    _, suppliers, _ = tables
    products = pd.DataFrame({"product_id": ["few", "many", "none"], "supplier_id": "s"})
    rng = np.random.default_rng(4)
    receipts = pd.concat([receipts_of("few", [20.0]), receipts_of("many", rng.gamma(16, 0.25, 400))])
    found = lead_time.lead_times(receipts, suppliers, products).set_index("product_id")
    assert found.loc["many", "mean_days"] == pytest.approx(4, abs=0.3)
    # the supplier's 401 receipts, not the stated 10 days, are what a product without receipts takes
    assert found.loc["none", "mean_days"] == pytest.approx(4.1, abs=0.3)
    assert 4.5 < found.loc["few", "mean_days"] < 8
    assert found.loc["none", "source"] == "supplier_receipts"


def test_a_products_own_receipts_are_not_counted_a_second_time_as_its_suppliers(tables):
    _, suppliers, _ = tables
    alone = pd.DataFrame({"product_id": ["few"], "supplier_id": "s"})
    found = lead_time.lead_times(receipts_of("few", [20.0]), suppliers, alone).iloc[0]
    assert found["mean_days"] == pytest.approx((20 + 5 * 10) / 6)


def test_orders_still_open_keep_the_lead_time_from_looking_short():
    """A supplier becomes slow: half of the orders have come, the others would teach nothing if they were left out."""
    rng = np.random.default_rng(9)
    taken = rng.gamma(4, 5.0, 600)  # mean 20 days
    age = rng.uniform(0, 40, 600)
    came = taken <= age
    today = dt.date(2026, 6, 1)
    ordered = pd.Timestamp(today) - pd.to_timedelta(age, unit="D")
    rows = pd.DataFrame({"order_id": range(600), "product_id": "p", "ordered_at": ordered})
    receipts = rows[came].assign(received_at=(ordered + pd.to_timedelta(taken, unit="D"))[came])
    waiting = rows[~came].assign(expected_at=pd.Timestamp(today))
    suppliers = pd.DataFrame({"supplier_id": ["s"], "lead_time_days": [8.0], "lead_time_sd_days": [3.0]})
    products = pd.DataFrame({"product_id": ["p"], "supplier_id": ["s"]})
    naive = lead_time.lead_times(receipts, suppliers, products).iloc[0]
    found = lead_time.lead_times(receipts, suppliers, products, waiting, today).iloc[0]
    assert naive["mean_days"] < 0.8 * 20
    assert found["mean_days"] == pytest.approx(20, rel=0.1)
    assert found["sd_days"] == pytest.approx(10, rel=0.2)
    assert found["observations"] == came.sum()


def test_an_order_placed_today_and_one_long_lost_teach_nothing():
    today = dt.date(2026, 6, 1)
    suppliers = pd.DataFrame({"supplier_id": ["s"], "lead_time_days": [8.0], "lead_time_sd_days": [3.0]})
    products = pd.DataFrame({"product_id": ["p"], "supplier_id": ["s"]})
    waiting = pd.DataFrame({"product_id": "p", "ordered_at": pd.to_datetime(["2026-06-01", "2025-06-01"])})
    waiting = waiting.assign(expected_at=waiting["ordered_at"] + pd.Timedelta(days=8))
    found = lead_time.lead_times(receipts_of("p", []), suppliers, products, waiting, today).iloc[0]
    assert (found["mean_days"], found["sd_days"]) == (pytest.approx(8), pytest.approx(3))


def test_holidays_move_the_order_day_and_the_one_after_it():
    closed = "2026-12-24;2026-12-25;2026-12-28"
    found = order_days(dt.date(2026, 12, 24), "Thu;Fri;Mon", closed_dates=closed)
    assert (found.order_by, found.next_order) == (dt.date(2026, 12, 31), dt.date(2027, 1, 1))


@pytest.mark.parametrize(("at", "day"), [(None, 23), (dt.time(14, 30), 23), (dt.time(14, 31), 24)])
def test_after_the_cut_off_the_order_waits_for_the_next_day(at, day):
    assert order_days(dt.date(2026, 11, 23), "", order_cutoff="14:30", at=at).order_by == dt.date(2026, 11, day)


@pytest.mark.parametrize("words", [{"closed_dates": "25.12.2026"}, {"order_cutoff": "noon"}])
def test_a_closed_day_or_a_cut_off_that_cannot_be_read_is_refused(words):
    with pytest.raises(InvalidInput, match=next(iter(words))):
        order_days(dt.date(2026, 11, 23), "", **words)


def test_a_supplier_that_never_opens_is_refused_rather_than_waited_for():
    closed = ";".join(str(dt.date(2026, 1, 1) + dt.timedelta(days=n)) for n in range(800))
    with pytest.raises(InvalidInput, match="closed"):
        order_days(dt.date(2026, 3, 1), "Mon", closed_dates=closed)


@given(st.sets(st.integers(0, 20)), st.lists(st.floats(0, 25), min_size=1, max_size=8))
def test_deliveries_wait_for_the_first_day_that_is_open(closed, days):
    as_of = dt.date(2026, 12, 20)
    found = days_to_open(frozenset(as_of + dt.timedelta(days=n) for n in closed), as_of, np.array(days))
    for before, after in zip(days, found, strict=True):
        expected = before
        while int(expected) in closed:
            expected = float(int(expected) + 1)
        assert after == expected


def test_closed_days_lengthen_the_protection_interval_and_the_calculation_says_so(network):
    closed = ";".join(f"2026-11-{day}" for day in (26, 27, 28))
    plain = recommend(OrderInputs(**network())).explanations[0]
    found = recommend(OrderInputs(**network(closed_dates=closed, order_cutoff="14:30")))
    document = found.explanations[0]
    values = {entry["name"]: entry["value"] for entry in [*document["inputs"], *document["steps"]]}
    # ordered on the 23rd, the delivery of the 26th waits until the 29th, and so does the order after it
    assert (values["closed_days"], values["protection_days"]) == ("3", "13")
    assert recompute(document)["packs"] > recompute(plain)["packs"]
    text = render_paragraph(document)
    assert "by 2026-11-23 14:30" in text
    assert unsupported_numbers(text, document) == []
    assert unsupported_numbers("Order by 2026-11-23 15:30", document) != []
