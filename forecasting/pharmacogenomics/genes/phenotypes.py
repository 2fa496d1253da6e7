"""Which lookup key one copy or two copies of a gene's alleles lead to: from a publisher's table, or from rules."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from forecasting.arrays import Indices
from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.genes.alleles import parse_diplotype, split_alleles
from forecasting.pharmacogenomics.genes.traits import Counting, GeneTraits, Inheritance

NO_SCORE = "n/a"
AT_LEAST = "\u2265"
BY_SCORE = "activity_score"
"""In place of a lookup key in a rule: the activity score itself is the key."""

POSITIVE, NEGATIVE = "positive", "negative"

Outcome = tuple[str, str]
"""Phenotype and lookup key of what a person carries."""


@dataclasses.dataclass(frozen=True, eq=False)
class Outcomes:
    """What alleles lead to: `of_pair` [A, A] and `of_one` [A] hold indices into `outcomes` (-1: cannot occur)."""

    alleles: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    of_pair: Indices
    of_one: Indices


def outcomes_of(content: ReferenceContent, traits: GeneTraits) -> Outcomes:
    """The gene's outcomes. A loaded diplotype table of the gene wins over functions and rules.

    A gene with neither, and a pair or single allele without an outcome, raise `MissingContent`.
    """
    table = content.diplotypes[content.diplotypes["gene"] == traits.gene]
    functions = content.allele_function[content.allele_function["gene"] == traits.gene]
    if not len(table) and not len(functions):
        raise MissingContent(f"no alleles of {traits.gene} in the reference content")
    if len(table):
        return _from_table(traits, table)
    rules = content.phenotype_rule[content.phenotype_rule["gene"] == traits.gene]
    return _from_rules(traits, functions, rules)


def _from_table(traits: GeneTraits, table: pd.DataFrame) -> Outcomes:
    texts = table["diplotype"].tolist()
    one_copy = traits.inheritance is not Inheritance.AUTOSOMAL
    carried = split_alleles(texts) if one_copy else [parse_diplotype(text) for text in texts]
    alleles = tuple(dict.fromkeys(allele for names in carried for allele in names))
    rows = list(zip(table["phenotype"], table["lookup_key"], strict=True))
    outcomes = tuple(dict.fromkeys(rows))
    position = {allele: i for i, allele in enumerate(alleles)}
    of_pair = np.full((len(alleles), len(alleles)), -1)
    of_one = np.full(len(alleles), -1)
    for names, outcome in zip(carried, rows, strict=True):
        number = outcomes.index(outcome)
        if len(names) == 1:
            of_one[position[names[0]]] = number
        else:
            i, j = (position[name] for name in names)
            of_pair[i, j] = of_pair[j, i] = number
    _complete(traits, alleles, of_pair, of_one)
    return Outcomes(alleles, outcomes, of_pair, of_one)


def _complete(traits: GeneTraits, alleles: Sequence[str], of_pair: Indices, of_one: Indices) -> None:
    text = f"the diplotype table of {traits.gene} lacks"
    if traits.inheritance is not Inheritance.MITOCHONDRIAL and (of_pair < 0).any():
        i, j = np.argwhere(of_pair < 0)[0]
        raise MissingContent(f"{text} {alleles[i]}/{alleles[j]}")
    if traits.inheritance is not Inheritance.AUTOSOMAL and (of_one < 0).any():
        raise MissingContent(f"{text} {alleles[np.flatnonzero(of_one < 0)[0]]}")


def _from_rules(traits: GeneTraits, functions: pd.DataFrame, rules: pd.DataFrame) -> Outcomes:
    states = list(zip(functions["clinical_function"], functions["activity_value"].fillna(""), strict=True))
    kinds = list(dict.fromkeys(states))
    kind = np.array([kinds.index(state) for state in states])
    by_score = bool((rules["lookup_key"] == BY_SCORE).any())
    outcome_of: dict[tuple[Outcome, ...], Outcome] = {}
    for carried in _carried(traits, kinds):
        outcome_of[carried] = _score_outcome(traits.gene, carried, rules) if by_score else _rule(traits, carried, rules)
    outcomes = tuple(dict.fromkeys(outcome_of.values()))
    number = {carried: outcomes.index(outcome) for carried, outcome in outcome_of.items()}
    pairs = np.array([[number.get((a, b), -1) for b in kinds] for a in kinds])
    singles = np.array([number.get((a,), -1) for a in kinds])
    return Outcomes(tuple(functions["allele"]), outcomes, pairs[np.ix_(kind, kind)], singles[kind])


def _carried(traits: GeneTraits, kinds: Sequence[Outcome]) -> list[tuple[Outcome, ...]]:
    """What people can carry: every pair of kinds of alleles, and single ones where a gene has one copy."""
    autosomal = traits.inheritance is Inheritance.AUTOSOMAL
    pairs = [(a, b) for a in kinds for b in kinds] if traits.inheritance is not Inheritance.MITOCHONDRIAL else []
    return [*pairs, *([] if autosomal else [(a,) for a in kinds])]


def _rule(traits: GeneTraits, carried: tuple[Outcome, ...], rules: pd.DataFrame) -> Outcome:
    names = sorted(function for function, _ in carried)
    second = names[1] if len(names) == 2 else ""
    matching = rules[(rules["function_1"] == names[0]) & (rules["function_2"] == second)]
    if len(matching) != 1:
        raise MissingContent(f"{traits.gene} has {len(matching)} phenotype rules for {' with '.join(names)}, needs one")
    return matching["phenotype"].iloc[0], matching["lookup_key"].iloc[0]


def _score_outcome(gene: str, carried: tuple[Outcome, ...], rules: pd.DataFrame) -> Outcome:
    score = activity_score([value for _, value in carried])
    if score == NO_SCORE:
        matching = rules[rules["lookup_key"] == NO_SCORE]
    else:
        value, _ = score_of(score)
        is_above = rules["activity_score_low"] <= value
        matching = rules[is_above & (rules["activity_score_high"].fillna(math.inf) >= value)]
    if len(matching) != 1:
        raise MissingContent(f"{gene} has {len(matching)} phenotype rules for an activity score of {score}, needs one")
    return matching["phenotype"].iloc[0], score


def carrier_keys(traits: GeneTraits, alleles: Iterable[str], reference: str) -> list[tuple[str, Outcome]]:
    """(tested allele, (phenotype, lookup key)) of a gene of carriers, in CPIC's words: `*57:01 positive`.

    >>> carrier_keys(GeneTraits("HLA-A", counting=Counting.CARRIERS), ["*31:01", "other"], "other")[1]
    ('*31:01', ('HLA-A*31:01 negative', '*31:01 negative'))
    """
    assert traits.counting is Counting.CARRIERS
    tested = [allele for allele in alleles if allele != reference]
    return [
        (allele, (f"{traits.gene}{allele} {status}", f"{allele} {status}"))
        for allele in tested
        for status in (POSITIVE, NEGATIVE)
    ]


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


def is_score(key: str) -> bool:
    """Whether a lookup key is an activity score.

    >>> is_score("\u22653.25"), is_score("n/a")
    (True, False)
    """
    return key.removeprefix(AT_LEAST).replace(".", "", 1).isdigit()
