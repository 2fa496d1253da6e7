"""Lookup keys from one gene's allele frequencies: copies per person, Hardy-Weinberg, phenotype, key."""

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput, MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.genes.alleles import allele_pair, reference_allele
from forecasting.pharmacogenomics.genes.phenotypes import (
    Outcome,
    Outcomes,
    carrier_keys,
    is_score,
    outcomes_of,
    score_of,
)
from forecasting.pharmacogenomics.genes.traits import Counting, GeneTraits, gene_traits
from forecasting.pharmacogenomics.genes.uncertain_function import (
    FunctionProbabilities,
    acting_probabilities,
    draw_classes,
    expected_pair_keys,
    function_probabilities,
)

SHARE_MALE = 0.5
"""Share of males among a drug's patients where nobody states it."""


@dataclasses.dataclass(frozen=True, eq=False)
class GeneModel:
    """A gene's alleles and the lookup keys of who carries which.

    `class_of_allele` [A] puts alleles with the same keys in one class; all arithmetic runs over the few classes.
    `pair_keys` [C, C, K] and `one_keys` [C, K] hold 1 for the keys of a pair of classes, and of the single copy of
    somebody who has only one, as laboratories report them. An uncertain allele for whose function there are
    probabilities is a class of its own: `acts_as` [C, C] is the probability that a class acts like another (1 on the
    diagonal for all others), `function_problems` say which probabilities could not be used. `test_of_key` says which
    allele a carrier key is about; keys of one test exclude each other ("" for all keys of any other gene).
    """

    gene: str
    traits: GeneTraits
    alleles: tuple[str, ...]
    reference: str
    keys: tuple[str, ...]
    phenotype_of_key: dict[str, str]
    test_of_key: dict[str, str]
    class_of_allele: NDArray[np.intp]
    pair_keys: Floats
    one_keys: Floats
    acts_as: Floats
    function_problems: tuple[str, ...]
    share_male: float

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """The different phenotypes, in the order of their first key."""
        return tuple(dict.fromkeys(self.phenotype_of_key[key] for key in self.keys))

    @property
    def share_with_one_copy(self) -> float:
        """Share of people with a single copy of the gene: males for an X-linked gene, everybody for a mitochondrial."""
        return self.traits.share_with_one_copy(self.share_male)

    @property
    def copies_per_person(self) -> float:
        """Mean number of copies that a person has."""
        return 2.0 - self.share_with_one_copy

    @property
    def phenotype_of_classes(self) -> NDArray[np.intp]:
        """Index into `phenotypes` of each pair of classes, shape [C, C]; a gene of carriers has no single one."""
        if self.traits.counting is Counting.CARRIERS:
            raise InvalidInput(f"{self.gene}: a pair of alleles has one status for each test, not one phenotype")
        return np.argmax(self.pair_keys @ self._key_phenotypes, axis=-1)

    @functools.cached_property
    def key_weights(self) -> Floats:
        """Share of the people with each pair of classes who get each lookup key as their result, [C, C, K].

        Somebody with a single copy counts as half of either class of a random pair.
        """
        return self._weights(self.pair_keys, self.one_keys)

    @functools.cached_property
    def acting_weights(self) -> Floats:
        """The same as they act: expected over the functions of uncertain alleles."""
        return self._weights(self.acting_pair_keys, self.acting_one_keys)

    def _weights(self, pair_keys: Floats, one_keys: Floats) -> Floats:
        one = self.share_with_one_copy
        return (1 - one) * pair_keys + one * (one_keys[:, None, :] + one_keys[None, :, :]) / 2

    @functools.cached_property
    def acting_pair_keys(self) -> Floats:
        """`pair_keys` expected over the functions of uncertain alleles."""
        return expected_pair_keys(self.acts_as, self.pair_keys) if self.has_uncertain else self.pair_keys

    @functools.cached_property
    def acting_one_keys(self) -> Floats:
        """`one_keys` expected over the functions of uncertain alleles."""
        return self.acts_as @ self.one_keys if self.has_uncertain else self.one_keys

    @property
    def has_uncertain(self) -> bool:
        """Whether somebody gave probabilities for the function of an uncertain allele."""
        return bool((np.diag(self.acts_as) < 1).any())

    def draw_functions(self, draws: int, seed: int) -> Floats:
        """Which class each class acts as in each draw, one hot [draws, C, C]: the same at every site."""
        names = [self.alleles[int(np.argmax(self.class_of_allele == c))] for c in range(len(self.acts_as))]
        return draw_classes(self.acts_as, names, draws, [seed, *self.gene.encode()])

    @functools.cached_property
    def phenotype_weights(self) -> Floats:
        """The same per phenotype, [C, C, P]."""
        return self.key_weights @ self._key_phenotypes

    @functools.cached_property
    def _key_phenotypes(self) -> Floats:
        names = self.phenotypes
        return np.array([[float(self.phenotype_of_key[key] == name) for name in names] for key in self.keys])

    def key_of(self, result: str) -> str:
        """Lookup key of one diplotype, whichever way it is written, or of a single copy where people have one."""
        keys = self.keys_of(result)
        if len(keys) != 1:
            raise InvalidInput(f"{self.gene} {result} has one key for each test: {', '.join(keys)}")
        return keys[0]

    def keys_of(self, result: str) -> tuple[str, ...]:
        """All lookup keys of a diplotype or single copy: one for each test of a gene of carriers, else one."""
        names = allele_pair(result, self.alleles, one_copy=self.share_with_one_copy > 0)
        carried = [self.class_of_allele[self.index_of(name)] for name in names]
        key_weights = self.one_keys[carried[0]] if len(carried) == 1 else self.pair_keys[carried[0], carried[1]]
        return tuple(key for key, is_key in zip(self.keys, key_weights, strict=True) if is_key)

    def _like_reference(self, allele: str) -> bool:
        return bool(self.class_of_allele[self.index_of(allele)] == self.class_of_allele[self.index_of(self.reference)])

    def counts_beside_reference(self, allele: str) -> bool:
        """Whether an allele's published frequency is taken out of the reference's.

        Variants that act like the reference lie beside other variants, so nothing follows from their frequency; alleles
        that the gene's traits leave out are counted under another name already.
        """
        if allele in self.traits.left_out:
            return False
        return self.traits.counting is not Counting.VARIANTS or not self._like_reference(allele)

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
        member = np.eye(len(self.pair_keys))[self.class_of_allele]
        return np.nan_to_num(frequencies) @ member

    def lookup_key_frequencies(self, frequencies: Floats) -> Floats:
        """Share of people per lookup key under Hardy-Weinberg: allele frequencies [..., A] -> [..., K].

        An allele without a frequency (NaN) adds nothing and nothing is rescaled, as CPIC computes its tables.
        """
        classes = self.class_frequencies(frequencies)
        one = self.share_with_one_copy
        pairs = sum_pairs(classes[..., :, None] * classes[..., None, :], self.acting_pair_keys)
        return (1 - one) * pairs + one * (classes @ self.acting_one_keys)


def sum_pairs(pairs: Floats, weights: Floats) -> Floats:
    """Sum a table over pairs into results by their weights [C, C, N]: [..., C, C] -> [..., N]."""
    return pairs.reshape(*pairs.shape[:-2], pairs.shape[-1] ** 2) @ weights.reshape(-1, weights.shape[-1])


@functools.lru_cache(maxsize=256)
def gene_model(content: ReferenceContent, gene: str, share_male: float = SHARE_MALE) -> GeneModel:
    """The gene's model from content. A loaded diplotype table of the gene wins over functions and rules.

    `share_male` matters for X-linked genes alone. A gene without alleles raises `MissingContent`.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> gene_model(builtin_content(), "CYP2D6").key_of("*1x2/*4")
    '2.0'
    >>> gene_model(builtin_content(), "HLA-B").keys_of("*57:01/other")
    ('*15:02 negative', '*57:01 positive', '*58:01 negative')
    """
    if not 0 <= share_male <= 1:
        raise InvalidInput(f"the share of males must lie between 0 and 1, not {share_male}")
    traits = gene_traits(content, gene)
    if traits.counting is Counting.CARRIERS:
        return _carrier_model(content, traits, share_male)
    outcomes = outcomes_of(content, traits)
    return _model_by_class(traits, outcomes, function_probabilities(content, gene, outcomes.alleles), share_male)


def _carrier_model(content: ReferenceContent, traits: GeneTraits, share_male: float) -> GeneModel:
    alleles = content.allele_function.loc[content.allele_function["gene"] == traits.gene, "allele"].tolist()
    if not alleles:
        raise MissingContent(f"no alleles of {traits.gene} in the reference content")
    reference = traits.reference or reference_allele(traits.gene, alleles)
    tests = carrier_keys(traits, alleles, reference)
    carried = np.eye(len(alleles))
    has = np.maximum(carried[:, None, :], carried[None, :, :])  # [A, A, A]: does the pair hold the allele
    place = [alleles.index(allele) for allele, _ in tests]
    positive = np.array([key.endswith("positive") for _, (_, key) in tests])
    pair_keys = np.where(positive, has[..., place], 1 - has[..., place])
    return GeneModel(
        gene=traits.gene,
        traits=traits,
        alleles=tuple(alleles),
        reference=reference,
        keys=tuple(key for _, (_, key) in tests),
        phenotype_of_key={key: phenotype for _, (phenotype, key) in tests},
        test_of_key={key: allele for allele, (_, key) in tests},
        class_of_allele=np.arange(len(alleles)),
        pair_keys=pair_keys,
        one_keys=np.where(positive, carried[:, place], 1 - carried[:, place]),
        acts_as=np.eye(len(alleles)),
        function_problems=(),
        share_male=share_male,
    )


def _model_by_class(
    traits: GeneTraits, outcomes: Outcomes, functions: FunctionProbabilities, share_male: float
) -> GeneModel:
    order = sorted(range(len(outcomes.outcomes)), key=lambda i: _key_order(outcomes.outcomes[i], i))
    place = {allele: i for i, allele in enumerate(outcomes.alleles)}
    uncertain = {
        place[allele]: {place[similar]: p for similar, p in probabilities.items()}
        for allele, probabilities in functions.of.items()
    }
    uncertain_class = np.array([i + 1 if i in uncertain else 0 for i in range(len(outcomes.alleles))])
    signature = np.concatenate([outcomes.of_pair, outcomes.of_one[:, None], uncertain_class[:, None]], axis=1)
    _, first, class_of = np.unique(signature, axis=0, return_index=True, return_inverse=True)
    class_of = class_of.reshape(-1)
    keys = tuple(dict.fromkeys(outcomes.outcomes[i][1] for i in order))
    key_of = np.array([keys.index(key) for _, key in outcomes.outcomes])
    one_hot = np.concatenate([np.eye(len(keys))[key_of], np.zeros((1, len(keys)))])  # -1: cannot occur
    return GeneModel(
        gene=traits.gene,
        traits=traits,
        alleles=outcomes.alleles,
        reference=traits.reference or reference_allele(traits.gene, outcomes.alleles),
        keys=keys,
        phenotype_of_key={outcomes.outcomes[i][1]: outcomes.outcomes[i][0] for i in order},
        test_of_key=dict.fromkeys(keys, ""),
        class_of_allele=class_of,
        pair_keys=one_hot[outcomes.of_pair[np.ix_(first, first)]],
        one_keys=one_hot[outcomes.of_one[first]],
        acts_as=acting_probabilities(class_of.tolist(), uncertain, len(first)),
        function_problems=functions.problems,
        share_male=share_male,
    )


def _key_order(outcome: Outcome, position: int) -> tuple[float, int, int]:
    """Activity scores by size, an open score after the exact one; other keys as they come, after the scores."""
    score, open_ended = score_of(outcome[1]) if is_score(outcome[1]) else (math.inf, False)
    return score, int(open_ended), position
