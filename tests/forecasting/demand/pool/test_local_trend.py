from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.demand.pool.local_trend import (
    GROWTH_AND_CHANGE_RATIOS,
    LEVEL_RATIOS,
    PRIOR_POWER,
    STARTS_FROM,
    UNSCORED,
    rolling_local_trend,
)

quantities = st.one_of(st.just(np.nan), st.floats(0, 1e6))
panels = arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 30)), elements=quantities)


def local_trend(values, horizon):
    return rolling_local_trend(values, horizon, [values.shape[1]])[0]


def by_regression(line, horizon):
    """The same models as one multivariate normal, without a recursion: best linear prediction from the differences to
    the first quantity, weighted by the likelihood of all after the second."""
    count = len(line)
    time = np.arange(count + horizon, dtype=float)
    forecasts, scores = [], []
    since_change = np.maximum(np.subtract.outer(time, time[1:]), 0.0)
    for level_ratio, (growth_ratio, change_ratio) in product(LEVEL_RATIOS, GROWTH_AND_CHANGE_RATIOS):
        wandering = level_ratio * np.minimum.outer(time, time) + growth_ratio * np.outer(time, time)
        wandering += change_ratio * since_change @ since_change.T
        difference = line[1:] - line[0]
        noise = np.eye(count - 1) + 1.0  # of each and of the first, which all share
        covariance = wandering[1:count, 1:count] + noise
        ahead = wandering[count:, 1:count] + 1.0
        forecasts.append(line[0] + ahead @ np.linalg.solve(covariance, difference))
        known = slice(None, UNSCORED - 1), slice(UNSCORED - 1, None)
        [[first, across], [_, rest]] = [[covariance[row, column] for column in known] for row in known]
        slope = np.linalg.solve(first, across).T
        surprise, spread = difference[known[1]] - slope @ difference[known[0]], rest - slope @ across
        scored = count - UNSCORED
        squared = surprise @ np.linalg.solve(spread, surprise)
        likelihood = -(scored * np.log(squared / scored) + np.linalg.slogdet(spread)[1]) / 2
        scores.append(likelihood + PRIOR_POWER * np.log(level_ratio * growth_ratio))
    weight = np.exp(np.array(scores) - max(scores))
    return np.maximum(weight @ np.array(forecasts) / weight.sum(), 0.0)


@pytest.mark.parametrize("count", [4, 7, 30, 120])
@pytest.mark.parametrize("growth", [0.0, 0.8])
def test_local_trend__is_the_best_linear_prediction_of_the_weighted_models(count, growth):
    generator = np.random.default_rng(count)
    line = 50 + growth * np.arange(count) + generator.normal(0, 4, count) + generator.normal(0, 1, count).cumsum()
    np.testing.assert_allclose(local_trend(line[None], 6)[0], by_regression(line, 6), rtol=1e-7)


@given(panels)
def test_rolling_local_trend__is_the_forecast_of_the_cut_history(values):
    ends = sorted({values.shape[1], max(values.shape[1] // 2, 1)})
    rolling = rolling_local_trend(values, 3, ends)
    for position, end in enumerate(ends):
        np.testing.assert_array_equal(rolling[position], local_trend(values[:, :end], 3))


@given(panels)
def test_local_trend__depends_on_its_own_series_and_its_known_periods(values):
    together = local_trend(values, 3)
    for row, line in enumerate(values):
        np.testing.assert_array_equal(local_trend(line[None], 3)[0], together[row])
    late = np.concatenate([np.full((len(values), 5), np.nan), values], axis=1)
    np.testing.assert_array_equal(local_trend(late, 3), together)


@given(panels)
def test_local_trend__is_never_negative_and_unknown_from_too_few_periods(values):
    forecast = local_trend(values, 4)
    enough = np.isfinite(values).sum(axis=1) >= STARTS_FROM
    assert np.isnan(forecast[~enough]).all()
    assert (forecast[enough] >= 0).all()


@given(arrays(float, (2, 12), elements=st.floats(1, 1e4)), st.floats(0.01, 100))
def test_local_trend__scales_with_the_unit(values, factor):
    np.testing.assert_allclose(local_trend(values * factor, 3), local_trend(values, 3) * factor, rtol=1e-6, atol=1e-6)


def test_local_trend__gives_back_constants_zeros_and_straight_lines():
    values = np.stack([np.full(60, 7.0), np.zeros(60), 10 + 2.0 * np.arange(60)])
    np.testing.assert_allclose(local_trend(values, 3), [[7, 7, 7], [0, 0, 0], [130, 132, 134]], rtol=0.01)


def test_local_trend__carries_a_line_across_a_gap():
    line = 10 + 2.0 * np.arange(80)
    line[60:70] = np.nan
    assert local_trend(line[None], 1)[0, 0] == pytest.approx(170, rel=0.01)


def test_local_trend__is_nearer_a_steady_mean_than_recent_weeks_and_follows_a_change():
    noise = np.random.default_rng(11).normal(0, 10, (400, 104))
    steady = local_trend(100 + noise, 26)
    assert np.abs(steady - 100).mean() < 0.85 * np.abs(noise[:, -13:].mean(axis=1)).mean()
    changed = local_trend(np.where(np.arange(104) < 91, 100, 200) + noise, 1)
    assert changed.mean() == pytest.approx(200, abs=10)


def test_local_trend__a_few_weeks_of_noise_are_no_trend():
    noise = np.random.default_rng(12).normal(0, 10, (400, 8))
    assert np.abs(local_trend(100 + noise, 26) - 100).mean() < 8


def test_local_trend__follows_a_growth_that_changed():
    noise = np.random.default_rng(13).normal(0, 3, (400, 90))
    launched = np.minimum(np.arange(96), 45) * 10.0
    bias = (local_trend(launched[:90] + noise, 6) - launched[90:]).mean()
    assert abs(bias) < 3
    growing = np.maximum(np.arange(96) - 45, 0) * 10.0
    assert np.abs(local_trend(100 + growing[:90] + noise, 6) / (100 + growing[90:]) - 1).mean() < 0.02
