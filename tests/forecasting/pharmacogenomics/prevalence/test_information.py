"""What counts are worth, where it can be said by hand or sampled in another way."""

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, prevalence_posterior


def state_of(content, gene, shares, counts):
    ancestry = pd.DataFrame({"facility_id": "A", "biogeographic_group": list(shares), "share": shares.values()})
    seen = counts.assign(facility_id="A", gene=gene)
    return prevalence_posterior(content, ["A"], [gene], SiteRecords(ancestry=ancestry, genotype_counts=seen)).by_gene[
        gene
    ]


def diplotypes(people, pairs, **more):
    return pd.DataFrame(
        {"result_type": "diplotype", "result": list(pairs), "count": [people * share for share in pairs.values()]}
    ).assign(tested=people, **more)


def test_people_whose_group_is_not_noted_are_worth_no_more_than_people_whose_group_is(content):
    shares = {"European": 0.5, "Sub-Saharan African": 0.5}
    pairs = {"*3/*3": 0.46, "*1/*3": 0.24, "*1/*1": 0.30}
    unknown = state_of(content, "CYP3A5", shares, diplotypes(1000, pairs)).state
    noted = pd.concat(
        [
            diplotypes(500, {"*3/*3": 0.86, "*1/*3": 0.14}, biogeographic_group="European"),
            diplotypes(500, {"*3/*3": 0.06, "*1/*3": 0.34, "*1/*1": 0.60}, biogeographic_group="Sub-Saharan African"),
        ]
    )
    known = state_of(content, "CYP3A5", shares, noted).state
    assert known.counted == pytest.approx(np.full(2, 500.0), rel=1e-4)
    assert (unknown.counted < known.counted).all()
    assert unknown.counted.sum() > 100


def test_a_mixed_sites_posterior_has_the_spread_of_importance_sampling(content):
    """Draws from the prior, weighted by the likelihood of the counts: another road to the same posterior."""
    shares = {"European": 0.6, "East Asian": 0.4}
    counts = {"-1639 GG": 30, "-1639 AG": 50, "-1639 AA": 40}
    seen = pd.DataFrame({"result_type": "phenotype", "result": list(counts), "count": list(counts.values())})
    gene = state_of(content, "VKORC1", shares, seen.assign(tested=120))
    ancestry = pd.DataFrame({"facility_id": "A", "biogeographic_group": list(shares), "share": shares.values()})
    before = prevalence_posterior(content, ["A"], ["VKORC1"], SiteRecords(ancestry=ancestry)).by_gene["VKORC1"]
    rng = np.random.default_rng(7)
    keys = np.zeros((400_000, 3))
    for share, mean, people in zip(before.state.share, before.state.mean, before.state.people, strict=True):
        variant = mean[gene.model.index_of("rs9923231 variant (T)")]
        p = rng.beta(2 * people * variant, 2 * people * (1 - variant), len(keys))
        keys += share * np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1)
    order = [gene.model.keys.index(name) for name in counts]
    log_weight = np.log(np.maximum(keys, 1e-12)) @ np.array(list(counts.values()))
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = weight @ keys
    spread = np.sqrt(weight @ (keys - mean) ** 2)
    ours = gene.draw(4000, seed=1)[0][:, order]
    assert ours.mean(axis=0) == pytest.approx(mean, abs=0.02)
    assert ours.std(axis=0) == pytest.approx(spread, rel=0.3)
