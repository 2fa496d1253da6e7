"""One gene's road from allele frequencies to lookup keys: Hardy-Weinberg, activity score, phenotype, key."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.alleles import parse_diplotype, reference_allele
from forecasting.pharmacogenomics.content import ReferenceContent

NO_SCORE = "n/a"
AT_LEAST = "\u2265"
BY_SCORE = "activity_score"
"""In place of a lookup key in a rule: the activity score itself is the key."""

Floats = NDArray[np.float64]
Outcome = tuple[str, str]
"""Phenotype and lookup key of a pair of alleles."""


@dataclasses.dataclass(frozen=True, eq=False)
class GeneModel:
    """A gene's alleles and the lookup key of each pair of them.

    `class_of_allele` [A] puts alleles with the same keys in one class; `key_of_classes` [C, C] holds the index into
    `keys` of each pair of classes. All arithmetic runs over the few classes.
    """

    gene: str
    alleles: tuple[str, ...]
    reference: str
    keys: tuple[str, ...]
    phenotype_of_key: dict[str, str]
    class_of_allele: NDArray[np.intp]
    key_of_classes: NDArray[np.intp]

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """The different phenotypes, in the order of their first key."""
        return tuple(dict.fromkeys(self.phenotype_of_key[key] for key in self.keys))

    @property
    def phenotype_of_classes(self) -> NDArray[np.intp]:
        """Index into `phenotypes` of each pair of classes, shape [C, C]."""
        index = [self.phenotypes.index(self.phenotype_of_key[key]) for key in self.keys]
        return np.asarray(index)[self.key_of_classes]

    @functools.cached_property
    def key_weights(self) -> Floats:
        """Share of the people with each pair of classes who have each lookup key, [C, C, K]: what all arithmetic over
        people goes through."""
        return np.eye(len(self.keys))[self.key_of_classes]

    @functools.cached_property
    def phenotype_weights(self) -> Floats:
        """The same per phenotype, [C, C, P]."""
        into = np.array([[self.phenotype_of_key[key] == name for name in self.phenotypes] for key in self.keys])
        return self.key_weights @ into.astype(float)

    def key_of(self, diplotype: str) -> str:
        """Lookup key of one diplotype, whichever way it is written."""
        first, second = (self.class_of_allele[self.index_of(allele)] for allele in parse_diplotype(diplotype))
        return self.keys[self.key_of_classes[first, second]]

    def index_of(self, allele: str) -> int:
        """Position of an allele; an unknown one raises `MissingContent`."""
        if allele not in self._positions:
            raise MissingContent(f"{self.gene} has no allele {allele} in the reference content")
        return self._positions[allele]

    @functools.cached_property
    def _positions(self) -> dict[str, int]:
        return {allele: position for position, allele in enumerate(self.alleles)}

    def class_frequencies(self, frequencies: Floats) -> Floats:
        """Summed allele frequencies per class: [..., A] -> [..., C]. NaN (not reported) adds nothing."""
        member = np.eye(len(self.key_of_classes))[self.class_of_allele]
        return np.nan_to_num(frequencies) @ member

    def lookup_key_frequencies(self, frequencies: Floats) -> Floats:
        """Share of people per lookup key under Hardy-Weinberg: allele frequencies [..., A] -> [..., K].

        An allele without a frequency (NaN) adds nothing and nothing is rescaled, as CPIC computes its tables.
        """
        classes = self.class_frequencies(frequencies)
        return sum_pairs(classes[..., :, None] * classes[..., None, :], self.key_weights)

    def phenotype_frequencies(self, frequencies: Floats) -> Floats:
        """Share of people per phenotype, in the order of `phenotypes`: [..., A] -> [..., P]."""
        keys = self.lookup_key_frequencies(frequencies)
        into = np.array([[self.phenotype_of_key[key] == name for name in self.phenotypes] for key in self.keys])
        return keys @ into.astype(float)


def sum_pairs(pairs: Floats, weights: Floats) -> Floats:
    """Sum a table over pairs into results by their weights [C, C, N]: [..., C, C] -> [..., N]."""
    return pairs.reshape(*pairs.shape[:-2], -1) @ weights.reshape(-1, weights.shape[-1])


def diplotype_frequencies(frequencies: Floats) -> Floats:
    """Hardy-Weinberg diplotype frequencies, [..., A] -> [..., A, A]; unordered, so only the upper triangle is filled.

    NaN if either allele is NaN: an allele that nobody reported has no diplotype frequency, not a zero one.

    >>> diplotype_frequencies(np.array([0.75, 0.25])).tolist()
    [[0.5625, 0.375], [0.0, 0.0625]]
    """
    pairs = frequencies[..., :, None] * frequencies[..., None, :]
    times = 2 * np.triu(np.ones(pairs.shape[-2:]), 1) + np.eye(pairs.shape[-1])
    return np.where(times > 0, times * pairs, 0.0)


@functools.lru_cache(maxsize=256)
def gene_model(content: ReferenceContent, gene: str) -> GeneModel:
    """The gene's model from content. A loaded diplotype table of the gene wins over functions and rules.

    A gene without either raises `MissingContent`.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> gene_model(builtin_content(), "CYP2D6").key_of("*1x2/*4")
    '2.0'
    """
    table = content.diplotypes[content.diplotypes["gene"] == gene]
    functions = content.allele_function[content.allele_function["gene"] == gene]
    if not len(table) and not len(functions):
        raise MissingContent(f"no alleles of {gene} in the reference content")
    if len(table):
        alleles, outcomes, pair_outcome = _from_table(gene, table)
    else:
        rules = content.phenotype_rule[content.phenotype_rule["gene"] == gene]
        alleles, outcomes, pair_outcome = _from_rules(gene, functions, rules)
    return _collapsed(gene, alleles, outcomes, pair_outcome)


def _collapsed(gene: str, alleles: list[str], outcomes: list[Outcome], pair_outcome: NDArray[np.intp]) -> GeneModel:
    order = sorted(range(len(outcomes)), key=lambda i: _key_order(outcomes[i][1], i))
    rank = np.argsort(np.asarray(order))
    _, first, class_of = np.unique(pair_outcome, axis=0, return_index=True, return_inverse=True)
    return GeneModel(
        gene=gene,
        alleles=tuple(alleles),
        reference=reference_allele(gene, alleles),
        keys=tuple(outcomes[i][1] for i in order),
        phenotype_of_key={outcomes[i][1]: outcomes[i][0] for i in order},
        class_of_allele=class_of.reshape(-1),
        key_of_classes=rank[pair_outcome[np.ix_(first, first)]],
    )


def _key_order(key: str, position: int) -> tuple[float, int, int]:
    """Activity scores by size, an open score after the exact one; other keys as they come, after the scores."""
    score, open_ended = score_of(key) if _is_score(key) else (math.inf, False)
    return score, int(open_ended), position


def _from_table(gene: str, table: pd.DataFrame) -> tuple[list[str], list[Outcome], NDArray[np.intp]]:
    pairs = [parse_diplotype(text) for text in table["diplotype"]]
    alleles = list(dict.fromkeys(allele for pair in pairs for allele in pair))
    found = list(zip(table["phenotype"], table["lookup_key"], strict=True))
    outcomes = list(dict.fromkeys(found))
    position = {allele: i for i, allele in enumerate(alleles)}
    number = {outcome: i for i, outcome in enumerate(outcomes)}
    matrix = np.full((len(alleles), len(alleles)), -1)
    for (first, second), outcome in zip(pairs, found, strict=True):
        i, j = position[first], position[second]
        matrix[i, j] = matrix[j, i] = number[outcome]
    if (matrix < 0).any():
        i, j = np.argwhere(matrix < 0)[0]
        raise MissingContent(f"the diplotype table of {gene} lacks {alleles[i]}/{alleles[j]}")
    return alleles, outcomes, matrix


def _from_rules(
    gene: str, functions: pd.DataFrame, rules: pd.DataFrame
) -> tuple[list[str], list[Outcome], NDArray[np.intp]]:
    states = list(zip(functions["clinical_function"], functions["activity_value"].fillna(""), strict=True))
    kinds = list(dict.fromkeys(states))
    by_score = bool((rules["lookup_key"] == BY_SCORE).any())
    rule_of = _score_outcome if by_score else _function_outcome
    found = [[rule_of(gene, one, other, rules) for other in kinds] for one in kinds]
    outcomes = list(dict.fromkeys(outcome for row in found for outcome in row))
    small = np.array([[outcomes.index(outcome) for outcome in row] for row in found])
    kind = np.array([kinds.index(state) for state in states])
    return functions["allele"].tolist(), outcomes, small[np.ix_(kind, kind)]


def _function_outcome(gene: str, one: Outcome, other: Outcome, rules: pd.DataFrame) -> Outcome:
    first, second = sorted((one[0], other[0]))
    hit = rules[(rules["function_1"] == first) & (rules["function_2"] == second)]
    if len(hit) != 1:
        raise MissingContent(f"{gene} has {len(hit)} phenotype rules for {first} with {second}, needs one")
    return hit["phenotype"].iloc[0], hit["lookup_key"].iloc[0]


def _score_outcome(gene: str, one: Outcome, other: Outcome, rules: pd.DataFrame) -> Outcome:
    score = activity_score([one[1], other[1]])
    if score == NO_SCORE:
        hit = rules[rules["lookup_key"] == NO_SCORE]
    else:
        value, _ = score_of(score)
        above = rules["activity_score_low"] <= value
        hit = rules[above & (rules["activity_score_high"].fillna(math.inf) >= value)]
    if len(hit) != 1:
        raise MissingContent(f"{gene} has {len(hit)} phenotype rules for an activity score of {score}, needs one")
    return hit["phenotype"].iloc[0], score


def activity_score(values: Sequence[str]) -> str:
    """Sum of activity values in CPIC's writing; "n/a" if one is "n/a", open-ended if one is.

    >>> activity_score(["1.0", "0.25"]), activity_score(["\u22653.0", "0.0"]), activity_score(["1.0", "n/a"])
    ('1.25', '≥3.0', 'n/a')
    """
    if NO_SCORE in values:
        return NO_SCORE
    parts = [score_of(value) for value in values]
    mark = AT_LEAST if any(open_ended for _, open_ended in parts) else ""
    return f"{mark}{math.fsum(value for value, _ in parts)}"


def score_of(text: str) -> tuple[float, bool]:
    """Number of an activity value or score, and whether it is open-ended.

    >>> score_of("\u22653.25")
    (3.25, True)
    """
    return float(text.removeprefix(AT_LEAST)), text.startswith(AT_LEAST)


def _is_score(key: str) -> bool:
    return key.removeprefix(AT_LEAST).replace(".", "", 1).isdigit()
