"""From prior and counts to the posterior of one gene's allele frequencies, all sites and groups at once."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Floats, Indices, joined, sum_by_index, take
from forecasting.pharmacogenomics.counts.censoring import fill_suppressed
from forecasting.pharmacogenomics.counts.evidence import SINGLE, Evidence
from forecasting.pharmacogenomics.counts.incidence import Incidence, group_incidence, outcome_weights
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, sum_pairs
from forecasting.pharmacogenomics.prevalence.information import information_fraction
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType

ROUNDS, LEAPS, LONGEST, TOLERANCE = 10, 5, 30.0, 1e-7
LEAST = 1e-30


@dataclasses.dataclass(frozen=True, eq=False)
class StrataPosterior:
    """Posterior of one gene: for each group of a site (N strata, as in `Prior`) a Dirichlet over what the assay can
    tell apart, the prior within what it cannot.

    `site`, `group`, `share` [N] as in `Prior`. `mean` [N, A] of the alleles. `people` [N]: weight of the outer
    Dirichlet; `counted` [N]: how much of it is the site's counts. `inner` [N, A]: the alleles that the assay calls
    reference (the reference and everything untested); their total belongs to the outer Dirichlet, their split is a
    Dirichlet of weight `inner_people` [N].
    """

    site: Indices
    group: Indices
    share: Floats
    mean: Floats
    people: Floats
    counted: Floats
    inner: NDArray[np.bool_]
    inner_people: Floats


def joined_by_site(parts: Sequence[StrataPosterior]) -> StrataPosterior:
    """Posteriors of different sites as one, in the order of their sites; sites that no part holds have no strata."""
    state = joined(parts)
    return take(state, np.argsort(state.site, kind="stable"))


def update_posterior(
    model: GeneModel, prior: Prior, evidence: Evidence, threshold: int
) -> tuple[StrataPosterior, Evidence]:
    """Posterior of the allele frequencies per site and group; the evidence as it was used.

    Each group of a site is in Hardy-Weinberg proportions by itself. Who was counted belongs to the groups of the site
    in the proportions of the people served, unless the counts are given by group. Counts enter by their expected
    allele copies per group, given the frequencies, iterated to a fixed point (EM): for diplotypes only the group is
    unknown, for phenotypes and lookup keys the alleles are too, and suppressed counts are at their conditional
    expectation. Their weight is what they say about who has which lookup key (`information_fraction`). Alleles that an
    assay reports alike keep their prior split.
    """
    allele_numbers = np.arange(len(model.alleles))
    called = evidence.called[prior.site]
    alpha = 2 * prior.people[:, None] * prior.mean
    called_alpha = _scatter(alpha, called)
    evidence = _possible(model, prior, evidence, _normalised(called_alpha))
    incidence = group_incidence(prior, evidence)
    em = _Expectation(model, called_alpha, evidence, incidence, threshold)
    mean = _fixed_point(em, prior.site)
    count, copies = em.counts(mean)
    people = copies.sum(axis=1) / 2
    counted = people * information_fraction(model, prior, evidence, incidence, mean, count, people)
    called_mass = np.take_along_axis(called_alpha, called, axis=1)
    split = np.divide(alpha, called_mass, out=(called == allele_numbers).astype(float), where=called_mass > 0)
    untested = (called != allele_numbers) & (alpha > 0) & (counted > 0)[:, None]
    reference = model.index_of(model.reference)
    inner = (called == reference) & untested.any(axis=1, keepdims=True)
    state = StrataPosterior(
        site=prior.site,
        group=prior.group,
        share=prior.share,
        mean=np.take_along_axis(mean, called, axis=1) * split,
        people=prior.people + counted,
        counted=counted,
        inner=inner,
        inner_people=np.where(inner.any(axis=1), called_alpha[:, reference] / 2, np.nan),
    )
    return state, evidence


def _scatter(values: Floats, called: Indices) -> Floats:
    scattered = np.zeros_like(values)
    np.add.at(scattered, (np.arange(len(values))[:, None], called), values)
    return scattered


def _normalised(values: Floats) -> Floats:
    total = values.sum(axis=1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)


def chances(model: GeneModel, mean: Floats, evidence: Evidence, incidence: Incidence) -> Floats:
    """Probability of each row's result in each group that it is linked to, [L], at the frequencies `mean` [N, A]."""
    row, stratum = incidence.row, incidence.stratum
    first, second = evidence.first[row], evidence.second[row]
    chance = np.empty(len(row))
    alleles, direct = evidence.of(ResultType.ALLELE)[row], evidence.of(ResultType.ALLELE, ResultType.DIPLOTYPE)[row]
    single, copy = second[direct] == SINGLE, model.share_with_one_copy
    times = np.where(first[direct] == second[direct], 1.0, 2.0) * (1 - copy)
    first_frequency, second_frequency = mean[stratum[direct], first[direct]], mean[stratum[direct], second[direct]]
    chance[direct] = np.where(
        alleles[direct],
        first_frequency,
        np.where(single, copy * first_frequency, times * first_frequency * second_frequency),
    )
    classes = model.class_frequencies(mean)
    for kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        rows = evidence.of(kind)[row]
        if rows.any():
            results = sum_pairs(classes[:, :, None] * classes[:, None, :], outcome_weights(model, kind))
            chance[rows] = results[stratum[rows], first[rows]]
    return chance


def _possible(model: GeneModel, prior: Prior, evidence: Evidence, mean: Floats) -> Evidence:
    """Evidence without phenotype or key counts that the published alleles cannot produce; each is a problem."""
    incidence = group_incidence(prior, evidence)
    indirect = evidence.of(ResultType.LOOKUP_KEY, ResultType.PHENOTYPE)
    chance = incidence.of_rows(chances(model, mean, evidence, incidence), len(evidence.count))
    impossible = indirect & (chance <= 0) & ~(evidence.count == 0)
    if not impossible.any():
        return evidence
    evidence.problems.extend(
        (evidence.facility_ids[site], "counts left out: no allele with a published frequency gives this result")
        for site in np.unique(evidence.site[impossible])
    )
    return evidence.keep(~impossible)


@dataclasses.dataclass(frozen=True, eq=False)
class _Expectation:
    """One step of EM: from frequencies to the frequencies that the expected copies give."""

    model: GeneModel
    alpha: Floats
    evidence: Evidence
    incidence: Incidence
    threshold: int

    def counts(self, mean: Floats) -> tuple[Floats, Floats]:
        """Counts with suppressed ones filled in, [R], and the expected copies of each allele, [N, A]."""
        chance = chances(self.model, mean, self.evidence, self.incidence)
        of_row = self.incidence.of_rows(chance, len(self.evidence.count))
        count = fill_suppressed(self.evidence, of_row, self.threshold)
        per_chance = np.divide(count, of_row, out=np.zeros_like(count), where=of_row > 0)
        expected = self.incidence.weight * chance * per_chance[self.incidence.row]
        return count, _copies(self.model, mean, self.evidence, self.incidence, expected)

    def part(self, strata: NDArray[np.bool_]) -> "_Expectation":
        """The same for some of the strata [N] alone; all strata of a site or none."""
        entries = strata[self.incidence.stratum]
        rows = np.zeros(len(self.evidence.count), dtype=bool)
        rows[self.incidence.row[entries]] = True
        row, stratum = np.cumsum(rows) - 1, np.cumsum(strata) - 1
        incidence = dataclasses.replace(
            self.incidence,
            row=row[self.incidence.row[entries]],
            stratum=stratum[self.incidence.stratum[entries]],
            weight=self.incidence.weight[entries],
        )
        return dataclasses.replace(
            self, alpha=self.alpha[strata], evidence=self.evidence.keep(rows), incidence=incidence
        )

    def step(self, mean: Floats) -> Floats:
        """The next frequencies, [N, A]."""
        return _normalised(self.alpha + self.counts(mean)[1])


def _fixed_point(em: _Expectation, site: Indices) -> Floats:
    """Posterior mean of the called alleles, [N, A].

    EM creeps where the group of the people counted is unknown; each site leaps ahead along its own path (the squared
    extrapolation of Varadhan & Roland 2008, Scandinavian Journal of Statistics 35:335-353, on the log scale). A site
    that has settled stays: its numbers do not depend on how long others take.
    """
    mean = em.step(_normalised(em.alpha))
    moving = np.arange(len(mean))
    for _ in range(ROUNDS):
        part = em.part(np.isin(np.arange(len(mean)), moving))
        if not len(part.evidence.count):
            break
        mean[moving], unsettled = _leaps(part, mean[moving], site[moving])
        moving = moving[unsettled]
    return mean


def _leaps(em: _Expectation, mean: Floats, site: Indices) -> tuple[Floats, NDArray[np.bool_]]:
    """A few leaps from `mean` [N, A], and which strata are still moving, [N]."""
    sites = int(site.max()) + 1
    moving = np.ones(len(mean), dtype=bool)
    for _ in range(LEAPS):
        next_mean = em.step(mean)
        change = np.zeros(sites)
        np.maximum.at(change, site, np.abs(next_mean - mean).max(axis=1))
        moving &= (change >= TOLERANCE)[site]
        if not moving.any():
            break
        mean = np.where(moving[:, None], em.step(_leap(mean, next_mean, em.step(next_mean), site, sites)), mean)
    return mean, moving


def _leap(mean: Floats, next_mean: Floats, second_mean: Floats, site: Indices, sites: int) -> Floats:
    """Frequencies ahead on the path of each site that three successive ones begin, [N, A]."""
    first, second, third = (np.log(np.maximum(values, LEAST)) for values in (mean, next_mean, second_mean))
    speed, bend = second - first, third - 2 * second + first
    far = sum_by_index(site, (next_mean * speed**2).sum(axis=1), sites)
    turn = sum_by_index(site, (next_mean * bend**2).sum(axis=1), sites)
    length = np.sqrt(np.divide(far, turn, out=np.ones_like(far), where=turn > 0))
    length = np.clip(length, 1.0, LONGEST)[site, None]
    ahead = first + 2 * length * speed + length**2 * bend
    return _normalised(np.where(mean > 0, np.exp(np.clip(ahead, np.log(LEAST), 0.0)), 0.0))


def _copies(model: GeneModel, mean: Floats, evidence: Evidence, incidence: Incidence, expected: Floats) -> Floats:
    """Copies of each called allele, [N, A], among the people (or copies) `expected` [L] of each row and group."""
    row, stratum = incidence.row, incidence.stratum
    alleles, pairs = evidence.of(ResultType.ALLELE)[row], evidence.of(ResultType.DIPLOTYPE)[row]
    copies = np.zeros_like(mean)
    has_two_alleles = pairs & (evidence.second[row] != SINGLE)
    for rows, allele in ((alleles | pairs, evidence.first), (has_two_alleles, evidence.second)):
        np.add.at(copies, (stratum[rows], allele[row[rows]]), expected[rows])
    classes = model.class_frequencies(mean)
    for kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        rows = evidence.of(kind)[row]
        if not rows.any():
            continue
        weights = outcome_weights(model, kind)
        people_of_result = np.zeros((len(mean), weights.shape[-1]))
        np.add.at(people_of_result, (stratum[rows], evidence.first[row[rows]]), expected[rows])
        chance = sum_pairs(classes[:, :, None] * classes[:, None, :], weights)
        ratio = np.divide(people_of_result, chance, out=np.zeros_like(people_of_result), where=chance > 0)
        pull = (weights.reshape(-1, weights.shape[-1]) @ ratio.T).reshape(*weights.shape[:2], -1)
        per_class = model.copies_per_person * np.einsum("ijn,nj->ni", pull, classes)
        copies += per_class[:, model.class_of_allele] * mean
    return copies
