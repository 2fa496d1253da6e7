"""What a change does to the rows that a run reads, worked out by hand."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.scenarios.changes import Budget, Change, Coverage, GoLive, Shortage, changed_tables
from forecasting.errors import InvalidInput
from forecasting.terms import Period

AS_OF = dt.date(2026, 11, 23)
RUN = PlanningRun("r", AS_OF, Period.WEEK, 8, True, (), 7, 50, {})
STARTS = pd.date_range("2026-11-02", periods=11, freq="7D")
POLICY = ["facility_id", "product_id", "drug", "abc", "xyz", "criticality", "target", "budget_per_period"]


def coverage(*rows: tuple[str, str, bool, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["facility_id", "period_start", "planned", "share_tested"])
    frame["period_start"] = pd.to_datetime(frame["period_start"])
    return frame.assign(gene="CYP2C19", share_followed=1.0)


PLAN = coverage(
    ("A", "2026-11-02", False, 0.1),
    ("A", "2026-11-30", True, 0.3),
    ("A", "2026-12-07", True, 0.5),
    ("B", "2026-11-30", True, 0.3),
)


def changed(*changes: Change, **frames: pd.DataFrame) -> Any:
    nobody: Any = None
    tables = RunTables(nobody, RUN)
    tables["testing_coverage"] = PLAN
    tables["facilities"] = pd.DataFrame({"facility_id": ["A", "B"]})
    tables["exposure"] = pd.DataFrame({"period_start": STARTS})
    tables["shortages"] = pd.DataFrame(columns=["product_id", "drug", "starts_on", "ends_on", "allocation_share"])
    tables["policies"] = pd.DataFrame([["A", *["*"] * 5, 0.95, None]], columns=POLICY)
    for name, frame in frames.items():
        tables[name] = frame
    return changed_tables(tables, changes)


def exposure(tables: Any, site: str) -> list[float]:
    rows = tables["exposure"]
    return [round(value, 6) for value in rows.loc[rows["facility_id"] == site, "exposure"]]


def test_a_later_go_live_moves_the_plan_as_a_whole_and_leaves_what_was_measured() -> None:
    tables = changed(GoLive("CYP2C19", dt.date(2026, 12, 28), ("A",)))
    rows = tables["testing_coverage"]
    mine = rows[(rows["facility_id"] == "A") & rows["planned"].astype(bool)]
    assert mine["period_start"].dt.strftime("%Y-%m-%d").tolist() == ["2026-12-28", "2027-01-04"]
    assert mine["share_tested"].tolist() == [0.3, 0.5]
    assert exposure(tables, "A") == [0.1] * 8 + [0.3, 0.5, 0.5]
    # a plan with nothing measured before it is a go-live: there was no testing
    assert exposure(tables, "B") == [0.0] * 4 + [0.3] * 7


def test_coverage_takes_the_place_of_the_plan_from_its_day_on() -> None:
    tables = changed(Coverage("CYP2C19", dt.date(2026, 12, 7), 0.8, 0.5, ("A", "B")))
    assert exposure(tables, "A")[5:] == [0.4] * 6
    assert exposure(tables, "B")[5:] == [0.4] * 6
    assert exposure(tables, "B")[4] == 0.3


def test_what_cannot_be_moved_is_told() -> None:
    with pytest.raises(InvalidInput, match="B has no plan to test CYP2C19"):
        changed(GoLive("CYP2C19", AS_OF, ("B",)), testing_coverage=PLAN[PLAN["facility_id"] == "A"])
    with pytest.raises(InvalidInput, match="knows of no testing"):
        changed(Coverage("CYP2C19", AS_OF, 0.5, 0.5, ("A",)), exposure=pd.DataFrame({"period_start": []}))


def test_a_shortage_runs_at_the_origin_and_takes_the_place_of_the_same_one() -> None:
    tables = changed(Shortage("d", "*", 0.5, None), Shortage("d", "*", 0.2, dt.date(2026, 12, 31)))
    (row,) = tables["shortages"].to_dict("records")
    assert (row["drug"], row["allocation_share"], row["starts_on"]) == ("d", 0.2, pd.Timestamp(AS_OF))
    assert row["ends_on"] == pd.Timestamp("2026-12-31")


def test_a_budget_joins_the_sites_own_row_or_makes_one_that_states_nothing_else() -> None:
    rows = changed(Budget(100.0, ("A", "B")))["policies"].set_index("facility_id")
    assert rows["budget_per_period"].tolist() == [100.0, 100.0]
    assert rows.loc["A", "target"] == 0.95
    assert np.isnan(rows.loc["B", "target"])
    assert (rows[["product_id", "drug", "abc"]] == "*").all(axis=None)


def test_the_tables_that_are_compared_with_stay_as_they_are() -> None:
    before = PLAN.copy()
    changed(GoLive("CYP2C19", dt.date(2026, 12, 28), ("A",)), Budget(1.0, ("A",)))
    pd.testing.assert_frame_equal(PLAN, before)
