"""How far a network's own sites of one group differ from what is published: learned where many of them counted.

The published effective size says how far sites of a group differ in studies of all the world; a network's sites may
differ less, or more. Their allele counts are Dirichlet-multinomial around the published frequencies, with the size as
concentration.
"""

import numpy as np
from scipy.special import gammaln

from forecasting.arrays import Floats, Indices, sum_by_index
from forecasting.pharmacogenomics.counts.evidence import SINGLE, Evidence
from forecasting.pharmacogenomics.prevalence.ancestry import GROUPS, WHOLE_SITE
from forecasting.terms import ResultType

LEAST_SITES = 8
"""Fewer sites than this say too little of how sites differ."""

LEAST_SHARE = 0.9
"""A site's counts of all its people count for a group that is at least this share of them."""

COUNTS_OF_COPIES = (ResultType.ALLELE.value, ResultType.DIPLOTYPE.value)
"""Kinds of counts that state every copy of an allele."""

PRIOR_SD = np.log(2.0)
"""Published effective sizes are taken to be right within a factor of two (one standard deviation)."""

GRID = np.exp(np.linspace(np.log(2.0), np.log(2000.0), 60))


def network_people(mean: Floats, people: Floats, evidence: Evidence, shares: Floats, threshold: int) -> Floats:
    """People that each group's published frequencies are worth at a site of this network, [9].

    `mean` [9, A] are the published frequencies, `people` [9] what they are worth by published studies, `shares` [S, 9]
    the groups of each site. Used are counts of alleles and diplotypes of a group, or of a site of mainly one group; a
    group with fewer than `LEAST_SITES` such sites keeps its published size. The size is that of the expected variance
    under the marginal likelihood over a grid, with a log-normal prior around the published one.

    References
    ----------
    Mosimann (1962), Biometrika 49:65-82, doi:10.1093/biomet/49.1-2.65, for the Dirichlet-multinomial.
    """
    group = _group_of_panel(evidence, shares)
    copies = _copies(evidence, mean.shape[1], threshold)
    usable = (group >= 0) & (copies.sum(axis=1) > 0)
    sites = np.array([len(np.unique(evidence.panel_site[usable & (group == g)])) for g in range(len(GROUPS))])
    network = people.copy()
    for g in np.flatnonzero((sites >= LEAST_SITES) & (mean.sum(axis=1) > 0)):
        panels = np.flatnonzero(usable & (group == g))
        expected = _expected(mean, evidence, shares, panels, int(g))
        log_posterior = _log_likelihood(copies[panels], expected)
        log_posterior -= (np.log(GRID / people[g]) / PRIOR_SD) ** 2 / 2
        weight = np.exp(log_posterior - log_posterior.max())
        network[g] = (1 / np.average(1 / (2 * GRID + 1), weights=weight) - 1) / 2
    return network


def _group_of_panel(evidence: Evidence, shares: Floats) -> Indices:
    """Group that each panel counts for, [B]; -1: several."""
    main = shares[evidence.panel_site].argmax(axis=1) if len(shares) else np.zeros(0, dtype=np.intp)
    has_main_group = shares[evidence.panel_site].max(axis=1, initial=0.0) >= LEAST_SHARE
    is_whole_site = evidence.panel_group == WHOLE_SITE
    return np.where(is_whole_site, np.where(has_main_group, main, -1), evidence.panel_group)


def _copies(evidence: Evidence, alleles: int, threshold: int) -> Floats:
    """Copies of each allele as called, [B, A]; a suppressed count stands for half the threshold."""
    count = np.where(np.isnan(evidence.count), threshold / 2, evidence.count)
    pairs = evidence.of(ResultType.DIPLOTYPE)
    copies = np.zeros((len(evidence.panel_site), alleles))
    for rows, allele in (
        (pairs | evidence.of(ResultType.ALLELE), evidence.first),
        (pairs & (evidence.second != SINGLE), evidence.second),
    ):
        np.add.at(copies, (evidence.panel[rows], allele[rows]), count[rows])
    return copies


def _expected(mean: Floats, evidence: Evidence, shares: Floats, panels: Indices, group: int) -> Floats:
    """Frequencies of the alleles as called in each panel, [P, A], before it was counted."""
    site = evidence.panel_site[panels]
    is_whole_site = evidence.panel_group[panels] == WHOLE_SITE
    known_shares = shares[site] * (mean.sum(axis=1) > 0)
    site_mean = known_shares / known_shares.sum(axis=1, keepdims=True) @ mean
    frequencies = np.where(is_whole_site[:, None], site_mean, mean[group])
    called = evidence.called[site]
    row = np.repeat(np.arange(len(panels)), mean.shape[1]) * mean.shape[1]
    flat = sum_by_index(row + called.ravel(), frequencies.ravel(), len(panels) * mean.shape[1])
    return np.asarray(flat.reshape(frequencies.shape))


def _log_likelihood(copies: Floats, expected: Floats) -> Floats:
    """Log marginal likelihood of the panels' copies at each size of the grid, [G], up to a constant.

    Copies of alleles without a published frequency are left out.
    """
    copies = np.where(expected > 0, copies, 0.0)
    panel, allele = np.nonzero(copies)
    observed, alpha = copies[panel, allele], 2 * GRID[:, None] * expected[panel, allele]
    total, total_alpha = copies.sum(axis=1), 2 * GRID[:, None] * expected.sum(axis=1)
    per_allele = gammaln(alpha + observed) - gammaln(alpha)
    return np.asarray(per_allele.sum(axis=1) + (gammaln(total_alpha) - gammaln(total_alpha + total)).sum(axis=1))
