import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecasting.demand.pool.forecaster import SelectionEvidence
from forecasting.demand.pool.selection import Candidates, RollingForecasts, origin_cuts, rolling_forecasts
from forecasting.demand.pool.table import FORECASTERS
from forecasting.terms import Period

MONTHLY = Candidates.of(FORECASTERS, Period.MONTH)


def selected(values: np.ndarray, horizon: int, origins: int) -> tuple[RollingForecasts, np.ndarray]:
    rolling = rolling_forecasts(MONTHLY, values, horizon, origins, Period.MONTH)
    own_season = np.zeros(len(values), dtype=bool)
    evidence = SelectionEvidence(values, Period.MONTH, rolling.actual, rolling.backtest, own_season)
    return rolling, MONTHLY.select(evidence)


@given(st.integers(1, 60), st.integers(1, 40))
def test_origin_cuts__are_distinct_and_hide_at_least_one_period(horizon, origins):
    cuts = origin_cuts(horizon, origins)
    assert (np.diff(cuts) > 0).all()
    assert cuts.min(initial=1) >= 1
    assert len(cuts) <= origins


def test_rolling_forecasts__are_the_forecasts_of_the_cut_history():
    values = np.random.default_rng(5).poisson(30, (3, 50)).astype(float)
    rolling = rolling_forecasts(MONTHLY, values, 6, 8, Period.MONTH)
    assert set(rolling.backtest) == {"seasonal", "local", "intermittent"}
    for origin, cut in enumerate(rolling.cuts):
        alone = MONTHLY.forecasts(values[:, :-cut], 6, Period.MONTH, [values.shape[1] - cut])
        for name, forecast in rolling.backtest.items():
            np.testing.assert_allclose(forecast[:, origin], alone[name][:, 0], rtol=1e-9)
        seen = values[:, -cut:][:, :6]
        np.testing.assert_array_equal(rolling.actual[:, origin, : seen.shape[1]], seen)
    whole = MONTHLY.forecasts(values, 6, Period.MONTH, [values.shape[1]])
    np.testing.assert_array_equal(rolling.future["seasonal"], whole["seasonal"][:, 0])


def test_gate__tells_season_from_none_and_rare_demand_from_both():
    generator, time = np.random.default_rng(6), np.arange(84)
    seasonal = 100 * np.exp(0.5 * np.sin(2 * np.pi * time / 12))
    wandering = 100 * np.exp(np.cumsum(generator.normal(0, 0.3, (20, 84)), axis=1))
    values = np.concatenate([generator.poisson(seasonal, (20, 84)), wandering, generator.poisson(0.3, (20, 84))])
    names = selected(values, 6, 12)[1].reshape(3, 20)
    assert (names[0] == "seasonal").all()
    assert (names[1] == "local").mean() > 0.7
    assert (names[2] == "intermittent").all()


def test_gate__silence_of_a_season_is_not_intermittence():
    generator = np.random.default_rng(7)
    open_months = np.tile(np.r_[np.zeros(7), np.linspace(1, 3, 5)], 9)
    values = generator.poisson(60 * open_months, (10, 108)).astype(float)
    rolling, names = selected(values, 12, 24)
    assert (names == "seasonal").all()
    assert MONTHLY.chosen(rolling.future, names)[:, :7].max() < 2
    at_random = generator.permuted(values, axis=1)
    assert (selected(at_random, 12, 24)[1] == "intermittent").all()


def test_gate__two_years_of_history_are_not_enough_for_a_season():
    values = (
        np.random.default_rng(8).poisson(100 * np.exp(0.3 * np.sin(2 * np.pi * np.arange(28) / 12)), (20, 28)) * 1.0
    )
    assert not (selected(values, 6, 24)[1] == "seasonal").any()


def test_gate__months_that_jump_get_the_mean_of_level_and_rate():
    values = np.random.default_rng(9).choice([20.0, 200.0], (12, 22))
    rolling, names = selected(values, 3, 24)
    assert (names == "noisy").all()
    np.testing.assert_allclose(
        MONTHLY.chosen(rolling.future, names), (rolling.future["local"] + rolling.future["intermittent"]) / 2
    )
