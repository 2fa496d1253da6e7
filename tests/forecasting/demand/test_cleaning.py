import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.demand.cleaning import clean, net_returns, outliers
from forecasting.demand.data_quality import history_start, isolated_rows
from forecasting.demand.series import panel_from_frame
from forecasting.errors import InvalidInput
from forecasting.terms import Period

AS_OF = dt.date(2026, 1, 1)


def monthly(quantities: list[float], facility: str = "a", first: str = "2024-01-01") -> pd.DataFrame:
    starts = pd.date_range(first, periods=len(quantities), freq="MS")
    return pd.DataFrame({"facility_id": facility, "product_id": "x", "period_start": starts, "quantity": quantities})


def net_oracle(line: list[float]) -> list[float]:
    """Take each return off what went out before it, newest return last to act on the oldest stock."""
    left = list(line)
    for place in range(len(left) - 1, -1, -1):
        owed, left[place] = max(-left[place], 0.0), max(left[place], 0.0)
        for earlier in range(place - 1, -1, -1):
            if owed and left[earlier] > 0:
                taken = min(owed, left[earlier])
                left[earlier], owed = left[earlier] - taken, owed - taken
            elif owed and left[earlier] < 0:
                break
        if owed and place and min(left[:place]) < 0:
            nearest = max(p for p in range(place) if left[p] < 0)
            left[nearest] -= owed
    return left


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=12))
def test_returns__net_against_the_periods_before_and_leave_no_negative(line):
    netted = net_returns(np.array([line], dtype=float))[0]
    assert netted.tolist() == net_oracle([float(quantity) for quantity in line])
    assert (netted >= 0).all()
    assert netted.sum() >= sum(line)


def test_outlier__a_gross_error_is_unknown_and_its_neighbours_stay():
    history = [5040.0, 3600, 10980, 4320, 8280, 2520, -314280, 9000, 9180, 5580, 14400]
    cleaned = clean(monthly(history), period=Period.MONTH, as_of=AS_OF)
    expected = [np.nan if quantity < 0 else quantity for quantity in history]
    np.testing.assert_array_equal(cleaned.frame["quantity"], expected)
    np.testing.assert_array_equal(cleaned.frame["quantity_raw"], history)
    assert cleaned.changes[["rule", "quantity_raw"]].to_numpy().tolist() == [["outlier", -314280.0]]


def test_outlier__a_spike_is_found_and_a_level_shift_is_not():
    spike, shift = [10.0] * 8 + [900.0] + [11.0] * 8, [10.0] * 8 + [900.0] * 9
    assert outliers(np.array([spike, shift])).nonzero()[0].tolist() == [0]


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_outlier__poisson_demand_has_none(level, seed):
    counts = np.random.default_rng(seed).poisson(level, (5, 40)).astype(float)
    assert not outliers(counts).any()


SITES = pd.DataFrame(
    {"facility_id": ["a", "b", "c"], "closed_on": ["2024-06-01", "2025-01-01", None], "successor_id": ["b", "c", None]}
)


def test_merger__history_follows_the_chain_and_nothing_is_lost():
    rows = pd.concat([monthly([1, 2], "a"), monthly([10, 20, 30], "b"), monthly([100, 200], "c", "2024-02-01")])
    cleaned = clean(rows, period=Period.MONTH, facilities=SITES, as_of=AS_OF)
    assert cleaned.frame["facility_id"].unique().tolist() == ["c"]
    assert cleaned.frame["quantity"].tolist() == [11, 122, 230]
    np.testing.assert_array_equal(cleaned.frame["quantity_raw"], [np.nan, 100, 200])
    assert cleaned.changes["facility_id"].tolist() == ["a", "a", "b", "b", "b"]
    assert set(cleaned.changes["rule"]) == {"merger"}


def test_merger__a_closure_still_to_come_moves_nothing():
    cleaned = clean(monthly([1, 2], "b"), period=Period.MONTH, facilities=SITES, as_of=dt.date(2024, 7, 1))
    assert cleaned.frame["facility_id"].unique().tolist() == ["b"]


def test_merger__an_unknown_part_makes_the_sum_unknown():
    rows = pd.concat([monthly([np.nan], "b"), monthly([5], "c")])
    assert clean(rows, period=Period.MONTH, facilities=SITES, as_of=AS_OF).frame["quantity"].isna().all()


def test_merger__a_circle_of_successors_is_refused():
    circle = SITES.assign(closed_on="2024-01-01", successor_id=["b", "c", "a"])
    with pytest.raises(InvalidInput, match="circle: a -> b -> c -> a"):
        clean(monthly([1], "a"), period=Period.MONTH, facilities=circle, as_of=AS_OF)


@pytest.mark.parametrize(
    ("as_of", "known"), [("2024-03-15", 2), ("2024-03-30", 2), ("2024-03-31", 3), ("2024-04-01", 3)]
)
def test_future__a_period_that_is_not_over_is_unknown(as_of, known):
    cleaned = clean(monthly([1, 2, 3, 4]), period=Period.MONTH, as_of=dt.date.fromisoformat(as_of))
    assert cleaned.frame["quantity"].notna().sum() == known
    assert set(cleaned.changes["rule"]) == {"future"}


def test_life__quantities_before_the_launch_and_after_the_withdrawal_are_unknown():
    products = pd.DataFrame({"product_id": ["x"], "launched_on": ["2024-02-10"], "withdrawn_on": ["2024-04-10"]})
    cleaned = clean(monthly([1, 2, 3, 4, 5]), period=Period.MONTH, products=products, as_of=AS_OF)
    np.testing.assert_array_equal(cleaned.frame["quantity"], [np.nan, 2, 3, 4, np.nan])
    assert cleaned.frame["rule"].tolist() == ["before_launch", "", "", "", "withdrawn"]


def test_clean__leaves_its_input_and_untouched_rows_alone():
    rows = monthly([3, 4, 5])
    before = rows.copy()
    cleaned = clean(rows, period=Period.MONTH, as_of=AS_OF)
    pd.testing.assert_frame_equal(rows, before)
    assert cleaned.changes.empty
    assert cleaned.frame["quantity"].tolist() == [3, 4, 5]


def test_clean__refuses_doubled_keys():
    with pytest.raises(InvalidInput, match="two rows for facility_id a"):
        clean(pd.concat([monthly([1]), monthly([2])]), period=Period.MONTH, as_of=AS_OF)


def test_clean__no_rows_give_no_rows():
    cleaned = clean(monthly([]), period=Period.MONTH, as_of=AS_OF)
    assert cleaned.frame.empty
    assert cleaned.changes.empty


def weekly(quantities: list[float], product: str = "x", first: str = "2024-01-01") -> pd.DataFrame:
    starts = pd.date_range(first, periods=len(quantities), freq="7D")
    return pd.DataFrame({"facility_id": "a", "product_id": product, "period_start": starts, "quantity": quantities})


def test_revision__the_newest_quantity_counts_and_the_log_has_the_first() -> None:
    revisions = pd.DataFrame(
        {
            **{"facility_id": "a", "product_id": "x", "period_start": [dt.date(2024, 2, 1)] * 2},
            **{"quantity_before": [9.0, 7.0], "quantity_after": [7.0, 4.0]},
            "revised_at": pd.to_datetime(["2024-05-01", "2024-06-01"]),
        }
    )
    cleaned = clean(monthly([3, 4, 5]), period=Period.MONTH, revisions=revisions, as_of=AS_OF)
    assert cleaned.frame["quantity"].tolist() == [3, 4, 5]
    assert cleaned.frame["rule"].tolist() == ["", "revision", ""]
    assert cleaned.changes["reason"].tolist() == ["first loaded as 9; revised 2 times, last on 2024-06-01"]


def test_off_grid__a_row_dated_inside_a_week_is_added_to_that_week_and_nothing_is_lost() -> None:
    inside = pd.DataFrame(
        {"facility_id": "a", "product_id": "x", "period_start": [pd.Timestamp("2024-01-10")], "quantity": 5.0}
    )
    rows = pd.concat([weekly([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), inside])
    assert Period.infer(rows["period_start"].dt.date) is Period.WEEK
    cleaned = clean(rows, period=Period.WEEK, as_of=AS_OF)
    assert cleaned.frame["quantity"].tolist() == [1, 7, 3, 4, 5, 6, 7, 8, 9, 10]
    assert cleaned.frame["quantity_raw"].tolist() == list(range(1, 11))
    assert cleaned.changes[["rule", "quantity_raw"]].to_numpy().tolist() == [["off_grid", 5.0]]


def test_isolated__a_stray_from_another_century_is_unknown_and_does_not_lengthen_the_history() -> None:
    rows = pd.concat([weekly([5.0] * 60), weekly([7.0], first="1900-01-01"), weekly([7.0], "y", "1900-01-01")])
    cleaned = clean(rows, period=Period.WEEK, as_of=AS_OF)
    assert cleaned.changes["rule"].tolist() == ["isolated", "isolated"]
    assert cleaned.frame["quantity"].notna().sum() == 60
    assert panel_from_frame(cleaned.frame, Period.WEEK).values.shape == (1, 60)
    assert history_start(rows["period_start"], Period.WEEK) == dt.date(2024, 1, 1)


def isolated_oracle(weeks: list[int], last: int) -> list[bool]:
    """Cut after each of the first three rows that more than a year of silence follows; what lies before is stray."""
    cut = -1
    for number, week in enumerate(weeks[:3]):
        following = weeks[number + 1] if number + 1 < len(weeks) else last
        if min(following, last) - week > 52:
            cut = number
    return [number <= cut for number in range(len(weeks))]


@given(st.lists(st.sets(st.integers(0, 400), min_size=1, max_size=7), min_size=1, max_size=3), st.integers(0, 400))
def test_isolated__agrees_with_row_by_row_reading(lines: list[set[int]], last: int) -> None:
    series = np.concatenate([np.full(len(line), number) for number, line in enumerate(lines)])
    offsets = np.concatenate([np.array(sorted(line)) for line in lines])
    expected = [one for line in lines for one in isolated_oracle(sorted(line), last)]
    assert isolated_rows(series, offsets, Period.WEEK, last=last).tolist() == expected


def site(last_quantities: list[float]) -> pd.DataFrame:
    """Five items that always sell about 20; the given quantities are everyone's last ones."""
    random = np.random.default_rng(3)
    return pd.concat([weekly([*random.integers(18, 23, 30), *last_quantities], name) for name in "vwxyz"])


@pytest.mark.parametrize(
    ("last", "unknown"),
    [([20, 3], 1), ([4, 3], 2), ([4, 0], 2), ([3, 20], 0), ([20, 15], 0), ([4, 4, 4, 4], 0)],
)
def test_provisional__the_last_unfinished_periods_of_a_site_are_unknown(last: list[float], unknown: int) -> None:
    rows = site(last)
    as_of = rows["period_start"].max().date() + dt.timedelta(days=7)
    cleaned = clean(rows, period=Period.WEEK, as_of=as_of)
    assert cleaned.frame["quantity"].isna().sum() == 5 * unknown
    assert (cleaned.changes["rule"] == "provisional").sum() == 5 * unknown
    panel = panel_from_frame(cleaned.frame, Period.WEEK, end=as_of - dt.timedelta(days=7))
    assert np.isnan(panel.values[:, panel.values.shape[1] - unknown :]).all()


def test_provisional__one_low_item_is_demand() -> None:
    rows = site([20])
    rows.loc[(rows["product_id"] == "x") & (rows["period_start"] == rows["period_start"].max()), "quantity"] = 1.0
    assert clean(rows, period=Period.WEEK, as_of=AS_OF).changes.empty


def test_provisional__rows_that_are_not_there_yet_are_unknown_and_not_zero() -> None:
    rows = site([20])
    rows = rows[(rows["product_id"] == "z") | (rows["period_start"] < rows["period_start"].max())]
    rows.loc[rows["period_start"] == rows["period_start"].max(), "quantity"] = 2.0
    cleaned = clean(rows, period=Period.WEEK, as_of=AS_OF)
    panel = panel_from_frame(cleaned.frame, Period.WEEK, end=rows["period_start"].max().date())
    assert np.isnan(panel.values[:, -1]).all()
