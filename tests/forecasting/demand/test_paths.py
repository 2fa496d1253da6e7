import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from forecasting.demand.forecast import PanelForecast
from forecasting.demand.intervals import LEVELS
from forecasting.demand.paths import sample_paths
from forecasting.errors import InvalidInput
from forecasting.terms import Period


def forecast(
    quantiles: np.ndarray, mean: np.ndarray, autocorrelation: float = 0.0, common: float = 0.0, strength: float = 0.0
) -> PanelForecast:
    series, horizon = mean.shape
    empty = np.empty((series, 0, horizon))
    return PanelForecast(
        facility_ids=tuple(f"site{row}" for row in range(series)),
        product_ids=("x",) * series,
        starts=tuple(Period.WEEK.step(dt.date(2026, 1, 5), step) for step in range(horizon)),
        mean=mean,
        quantiles=quantiles,
        model=np.full(series, "local"),
        autocorrelation=np.full(series, autocorrelation),
        common_correlation=np.full(series, common),
        drugs=("x",) * series,
        strength_correlation=np.full(series, strength),
        actual=empty,
        predicted=empty,
    )


def normal_forecast(series: int, horizon: int, **dependence: float) -> PanelForecast:
    quantiles = np.broadcast_to(100 + 10 * special.ndtri(LEVELS), (series, horizon, 9))
    return forecast(quantiles, np.full((series, horizon), 100.0), **dependence)


def test_paths__have_the_mean_and_the_quantiles_of_the_forecast():
    wanted = forecast(np.exp(3 + 0.4 * special.ndtri(LEVELS))[None, None], np.array([[np.exp(3.08)]]))
    paths = sample_paths(wanted, draws=40_000, seed=1)[0, 0]
    assert paths.mean() == pytest.approx(np.exp(3.08), rel=0.01)
    np.testing.assert_allclose(np.quantile(paths, LEVELS), wanted.quantiles[0, 0], rtol=0.03)


def test_paths__rare_demand_lies_in_the_upper_tail():
    paths = sample_paths(forecast(np.zeros((1, 1, 9)), np.array([[0.2]])), draws=40_000, seed=1)
    assert paths.mean() == pytest.approx(0.2, rel=0.1)
    assert (paths > 0).mean() == pytest.approx(0.025, abs=0.005)


def test_select__keeps_each_series_paths():
    whole = dataclasses.replace(
        normal_forecast(4, 2, autocorrelation=0.5, strength=0.6, common=0.2),
        facility_ids=("a", "a", "b", "b"),
        product_ids=("5mg", "10mg", "5mg", "other"),
        drugs=("x", "x", "x", "y"),
    )
    rows = np.array([3, 1, 2])
    some = sample_paths(whole.select(rows), draws=20, seed=5)
    np.testing.assert_array_equal(some, sample_paths(whole, draws=20, seed=5)[rows])


def test_paths__no_demand_is_none():
    assert not sample_paths(forecast(np.zeros((1, 2, 9)), np.zeros((1, 2))), draws=50, seed=1).any()


def test_paths__periods_and_sites_hang_together_as_stored():
    paths = sample_paths(normal_forecast(2, 3, autocorrelation=0.6, common=0.5), draws=40_000, seed=2)
    assert np.corrcoef(paths[0])[0] == pytest.approx([1, 0.6, 0.36], abs=0.02)
    assert np.corrcoef(paths[0, 1], paths[1, 1])[0, 1] == pytest.approx(0.5, abs=0.02)


def test_paths__strengths_of_a_drug_hang_together_at_a_site_and_not_between_sites():
    apart = normal_forecast(4, 2, autocorrelation=0.5, strength=0.6)
    made = dataclasses.replace(
        apart,
        facility_ids=("a", "a", "b", "a"),
        product_ids=("5mg", "10mg", "5mg", "other"),
        drugs=("x", "x", "x", "y"),
    )
    paths = sample_paths(made, draws=40_000, seed=4)
    together = np.corrcoef(paths[:, 0])[0]
    assert together == pytest.approx([1, 0.6, 0, 0], abs=0.02)
    total = paths[0] + paths[1]
    assert total.std(axis=1) == pytest.approx(np.sqrt(2 * (1 + 0.6)) * 10, rel=0.02)


def test_paths__what_sites_and_strengths_share_never_exceeds_the_whole():
    paths = sample_paths(normal_forecast(3, 2, common=0.9, strength=0.9), draws=4_000, seed=5)
    assert paths.std(axis=2) == pytest.approx(10, rel=0.05)


def test_paths__do_not_depend_on_the_other_series_nor_on_the_chunk():
    whole = normal_forecast(300, 2, autocorrelation=0.3, common=0.4, strength=0.3)
    paths = sample_paths(whole, draws=11, seed=3)
    for row in (0, 255, 256, 299):
        series = {"facility_ids": (whole.facility_ids[row],), "product_ids": ("x",), "drugs": ("x",)}
        numbers = ("mean", "quantiles", "model", "autocorrelation", "common_correlation", "strength_correlation")
        alone = dataclasses.replace(whole, **series, **{name: getattr(whole, name)[[row]] for name in numbers})
        np.testing.assert_array_equal(sample_paths(alone, draws=11, seed=3)[0], paths[row])


def test_paths__another_seed_gives_other_draws_and_the_same_seed_the_same():
    first, again, other = (sample_paths(normal_forecast(1, 2), draws=10, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).all()


@given(st.lists(st.floats(0, 1e4), min_size=9, max_size=9).map(sorted), st.floats(0, 1e4))
def test_paths__are_finite_and_never_negative(quantiles, mean):
    paths = sample_paths(forecast(np.array([[quantiles]]), np.array([[mean]])), draws=20, seed=4)
    assert np.isfinite(paths).all()
    assert (paths >= 0).all()


def test_paths__refuse_a_single_draw():
    with pytest.raises(InvalidInput, match="draws"):
        sample_paths(normal_forecast(1, 1), draws=1, seed=0)
