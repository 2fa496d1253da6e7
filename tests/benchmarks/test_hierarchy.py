"""Reconciliation: the textbook's dense formula, coherence in means and paths, nothing negative; mixes that sum to 1."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hierarchy import reconcile, summing_matrix
from forecasting.demand.mix import forecast_shares
from forecasting.errors import InvalidInput
from forecasting.terms import Period

LEVELS = [["x", "x", "y", "y"], ["p", "q", "p", "q"], ["all"] * 4]


def dense_oracle(bottom: np.ndarray, aggregate: np.ndarray, summing: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Weighted least squares over all nodes, written out: (S' W^-1 S)^-1 S' W^-1 y."""
    whole = np.vstack([summing, np.eye(len(bottom))])
    weight = np.diag(1 / variance)
    stacked = np.concatenate([aggregate, bottom])
    return np.linalg.solve(whole.T @ weight @ whole, whole.T @ weight @ stacked)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_it_is_weighted_least_squares_and_coherent_in_means_and_paths(seed: int) -> None:
    random = np.random.default_rng(seed)
    matrix, names = summing_matrix(LEVELS)
    assert [name for _, name in names] == ["x", "y", "p", "q", "all"]
    bottom = random.gamma(5, 20, (4, 3, 10)) + 100
    aggregate = np.tensordot(matrix.toarray(), bottom, axes=1) * random.normal(1, 0.03, (5, 3, 10))
    variance = random.uniform(1, 50, 9)
    found = reconcile(bottom, aggregate, matrix, variance[5:], variance[:5])
    wanted = dense_oracle(bottom.reshape(4, -1), aggregate.reshape(5, -1), matrix.toarray(), variance)
    np.testing.assert_allclose(found, wanted.reshape(found.shape), rtol=1e-6)
    sums = np.tensordot(matrix.toarray(), found, axes=1)
    np.testing.assert_allclose(sums[0] + sums[1], sums[4], rtol=1e-9)
    np.testing.assert_allclose(sums[2] + sums[3], sums[4], rtol=1e-9)


def test_what_would_be_negative_is_held_at_zero_and_the_others_settle() -> None:
    matrix, _ = summing_matrix([["all"] * 3])
    found = reconcile(np.array([[50.0], [40.0], [1.0]]), np.array([[60.0]]), matrix, np.ones(3), np.array([0.0]))
    np.testing.assert_allclose(found.ravel(), [35.0, 25.0, 0.0], atol=1e-3)


def test_shapes_and_values_that_do_not_fit_are_refused() -> None:
    matrix, _ = summing_matrix([["all"] * 2])
    good = (np.ones((2, 1)), np.ones((1, 1)), matrix, np.ones(2), np.ones(1))
    for place, bad, text in ((0, np.ones((3, 1)), "do not fit"), (1, np.full((1, 1), np.nan), "finite")):
        given_ = list(good)
        given_[place] = bad
        with pytest.raises(InvalidInput, match=text):
            reconcile(*given_)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="one variance"):
        reconcile(*good[:3], np.ones(3), good[4])


def test_thirty_thousand_series_agree_with_their_aggregates_without_a_long_wait() -> None:
    series = np.arange(30_000)
    site, product = np.divmod(series, 150)
    matrix, _ = summing_matrix([site * 1000 + product // 3, product, site, np.zeros(len(series), dtype=int)])
    random = np.random.default_rng(1)
    bottom = random.gamma(2, 50, (len(series), 4))
    aggregate = (matrix @ bottom) * random.lognormal(0, 0.1, (matrix.shape[0], 4))
    found = reconcile(bottom, aggregate, matrix, bottom.mean(axis=1), (matrix @ bottom).mean(axis=1))
    assert (found >= 0).all()
    gap = np.abs(matrix @ bottom - aggregate).sum()
    assert np.abs(matrix @ found - aggregate).sum() < 0.7 * gap


def test_a_mix_that_drifts_is_followed_and_shares_sum_to_one() -> None:
    months = np.arange(48)
    share = 0.2 + 0.4 / (1 + np.exp(-(months - 36) / 8))
    history = 1000 * np.stack([share, 1 - share])
    group, direct = np.zeros(2, dtype=int), np.repeat(history[:, -1:], 6, axis=1)
    found = forecast_shares(history, group, direct, Period.MONTH)
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-12)
    assert (np.diff(found[0]) > 0).all()
    fixed = history[0, -12:].sum() / history[:, -12:].sum()
    assert abs(found[0, -1] - 0.55) < 0.5 * abs(fixed - 0.55)


def test_sparse_groups_count_and_an_empty_group_shares_equally() -> None:
    random = np.random.default_rng(2)
    history = np.concatenate([random.poisson([[0.4], [0.2]], (2, 30)), np.zeros((2, 30))]).astype(float)
    found = forecast_shares(history, np.array([0, 0, 1, 1]), np.full((4, 3), 0.1), Period.MONTH)
    np.testing.assert_allclose(found[2:], 0.5)
    assert 0.3 < found[0, 0] < 0.95
    np.testing.assert_allclose(found[:2].sum(axis=0), 1.0)
