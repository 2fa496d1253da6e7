"""Exposure paths: what was measured, what is planned, and who is reached by rules of two genes."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.regimens.exposure import exposure_path, exposure_table, row_exposure
from forecasting.terms import NO_RESULT

WEEKS = pd.date_range("2026-01-05", periods=20, freq="7D")
AS_OF = dt.date(2026, 3, 2)


def coverage(*rows: tuple[str, float, bool]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["period_start", "share_tested", "planned"])
    return frame.assign(period_start=pd.to_datetime(frame["period_start"]), share_followed=0.5)


def path(*rows: tuple[str, float, bool]) -> np.ndarray:
    return exposure_path(coverage(*rows), WEEKS, AS_OF)[0]


def test_a_plan_with_nothing_measured_is_a_go_live_from_nothing() -> None:
    exposure, planned = exposure_path(coverage(("2026-04-06", 0.4, True)), WEEKS, AS_OF)
    live = WEEKS >= pd.Timestamp("2026-04-06")
    assert exposure.tolist() == np.where(live, 0.2, 0.0).tolist()
    assert planned.tolist() == live.tolist()


def test_the_first_measurement_holds_backwards_and_the_last_holds_on() -> None:
    found = path(("2026-02-02", 0.2, False), ("2026-02-16", 0.4, False))
    assert (found[WEEKS <= pd.Timestamp("2026-02-02")] == 0.1).all()
    assert (found[WEEKS >= pd.Timestamp("2026-02-16")] == 0.2).all()


def test_a_measurement_wins_over_the_plan_of_its_time() -> None:
    measured = [("2026-01-05", 0.2, False), ("2026-02-02", 0.3, False)]
    plans = [("2026-01-05", 0.9, True), ("2026-01-19", 0.9, True), ("2026-02-02", 0.9, True)]
    np.testing.assert_array_equal(path(*measured, *plans), path(*measured))


def test_measurements_from_the_origin_on_are_not_known_yet() -> None:
    past = ("2026-01-05", 0.2, False)
    np.testing.assert_array_equal(path(past, ("2026-03-02", 0.9, False), ("2026-04-06", 0.9, False)), path(past))


def test_monthly_rows_are_joined_by_a_line_and_distant_ones_by_a_step() -> None:
    near = path(("2026-01-05", 0.0, False), ("2026-02-02", 0.8, False))
    np.testing.assert_allclose(near[:5], [0, 0.1, 0.2, 0.3, 0.4])
    far = path(("2026-01-05", 0.0, False), ("2026-02-16", 0.8, False))
    np.testing.assert_allclose(far[:7], [0, 0, 0, 0, 0, 0, 0.4])


def test_nothing_known_is_said_as_nothing_planned() -> None:
    exposure, planned = exposure_path(coverage(), WEEKS, AS_OF)
    assert not exposure.any()
    assert not planned.any()


def test_the_table_speaks_of_the_sites_asked_for_and_of_each_gene_alone() -> None:
    rows = pd.concat(
        [
            coverage(("2026-01-05", 0.2, False)).assign(facility_id="A", gene="G"),
            coverage(("2026-01-05", 0.6, False)).assign(facility_id="A", gene="H"),
            coverage(("2026-01-05", 0.6, False)).assign(facility_id="B", gene="G"),
        ]
    )
    table = exposure_table(rows, ["A"], WEEKS, AS_OF)
    assert len(table) == 2 * len(WEEKS)
    assert table.groupby("gene")["exposure"].max().to_dict() == {"G": 0.1, "H": pytest.approx(0.3)}
    assert table.groupby("gene")["exposure"].min().to_dict() == {"G": 0.1, "H": pytest.approx(0.3)}
    assert exposure_table(rows, ["C"], WEEKS, AS_OF).empty


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.2), (0.2, 0.5), (0.3, 0.3), (0.4, 0.0)])
def test_whoever_is_tested_is_reached_by_exactly_one_kind_of_row(first: float, second: float) -> None:
    rows = pd.DataFrame(
        [
            ("G", "poor", "H", "poor"),
            ("G", "poor", "H", NO_RESULT),
            ("G", NO_RESULT, "H", "poor"),
            ("G", "poor", "", ""),
        ],
        columns=["gene_1", "lookup_key_1", "gene_2", "lookup_key_2"],
    )
    both, first_alone, second_alone, single = row_exposure(rows, {"G": np.array([first]), "H": np.array([second])})[0]
    assert both == min(first, second)
    assert both + first_alone == pytest.approx(first)
    assert both + second_alone == pytest.approx(second)
    assert single == first


def test_a_gene_that_nobody_tests_reaches_nobody() -> None:
    rows = pd.DataFrame([{"gene_1": "G", "lookup_key_1": "poor", "gene_2": "", "lookup_key_2": ""}])
    assert row_exposure(rows, {"H": np.array([0.5, 0.6])}).tolist() == [[0.0], [0.0]]
