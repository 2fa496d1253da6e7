"""A site simulated: what testing does not move stays to the bit, means and steps add up, doubt widens the fan."""

import dataclasses

import numpy as np
import pytest

import forecasting.population as population
from forecasting.population import planned_mean, simulate_site
from forecasting.regimens.therapy import TherapyAtSite

HORIZON, DRAWS = 6, 400
PRODUCTS = ("old", "new", "weak", "strong", "free")


def therapy(*, planned: tuple[float, float] = (0.6, 0.2)) -> TherapyAtSite:
    """Row a moves old to new, row b halves strong to weak; both have exposure 0.2 at the origin."""
    low = np.zeros((2, 4, 4))
    low[0, 0, :2] = -1, 0.5
    low[1, 3, 2:] = 1, -1
    high = low.copy()
    high[1] *= 0.5
    random = np.random.default_rng(3)
    mean = np.array([0.3, 0.4])
    origin = np.array([0.2, 0.2])
    path = origin + np.linspace(0, 1, HORIZON)[:, None] * (np.array(planned) - origin)
    return TherapyAtSite(
        therapy="t",
        product_ids=PRODUCTS[:4],
        row_ids=("a", "b"),
        delta_low=low,
        delta_high=high,
        probability=np.clip(mean + random.normal(0, 0.01, (DRAWS, 2)), 0, 1),
        mean_probability=mean,
        exposure_history=np.array([[0.0, 0.2], [0.1, 0.2], [0.2, 0.2]]),
        exposure_at_origin=origin,
        exposure_planned=path,
    )


def baseline() -> tuple[np.ndarray, np.ndarray]:
    paths = np.random.default_rng(5).gamma(20, 5, (len(PRODUCTS), HORIZON, DRAWS))
    return paths, paths.mean(axis=2)


def simulate(*therapies: TherapyAtSite, facility_id: str = "A") -> population.SitePaths:
    return simulate_site(PRODUCTS, *baseline(), list(therapies), facility_id=facility_id, seed=7)


def test_products_that_no_change_of_testing_reaches_keep_their_baseline_to_the_bit() -> None:
    paths, mean = baseline()
    found = simulate(therapy())
    assert (found.paths[2:] == paths[2:]).all()
    assert (found.mean[2:] == mean[2:]).all()
    assert (found.mean[0, 1:] < mean[0, 1:]).all()
    unchanged = simulate(therapy(planned=(0.2, 0.2)))
    assert (unchanged.paths == paths).all()
    assert unchanged.steps.empty


def test_history_of_products_that_no_change_reaches_comes_back_to_the_bit() -> None:
    history = np.array([[7.1, 3.3, 1.7, np.nan], [6.1, 3.9, 2.3, 0.3], [9.7, 1.1, 5.5, 0.9]])
    found = therapy().reference_history(history)
    np.testing.assert_array_equal(found[:, 2:], history[:, 2:])
    assert (found[:2, 0] < history[:2, 0]).all()
    np.testing.assert_allclose(found[2], history[2])


def test_the_mean_of_the_draws_is_the_plug_in_mean() -> None:
    found = simulate(therapy(planned=(0.9, 0.5)))
    np.testing.assert_allclose(found.paths.mean(axis=2), found.mean)
    np.testing.assert_allclose(found.mean[:4], planned_mean(baseline()[1][:4], therapy(planned=(0.9, 0.5))))


@pytest.mark.parametrize("scarce", [False, True])
def test_steps_sum_to_the_shift_interaction_included(scarce: bool) -> None:
    paths, mean = baseline()
    if scarce:  # less of the alternative than history's testing should have brought: demand meets zero
        paths[1], mean[1] = 0.0, 0.0
    plan = therapy(planned=(0.0, 0.7))
    found = simulate_site(PRODUCTS, paths, mean, [plan], facility_id="A", seed=7)
    shift = found.mean - found.baseline_mean
    for row, product in enumerate(PRODUCTS):
        told = found.quantity[(found.steps["product_id"] == product).to_numpy()].sum(axis=0)
        np.testing.assert_allclose(told, shift[row], atol=1e-6)
    assert ("interaction" in set(found.steps["recommendation_id"])) == scarce
    assert (found.mean >= 0).all()


def test_draws_depend_on_the_site_alone() -> None:
    first, again, other = (simulate(therapy(), facility_id=site) for site in ("A", "A", "B"))
    assert (first.paths == again.paths).all()
    assert (first.paths != other.paths).any()
    assert (first.mean == other.mean).all()


def test_less_certain_plans_widen_the_fan(monkeypatch: pytest.MonkeyPatch) -> None:
    constant = np.full((len(PRODUCTS), HORIZON, DRAWS), 100.0)
    widths = []
    for doubt in (0.0, 0.2, 0.5):
        monkeypatch.setattr(population, "PLAN_REALISATION_SD", doubt)
        plan = dataclasses.replace(therapy(planned=(0.7, 0.2)))
        found = simulate_site(PRODUCTS, constant, constant.mean(axis=2), [plan], facility_id="A", seed=7)
        widths.append(np.ptp(np.quantile(found.paths[0, -1], [0.1, 0.9])))
    assert widths[0] < widths[1] < widths[2]
