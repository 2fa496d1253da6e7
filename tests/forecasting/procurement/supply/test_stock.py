"""Stock that can be used, against a shelf emptied day by day (field notes, group G)."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.procurement.protection_demand import CumulativeDemand
from forecasting.procurement.supply.stock import read_lots, usable_stock

AS_OF = dt.date(2026, 11, 23)
KEYS = pd.MultiIndex.from_tuples([("north", "a"), ("north", "b")], names=["facility_id", "product_id"])


def rows(*lots):
    usual = {"facility_id": "north", "product_id": "a", "quantity": 10, "counted_at": AS_OF}
    return pd.DataFrame([usual | lot for lot in lots])


def shelf_oracle(lots, per_day, days):
    """Each morning throw away what has expired, then hand out from the lot that expires first; count what is good."""
    shelf = sorted([expiry, quantity] for quantity, expiry in lots)
    given_out = 0
    for day in range(days):
        shelf = [lot for lot in shelf if lot[0] > day]
        wanted = per_day[day]
        for lot in shelf:
            taken = min(lot[1], wanted)
            lot[1] -= taken
            wanted -= taken
            given_out += taken
    return given_out + sum(quantity for expiry, quantity in shelf if expiry >= days)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=5),
    st.lists(st.integers(0, 12), min_size=10, max_size=10),
    st.integers(1, 10),
)
def test_usable_stock_is_what_a_shelf_emptied_day_by_day_gives(lots, per_day, days):
    lots = sorted(lots, key=lambda lot: lot[1])
    demand = CumulativeDemand(np.array(per_day, dtype=float)[None, :, None], np.arange(11.0))
    quantity = np.array([[quantity * 1000 for quantity, _ in lots]])
    last_day = np.array([[float(expiry) for _, expiry in lots]])
    found = usable_stock(quantity, last_day, demand, np.array([[float(days)]]))
    assert found[0, 0] == 1000 * shelf_oracle(lots, per_day, days)


def test_field_note_33__only_expired_stock_is_no_stock():
    lots = read_lots(KEYS, rows({"expiry_date": dt.date(2026, 11, 22)}), AS_OF)
    assert (lots.on_hand[0], lots.expired[0], lots.counted[0]) == (0, 10_000, True)


def test_field_note_33__a_lot_can_be_used_up_to_and_on_its_expiry_date():
    lots = read_lots(KEYS, rows({"expiry_date": AS_OF}), AS_OF)
    assert lots.on_hand[0] == 10_000
    assert lots.last_day[0, 0] == 1.0


def test_field_note_33__no_false_alarm_for_a_lot_that_demand_uses_in_time():
    lots = read_lots(KEYS[:1], rows({"expiry_date": dt.date(2026, 11, 27)}), AS_OF)
    demand = CumulativeDemand(np.full((1, 4, 1), 14.0), np.array([0.0, 7, 14, 21, 28]))
    assert usable_stock(lots.quantity, lots.last_day, demand, np.array([[14.0]]))[0, 0] == 10_000


@pytest.mark.parametrize("status", ["quarantined", "recalled"])
def test_quarantined_and_recalled_lots_are_counted_but_not_usable(status):
    lots = read_lots(KEYS, rows({"status": status}), AS_OF)
    assert (lots.counted[0], lots.on_hand[0], lots.blocked[0]) == (True, 0, 10_000)


def test_an_item_without_a_row_is_not_counted_and_a_blank_status_is_available():
    lots = read_lots(KEYS, rows({"status": None}), AS_OF)
    assert lots.counted.tolist() == [True, False]
    assert lots.on_hand.tolist() == [10_000, 0]
    assert np.isnan(lots.count_age_days[1])


def test_field_note_34__the_age_of_the_oldest_count_is_shown():
    lots = read_lots(KEYS, rows({"counted_at": dt.date(2026, 11, 20)}, {"counted_at": dt.date(2026, 11, 3)}), AS_OF)
    assert lots.count_age_days[0] == 20


def test_stock_below_zero_counts_as_none_and_is_marked():
    lots = read_lots(KEYS, rows({"quantity": -4}), AS_OF)
    assert (lots.on_hand[0], lots.below_zero[0]) == (0, True)


def test_an_unknown_status_is_refused():
    with pytest.raises(InvalidInput, match="lost"):
        read_lots(KEYS, rows({"status": "lost"}), AS_OF)


def test_a_lot_that_has_expired_changes_nothing_of_the_lots_that_have_not():
    demand = CumulativeDemand(np.full((1, 4, 1), 14.0), np.array([0.0, 7, 14, 21, 28]))
    found = read_lots(KEYS[:1], rows({"expiry_date": dt.date(2026, 11, 1)}, {"expiry_date": None}), AS_OF)
    assert (found.on_hand[0], found.expired[0]) == (10_000, 10_000)
    assert usable_stock(found.quantity, found.last_day, demand, np.array([[14.0]]))[0, 0] == 10_000
