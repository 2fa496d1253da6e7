"""How far a network's sites differ is learned from their counts, and intervals are right where studies are not."""

import math

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.prevalence import posterior as posterior_module
from forecasting.pharmacogenomics.prevalence.ancestry import GROUPS
from forecasting.pharmacogenomics.prevalence.network_size import GRID, LEAST_SITES, _log_likelihood
from forecasting.pharmacogenomics.prevalence.posterior import (
    SiteRecords,
    draw_lookup_keys,
    people_at_sites,
    prevalence_posterior,
)
from forecasting.pharmacogenomics.prevalence.prior import group_table
from tests.forecasting.pharmacogenomics.simulated_sites import world

EUROPEAN = "European"


def urn(copies, expected, people):
    """Log chance of the copies drawn one after the other from Polya's urn, as a plain loop."""
    drawn, chance = [0] * len(copies), 0.0
    for allele, number in enumerate(copies):
        for _ in range(int(number)):
            ball = 2 * people * expected[allele] + drawn[allele]
            chance += math.log(ball / (2 * people * sum(expected) + sum(drawn)))
            drawn[allele] += 1
    return chance


def test_the_likelihood_is_that_of_polyas_urn(rng):
    expected = rng.dirichlet([4.0, 2.0, 1.0], size=3)
    copies = rng.integers(0, 12, size=(3, 3)).astype(float)
    ours = _log_likelihood(copies, expected)
    theirs = np.array(
        [sum(urn(of, at, people) for of, at in zip(copies, expected, strict=True)) for people in GRID[::10]]
    )
    assert ours[::10] == pytest.approx(theirs)


def counted(rng, frequencies, people, sites, tested=400, gene="TPMT"):
    """Allele counts of European sites whose frequencies differ as `people` says."""
    rows = []
    for number in range(sites):
        here = rng.dirichlet(2 * people * np.array(list(frequencies.values())))
        seen = rng.multinomial(2 * tested, here)
        rows += [(f"S{number}", allele, n) for allele, n in zip(frequencies, seen, strict=True)]
    counts = pd.DataFrame(rows, columns=["facility_id", "result", "count"])
    counts = counts.assign(gene=gene, result_type="allele", tested=tested, count=counts["count"].astype(float))
    counts["count"] = counts["count"].where(~counts["count"].between(1, 10))
    ancestry = pd.DataFrame({"facility_id": counts["facility_id"].unique(), "biogeographic_group": EUROPEAN})
    return counts, ancestry.assign(share=1.0)


def published(content, gene="TPMT"):
    model = gene_model(content, gene)
    table, people, _, _ = group_table(content, model)
    group = GROUPS.index(EUROPEAN)
    mean = dict(zip(model.alleles, table[group], strict=True))
    return model, {allele: value for allele, value in mean.items() if value > 0}, people, group


@pytest.mark.parametrize("times", [0.25, 1.0, 4.0])
def test_known_overdispersion_is_found_again(times, content, rng):
    model, frequencies, people, group = published(content)
    true = people[group] * times
    counts, ancestry = counted(rng, frequencies, true, sites=60)
    found = people_at_sites(content, model, SiteRecords(ancestry, counts), 11)
    assert 0.6 < found[group] / true < 1.5
    others = np.arange(len(people)) != group
    assert (found[others] == people[others]).all()


def test_few_sites_change_nothing(content, rng):
    model, frequencies, people, _ = published(content)
    counts, ancestry = counted(rng, frequencies, 5.0, sites=LEAST_SITES - 1)
    assert (people_at_sites(content, model, SiteRecords(ancestry, counts), 11) == people).all()


def test_eight_sites_move_the_published_size_only_part_of_the_way(content, rng):
    model, frequencies, people, group = published(content)
    counts, ancestry = counted(rng, frequencies, people[group] / 8, sites=LEAST_SITES)
    found = people_at_sites(content, model, SiteRecords(ancestry, counts), 11)
    assert people[group] / 8 < found[group] < people[group]


def test_a_sites_numbers_do_not_depend_on_which_sites_are_asked_for(content, rng):
    _, frequencies, people, group = published(content)
    counts, ancestry = counted(rng, frequencies, people[group] / 4, sites=20)
    asked = {"ancestry": ancestry, "genotype_counts": counts}
    all_sites = prevalence_posterior(content, sorted(ancestry["facility_id"]), ["TPMT"], SiteRecords(**asked))
    alone = prevalence_posterior(content, ["S3"], ["TPMT"], SiteRecords(**asked))
    many = draw_lookup_keys(all_sites, "TPMT", 20, seed=1)[0][all_sites.facility_ids.index("S3")]
    assert draw_lookup_keys(alone, "TPMT", 20, seed=1)[0][0] == pytest.approx(many, rel=1e-9)


def coverage(content, made, gene):
    rows = prevalence_posterior(
        content,
        sorted(made.made_by),
        [gene],
        SiteRecords(ancestry=made.ancestry, genotype_counts=made.counts, assays=made.assays),
    ).frame
    rows = rows[(rows["result_type"] == "lookup_key") & (rows["mean"] >= 0.02)]
    truth = np.array([made.truth.get(key, 0.0) for key in zip(rows["facility_id"], rows["result"], strict=True)])
    held = (truth >= rows["low"]) & (truth <= rows["high"])
    return pd.DataFrame({"held": held, "width": rows["high"] - rows["low"]})


@pytest.mark.slow
@pytest.mark.parametrize(("times", "least", "most"), [(0.25, 0.82, 0.92), (1.0, 0.86, 0.92), (4.0, 0.88, 0.95)])
def test_intervals_hold_the_truth_where_published_sizes_are_wrong(times, least, most, content, monkeypatch):
    """Sites of one group, counted or not, that differ four times as much as studies say, as much, or a quarter."""
    found = {}
    for name in ("learned", "published"):
        if name == "published":
            monkeypatch.setattr(posterior_module, "network_people", lambda mean, people, *_: people)
        rows = []
        for gene, seed in (("TPMT", 1), ("VKORC1", 2), ("CYP2C19", 3)):
            random = np.random.default_rng(seed)
            made = world(content, gene, 150, random, most_groups=1, people_times=times)
            rows.append(coverage(content, made, gene))
        found[name] = pd.concat(rows)
    learned, before = found["learned"], found["published"]
    assert least <= learned["held"].mean() <= most
    assert abs(learned["held"].mean() - 0.9) <= abs(before["held"].mean() - 0.9) + 0.01
    if times < 1:
        assert before["held"].mean() < 0.8
    if times > 1:
        assert learned["width"].mean() < 0.9 * before["width"].mean()
