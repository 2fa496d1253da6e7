import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.demand.pool import models
from forecasting.demand.pool.holt_winters import rolling_holt_winters
from forecasting.demand.pool.yearly import yearly_pattern

POOL = [rolling_holt_winters, models.rolling_theta, models.rolling_naive_growth, models.rolling_level]
quantities = st.one_of(st.just(np.nan), st.floats(0, 1e6))


def from_the_end(model, values, horizon, cycle):
    return model(values, horizon, [values.shape[1]], cycle=cycle)[0]


@pytest.mark.parametrize("model", POOL)
@pytest.mark.parametrize("cycle", [1, 4, 12])
@settings(max_examples=20)
@given(values=arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=quantities))
def test_pool__is_never_negative_nor_beyond_three_times_the_largest(model, cycle, values):
    forecast = from_the_end(model, values, 5, cycle)
    known = np.isfinite(forecast)
    largest = np.nan_to_num(values).max(axis=1, keepdims=True)
    assert forecast.shape == (len(values), 5)
    assert ((forecast >= 0) & (forecast <= 3 * largest + 1e-9))[known].all()


@pytest.mark.parametrize("model", POOL)
def test_pool__gives_back_constants_zeros_and_exact_seasons(model):
    season = np.tile([3.0, 8, 5, 1], 6)
    values = np.stack([np.full(24, 7.0), np.zeros(24), season])
    forecast = from_the_end(model, values, 4, 4)
    np.testing.assert_allclose(forecast[:2], [[7] * 4, [0] * 4], atol=1e-9)
    if model is not models.rolling_level:
        np.testing.assert_allclose(forecast[2], season[:4], rtol=1e-6)


@pytest.mark.parametrize("model", POOL)
def test_pool__a_late_launch_and_a_short_matrix_are_the_same(model):
    history = np.random.default_rng(1).poisson(40, (2, 40)).astype(float)
    late = np.concatenate([np.full((2, 9), np.nan), history], axis=1)
    np.testing.assert_allclose(from_the_end(model, late, 6, 12), from_the_end(model, history, 6, 12), rtol=1e-9)


def test_holt_winters__follows_a_growing_season_better_than_the_last_year():
    time = np.arange(96)
    truth = np.exp(4 + 0.01 * time + 0.3 * np.sin(2 * np.pi * time / 12))[None]
    forecast = from_the_end(rolling_holt_winters, truth[:, :84], 12, 12)
    assert np.abs(forecast / truth[:, 84:] - 1).max() < 0.05
    assert np.abs(truth[:, 72:84] / truth[:, 84:] - 1).min() > 0.1


def smoothing_oracle(line, alpha):
    level, squared = None, 0.0
    for quantity in line:
        if np.isnan(quantity):
            continue
        if level is not None:
            squared += (quantity - level) ** 2
            level += alpha * (quantity - level)
        else:
            level = quantity
    return squared, level


@given(st.lists(st.one_of(st.just(np.nan), st.integers(0, 50).map(float)), min_size=3, max_size=20))
def test_smoothed_level__is_the_plain_recursion_with_the_best_weight(line):
    if np.isnan(line).all():
        return
    found = models.smoothed_level(np.array([line]))[0][0]
    trials = [smoothing_oracle(line, alpha) for alpha in models.LEVEL_WEIGHTS]
    best = min(squared for squared, _ in trials)
    assert any(level == pytest.approx(found) for squared, level in trials if squared == pytest.approx(best))


def test_yearly_pattern__is_shrunk_away_in_noise_and_absent_below_two_years():
    noise = np.random.default_rng(3).normal(3, 0.3, (200, 156))
    wave = 0.3 * np.sin(2 * np.pi * np.arange(156) / 52)
    plain, seasonal = (yearly_pattern(values, 26, 52.0).std(axis=1).mean() for values in (noise, noise + wave))
    assert plain < 0.03 < 0.15 < seasonal
    assert not yearly_pattern(noise[:, :100], 26, 52.0).any()
