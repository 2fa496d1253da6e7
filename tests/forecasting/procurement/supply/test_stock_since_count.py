"""The shelf on the day of the order, from a count that is some days old (field notes, groups B and G)."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.procurement.order.inputs import OrderInputs
from forecasting.procurement.recommend import recommend
from forecasting.procurement.supply.stock import read_lots
from forecasting.procurement.supply.stock_since_count import moves_since_count
from forecasting.terms import Period

AS_OF = dt.date(2026, 11, 23)
KEYS = pd.MultiIndex.from_tuples([("north", "a")], names=["facility_id", "product_id"])


def day(number):
    return AS_OF + dt.timedelta(days=number)


def frame(**columns):
    return pd.DataFrame({"facility_id": "north", "product_id": "a"} | columns)


def moved(*, counted_at, history=(), receipts=(), rate=2.0):
    weeks = [pd.Timestamp(AS_OF) - pd.Timedelta(weeks=len(history) - n) for n in range(len(history))]
    found = moves_since_count(
        frame(counted_at=[pd.Timestamp(counted_at)]),
        frame(period_start=pd.DatetimeIndex(weeks), quantity=np.array(history, dtype=float)),
        frame(received_at=pd.DatetimeIndex([d for d, _ in receipts]), quantity=[float(q) for _, q in receipts]),
        pd.Series([rate], index=KEYS),
        period=Period.WEEK,
        as_of=AS_OF,
    )
    return found.iloc[0]


def test_dispensing_between_the_count_and_the_origin_is_taken_day_by_day():
    # two days at 70 a week and the whole week of 35 after it
    found = moved(counted_at="2026-11-14", history=[70, 35])
    assert (found["used"], found["use_source"]) == (pytest.approx(55), "dispensing")


def test_an_hour_counts_as_part_of_a_day():
    assert moved(counted_at="2026-11-22T12:00", history=[70])["used"] == pytest.approx(5)


def test_days_without_a_record_count_at_the_recent_average_and_say_so():
    none = moved(counted_at="2026-11-13", history=[])
    assert (none["used"], none["use_source"]) == (pytest.approx(20), "recent average use")
    some = moved(counted_at="2026-11-13", history=[np.nan, 35])
    assert some["used"] == pytest.approx(3 * 2 + 35)
    assert some["use_source"] == "dispensing and recent average use"


@pytest.mark.parametrize("counted_at", ["2026-11-23", "2026-11-23T15:00"])
def test_nothing_is_taken_from_a_count_of_today(counted_at):
    found = moved(counted_at=counted_at, history=[70], receipts=[("2026-11-23", 9)])
    assert (found["used"], found["received"], found["use_source"]) == (0, 0, "nothing since")


def test_receipts_after_the_day_of_the_count_are_added_and_those_of_that_day_are_in_the_count():
    receipts = [("2026-11-13", 5), ("2026-11-14", 7), ("2026-11-15", 11), ("2026-11-23", 13), ("2026-11-24", 17)]
    assert moved(counted_at="2026-11-14T09:00", history=[0, 0], receipts=receipts)["received"] == 24


def test_net_returns_since_the_count_are_no_use():
    assert moved(counted_at="2026-11-16", history=[-30])["used"] == 0


def shelf_oracle(lots, used, age):
    """Hand out an even use in small portions, from the lot that expires first and is still good; count what is left."""
    shelf = [[expiry, quantity] for quantity, expiry in sorted(lots, key=lambda lot: lot[1])]
    portions = 600 * max(age, 1)
    for portion in range(portions):
        now = -age + age * portion / portions
        wanted = used / portions
        for lot in shelf:
            if lot[0] + 1 <= now:
                continue
            taken = min(lot[1], wanted)
            lot[1] -= taken
            wanted -= taken
    return sum(quantity for expiry, quantity in shelf if expiry >= 0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(-12, 8)), min_size=1, max_size=4),
    st.integers(0, 90),
    st.integers(1, 9),
)
def test_use_since_the_count_is_taken_first_expired_first_out_as_on_a_shelf(lots, used, age):
    rows = frame(
        quantity=[q for q, _ in lots], expiry_date=[pd.Timestamp(day(e)) for _, e in lots], counted_at=day(-age)
    )
    found = read_lots(KEYS, rows, AS_OF, frame(used=[used], received=[0.0], use_source="dispensing"))
    assert found.on_hand[0] / 1000 == pytest.approx(shelf_oracle(lots, used, age), abs=0.5)
    parts = found.booked + found.received - found.used - found.committed - found.expired
    assert found.on_hand[0] == parts[0]
    assert found.used[0] + found.use_beyond_stock[0] == used * 1000


def test_more_use_than_stock_empties_the_shelf_and_asks_for_a_count(network):
    case = network()
    case["moves_since_count"] = case["lots"][["facility_id", "product_id"]].assign(
        used=33.0, received=5.0, use_source="dispensing"
    )
    found = recommend(OrderInputs(**case))
    assert "stock_used_up_since_count" in set(found.problems["rule"])
    assert "8 dose units" in found.problems.set_index("rule")["message"]["stock_used_up_since_count"]


def test_the_order_grows_by_what_was_used_and_shrinks_by_what_was_received_and_the_explanation_says_so(network):
    case = network(pack_size=1)
    since = case["lots"][["facility_id", "product_id"]]
    plain = recommend(OrderInputs(**case)).lines["packs"].iloc[0]
    moved = recommend(
        OrderInputs(**case, moves_since_count=since.assign(used=12.0, received=5.0, use_source="dispensing"))
    )
    assert moved.lines["packs"].iloc[0] == plain + 7
    document = moved.explanations[0]
    values = {entry["name"]: entry for entry in [*document["inputs"], *document["steps"]]}
    assert values["used_since_count"]["source"] == "dispensing"
    told = [values[name]["value"] for name in ("stock_counted", "used_since_count", "received_since_count")]
    assert told == ["20", "12", "5"]
    assert values["stock_on_hand"]["value"] == "13"
    assert recompute(document)["packs"] == plain + 7
    text = render_paragraph(document)
    assert "5 received since, 12 used since" in text
    assert unsupported_numbers(text, document) == []


def test_committed_quantities_are_not_there_to_be_used(network):
    case = network(pack_size=1)
    plain = recommend(OrderInputs(**case)).lines["packs"].iloc[0]
    case["lots"] = case["lots"].assign(committed=8.0)
    found = recommend(OrderInputs(**case))
    assert found.lines["packs"].iloc[0] == plain + 8
    assert "stock_committed" in set(found.problems["rule"])
    assert recompute(found.explanations[0])["packs"] == plain + 8


def test_more_committed_than_there_is_takes_no_more_than_there_is_and_a_negative_commitment_is_refused():
    lots = read_lots(KEYS, frame(quantity=[5], committed=[9], counted_at=AS_OF), AS_OF)
    assert (lots.on_hand[0], lots.committed[0]) == (0, 5000)
    with pytest.raises(InvalidInput, match="committed"):
        read_lots(KEYS, frame(quantity=[5], committed=[-1], counted_at=AS_OF), AS_OF)
