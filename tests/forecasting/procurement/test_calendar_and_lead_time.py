"""When an order is placed and how long it takes."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.procurement import lead_time
from forecasting.procurement.calendar import WEEKDAYS, order_days, parse_weekdays

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
    assert found["source"].to_dict() == {"often": "receipts", "stated": "supplier", "unknown": "assumed"}
    assert found["observations"].to_dict() == {"often": 5, "stated": 0, "unknown": 0}


def test_no_known_supplier_means_the_named_default_and_never_zero_days(tables):
    unknown = lead_time.lead_times(*tables).set_index("product_id").loc["unknown"]
    assert unknown["mean_days"] == lead_time.DEFAULT_LEAD_TIME_DAYS > 0
    assert unknown["sd_days"] > 0


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
