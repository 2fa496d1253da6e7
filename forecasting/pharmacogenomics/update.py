"""From prior and counts to the posterior of one gene's allele frequencies, all sites at once."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from forecasting.pharmacogenomics.evidence import Evidence, Floats, Ints, fill_suppressed
from forecasting.pharmacogenomics.genes import GeneModel, sum_pairs
from forecasting.pharmacogenomics.prior import Prior
from forecasting.terms import ResultType

ROW_FIELDS = ("site", "kind", "first", "second", "count", "trials", "panel")
ITERATIONS, TOLERANCE = 500, 1e-10


@dataclasses.dataclass(frozen=True, eq=False)
class Update:
    """Posterior of one gene: a Dirichlet over what the assay can tell apart, the prior within what it cannot.

    `mean` [S, A] of the alleles. `people` [S]: weight of the outer Dirichlet. `inner` [S, A]: the alleles that the
    assay calls reference (the reference and everything untested); their total belongs to the outer Dirichlet, their
    split is a Dirichlet of weight `inner_people` [S]. `share_counts` [S]: share of the counts in `people`.
    """

    mean: Floats
    people: Floats
    inner: NDArray[np.bool_]
    inner_people: Floats
    share_counts: Floats


def update(model: GeneModel, prior: Prior, evidence: Evidence, threshold: int) -> Update:
    """Posterior of the allele frequencies per site.

    Allele and diplotype counts add to the Dirichlet of the alleles as called. Phenotype and lookup key counts do not
    name alleles: their expected allele copies, given the frequencies, are added and both are iterated to a fixed point
    (EM under Hardy-Weinberg), and they weigh only by the fraction of information that the results carry about the
    alleles (`information`). Suppressed counts enter as their conditional expectation at the current frequencies. What
    an assay cannot tell apart keeps its prior split.
    """
    own = np.arange(len(model.alleles))
    alpha = 2 * prior.people[:, None] * prior.mean
    called_alpha = _scatter(alpha, evidence.called)
    evidence = _possible(model, evidence, _normalised(called_alpha))
    mean, people = _fixed_point(model, called_alpha, evidence, threshold)
    weight = people * information(model, mean, evidence)
    behind = np.take_along_axis(called_alpha, evidence.called, axis=1)
    split = np.divide(alpha, behind, out=(evidence.called == own).astype(float), where=behind > 0)
    untested = (evidence.called != own) & (alpha > 0) & (weight > 0)[:, None]
    reference = model.index_of(model.reference)
    inner = (evidence.called == reference) & untested.any(axis=1, keepdims=True)
    total = prior.people + weight
    return Update(
        mean=np.take_along_axis(mean, evidence.called, axis=1) * split,
        people=total,
        inner=inner,
        inner_people=np.where(inner.any(axis=1), called_alpha[:, reference] / 2, np.nan),
        share_counts=np.divide(weight, total, out=np.zeros_like(total), where=total > 0),
    )


def information(model: GeneModel, mean: Floats, evidence: Evidence) -> Floats:
    """Fraction of a full count that a site's results are worth, [S]: 1 for alleles and diplotypes.

    For phenotypes and lookup keys it is the variance of the expected copies given the result over the variance of the
    copies themselves, summed over allele classes (the missing-information principle of EM: Dempster, Laird & Rubin
    1977, JRSS B 39:1-38; Louis 1982, JRSS B 44:226-233).
    """
    fraction = np.ones(len(mean))
    classes = model.class_frequencies(mean)
    everything = np.maximum((2 * classes * (1 - classes)).sum(axis=1), 1e-12)
    for kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        sites = np.unique(evidence.site[evidence.of(kind)])
        joint = 2 * np.einsum("si,sj,ijk->sik", classes[sites], classes[sites], _weights(model, kind))
        chance = joint.sum(axis=1) / 2
        expected = np.divide(joint, chance[:, None, :], out=np.zeros_like(joint), where=chance[:, None, :] > 0)
        explained = (chance[:, None, :] * expected**2).sum(axis=(1, 2)) - ((2 * classes[sites]) ** 2).sum(axis=1)
        fraction[sites] = np.clip(explained / everything[sites], 0, 1)
    return fraction


def _weights(model: GeneModel, kind: ResultType) -> Floats:
    return model.key_weights if kind is ResultType.LOOKUP_KEY else model.phenotype_weights


def _scatter(values: Floats, called: Ints) -> Floats:
    out = np.zeros_like(values)
    np.add.at(out, (np.arange(len(values))[:, None], called), values)
    return out


def _normalised(values: Floats) -> Floats:
    total = values.sum(axis=1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)


def _chances(model: GeneModel, mean: Floats, evidence: Evidence) -> Floats:
    """Probability of each row's result, [R], under Hardy-Weinberg at the current frequencies."""
    chances = np.empty(len(evidence.site))
    direct = evidence.of(ResultType.ALLELE, ResultType.DIPLOTYPE)
    site, first, second = evidence.site[direct], evidence.first[direct], evidence.second[direct]
    diplotype = mean[site, first] * mean[site, second] * np.where(first == second, 1.0, 2.0)
    chances[direct] = np.where(evidence.of(ResultType.ALLELE)[direct], mean[site, first], diplotype)
    classes = model.class_frequencies(mean)
    pairs = classes[:, :, None] * classes[:, None, :]
    for kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        rows = evidence.of(kind)
        if rows.any():
            chances[rows] = sum_pairs(pairs, _weights(model, kind))[evidence.site[rows], evidence.first[rows]]
    return chances


def _possible(model: GeneModel, evidence: Evidence, mean: Floats) -> Evidence:
    """Evidence without phenotype or key counts that the published alleles cannot produce; each is a problem."""
    indirect = evidence.of(ResultType.LOOKUP_KEY, ResultType.PHENOTYPE)
    impossible = indirect & (_chances(model, mean, evidence) <= 0) & ~(evidence.count == 0)
    if not impossible.any():
        return evidence
    evidence.problems.extend(
        (evidence.facility_ids[site], "counts left out: no allele with a published frequency gives this result")
        for site in np.unique(evidence.site[impossible])
    )
    fields = {name: getattr(evidence, name)[~impossible] for name in ROW_FIELDS}
    return dataclasses.replace(evidence, **fields)


def _fixed_point(model: GeneModel, alpha: Floats, evidence: Evidence, threshold: int) -> tuple[Floats, Floats]:
    """Posterior mean of the called alleles [S, A] and the people in stated counts [S].

    People in suppressed cells move the mean but add no weight: how they split is a guess at the current frequencies.
    """
    mean, count = _normalised(alpha), evidence.count
    for _ in range(ITERATIONS):
        count = fill_suppressed(evidence, _chances(model, mean, evidence), threshold)
        new = _normalised(alpha + _copies(model, mean, evidence, count))
        settled = np.abs(new - mean).max(initial=0.0) < TOLERANCE
        mean = new
        if settled:
            break
    people, stated = np.zeros(len(alpha)), np.nan_to_num(evidence.count)
    np.add.at(people, evidence.site, np.where(evidence.of(ResultType.ALLELE), stated / 2, stated))
    return mean, people


def _copies(model: GeneModel, mean: Floats, evidence: Evidence, count: Floats) -> Floats:
    """Expected copies of each called allele among the people counted, [S, A]."""
    copies = np.zeros_like(mean)
    alleles, pairs = evidence.of(ResultType.ALLELE), evidence.of(ResultType.DIPLOTYPE)
    np.add.at(copies, (evidence.site[alleles], evidence.first[alleles]), count[alleles])
    np.add.at(copies, (evidence.site[pairs], evidence.first[pairs]), count[pairs])
    np.add.at(copies, (evidence.site[pairs], evidence.second[pairs]), count[pairs])
    classes = model.class_frequencies(mean)
    for kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        rows = evidence.of(kind)
        if not rows.any():
            continue
        weights = _weights(model, kind)
        seen = np.zeros((len(mean), weights.shape[-1]))
        np.add.at(seen, (evidence.site[rows], evidence.first[rows]), count[rows])
        chance = sum_pairs(classes[:, :, None] * classes[:, None, :], weights)
        ratio = np.divide(seen, chance, out=np.zeros_like(seen), where=chance > 0)
        per_class = 2 * np.einsum("sj,ijk,sk->si", classes, weights, ratio)
        copies += per_class[:, model.class_of_allele] * mean
    return copies
