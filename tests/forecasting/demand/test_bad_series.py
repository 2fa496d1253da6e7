"""Series that real files hold and no model expects: each gets a documented result and leaves its neighbours alone."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from forecasting.arrays import joined
from forecasting.demand.forecast import add_quantiles, forecast_panel, forecast_points
from forecasting.demand.paths import sample_paths
from forecasting.demand.season import forecast_with_shared_season, remove_shared_season
from forecasting.demand.series import DemandPanel, reliable_series
from forecasting.terms import Period

COLUMNS, HORIZON = 120, 13
NOTHING = np.full(COLUMNS, np.nan)


def with_values(line: np.ndarray, where: slice | int, value: float) -> np.ndarray:
    changed = line.copy()
    changed[where] = value
    return changed


def neighbours() -> np.ndarray:
    random = np.random.default_rng(5)
    level = np.array([40.0, 3.0, 400.0, 0.4])[:, None] * (1 + 0.3 * np.sin(np.arange(COLUMNS) / 8.3))
    return random.poisson(level).astype(float)


ORDINARY = np.random.default_rng(6).poisson(30.0, COLUMNS).astype(float)
BAD = {
    "one point": with_values(NOTHING, -20, 5.0),
    "one point, the last": with_values(NOTHING, -1, 5.0),
    "all zeros": np.zeros(COLUMNS),
    "a constant": np.full(COLUMNS, 7.0),
    "a gap of a year without rows": with_values(ORDINARY, slice(40, 92), np.nan),
    "a gap of a year of nothing": with_values(ORDINARY, slice(40, 92), 0.0),
    "1e12 always": np.full(COLUMNS, 1e12),
    "1e12 once, made unknown by the rule for outliers": with_values(ORDINARY, 60, np.nan),
    "not a number": with_values(ORDINARY, slice(3, 9), np.nan),
}


def panel(values: np.ndarray) -> DemandPanel:
    names = tuple("xyxzx"[: len(values)])
    return DemandPanel(("a", "a", "b", "b", "c")[: len(values)], names, values, dt.date(2024, 1, 1), Period.WEEK)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_series_gets_a_forecast_and_leaves_its_neighbours_to_the_last_bit(name: str) -> None:
    alone = forecast_with_shared_season(panel(neighbours()), HORIZON)
    beside = forecast_with_shared_season(panel(np.vstack([neighbours(), BAD[name]])), HORIZON)
    for field in ("mean", "quantiles", "model", "autocorrelation", "common_correlation", "strength_correlation"):
        assert getattr(beside, field)[:-1].tobytes() == getattr(alone, field).tobytes(), field
    paths, before = (sample_paths(one, draws=20, seed=1) for one in (beside, alone))
    assert paths[:-1].tobytes() == before.tobytes()
    assert np.isfinite(beside.quantiles).all()
    assert (beside.quantiles >= 0).all()
    assert (np.diff(beside.quantiles, axis=-1) >= 0).all()
    assert np.isfinite(paths[-1]).all()


@pytest.mark.parametrize(
    ("name", "wanted"), [("one point, the last", 5.0), ("all zeros", 0.0), ("a constant", 7.0), ("1e12 always", 1e12)]
)
def test_a_bad_series_gets_its_documented_forecast(name: str, wanted: float) -> None:
    mean = forecast_with_shared_season(panel(np.vstack([neighbours(), BAD[name]])), HORIZON).mean[-1]
    assert mean == pytest.approx(np.full(HORIZON, wanted), rel=0.15)


def test_the_season_that_sites_share_is_there_for_bad_series_to_spoil() -> None:
    assert (remove_shared_season(panel(neighbours()), HORIZON)[1][0] != 1).all()


def test_a_silent_site_does_not_make_its_series_doubtful() -> None:
    values = neighbours()
    values[2:, 50] = np.nan
    assert reliable_series(panel(values)).all()


def test_parts_of_a_panel_worked_on_apart_give_the_same_bytes() -> None:
    whole = dataclasses.replace(
        panel(np.vstack([neighbours(), ORDINARY])), drugs=("x",) * 5, amount_per_unit=np.array([1.0, 5, 1, 5, 1])
    )
    parts = [whole.select(np.array(part, dtype=bool)) for part in ([1, 1, 0, 0, 0], [0, 0, 1, 1, 1])]
    together = add_quantiles(whole, joined([forecast_points(part, HORIZON) for part in parts]))
    for field in dataclasses.fields(together):
        made, wanted = (getattr(one, field.name) for one in (together, forecast_panel(whole, HORIZON)))
        np.testing.assert_array_equal(made, wanted, err_msg=field.name)
