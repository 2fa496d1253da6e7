"""The replay by the user's road, on a network whose truth is known: what the plan saves at the same service."""

from pathlib import Path

import pytest

from benchmarks.replay import compared, replayed

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
def test_the_plan_serves_as_well_from_less_stock_and_genetics_costs_none(tmp_path: Path) -> None:
    found = compared(replayed(3, tmp_path))
    ratio = found["ratio"]
    assert ratio["all", "par_levels"] <= 0.8
    # the genetic step must not cost stock; where forecasts are made anew every week it hardly saves any either
    assert ratio["moved by genotype", "plan_without_genetics"] <= 1.01
