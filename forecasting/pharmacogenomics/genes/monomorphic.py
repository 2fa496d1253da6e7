"""Panels in which everybody has the same allele although their groups are known for others: platforms, not biology."""

import numpy as np
from scipy import special

from forecasting.pharmacogenomics.counts.evidence import Evidence
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType

LEAST_PEOPLE = 50
CHANCE = 0.001
"""A panel is a problem when its groups would give it with less chance than this."""


def monomorphic_panels(prior: Prior, evidence: Evidence) -> list[tuple[str, str]]:
    """One problem (facility_id, text) for each panel of diplotypes or alleles that holds one allele alone.

    A panel is one where 50 people or more were looked at and the chance of it, under the published frequencies of the
    site's groups and how far sites differ from them (a beta-binomial), is below 0.001. What the assay calls by the name
    of the allele (untested ones: the reference) counts as that allele.
    """
    rows = evidence.of(ResultType.DIPLOTYPE, ResultType.ALLELE) & ~(evidence.count == 0)
    if not rows.any():
        return []
    counted = evidence.keep(rows)
    size = len(evidence.panel_site)
    least, most = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    for alleles in (counted.first, np.where(counted.second < 0, counted.first, counted.second)):
        np.minimum.at(least, counted.panel, alleles)
        np.maximum.at(most, counted.panel, alleles)
    copies = np.zeros(size)
    ploidy = np.where(counted.of(ResultType.DIPLOTYPE) & (counted.second >= 0), 2.0, 1.0)
    np.maximum.at(copies, counted.panel, counted.trials * ploidy)
    problems = []
    for panel in np.flatnonzero((least == most) & (copies >= 2 * LEAST_PEOPLE)):
        site = int(evidence.panel_site[panel])
        if _chance(prior, evidence, site, int(most[panel]), float(copies[panel])) < CHANCE:
            problems.append((evidence.facility_ids[site], TEXT))
    return problems


TEXT = (
    "everybody who was counted has the same allele, which the groups served would hardly give: check which alleles the "
    "assay looks for"
)


def _chance(prior: Prior, evidence: Evidence, site: int, allele: int, copies: float) -> float:
    """Chance that so many copies are all of the allele."""
    of_site = prior.site == site
    if not of_site.any():
        return 1.0
    is_called = evidence.called[site] == allele
    if is_called.all():
        # nobody said what the assay looks for, and its results name nothing else: taken at its word
        is_called = np.arange(len(is_called)) == allele
    share = float((prior.share[of_site] * prior.mean[of_site][:, is_called].sum(axis=1)).sum())
    weight = 2 * float(prior.people[of_site].min())
    alpha, beta = weight * share, weight * (1 - share)
    if alpha <= 0 or beta <= 0:
        return 1.0
    return float(np.exp(special.betaln(alpha + copies, beta) - special.betaln(alpha, beta)))
