"""Information in counts: how much a site's results say about who has which lookup key, in people.

Results without the group or the alleles of the people counted hold less information than full genotypes by group.
The posterior keeps one Dirichlet per group all the same; its weight is chosen so that the variance of the lookup key
frequencies of all people of the panel is that of the linearised posterior (missing information: Dempster, Laird & Rubin
1977, JRSS B 39:1-38; Louis 1982, JRSS B 44:226-233).
"""

import dataclasses

import numpy as np

from forecasting.arrays import Floats, Indices, sum_by_index
from forecasting.pharmacogenomics.counts.evidence import SINGLE, Evidence
from forecasting.pharmacogenomics.counts.incidence import Incidence, outcome_weights
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, sum_pairs
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType

HALVINGS = 50
LEAST_CHANCE = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class _Panels:
    """B' panels of one `kind` of result, and M' entries, one for each stratum that a panel's people can belong to.

    `number` [B'] are the panels' numbers in the evidence, `panel` [M'] their position in `number`. By entry: `weight`
    the stratum's share of the panel's people, `classes` [M', C] and `spread` [M', C, C] its class frequencies and their
    covariance per copy, `target` [M', C, K] how the lookup keys of the panel move with the classes, `prior_people` the
    weight of its prior.
    """

    kind: ResultType
    number: Indices
    panel: Indices
    weight: Floats
    classes: Floats
    spread: Floats
    target: Floats
    prior_people: Floats

    def total(self, values: Floats) -> Floats:
        """Sums over the entries of each panel: [M', ...] -> [B', ...]."""
        return sum_by_index(self.panel, values, len(self.number))

    @property
    def variance_per_person(self) -> Floats:
        """Variance of the lookup keys per person of the stratum, summed over keys, [M']."""
        return np.einsum("mck,mcd,mdk->m", self.target, self.spread, self.target)


def information_fraction(
    model: GeneModel,
    prior: Prior,
    evidence: Evidence,
    incidence: Incidence,
    mean: Floats,
    count: Floats,
    people: Floats,
) -> Floats:
    """Fraction of the `people` [N] counted in each stratum that they are worth, [N]; 1 for full genotypes of one group.

    `mean` [N, A] are the posterior frequencies of the alleles as called, `count` [R] the counts with suppressed ones
    filled in. People in suppressed cells are seen only as one sum.
    """
    fraction = np.zeros(len(mean))
    classes = model.class_frequencies(mean)
    spread = classes[:, :, None] * np.eye(classes.shape[1]) - classes[:, :, None] * classes[:, None, :]
    slope = _slopes(classes, model.acting_weights)
    for kind in ResultType:
        number = np.unique(evidence.panel[evidence.of(kind)])
        entries = np.flatnonzero(np.isin(incidence.panel, number))
        if not len(entries):
            continue
        stratum, weight = incidence.panel_stratum[entries], incidence.panel_weight[entries]
        panels = _Panels(
            kind=kind,
            number=number,
            panel=np.searchsorted(number, incidence.panel[entries]),
            weight=weight,
            classes=classes[stratum],
            spread=spread[stratum],
            target=weight[:, None, None] * slope[stratum],
            prior_people=prior.people[stratum],
        )
        known_variance = _known_variance(model, panels, evidence, count)
        fraction[stratum] = _fraction(panels, people[stratum], known_variance)[panels.panel]
    return fraction


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
        one_hot = np.eye(number)
        return (one_hot[:, None, :] + one_hot[None, :, :]) / 2
    pair = np.zeros((number, number), dtype=int)
    pair[np.triu_indices(number)] = np.arange(number * (number + 1) // 2)
    return np.eye(number * (number + 1) // 2)[np.maximum(pair, pair.T)]


def _known_variance(model: GeneModel, panels: _Panels, evidence: Evidence, count: Floats) -> Floats:
    """Posterior variance of the keys of each panel, summed over keys, [B']."""
    weights = _observed(model, panels.kind)
    stated, counted = _stated(model, evidence, panels, weights.shape[-1], count)
    pairs = panels.classes[:, :, None] * panels.classes[:, None, :]
    chance = panels.total(panels.weight[:, None] * sum_pairs(pairs, weights))
    slope = panels.weight[:, None, None] * _slopes(panels.classes, weights)
    slope = _lumped(slope, stated[panels.panel][:, None, :])
    prior_spread = panels.spread / (2 * panels.prior_people + 1)[:, None, None]
    cross = panels.total(np.einsum("mck,mcd,mdo->mko", panels.target, prior_spread, slope))
    total = panels.total(np.einsum("mco,mcd,mdp->mop", slope, prior_spread, slope))
    total += _noise(panels, chance, stated) / np.maximum(counted, LEAST_CHANCE)[:, None, None]
    before = panels.total(panels.variance_per_person / (2 * panels.prior_people + 1))
    return np.maximum(before - _explained(cross, total), 0.0)


def _explained(cross: Floats, total: Floats) -> Floats:
    """Variance of the keys that the results explain, summed over keys, [B'].

    `cross` [B', K, O] are the covariances of keys and results, `total` [B', O, O] those of the results.
    """
    # results that cannot occur say nothing; scaled to unit diagonal, and with the null direction of shares filled
    scale = np.sqrt(np.maximum(np.einsum("boo->bo", total), 0.0))
    inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > LEAST_CHANCE)
    matrix = total * inverse[:, :, None] * inverse[:, None, :] + np.eye(total.shape[-1]) * 1e-10
    scaled = cross * inverse[:, None, :]
    return np.einsum("bko,bok->b", scaled, np.linalg.solve(matrix, scaled.transpose(0, 2, 1)))


def _lumped(values: Floats, stated: Floats) -> Floats:
    """Values [..., O] per result as stated, and in the last column [..., O + 1] what was suppressed."""
    return np.concatenate([values * stated, (values * (1 - stated)).sum(axis=-1, keepdims=True)], axis=-1)


def _noise(panels: _Panels, chance: Floats, stated: Floats) -> Floats:
    """Covariance of one person's observation, [B', O + 1, O + 1]."""
    if panels.kind is not ResultType.ALLELE:
        observed = _lumped(chance, stated)
        return observed[:, :, None] * np.eye(observed.shape[1]) - observed[:, :, None] * observed[:, None, :]
    classes = panels.classes
    two_copies = classes[:, :, None] * np.eye(classes.shape[1]) + classes[:, :, None] * classes[:, None, :]
    covariance = panels.total(panels.weight[:, None, None] * two_copies / 2) - chance[:, :, None] * chance[:, None, :]
    lumped = _lumped(covariance, stated[:, None, :])
    return _lumped(lumped.transpose(0, 2, 1), stated[:, None, :])


def _stated(
    model: GeneModel, evidence: Evidence, panels: _Panels, results: int, count: Floats
) -> tuple[Floats, Floats]:
    """Share of each result's people whose count is stated, [B', O] (1 where nobody has it), and people counted [B']."""
    rows = np.flatnonzero(evidence.of(panels.kind))
    first = evidence.first[rows]
    second = np.where(evidence.second[rows] == SINGLE, first, evidence.second[rows])
    result = first
    if panels.kind in (ResultType.ALLELE, ResultType.DIPLOTYPE):
        pair = _observed(model, panels.kind)[model.class_of_allele[first], model.class_of_allele[second]]
        result = pair.argmax(axis=1)
    cell = np.searchsorted(panels.number, evidence.panel[rows]) * results + result
    size = len(panels.number) * results
    all_people = np.bincount(cell, count[rows], size).reshape(-1, results)
    stated_people = np.bincount(cell, np.nan_to_num(evidence.count[rows]), size).reshape(-1, results)
    share = np.divide(stated_people, all_people, out=np.ones_like(stated_people), where=all_people > 0)
    copies = model.copies_per_person if panels.kind is ResultType.ALLELE else 1.0
    return share, all_people.sum(axis=1) / copies


def _fraction(panels: _Panels, counted: Floats, known_variance: Floats) -> Floats:
    """Fraction of the counted people, [B'], at which the groups' own weights give the known variance; at most 1."""
    low, high = np.zeros(len(panels.number)), np.ones(len(panels.number))
    per_person = panels.variance_per_person

    def variance(fraction: Floats) -> Floats:
        return panels.total(per_person / (2 * (panels.prior_people + fraction[panels.panel] * counted) + 1))

    is_full = variance(high) >= known_variance * (1 - 1e-9)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_wide = variance(middle) > known_variance
        low, high = np.where(too_wide, middle, low), np.where(too_wide, high, middle)
    return np.where(is_full, 1.0, (low + high) / 2)
