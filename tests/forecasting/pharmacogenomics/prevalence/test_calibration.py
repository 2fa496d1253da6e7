"""Simulated sites with known truth: do the 90 % intervals hold it nine times in ten?"""

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, prevalence_posterior
from tests.forecasting.pharmacogenomics.simulated_sites import world

COMMON = 0.02
"""Keys of which the posterior expects less are left out: of those nearly every site has next to none."""


def intervals(content, gene, sites, rng):
    """One row per site and common key: whether the interval holds the truth, and how the site was made."""
    made = world(content, gene, sites, rng)
    rows = prevalence_posterior(
        content,
        sorted(made.made_by),
        [gene],
        SiteRecords(ancestry=made.ancestry, genotype_counts=made.counts, assays=made.assays),
    ).frame
    rows = rows[(rows["result_type"] == "lookup_key") & (rows["mean"] >= COMMON)]
    truth = np.array([made.truth.get(key, 0.0) for key in zip(rows["facility_id"], rows["result"], strict=True)])
    about = pd.DataFrame.from_dict(
        made.made_by, orient="index", columns=["kind", "partial", "by_group", "tested", "groups"]
    )
    held = (truth >= rows["low"]) & (truth <= rows["high"])
    return rows.assign(held=held, gene=gene).join(about, on="facility_id")


def test_intervals_hold_the_truth_nine_times_in_ten(content, rng):
    rows = pd.concat([intervals(content, gene, 120, rng) for gene in ("TPMT", "VKORC1")])
    assert rows["held"].mean() == pytest.approx(0.9, abs=0.04)


@pytest.mark.slow
def test_intervals_hold_the_truth_over_a_thousand_sites_of_every_kind(content):
    """Suppression, partial assays, counts by group, and alleles, diplotypes or phenotypes, all at random."""
    rng = np.random.default_rng(20261124)
    sites = {"CYP2C19": 250, "CYP2D6": 150, "CYP3A5": 200, "SLCO1B1": 100, "TPMT": 150, "VKORC1": 150}
    rows = pd.concat([intervals(content, gene, number, rng) for gene, number in sites.items()], ignore_index=True)
    assert 0.88 <= rows["held"].mean() <= 0.92
    counted = rows[rows["kind"] != "none"]
    size = pd.cut(counted["tested"], [0, 250, 1000, np.inf])
    for by in ("gene", "kind", "groups", "partial", "by_group", size):
        share = counted.groupby(by, observed=True)["held"].mean()
        assert share.between(0.82, 0.98).all(), share.to_dict()  # 100 to 250 sites each, keys of a site together
