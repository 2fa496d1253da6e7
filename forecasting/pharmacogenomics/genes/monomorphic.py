"""Panels in which everybody has the same allele although their groups are known for others: platforms, not biology."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from forecasting.pharmacogenomics.counts.evidence import Evidence
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType

Floats = NDArray[np.float64]

LEAST_PEOPLE = 50
CHANCE = 0.001
"""A panel is told of when its groups would give it with less chance than this."""


def monomorphic(prior: Prior, evidence: Evidence) -> list[tuple[str, str]]:
    """One problem (facility_id, text) for each panel of diplotypes or alleles that holds one allele alone.

    Told where 50 people or more were looked at and the chance of it, under the published frequencies of the site's
    groups and how far sites differ from them (a beta-binomial), is below 0.001. What the assay calls by the name of
    the allele (untested ones: the reference) counts as that allele.
    """
    rows = evidence.of(ResultType.DIPLOTYPE, ResultType.ALLELE) & ~(evidence.count == 0)
    if not rows.any():
        return []
    seen = evidence.keep(rows)
    size = len(evidence.panel_site)
    least, most = np.full(size, np.iinfo(np.int64).max), np.full(size, -1)
    for alleles in (seen.first, np.where(seen.second < 0, seen.first, seen.second)):
        np.minimum.at(least, seen.panel, alleles)
        np.maximum.at(most, seen.panel, alleles)
    copies = np.zeros(size)
    ploidy = np.where(seen.of(ResultType.DIPLOTYPE) & (seen.second >= 0), 2.0, 1.0)
    np.maximum.at(copies, seen.panel, seen.trials * ploidy)
    found = []
    for panel in np.flatnonzero((least == most) & (copies >= 2 * LEAST_PEOPLE)):
        site = int(evidence.panel_site[panel])
        if _chance(prior, evidence, site, int(most[panel]), float(copies[panel])) < CHANCE:
            found.append((evidence.facility_ids[site], TEXT))
    return found


TEXT = (
    "everybody who was counted has the same allele, which the groups served would hardly give: check which alleles the "
    "assay looks for"
)


def _chance(prior: Prior, evidence: Evidence, site: int, allele: int, copies: float) -> float:
    """Chance that so many copies are all of the allele."""
    here = prior.site == site
    if not here.any():
        return 1.0
    named = evidence.called[site] == allele
    if named.all():
        # nobody said what the assay looks for, and its results name nothing else: taken at its word
        named = np.arange(len(named)) == allele
    share = float((prior.share[here] * prior.mean[here][:, named].sum(axis=1)).sum())
    weight = 2 * float(prior.people[here].min())
    own, other = weight * share, weight * (1 - share)
    if own <= 0 or other <= 0:
        return 1.0
    return float(np.exp(special.betaln(own + copies, other) - special.betaln(own, other)))
