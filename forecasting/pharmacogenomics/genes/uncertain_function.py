"""Alleles of uncertain function: how likely each function is, where somebody says so (in-silico predictors)."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import ReferenceContent

UNCERTAIN = ("Uncertain", "Unknown")
"""How the functions begin that say that none is assigned."""

NO_VALUE = ("", "n/a")
WHOLE = 1 + 1e-9

Floats = NDArray[np.float64]


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
    found: dict[str, dict[str, float]] = {}
    problems: list[str] = []
    for allele, kind, probability in zip(rows["allele"], _states(rows), rows["probability"], strict=True):
        if why := _unusable(allele, kind, state, first):
            problems.append(f"probability of a function of {allele} not used: {why}")
            continue
        of_allele = found.setdefault(str(allele), {})
        of_allele[first[kind]] = of_allele.get(first[kind], 0.0) + float(probability)
    for allele, of_allele in found.items():
        if sum(of_allele.values()) > WHOLE or min(of_allele.values()) < 0:
            raise InvalidInput(
                f"{gene} {allele}: probabilities of functions must not sum to more than 1 nor be negative"
            )
    return FunctionProbabilities(found, tuple(problems))


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


def acting(class_of: Sequence[int], of: Mapping[int, Mapping[int, float]], classes: int) -> Floats:
    """Probability that each class acts like each, [C, C]: `of` holds those of uncertain alleles, by position.

    >>> acting([0, 1, 2], {2: {0: 0.25, 1: 0.5}}, 3)[2].tolist()
    [0.25, 0.5, 0.25]
    """
    out = np.eye(classes)
    for allele, known in of.items():
        own = class_of[allele]
        for other, probability in known.items():
            out[own, class_of[other]] += probability
            out[own, own] -= probability
    return np.clip(out, 0.0, 1.0)


def mixed_pairs(acts_as: Floats, pair_keys: Floats) -> Floats:
    """Expected keys of pairs of classes, [C, C, K]: two different alleles act independently, twice the same alike."""
    mixed = np.einsum("if,jg,fgk->ijk", acts_as, acts_as, pair_keys, optimize=True)
    own = np.arange(len(acts_as))
    mixed[own, own] = acts_as @ pair_keys[own, own]
    return np.asarray(mixed)


def drawn_classes(acts_as: Floats, names: Sequence[str], draws: int, entropy: Sequence[int]) -> Floats:
    """Which class each class acts as in each draw, one hot [D, C, C]: the function of an allele is drawn once a draw.

    Each allele's draws are spread evenly over its probabilities and keyed by `entropy` and its name, so that they are
    the same at every site.
    """
    out = np.broadcast_to(np.eye(len(acts_as)), (draws, *acts_as.shape)).copy()
    for own in np.flatnonzero(np.diag(acts_as) < 1).tolist():
        key = [*entropy, *names[own].encode()]
        random = np.random.default_rng(np.random.SeedSequence(key))
        place = (random.permutation(draws) + random.random(draws)) / draws
        chosen = np.searchsorted(np.cumsum(acts_as[own]), place, side="right").clip(max=len(acts_as) - 1)
        out[:, own] = np.eye(len(acts_as))[chosen]
    return out
