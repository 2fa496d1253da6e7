import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.demand.series import DemandPanel, panel_from_frame
from forecasting.errors import InvalidInput
from forecasting.terms import Period


def rows(*cells: tuple[str, str, str, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(cells, columns=["facility_id", "product_id", "period_start", "quantity"])
    return frame.assign(period_start=pd.to_datetime(frame["period_start"]), quantity=frame["quantity"].astype(float))


def panel_oracle(frame: pd.DataFrame, starts: list[dt.date]) -> dict[tuple[str, str], list[float]]:
    """Cell by cell, as slow and obvious as possible."""
    cells = {(f, p, s.date()): q for f, p, s, q in frame.itertuples(index=False)}
    known = {key: quantity for key, quantity in cells.items() if not np.isnan(quantity)}
    found: dict[tuple[str, str], list[float]] = {}
    for facility, product in {key[:2] for key in known}:
        launch = min(start for f, p, start in known if (f, p) == (facility, product))
        line = []
        for start in starts:
            silent = not any(f == facility and s == start for f, _, s in known)
            missing = np.nan if silent or start < launch else 0.0
            line.append(cells.get((facility, product, start), missing))
        found[facility, product] = line
    return found


quantities = st.one_of(st.none(), st.floats(0, 1000))
histories = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 7)), quantities, min_size=1
).filter(lambda cells: any(quantity is not None for quantity in cells.values()))


@given(histories, st.sampled_from([Period.WEEK, Period.MONTH, Period.QUARTER, Period.DAY]))
def test_panel__agrees_with_cell_by_cell_reading(cells, period):
    first = dt.date(2024, 1, 1)
    frame = rows(*((f, p, str(period.step(first, step)), quantity) for (f, p, step), quantity in cells.items()))
    panel = panel_from_frame(frame, period)
    expected = panel_oracle(frame, list(panel.period_starts()))
    assert sorted(expected) == list(zip(panel.facility_ids, panel.product_ids, strict=True))
    for facility, product, line in zip(panel.facility_ids, panel.product_ids, panel.values, strict=True):
        np.testing.assert_array_equal(line, expected[facility, product])


def test_panel__silence_of_the_whole_facility_is_unknown_and_of_one_product_zero():
    frame = rows(
        ("a", "x", "2026-01-01", 5),
        ("a", "y", "2026-01-01", 1),
        ("a", "y", "2026-02-01", 2),
        ("b", "x", "2026-03-01", 7),
    )
    panel = panel_from_frame(frame, Period.MONTH)
    np.testing.assert_array_equal(panel.values, [[5, 0, np.nan], [1, 2, np.nan], [np.nan, np.nan, 7]])


def test_panel__runs_to_the_wanted_end():
    frame = rows(("a", "x", "2026-01-05", 5), ("a", "x", "2026-01-26", 4))
    assert panel_from_frame(frame, Period.WEEK, end=dt.date(2026, 1, 12)).values.shape == (1, 2)
    assert np.isnan(panel_from_frame(frame, Period.WEEK, end=dt.date(2026, 2, 2)).values[0, -1])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([("a", "x", "2026-01-05", 1), ("a", "x", "2026-01-05", 2)], "two rows for facility_id a, product_id x"),
        ([("a", "x", "2026-01-05", 1), ("a", "x", "2026-01-13", 2)], "2026-01-13 is not the start of a week"),
        ([("a", "x", "2026-01-05", None)], "at least one row with a quantity"),
    ],
)
def test_panel__refuses_what_it_cannot_read(cells, message):
    with pytest.raises(InvalidInput, match=message):
        panel_from_frame(rows(*cells), Period.WEEK)


def test_panel__select_keeps_names_and_values_together():
    panel = DemandPanel(
        ("a", "a", "b"), ("x", "y", "x"), np.arange(6.0).reshape(3, 2), dt.date(2026, 1, 1), Period.MONTH
    )
    chosen = panel.select(np.array([True, False, True]))
    assert (chosen.facility_ids, chosen.product_ids, chosen.values.tolist()) == (
        ("a", "b"),
        ("x", "x"),
        [[0, 1], [4, 5]],
    )


def test_panel__refuses_names_that_do_not_match_its_rows():
    with pytest.raises(InvalidInput, match="one row per facility_id"):
        DemandPanel(("a",), ("x",), np.ones((2, 3)), dt.date(2026, 1, 1), Period.MONTH)
