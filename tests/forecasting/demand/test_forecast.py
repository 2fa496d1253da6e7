import dataclasses
import datetime as dt
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.demand.dependence import common_correlations, step_correlations, strength_correlations
from forecasting.demand.forecast import PanelForecast, forecast_panel
from forecasting.demand.intervals import LEVELS, Scale, count_quantiles, quantiles_of, widening
from forecasting.demand.pool.models import weighted_mean
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.terms import Period


def panel(values: np.ndarray, period: Period = Period.MONTH) -> DemandPanel:
    names = tuple(f"p{row:03}" for row in range(len(values)))
    return DemandPanel(("site",) * len(values), names, np.asarray(values, dtype=float), dt.date(2020, 6, 1), period)


def mixed_panel(series: int = 30, columns: int = 60, seed: int = 0) -> DemandPanel:
    generator = np.random.default_rng(seed)
    level = np.exp(generator.uniform(-1.5, 6, series))[:, None]
    season = np.exp(0.3 * np.sin(2 * np.pi * np.arange(columns) / 12))
    values = generator.poisson(level * season).astype(float)
    values[::5, :13] = np.nan
    return panel(values)


quantities = st.one_of(st.just(np.nan), st.floats(0, 1e5))


@pytest.mark.parametrize("period", [Period.MONTH, Period.WEEK, Period.DAY, Period.QUARTER])
@settings(max_examples=15, deadline=None)
@given(values=arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=quantities))
def test_forecast__is_whole_ordered_and_not_negative(period, values):
    values[:, -1] = np.where(np.isnan(values).all(axis=1), 1.0, values[:, -1])
    forecast = forecast_panel(panel(values, period), 5)
    assert np.isfinite(forecast.mean).all()
    assert np.isfinite(forecast.quantiles).all()
    assert (forecast.mean >= 0).all()
    assert (forecast.quantiles >= 0).all()
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()


def test_forecast__permuting_the_series_permutes_the_results_exactly():
    whole = mixed_panel()
    order = np.random.default_rng(1).permutation(len(whole.values))
    names = tuple(whole.product_ids[row] for row in order)
    shuffled = forecast_panel(dataclasses.replace(whole, product_ids=names, values=whole.values[order]), 6)
    forecast = forecast_panel(whole, 6)
    np.testing.assert_array_equal(shuffled.mean, forecast.mean[order])
    np.testing.assert_array_equal(shuffled.quantiles, forecast.quantiles[order])
    np.testing.assert_array_equal(shuffled.model, forecast.model[order])


@pytest.mark.parametrize("period", [Period.MONTH, Period.WEEK])
def test_forecast__a_mean_does_not_depend_on_the_other_series(period):
    whole = dataclasses.replace(mixed_panel(columns=130), period=period)
    together = forecast_panel(whole, 6)
    for row in (0, 7, 15):
        alone = forecast_panel(whole.select(np.arange(len(whole.values)) == row), 6)
        np.testing.assert_allclose(alone.mean[0], together.mean[row], rtol=1e-10)
        assert alone.model[0] == together.model[row]


def test_forecast__scales_with_the_unit():
    values = np.random.default_rng(2).poisson(400, (10, 60)) * 1.0
    tablets, boxes = forecast_panel(panel(values * 30), 6), forecast_panel(panel(values), 6)
    np.testing.assert_allclose(tablets.mean, 30 * boxes.mean, rtol=0.01)
    np.testing.assert_allclose(tablets.quantiles, 30 * boxes.quantiles, rtol=0.02)


def test_forecast__short_histories_have_a_stated_result():
    values = np.full((3, 6), np.nan)
    values[0, -1], values[1], values[2] = 9.0, 0.0, 4.0
    forecast = forecast_panel(panel(values), 3)
    np.testing.assert_allclose(forecast.mean, [[9] * 3, [0] * 3, [4] * 3], atol=1e-9)
    assert forecast.quantiles[0, 0, 0] < 9 < forecast.quantiles[0, 0, -1]
    assert not forecast.quantiles[1].any()


@pytest.mark.parametrize(
    ("values", "horizon", "message"),
    [
        ([[1.0, -2]], 3, "negative demand"),
        ([[np.nan, np.nan]], 3, "no known period"),
        ([[1.0]], 0, "horizon"),
        (np.empty((0, 9)), 3, "no series"),
    ],
)
def test_forecast__refuses_what_it_cannot_forecast(values, horizon, message):
    with pytest.raises(InvalidInput, match=message):
        forecast_panel(panel(np.array(values)), horizon)


def test_forecast__80_percent_intervals_cover_about_80_percent():
    inside = []
    for seed in (4, 5, 6):
        generator = np.random.default_rng(seed)
        level = np.exp(generator.uniform(2, 6, (400, 1)) + np.cumsum(generator.normal(0, 0.05, (400, 72)), axis=1))
        demand = generator.poisson(level).astype(float)
        forecast = forecast_panel(panel(demand[:, :60]), 12)
        future = demand[:, 60:]
        inside.append((future >= forecast.quantiles[:, :, 2]) & (future <= forecast.quantiles[:, :, 6]))
    assert 0.77 < np.mean(inside) < 0.83


def test_forecast__short_histories_of_large_and_small_demands_are_covered_alike():
    inside = []
    for seed in (11, 12):
        generator = np.random.default_rng(seed)
        level = np.repeat([15.0, 20_000.0], 300)[:, None] * np.exp(generator.normal(0, 0.02, (600, 26)))
        demand = generator.poisson(level).astype(float)
        forecast = forecast_panel(panel(demand[:, :20]), 6)
        future = demand[:, 20:]
        inside.append((future >= forecast.quantiles[:, :, 2]) & (future <= forecast.quantiles[:, :, 6]))
    small, large = np.split(np.concatenate(inside, axis=1), 2)
    assert 0.75 < small.mean() < 0.87
    assert 0.75 < large.mean() < 0.87


def test_forecast__a_mean_of_small_counts_is_not_biased():
    counts = np.random.default_rng(7).negative_binomial(5, 0.5, (300, 120)).astype(float)
    forecast = forecast_panel(panel(counts, Period.WEEK), 8)
    assert forecast.mean.mean() == pytest.approx(5.0, rel=0.05)


def test_forecast__survives_its_table():
    forecast = forecast_panel(mixed_panel(8), 4)
    frame = forecast.to_frame()
    again = PanelForecast.from_frame(frame.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(again.to_frame(), frame)
    assert again.starts == forecast.starts == tuple(Period.MONTH.step(dt.date(2025, 6, 1), step) for step in range(4))


def test_forecast__a_table_with_a_hole_is_refused():
    with pytest.raises(InvalidInput, match="exactly one row"):
        PanelForecast.from_frame(forecast_panel(mixed_panel(3), 4).to_frame().drop(index=5))


def test_forecast__imports_neither_prophet_nor_statsmodels():
    code = "import sys, forecasting.demand.forecast, forecasting.demand.library_models as m; "
    code += "sys.exit(any(name in sys.modules for name in ('prophet', 'statsmodels')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=30))
def test_quantiles_of__are_numpys_weibull_quantiles_with_gaps_left_out(sample):
    padded = np.array([*sample, np.nan], dtype=float)
    expected = np.quantile(np.array(sample, dtype=float), LEVELS, method="weibull")
    np.testing.assert_allclose(quantiles_of(padded), expected)


def test_widening__is_larger_for_fewer_origins_and_further_out():
    factor = widening(np.array([1, 6, 12, 24]))
    assert (np.diff(factor[:, 0]) < 0).all()
    assert (np.diff(factor[:, 5:], axis=1) > 0).all()
    assert (factor[:, 4] == 1).all()


def test_count_quantiles__cover_negative_binomial_demand():
    generator = np.random.default_rng(8)
    demand = generator.negative_binomial(0.4, 0.1, (2000, 41)).astype(float)
    quantiles = count_quantiles(demand[:, :40], demand[:, :40].mean(axis=1), 1)[:, 0]
    below = (demand[:, [40]] <= quantiles).mean(axis=0)
    assert (below >= LEVELS - 0.04).all()
    assert below[-1] < 0.995


def test_count_quantiles__widen_ahead_as_a_drifting_rate_does():
    generator = np.random.default_rng(9)
    rate = np.exp(np.cumsum(generator.normal(0, 0.06, (3000, 60)), axis=1) + generator.normal(2.5, 0.3, (3000, 1)))
    demand = generator.poisson(rate) * (generator.random((3000, 60)) < 0.6).astype(float)
    quantiles = count_quantiles(demand[:, :48], weighted_mean(demand[:, :48]), 12)
    held = (demand[:, 48:] <= quantiles[:, :, 6]).mean(axis=0)
    assert held[-3:].mean() > held[:3].mean() - 0.01
    assert held == pytest.approx(np.full(12, 0.89), abs=0.03)


def test_count_quantiles__do_not_lose_the_periods_without_demand():
    generator = np.random.default_rng(10)
    demand = generator.poisson(40, (2000, 41)) * (generator.random((2000, 41)) < 0.4).astype(float)
    quantiles = count_quantiles(demand[:, :40], demand[:, :40].mean(axis=1), 1)[:, 0]
    assert (quantiles[:, 2] == 0).mean() > 0.8
    inside = (demand[:, 40] >= quantiles[:, 2]) & (demand[:, 40] <= quantiles[:, 6])
    assert inside.mean() > 0.75


def test_step_correlations__find_the_ar1_that_made_the_errors():
    generator = np.random.default_rng(9)
    errors = np.empty((200, 30, 12))
    errors[:, :, 0] = generator.normal(size=(200, 30))
    for ahead in range(1, 12):
        errors[:, :, ahead] = 0.7 * errors[:, :, ahead - 1] + np.sqrt(1 - 0.49) * generator.normal(size=(200, 30))
    assert np.median(step_correlations(errors)) == pytest.approx(0.7, abs=0.05)


def test_strength_correlations__find_the_shared_part_of_each_drug_at_a_site():
    generator = np.random.default_rng(11)
    own = generator.normal(size=(24, 40, 3))
    at_site = generator.normal(size=(6, 40, 3))
    # 6 sites of 4 products: two strengths of x, which share, and two of y, which do not
    errors = own.reshape(6, 4, 40, 3).copy()
    errors[:, :2] = np.sqrt(0.5) * errors[:, :2] + np.sqrt(0.5) * at_site[:, None]
    sites = np.repeat([f"s{number}" for number in range(6)], 4).tolist()
    correlation = strength_correlations(errors.reshape(24, 40, 3), sites, ["x", "x", "y", "y"] * 6)
    assert correlation.reshape(6, 4)[0] == pytest.approx([0.5, 0.5, 0, 0], abs=0.1)


def test_strength_correlations__strengths_that_replace_each_other_count_as_independent():
    errors = np.random.default_rng(12).normal(size=(1, 30, 2))
    assert strength_correlations(np.concatenate([errors, -errors]), ["a", "a"], ["x", "x"]).tolist() == [0, 0]


def test_common_correlations__find_the_shared_part_of_each_product():
    generator = np.random.default_rng(10)
    common = generator.normal(size=(2, 1, 60, 4))
    own = generator.normal(size=(2, 15, 60, 4))
    share = np.array([0.5, 0.0])[:, None, None, None]
    errors = (np.sqrt(share) * common + np.sqrt(1 - share) * own).reshape(30, 60, 4)
    correlation = common_correlations(errors, ("x",) * 15 + ("y",) * 15)
    assert correlation[:15] == pytest.approx(0.5, abs=0.1)
    assert correlation[15:] == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("scale", list(Scale))
@given(quantity=arrays(float, (3, 4), elements=st.floats(0, 1e6)), size=arrays(float, 3, elements=st.floats(0, 1e6)))
def test_scale__measures_and_gives_back(scale, quantity, size):
    np.testing.assert_allclose(scale.inverse(scale.transform(quantity, size), size), quantity, rtol=1e-9, atol=1e-9)
    assert (scale.inverse(scale.transform(quantity, size) - 1e9, size) == 0).all()


def test_scale__a_tenth_more_measures_a_tenth_on_both():
    size = np.array([1e6])
    for scale in Scale:
        step = scale.transform(np.array([[1.1e6]]), size) - scale.transform(np.array([[1e6]]), size)
        assert step[0, 0] == pytest.approx(0.1, rel=0.05)
