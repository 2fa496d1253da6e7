"""What counts are worth: how much a site's results say about who has which lookup key, in people.

Results that do not tell the group or the alleles of the people counted say less than full genotypes by group would.
The posterior keeps one Dirichlet per group all the same; its weight is chosen so that the variance of the lookup key
frequencies of all people of the panel is that of the linearised posterior (missing information: Dempster, Laird & Rubin
1977, JRSS B 39:1-38; Louis 1982, JRSS B 44:226-233).
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from forecasting.pharmacogenomics.counts.evidence import SINGLE, Evidence
from forecasting.pharmacogenomics.counts.incidence import Links, outcome_weights, summed
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, sum_pairs
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

HALVINGS = 50
LEAST_CHANCE = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class _Panels:
    """Panels of one kind of result: `chosen` [M'] links, `panel` [M'] their panels numbered from 0 to B' - 1."""

    chosen: Ints
    panel: Ints
    size: int
    number: Ints

    def total(self, values: Floats) -> Floats:
        """Sums over the links of each panel: [M', ...] -> [B', ...]."""
        return summed(self.panel, values, self.size)


def share_that_counts(
    model: GeneModel,
    prior: Prior,
    evidence: Evidence,
    linked: Links,
    mean: Floats,
    count: Floats,
    people: Floats,
) -> Floats:
    """Fraction of the `people` [N] counted in each stratum that they are worth, [N]; 1 for full genotypes of one group.

    `mean` [N, A] are the posterior frequencies of the alleles as called, `count` [R] the counts with suppressed ones
    filled in. People in suppressed cells are seen only as one lump.
    """
    share = np.zeros(len(mean))
    classes = model.class_frequencies(mean)
    spread = classes[:, :, None] * np.eye(classes.shape[1]) - classes[:, :, None] * classes[:, None, :]
    slope = _slopes(classes, model.acting_weights)
    for kind in ResultType:
        rows = evidence.of(kind)
        number = np.unique(evidence.panel[rows])
        chosen = np.flatnonzero(np.isin(linked.panel, number))
        if not len(chosen):
            continue
        panels = _Panels(chosen, np.searchsorted(number, linked.panel[chosen]), len(number), number)
        stratum, weight = linked.panel_stratum[chosen], linked.panel_weight[chosen]
        target = weight[:, None, None] * slope[stratum]
        # variance of the keys per person of the stratum, [M']
        each = np.einsum("mck,mcd,mdk->m", target, spread[stratum], target)
        known = _known_variance(
            model,
            kind,
            panels,
            evidence,
            weight,
            classes[stratum],
            spread[stratum],
            target,
            prior.people[stratum],
            count,
            each,
        )
        fraction = _fraction(panels, each, prior.people[stratum], people[stratum], known)
        share[stratum] = fraction[panels.panel]
    return share


def _slopes(classes: Floats, weights: Floats) -> Floats:
    """How result frequencies [.., N] move with class frequencies: [.., C] -> [.., C, N]."""
    half = classes @ weights.transpose(1, 0, 2).reshape(weights.shape[1], -1)
    return 2 * half.reshape(*classes.shape[:-1], weights.shape[0], weights.shape[2])


def _observed(model: GeneModel, kind: ResultType) -> Floats:
    """Results that a person is counted under, as weights of pairs of classes [C, C, O]."""
    if kind in (ResultType.LOOKUP_KEY, ResultType.PHENOTYPE):
        return outcome_weights(model, kind)
    number = model.key_weights.shape[0]
    if kind is ResultType.ALLELE:
        own = np.eye(number)
        return (own[:, None, :] + own[None, :, :]) / 2
    pair = np.zeros((number, number), dtype=int)
    pair[np.triu_indices(number)] = np.arange(number * (number + 1) // 2)
    return np.eye(number * (number + 1) // 2)[np.maximum(pair, pair.T)]


def _known_variance(
    model: GeneModel,
    kind: ResultType,
    panels: _Panels,
    evidence: Evidence,
    weight: Floats,
    classes: Floats,
    spread: Floats,
    target: Floats,
    prior_people: Floats,
    count: Floats,
    each: Floats,
) -> Floats:
    """Posterior variance of the keys of each panel, summed over keys, [B']."""
    weights = _observed(model, kind)
    stated, counted = _stated(model, kind, evidence, panels, weights.shape[-1], count)
    pairs = classes[:, :, None] * classes[:, None, :]
    chance = panels.total(weight[:, None] * sum_pairs(pairs, weights))
    slope = weight[:, None, None] * _slopes(classes, weights)
    noise = _noise(kind, panels, weight, classes, chance, stated)
    slope = _lumped(slope, stated[panels.panel][:, None, :])
    before = spread / (2 * prior_people + 1)[:, None, None]
    cross = panels.total(np.einsum("mck,mcd,mdo->mko", target, before, slope))
    total = panels.total(np.einsum("mco,mcd,mdp->mop", slope, before, slope))
    total += noise / np.maximum(counted, LEAST_CHANCE)[:, None, None]
    # results that cannot occur say nothing; scaled to unit diagonal, and with the null direction of shares filled
    scale = np.sqrt(np.maximum(np.einsum("boo->bo", total), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > LEAST_CHANCE)
    matrix = total * inverse[:, :, None] * inverse[:, None, :] + np.eye(total.shape[-1]) * 1e-10
    scaled = cross * inverse[:, None, :]
    gained = np.einsum("bko,bok->b", scaled, np.linalg.solve(matrix, scaled.transpose(0, 2, 1)))
    return np.maximum(panels.total(each / (2 * prior_people + 1)) - gained, 0.0)


def _lumped(values: Floats, stated: Floats) -> Floats:
    """Values [..., O] per result as stated, and in the last column [..., O + 1] what was suppressed."""
    return np.concatenate([values * stated, (values * (1 - stated)).sum(axis=-1, keepdims=True)], axis=-1)


def _noise(
    kind: ResultType, panels: _Panels, weight: Floats, classes: Floats, chance: Floats, stated: Floats
) -> Floats:
    """Covariance of one person's observation, [B', O + 1, O + 1]."""
    if kind is not ResultType.ALLELE:
        seen = _lumped(chance, stated)
        return seen[:, :, None] * np.eye(seen.shape[1]) - seen[:, :, None] * seen[:, None, :]
    own = classes[:, :, None] * np.eye(classes.shape[1]) + classes[:, :, None] * classes[:, None, :]
    two = panels.total(weight[:, None, None] * own / 2) - chance[:, :, None] * chance[:, None, :]
    once = _lumped(two, stated[:, None, :])
    return _lumped(once.transpose(0, 2, 1), stated[:, None, :])


def _stated(
    model: GeneModel, kind: ResultType, evidence: Evidence, panels: _Panels, results: int, count: Floats
) -> tuple[Floats, Floats]:
    """Share of each result's people whose count is stated, [B', O] (1 where nobody has it), and people counted [B']."""
    rows = np.flatnonzero(evidence.of(kind))
    first = evidence.first[rows]
    second = np.where(evidence.second[rows] == SINGLE, first, evidence.second[rows])
    result = first
    if kind in (ResultType.ALLELE, ResultType.DIPLOTYPE):
        pair = _observed(model, kind)[model.class_of_allele[first], model.class_of_allele[second]]
        result = pair.argmax(axis=1)
    at = np.searchsorted(panels.number, evidence.panel[rows]) * results + result
    size = panels.size * results
    everybody = np.bincount(at, count[rows], size).reshape(-1, results)
    seen = np.bincount(at, np.nan_to_num(evidence.count[rows]), size).reshape(-1, results)
    share = np.divide(seen, everybody, out=np.ones_like(seen), where=everybody > 0)
    copies = model.copies_per_person if kind is ResultType.ALLELE else 1.0
    return share, everybody.sum(axis=1) / copies


def _fraction(panels: _Panels, each: Floats, before: Floats, counted: Floats, known: Floats) -> Floats:
    """Fraction of the counted people, [B'], at which the groups' own weights give the known variance; at most 1."""
    low, high = np.zeros(panels.size), np.ones(panels.size)

    def variance(fraction: Floats) -> Floats:
        return panels.total(each / (2 * (before + fraction[panels.panel] * counted) + 1))

    full = variance(high) >= known * (1 - 1e-9)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_wide = variance(middle) > known
        low, high = np.where(too_wide, middle, low), np.where(too_wide, high, middle)
    return np.where(full, 1.0, (low + high) / 2)
