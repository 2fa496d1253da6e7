"""What a newcomer does who adds a forecaster: one module (here `mirrored`), one entry, and nothing else."""

import datetime as dt

import numpy as np
import pytest

from forecasting.demand.backtest import backtest
from forecasting.demand.forecast import forecast_panel
from forecasting.demand.pool.forecaster import Forecaster, SelectionEvidence, at_each_end
from forecasting.demand.pool.selection import Candidates, origin_cuts
from forecasting.demand.pool.table import FORECASTERS
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.terms import Period

HORIZON = 6
MIRROR = 500.0


def mirrored(values: np.ndarray, horizon: int, period: Period) -> np.ndarray:
    """Demand that jumps from one side of `MIRROR` to the other every month."""
    last = values[:, -1:]
    return np.where(np.arange(horizon) % 2 == 0, 2 * MIRROR - last, last)


def is_mirrored(evidence: SelectionEvidence) -> np.ndarray:
    return evidence.beats("mirrored", "local", ratio=0.5)


MIRRORED = Forecaster("mirrored", at_each_end(mirrored), periods=(Period.MONTH,), suits=is_mirrored)
POOL = (MIRRORED, *FORECASTERS)


@pytest.fixture(scope="module")
def panel():
    """Five series that jump about `MIRROR`, with a gap that turns the sides around, and five that are noise."""
    generator = np.random.default_rng(4)
    sides = np.where((np.arange(61) + (np.arange(61) >= 30)) % 2 == 0, 100.0, -100.0)
    jumping = MIRROR + sides * np.exp(np.cumsum(generator.normal(0, 0.02, (5, 61)), axis=1))
    values = np.concatenate([jumping, generator.poisson(500, (5, 61))]).astype(float)
    names = tuple(f"p{row}" for row in range(10))
    return DemandPanel(("site",) * 10, names, values, dt.date(2020, 6, 1), Period.MONTH)


def test_added_forecaster__is_selected_for_its_series_alone(panel):
    before, after = forecast_panel(panel, HORIZON), forecast_panel(panel, HORIZON, pool=POOL)
    assert "mirrored" not in before.model
    assert after.model.tolist() == ["mirrored"] * 5 + before.model[5:].tolist()
    np.testing.assert_array_equal(after.mean[5:], before.mean[5:])


def test_added_forecaster__takes_part_in_the_backtest(panel):
    forecast = forecast_panel(panel, HORIZON, pool=POOL)
    for origin, cut in enumerate(origin_cuts(HORIZON, 24)):
        made_then = mirrored(panel.values[:5, :-cut], HORIZON, panel.period)
        np.testing.assert_array_equal(forecast.predicted[:5, origin], made_then)
    errors = {}
    for name, pool in (("without", FORECASTERS), ("with", POOL)):
        scores = backtest(panel, HORIZON, origins=2, pool=pool).set_index(["stage", "segment", "horizon", "metric"])
        errors[name] = scores.loc[("baseline", "all", "all", "mase"), "value"]
    assert errors["with"] < 0.8 * errors["without"]


def test_added_forecaster__gets_intervals_around_its_mean(panel):
    before, after = forecast_panel(panel, HORIZON), forecast_panel(panel, HORIZON, pool=POOL)
    assert (np.diff(after.quantiles, axis=2) >= 0).all()
    widths = [forecast.quantiles[:5, :, -1] - forecast.quantiles[:5, :, 0] for forecast in (before, after)]
    assert (0 < widths[1]).all()
    assert (widths[1] < widths[0]).all()
    middle = after.quantiles[:5, :, after.quantiles.shape[2] // 2]
    np.testing.assert_allclose(middle, after.mean[:5], rtol=0.1)


def test_added_forecaster__is_for_its_periods_alone():
    assert "mirrored" in Candidates.of(POOL, Period.MONTH).by_name
    assert "mirrored" not in Candidates.of(POOL, Period.WEEK).by_name


@pytest.mark.parametrize("period", Period)
def test_table__has_one_fallback_for_every_period(period):
    assert Candidates.of(FORECASTERS, period).fallback == "local"


def test_table__refuses_entries_that_cannot_be_told_apart():
    with pytest.raises(InvalidInput, match="different names"):
        Candidates.of((MIRRORED, *POOL), Period.MONTH)
    with pytest.raises(InvalidInput, match="one fallback"):
        Candidates.of((MIRRORED,), Period.MONTH)
    with pytest.raises(InvalidInput, match="which series it suits"):
        Forecaster("mirrored", at_each_end(mirrored))
