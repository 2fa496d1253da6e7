"""Alleles of uncertain function: how likely each function is, where somebody says so (in-silico predictors)."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import ReferenceContent

UNCERTAIN = ("Uncertain", "Unknown")
"""How the functions begin that say that none is assigned."""

NO_VALUE = ("", "n/a")
WHOLE = 1 + 1e-9


@dataclasses.dataclass(frozen=True)
class FunctionProbabilities:
    """`of` [uncertain allele] -> {allele with a known function: probability that it acts like that one}; what is left
    to 1 stays uncertain. `problems` say which rows could not be used, in words."""

    of: Mapping[str, Mapping[str, float]]
    problems: tuple[str, ...]


def function_probabilities(content: ReferenceContent, gene: str, alleles: Sequence[str]) -> FunctionProbabilities:
    """What the content says of the functions of a gene's uncertain `alleles`.

    A function is that of the gene's first allele with the same clinical function and activity value ("n/a": the gene
    has none). Rows of alleles that the gene does not have, whose function is known, or of functions that no allele of
    the gene has, are problems. Probabilities of one allele that sum to more than 1 raise `InvalidInput`.
    """
    rows = content.function_probability[content.function_probability["gene"] == gene]
    functions = content.allele_function[content.allele_function["gene"] == gene]
    functions = functions[functions["allele"].isin(list(alleles))]
    state = dict(zip(functions["allele"], _states(functions), strict=True))
    first = {kind: allele for allele, kind in reversed(list(state.items()))}
    probabilities: dict[str, dict[str, float]] = {}
    problems: list[str] = []
    for allele, kind, probability in zip(rows["allele"], _states(rows), rows["probability"], strict=True):
        if reason := _unusable(allele, kind, state, first):
            problems.append(f"probability of a function of {allele} not used: {reason}")
            continue
        of_functions = probabilities.setdefault(str(allele), {})
        of_functions[first[kind]] = of_functions.get(first[kind], 0.0) + float(probability)
    for allele, of_functions in probabilities.items():
        if sum(of_functions.values()) > WHOLE or min(of_functions.values()) < 0:
            raise InvalidInput(
                f"{gene} {allele}: probabilities of functions must not sum to more than 1 nor be negative"
            )
    return FunctionProbabilities(probabilities, tuple(problems))


def _states(rows: pd.DataFrame) -> list[tuple[str, str]]:
    values = rows["activity_value"].fillna("").replace(dict.fromkeys(NO_VALUE, ""))
    return list(zip(rows["clinical_function"], values, strict=True))


def _unusable(
    allele: str, kind: tuple[str, str], state: Mapping[str, tuple[str, str]], first: Mapping[tuple[str, str], str]
) -> str:
    if allele not in state:
        return "the gene has no such allele in the reference content"
    if not state[allele][0].startswith(UNCERTAIN):
        return f"its function is published ({state[allele][0]})"
    if kind not in first or kind[0].startswith(UNCERTAIN):
        return f"no allele of the gene has the function {' '.join(kind).strip()!r}"
    return ""


def acting_probabilities(class_of: Sequence[int], of: Mapping[int, Mapping[int, float]], classes: int) -> Floats:
    """Probability that each class acts like each, [C, C]: `of` holds those of uncertain alleles, by position.

    >>> acting_probabilities([0, 1, 2], {2: {0: 0.25, 1: 0.5}}, 3)[2].tolist()
    [0.25, 0.5, 0.25]
    """
    probability_matrix = np.eye(classes)
    for allele, probabilities in of.items():
        allele_class = class_of[allele]
        for similar, probability in probabilities.items():
            probability_matrix[allele_class, class_of[similar]] += probability
            probability_matrix[allele_class, allele_class] -= probability
    return np.clip(probability_matrix, 0.0, 1.0)


def expected_pair_keys(acts_as: Floats, pair_keys: Floats) -> Floats:
    """Expected keys of pairs of classes, [C, C, K]: two different alleles act independently, twice the same alike."""
    expected = np.einsum("if,jg,fgk->ijk", acts_as, acts_as, pair_keys, optimize=True)
    diagonal = np.arange(len(acts_as))
    expected[diagonal, diagonal] = acts_as @ pair_keys[diagonal, diagonal]
    return np.asarray(expected)


def draw_classes(acts_as: Floats, names: Sequence[str], draws: int, entropy: Sequence[int]) -> Floats:
    """Which class each class acts as in each draw, one hot [D, C, C]: the function of an allele is drawn once a draw.

    Each allele's draws are spread evenly over its probabilities and keyed by `entropy` and its name, so that they are
    the same at every site.
    """
    drawn = np.broadcast_to(np.eye(len(acts_as)), (draws, *acts_as.shape)).copy()
    for class_number in np.flatnonzero(np.diag(acts_as) < 1).tolist():
        key = [*entropy, *names[class_number].encode()]
        random = np.random.default_rng(np.random.SeedSequence(key))
        position = (random.permutation(draws) + random.random(draws)) / draws
        chosen = np.searchsorted(np.cumsum(acts_as[class_number]), position, side="right").clip(max=len(acts_as) - 1)
        drawn[:, class_number] = np.eye(len(acts_as))[chosen]
    return drawn
