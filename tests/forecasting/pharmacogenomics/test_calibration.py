"""Simulated hospitals: do the 90 % intervals hold the truth nine times in ten?"""

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.genes import gene_model
from forecasting.pharmacogenomics.prevalence import posterior


def coverage(content, gene, result_type, sites, people, rng, alleles_tested=None):
    """Share of (site, key) intervals that hold the true key frequency, over keys of 2 % and more."""
    model = gene_model(content, gene)
    names = [f"S{i}" for i in range(sites)]
    ancestry = pd.DataFrame({"facility_id": names, "biogeographic_group": "European", "share": 1.0})
    prior = posterior(content, ["S0"], [gene], ancestry=ancestry).by_gene[gene].state
    truth = rng.dirichlet(prior.mean[0] * 2 * prior.people[0] + 1e-12, size=sites)
    tested = list(alleles_tested or model.alleles)
    called = [i if name in tested else model.index_of(model.reference) for i, name in enumerate(model.alleles)]
    parts = []
    for name, frequency in zip(names, truth, strict=True):
        pairs = np.array(called)[rng.choice(len(model.alleles), p=frequency, size=(people, 2))]
        texts = [f"{model.alleles[i]}/{model.alleles[j]}" for i, j in pairs]
        results = [model.key_of(text) for text in texts] if result_type == "lookup_key" else texts
        seen = pd.Series(results).value_counts().astype(float)
        counts = seen.where(seen > 10).rename_axis("result").rename("count").reset_index()
        parts.append(counts.assign(facility_id=name, gene=gene, result_type=result_type, tested=people))
    assays = pd.DataFrame({"facility_id": names, "gene": gene, "alleles_tested": ";".join(tested)})
    state = posterior(content, names, [gene], ancestry=ancestry, genotype_counts=pd.concat(parts), assays=assays)
    rows = state.frame[state.frame["result_type"] == "lookup_key"]
    keys = model.lookup_key_frequencies(truth)
    known = keys[rows["facility_id"].str[1:].astype(int), [model.keys.index(key) for key in rows["result"]]]
    common = (rows["mean"] >= 0.02).to_numpy()
    return float(((known >= rows["low"]) & (known <= rows["high"])).to_numpy()[common].mean())


@pytest.mark.parametrize("result_type", ["diplotype", "lookup_key"])
def test_intervals_hold_the_truth_nine_times_in_ten(result_type, content, rng):
    assert coverage(content, "TPMT", result_type, 60, 800, rng) == pytest.approx(0.9, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("gene", ["CYP2C19", "CYP2D6", "SLCO1B1", "VKORC1"])
@pytest.mark.parametrize("result_type", ["diplotype", "lookup_key"])
@pytest.mark.parametrize("people", [100, 2000])
def test_intervals_hold_the_truth_for_every_kind_of_gene(gene, result_type, people, content, rng):
    """Of 100 people split over CYP2D6's diplotypes nearly all are suppressed; they add no weight, so intervals are
    too wide there (0.98 when last run). Everywhere else both sides are held."""
    mostly_suppressed = (gene, result_type, people) == ("CYP2D6", "diplotype", 100)
    assert 0.84 <= coverage(content, gene, result_type, 300, people, rng) <= (1.0 if mostly_suppressed else 0.97)


@pytest.mark.slow
@pytest.mark.parametrize("result_type", ["diplotype", "lookup_key"])
def test_intervals_stay_honest_when_the_assay_misses_common_alleles(result_type, content, rng):
    found = coverage(content, "CYP2C19", result_type, 300, 2000, rng, alleles_tested=["*1", "*2", "*3"])
    assert 0.84 <= found <= 0.97
