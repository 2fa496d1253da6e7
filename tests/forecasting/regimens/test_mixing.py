"""Un-mixing and re-mixing, against algebra and against patients simulated one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.regimens.mixing import mixing_matrices, move_exposure

SWITCH = np.array([[[-1.0, 0.5, 0.8], [0, 0, 0], [0, 0, 0]]])
"""Clopidogrel-like: one tablet becomes half a tablet of one alternative and 0.8 of another; a day is 1, 0.8, 0.75."""
DAYS = np.array([1.0, 0.8, 0.75])
HALVE = np.array([[[-0.5, 0.0], [1.0, -1.0]]])
"""The strong tablet becomes a weak one, the weak one half of itself."""

shares = st.floats(0, 0.9)
amounts = st.lists(st.floats(0, 10_000), min_size=3, max_size=3).map(np.array)


@settings(deadline=None)
@given(amounts, shares, shares)
def test_unmixing_then_remixing_is_the_identity(usual: np.ndarray, at: float, to: float) -> None:
    start, end = (mixing_matrices(np.array([share]), SWITCH) for share in (at, to))
    seen = usual @ start
    there = move_exposure(seen, start, end)
    np.testing.assert_allclose(there, usual @ end, atol=1e-6)
    np.testing.assert_allclose(move_exposure(there, end, start), seen, atol=1e-6)


@settings(deadline=None)
@given(amounts, shares, shares)
def test_treatment_days_are_kept_and_nothing_is_negative(usual: np.ndarray, at: float, to: float) -> None:
    start, end = (mixing_matrices(np.array([share]), SWITCH) for share in (at, to))
    moved = move_exposure(usual @ start, start, end)
    assert moved @ DAYS == pytest.approx(usual @ DAYS, abs=1e-6)
    noisy = move_exposure(usual, start, end)
    assert (noisy >= 0).all()


def test_unknown_stays_unknown_and_counts_as_nothing_for_the_others() -> None:
    start, end = np.eye(3), mixing_matrices(np.array([0.5]), SWITCH)
    moved = move_exposure(np.array([[np.nan, 4.0, 2.0], [10.0, np.nan, 2.0]]), start, end)
    np.testing.assert_allclose(moved, [[np.nan, 4, 2], [5, np.nan, 6]])


@pytest.mark.parametrize(("delta", "usual"), [(SWITCH, [600, 100, 50]), (HALVE, [300, 500])])
def test_expected_demand_is_that_of_patients_simulated_one_by_one(delta: np.ndarray, usual: list[int]) -> None:
    random = np.random.default_rng(11)
    carriers, exposure, rounds = 0.3, 0.6, 400
    total = np.zeros(len(usual))
    for _ in range(rounds):
        for product, patients in enumerate(usual):
            follow = random.binomial(patients, carriers * exposure)
            total[product] += patients
            total += follow * delta[0, product]
    mixed = np.array(usual, dtype=float) @ mixing_matrices(np.array([carriers * exposure]), delta)
    np.testing.assert_allclose(total / rounds, mixed, rtol=0.01)
    back = move_exposure(total / rounds, mixing_matrices(np.array([carriers * exposure]), delta), np.eye(len(usual)))
    np.testing.assert_allclose(back, usual, rtol=0.02)
