"""The season that sites share: found, put back, and not invented from noise."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from forecasting.demand.season import forecast_with_shared_season, remove_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.terms import Period

WEEKS = 156
ANGLE = 2 * np.pi * np.arange(WEEKS + 52) * 7 / 365.25
SITES = ("a", "b", "c", "d")


def panel(level: float, amplitude: float, seed: int = 1) -> DemandPanel:
    random = np.random.default_rng(seed)
    mean = level * np.exp(amplitude * np.sin(ANGLE[:WEEKS])) * np.array([1, 2, 3, 4.0])[:, None]
    return DemandPanel(SITES, ("x",) * 4, random.poisson(mean).astype(float), dt.date(2023, 1, 2), Period.WEEK)


def test_a_shared_season_is_found_and_comes_back_in_the_forecast() -> None:
    seasonal = panel(100.0, 0.2)
    flat, factor = remove_shared_season(seasonal, 52)
    np.testing.assert_allclose(factor[0], np.exp(0.2 * np.sin(ANGLE[WEEKS:])), rtol=0.04)
    assert (factor == factor[0]).all()
    assert flat.values.std(axis=1)[3] < 0.4 * seasonal.values.std(axis=1)[3]
    wanted = 100 * np.exp(0.2 * np.sin(ANGLE[WEEKS:]))
    np.testing.assert_allclose(forecast_with_shared_season(seasonal, 52).mean[0], wanted, rtol=0.06)


def test_noise_alone_gives_nearly_no_season() -> None:
    found = [remove_shared_season(panel(20.0, 0.0, seed), 52)[1] for seed in range(10)]
    assert np.abs(np.array(found) - 1).mean() < 0.01


@pytest.mark.parametrize("columns", [60, WEEKS])
def test_a_single_site_or_a_short_history_comes_back_to_the_bit(columns: int) -> None:
    whole = panel(100.0, 0.2).until(columns)
    one = whole if columns < 100 else whole.select(np.array([True, False, False, False]))
    flat, factor = remove_shared_season(one, 8)
    np.testing.assert_array_equal(flat.values, one.values)
    assert (factor == 1).all()


def test_sites_that_share_a_season_are_given_one_of_their_own_only_where_it_is_plain() -> None:
    shared = panel(100.0, 0.2)
    assert remove_shared_season(shared, 26)[0].season_shared.all()
    noisy = np.random.default_rng(5).negative_binomial(8, 8 / (8 + shared.values))
    following = dataclasses.replace(shared, values=noisy.astype(float))
    assert (forecast_with_shared_season(following, 26).model == "local").all()
    other = np.exp(0.5 * np.sin(ANGLE[:WEEKS] + np.pi)) * np.random.default_rng(6).poisson(500, WEEKS)
    own = dataclasses.replace(shared, values=np.concatenate([noisy[:3], other[None]]).astype(float))
    assert forecast_with_shared_season(own, 26).model[3] == "seasonal"


def test_a_product_of_one_site_shares_no_season() -> None:
    whole = panel(100.0, 0.2)
    mixed = dataclasses.replace(whole, product_ids=("x", "x", "x", "y"))
    assert remove_shared_season(mixed, 26)[0].season_shared.tolist() == [True, True, True, False]


def test_strengths_of_a_drug_share_its_season_and_two_strengths_of_one_site_do_not() -> None:
    apart = dataclasses.replace(panel(30.0, 0.2), product_ids=("x", "x", "y", "y"))
    together = dataclasses.replace(apart, drugs=("drug",) * 4)
    truth = np.exp(0.2 * np.sin(ANGLE[WEEKS:]))
    wrong = [np.abs(remove_shared_season(one, 52)[1] - truth).mean() for one in (apart, together)]
    assert wrong[1] < wrong[0]
    alone = dataclasses.replace(together, facility_ids=("a",) * 4, product_ids=("x", "y", "z", "w"))
    assert (remove_shared_season(alone, 52)[1] == 1).all()
