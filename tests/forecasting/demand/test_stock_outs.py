"""Unrecorded stock-outs: censored demand is told from no demand."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.demand.cleaning import clean
from forecasting.demand.stock_outs import stock_outs
from forecasting.terms import Period


def _steady(*changes: tuple[int, float], periods: int = 40, level: float = 50.0) -> np.ndarray:
    values = np.full((1, periods), level)
    for place, quantity in changes:
        values[0, place] = quantity
    return values


def test_a_run_of_zeros_in_an_item_that_always_sells_is_a_stock_out():
    assert stock_outs(_steady((20, 0), (21, 0), (22, 0))).nonzero()[1].tolist() == [20, 21, 22]


@pytest.mark.parametrize(
    "values",
    [
        _steady((20, 0)),
        _steady((38, 0), (39, 0)),
        _steady((0, 0), (1, 0)),
        _steady((20, 0), (21, 0), level=4.0),
        _steady((20, 0), (21, 0), *((place, 0.0) for place in range(1, 16, 3))),
        _steady((20, 0), (21, 0), (18, np.nan)),
    ],
    ids=["one period", "at the end", "at the start", "slow item", "sells now and then", "unknown neighbour"],
)
def test_silence_that_may_be_demand_is_left_alone(values):
    assert not stock_outs(values).any()


def test_a_sparse_panel_has_none():
    counts = np.random.default_rng(3).poisson(0.4, size=(200, 60)).astype(float)
    assert not stock_outs(counts).any()


def test_cleaning_makes_the_stock_out_unknown_also_where_rows_are_missing():
    weeks = pd.date_range("2025-01-06", periods=40, freq="7D")
    rows = pd.DataFrame({"facility_id": "a", "product_id": "x", "period_start": weeks, "quantity": 50.0})
    rows.loc[20, "quantity"] = 0.0
    other = rows.assign(product_id="y")
    cleaned = clean(pd.concat([rows.drop(index=[21]), other]), period=Period.WEEK, as_of=dt.date(2025, 10, 13))
    touched = cleaned.frame[cleaned.frame["rule"] == "stock_out"]
    assert touched["period_start"].tolist() == [weeks[20], weeks[21]]
    assert touched["quantity"].isna().all()
    assert len(cleaned.frame) == 80
    assert (cleaned.changes["rule"] == "stock_out").sum() == 2
