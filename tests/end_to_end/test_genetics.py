"""The genetic step by the user's road, on networks that share no code with it, against blind forecasters."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.genetics import errors, planned, ratios
from benchmarks.simulated_hospitals import GO_LIVE, GREW, STEADY, simulated_hospitals

pytestmark = pytest.mark.slow

SEEDS = (3, 4)
MOST = {GO_LIVE: 0.72, GREW: 0.80, STEADY: 1.02}
"""What is kept today; for sites that go live the aim is 0.60."""


@pytest.mark.timeout(900)
def test_where_testing_grows_the_plan_beats_every_blind_forecaster_and_elsewhere_loses_to_none(tmp_path: Path) -> None:
    parts = []
    for seed in SEEDS:
        network = simulated_hospitals(seed)
        parts.append(errors(network, planned(network, tmp_path / str(seed))))
    found = ratios(pd.concat(parts))["ratio"]
    assert {kind: round(found[kind], 3) for kind in MOST if found[kind] > MOST[kind]} == {}
    # without the re-mix, sites that go live would have nothing of it
    assert found[GO_LIVE] < ratios(pd.concat(parts))["baseline"][GO_LIVE] - 0.1
