"""Learned strengths: the parts are the whole, the truth is recovered with its doubt, no change means no change."""

import numpy as np
import pytest

from forecasting.regimens.effect import SiteHistory, apply_effect, delayed_exposure, learn_effects, split_by_target
from forecasting.regimens.therapy import TherapyAtSite

WEEKS, AHEAD = 156, 8
DRUGS, DAYS = ("old", "new", "new", "other"), np.array([1.0, 2.0, 0.5, 1.0])
NEW, OTHER = "old|alternative|Strong|new", "old|alternative|Strong|other"


def therapy(exposure: np.ndarray) -> TherapyAtSite:
    """Half of the patients carry the key; of each treatment-day of old 0.6 go to new (two strengths), 0.4 to other."""
    delta = np.zeros((1, 4, 4))
    delta[0, 0] = [-1.0, 0.4 / 2, 0.2 / 0.5, 0.4]
    whole = TherapyAtSite(
        "t", ("a", "b", "c", "d"), ("row",), delta, delta, np.full((9, 1), 0.5), np.array([0.5]),
        exposure[:WEEKS, None], exposure[WEEKS - 1, None], exposure[WEEKS:, None],
    )  # fmt: skip
    return split_by_target(whole, DRUGS, DAYS, [("old", "alternative", "Strong")])


def growing(start: float) -> np.ndarray:
    return 0.7 / (1 + np.exp(-(np.arange(WEEKS + AHEAD) - start) / 8))


def history(site: str, strengths: tuple[float, float], seed: int) -> SiteHistory:
    """Demand of a site where the parts to `new` and to `other` act with these strengths."""
    random = np.random.default_rng(seed)
    acts = therapy(growing(70 + random.uniform(0, 40)))
    weight = acts.exposure_history * acts.mean_probability * np.array(strengths)
    usual = np.array([600.0, 300.0, 200.0, 300.0]) * np.exp(np.arange(WEEKS)[:, None] * random.normal(0, 0.0006, 4))
    mean = usual + np.einsum("tr,tp,rpq->tq", weight, usual, acts.mean_delta)
    shape = 150.0
    return SiteHistory(site, acts, random.poisson(mean * random.gamma(shape, 1 / shape, mean.shape)).astype(float))


def learned(strengths: tuple[float, float], seed: int) -> dict[str, tuple[float, float]]:
    sites = [history(name, strengths, 10 * seed + number) for number, name in enumerate("ABC")]
    found = learn_effects(sites, {NEW: "Strong", OTHER: "Strong"}, 7.0)
    assert found.groups == (NEW, OTHER)
    return {name: (found.mean[:, n].mean(), found.sd[:, n].mean()) for n, name in enumerate(found.groups)}


def test_the_parts_of_a_row_are_the_row_and_each_conserves_treatment_days() -> None:
    parts = therapy(growing(80))
    assert parts.groups == (NEW, OTHER)
    assert parts.row_ids == ("row", "row")
    np.testing.assert_allclose(parts.delta_low.sum(axis=0)[0], [-1.0, 0.2, 0.4, 0.4])
    np.testing.assert_allclose(parts.delta_low @ DAYS, 0.0, atol=1e-12)
    np.testing.assert_allclose(parts.delta_low[:, 0, 0], [-0.6, -0.4])


@pytest.mark.parametrize("truth", [(1.0, 1.0), (0.4, 1.2), (0.3, 0.3)])
def test_strengths_are_recovered_from_the_mix_shift(truth: tuple[float, float]) -> None:
    found = [learned(truth, seed) for seed in range(4)]
    for name, wanted in zip((NEW, OTHER), truth, strict=True):
        mean, sd = np.mean([one[name] for one in found], axis=0)
        # a posterior lies between the prior and the truth: well on the way, hardly further off than its doubt
        assert abs(mean - wanted) < max(0.5 * abs(1 - wanted), 0.26)
        assert abs(mean - wanted) < 1.6 * sd < 0.4


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Truth drawn from the prior's neighbourhood; 90 % intervals of the two strengths over 30 networks."""
    random = np.random.default_rng(5)
    inside = []
    for seed in range(30):
        truth = tuple(np.clip(random.normal(1, 0.25, 2), 0, 1.5))
        found = learned((float(truth[0]), float(truth[1])), 100 + seed)
        inside += [
            abs(found[name][0] - one) < 1.645 * found[name][1] for name, one in zip((NEW, OTHER), truth, strict=True)
        ]
    assert 0.8 <= np.mean(inside) <= 1.0


def test_without_evidence_the_strength_is_the_guidelines_with_the_priors_doubt() -> None:
    never = therapy(np.zeros(WEEKS + AHEAD))
    quiet = SiteHistory("A", never, np.full((WEEKS, 4), 100.0))
    found = learn_effects([quiet], {NEW: "Strong", OTHER: "Optional"}, 7.0)
    np.testing.assert_allclose(found.mean, 1.0)
    assert (found.sd[0] > 0.25).all()
    assert found.sd[0, 1] > found.sd[0, 0]
    np.testing.assert_allclose(found.information, 0.0, atol=1e-9)


def test_an_exposure_that_never_changes_keeps_not_changing_to_the_last_bit() -> None:
    still = therapy(np.full(WEEKS + AHEAD, 0.37))
    acts = apply_effect(still, np.array([0.61, 1.3]), np.array([0.4, -0.3]), 7.0)
    assert not acts.exposure_changes
    np.testing.assert_allclose(acts.exposure_at_origin, [0.37 * 0.61, 0.37 * 1.3])
    grows = apply_effect(therapy(growing(80)), np.array([1.0, 0.5]), np.array([1.0, 0.0]), 7.0)
    np.testing.assert_allclose(grows.exposure_history[8:, 0], growing(80)[: WEEKS - 8])
    np.testing.assert_allclose(grows.exposure_planned[:, 1], 0.5 * growing(80)[WEEKS:])
    assert (delayed_exposure(growing(80)[:, None], 7.0)[:8] == growing(80)[0]).all()
