"""Whether the genotypes that a site counted can be in Hardy-Weinberg proportions within its groups."""

import numpy as np

from forecasting.arrays import Floats, sum_by_index
from forecasting.pharmacogenomics.counts.evidence import Evidence
from forecasting.pharmacogenomics.counts.incidence import group_incidence, outcome_weights
from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.pharmacogenomics.prevalence.update import StrataPosterior
from forecasting.terms import ResultType

CRITICAL_Z = 3.29
"""Two-sided p below 0.001: thousands of panels are looked at."""

LEAST_PEOPLE, LEAST_HETEROZYGOTES = 50, 10


def hardy_weinberg_departures(
    model: GeneModel, prior: Prior, state: StrataPosterior, evidence: Evidence, threshold: int
) -> list[tuple[str, str]]:
    """One problem (facility_id, text) for each panel with more or fewer homozygotes than its groups should have.

    Looked at are diplotype counts, and phenotype or key counts where each result is of homozygotes or heterozygotes
    alone. With `n` people and heterozygosity `h` the homozygotes of one group spread around `n (1 - h)` with standard
    deviation `h sqrt(n)` at fitted frequencies; over groups, who was tested and how the groups differ is uncertain too.
    A suppressed count may be anything from 1 to `threshold` - 1: only what no such value explains is a problem.
    """
    if not len(evidence.count):
        return []
    homozygous = _homozygous(model, evidence)
    usable = np.isfinite(homozygous)
    is_suppressed = np.isnan(evidence.count)
    size = len(evidence.panel_site)
    stated_count = np.nan_to_num(evidence.count)
    counted = evidence.keep(usable)
    panel, of_row = counted.panel, homozygous[usable]
    low = sum_by_index(panel, np.where(is_suppressed, 1.0, stated_count)[usable] * of_row, size)
    high = sum_by_index(panel, np.where(is_suppressed, threshold - 1.0, stated_count)[usable] * of_row, size)
    people = np.zeros(size)
    np.maximum.at(people, panel, counted.trials)
    expected, spread = _expected(prior, state, evidence, people)
    closest = np.clip(people * expected, low, high)
    z = (closest - people * expected) / np.maximum(spread, 1e-9)
    departs = (np.abs(z) > CRITICAL_Z) & (people >= LEAST_PEOPLE) & (people * (1 - expected) >= LEAST_HETEROZYGOTES)
    return [(evidence.facility_ids[evidence.panel_site[b]], _text(bool(z[b] > 0))) for b in np.flatnonzero(departs)]


def _text(more: bool) -> str:
    return (
        f"genotype counts depart from Hardy-Weinberg proportions within groups ({'more' if more else 'fewer'} "
        "homozygotes than expected, p < 0.001): check the assay, the ancestry shares and who was tested"
    )


def _homozygous(model: GeneModel, evidence: Evidence) -> Floats:
    """1 for rows of people with the same allele twice, 0 for others, NaN where the result can be either, [R]."""
    homozygous = np.full(len(evidence.count), np.nan)
    pairs = evidence.of(ResultType.DIPLOTYPE)
    homozygous[pairs] = (evidence.first == evidence.second)[pairs]
    same = np.eye(len(model.key_weights), dtype=bool)
    for kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        rows = evidence.of(kind)
        weights = outcome_weights(model, kind)
        twice = np.asarray((weights[same] > 0).any(axis=0))
        once = np.asarray((weights[~same] > 0).any(axis=0))
        one_allele_a_class = len(np.unique(model.class_of_allele)) == len(model.alleles)
        if one_allele_a_class and not np.logical_and(twice, once).any():
            homozygous[rows] = twice[evidence.first[rows]]
    return homozygous


def _expected(prior: Prior, state: StrataPosterior, evidence: Evidence, people: Floats) -> tuple[Floats, Floats]:
    """Expected share of homozygotes of each panel and the standard deviation of their number, [B]."""
    incidence = group_incidence(prior, evidence)
    panel, stratum, weight = incidence.panel, incidence.panel_stratum, incidence.panel_weight
    mean = np.zeros_like(state.mean)
    np.add.at(mean, (np.arange(len(mean))[:, None], evidence.called[state.site]), state.mean)
    twice, thrice = (mean**2).sum(axis=1), (mean**3).sum(axis=1)
    size = len(people)
    expected = sum_by_index(panel, weight * twice[stratum], size)
    within = sum_by_index(panel, weight * (1 - twice[stratum]) ** 2, size)
    between = sum_by_index(panel, weight * (twice[stratum] - expected[panel]) ** 2, size)
    # fitted frequencies of one group err as its prior pulls them; how several groups differ is hardly fitted at all
    has_several_groups = sum_by_index(panel, np.ones(len(panel)), size)[panel] > 1
    shrinkage = (prior.people / state.people)[stratum]
    slope = 4 * (thrice - twice**2)
    fit_variance = np.where(has_several_groups, 1.0, shrinkage) * (slope / (2 * state.people + 1))[stratum]
    # what the prior holds back of a panel's own frequencies is chance of who was sampled
    sampling_variance = np.where(has_several_groups, 0.0, shrinkage**2) * slope[stratum] / 2
    variance = people * (within + between + sum_by_index(panel, weight**2 * sampling_variance, size))
    variance += people**2 * sum_by_index(panel, weight**2 * fit_variance, size)
    return expected, np.sqrt(np.maximum(variance, 0.0))
