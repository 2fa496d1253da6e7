"""From lookup keys to what a guideline asks for, with every share of patients accounted for."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput, MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, gene_model
from forecasting.pharmacogenomics.genes.phenotypes import POSITIVE
from forecasting.pharmacogenomics.genes.traits import Counting, gene_traits, genes_of_shared_block
from forecasting.terms import NO_RESULT

Keys = Mapping[str, tuple[Floats, Sequence[str]]]


class LinkedGenes(InvalidInput):
    """Guidance that needs the joint frequencies of genes whose alleles travel together."""


@dataclasses.dataclass(frozen=True, eq=False)
class GuidanceProbabilities:
    """How the fully tested patients of a drug and population split over its guidance rows.

    `rows`: the frame of `key_actions`, one row per R. `probability` [S, D, R]. `no_row` [S, D, rules]: the share whose
    lookup keys no row names, in the order of `rules`; it counts as `no_recommendation`, never as `standard`. Within a
    rule, probability and `no_row` sum to what the keys sum to (1, or NaN where the prevalence is unknown).
    """

    rows: pd.DataFrame
    rules: tuple[str, ...]
    probability: Floats
    no_row: Floats


def key_actions(content: ReferenceContent, drug: str, population: str | None = None) -> pd.DataFrame:
    """Guidance rows of a drug, with the column `rule` naming the genes that decide together, e.g. `NUDT15+TPMT`.

    Rows of one rule exclude each other. Different rules of one drug and population (warfarin: DPWG's CYP2C9 and its
    VKORC1 guideline) hold at the same time and were written apart: each patient has one row of each, until
    `joint_rules.with_joint_rules` makes them rows of one rule, whose dose factors are products. Rows with CPIC's key
    "No Result" are about genes that were not tested: nobody among the fully tested has them. A drug without guidance
    raises `MissingContent`.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> key_actions(builtin_content(), "warfarin")["rule"].unique().tolist()
    ['CYP2C9', 'VKORC1']
    """
    rows = content.guidance[content.guidance["drug"] == drug]
    if population is not None:
        rows = rows[rows["population"] == population]
    if not len(rows):
        raise MissingContent(f"no guidance for {drug}" + (f", population {population}" if population else ""))
    second_gene = rows["gene_2"].fillna("")
    rule = rows["gene_1"].where(second_gene == "", rows["gene_1"] + "+" + second_gene)
    return rows.assign(gene_2=second_gene, lookup_key_2=rows["lookup_key_2"].fillna(""), rule=rule).reset_index(
        drop=True
    )


def linked_genes(content: ReferenceContent, rows: pd.DataFrame) -> tuple[str, ...]:
    """Genes that rows of guidance would have to multiply although they are linked: () where all is well.

    Two tests for carriers of linked genes (HLA-A with HLA-B) need no product: four cells of known margins are bounded.
    """
    for first, second in dict.fromkeys(zip(rows["gene_1"], rows["gene_2"].fillna(""), strict=True)):
        genes = genes_of_shared_block(content, {str(first), str(second)} - {""})
        if genes and not all(gene_traits(content, gene).counting is Counting.CARRIERS for gene in genes):
            return genes
    return ()


def joint_lookup_keys(
    content: ReferenceContent, drug: str, population: str, keys: Keys, linkage: Floats | float = 0.5
) -> GuidanceProbabilities:
    """Probability of each guidance row among fully tested patients, per site and draw.

    `keys`: gene -> (frequencies [S, D, K], names of the K lookup keys), as `draw_lookup_keys` returns them. A row may
    also be keyed by a phenotype: it then stands for every key of that phenotype. Genes that are not linked are
    independent. How often carriers of one linked gene carry the other too is not published: `linkage` (a number or
    [D], 0 to 1) says where between the least and the most that the two frequencies allow it lies (Frechet 1951, Annales
    de l'Universite de Lyon A 14:53-77), and both frequencies are kept. A rule that would multiply other linked genes
    (CYP2C9 with CYP2C19) raises `LinkedGenes`, a gene without frequencies `MissingContent`.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> vkorc1 = (np.array([[[0.4, 0.45, 0.15]]]), ["-1639 GG", "-1639 AG", "-1639 AA"])
    >>> cyp2c9 = (np.array([[[0.65, 0.2, 0.12, 0.02, 0.01]]]), ["2.0", "1.5", "1.0", "0.5", "n/a"])
    >>> joint = joint_lookup_keys(builtin_content(), "warfarin", "general", {"CYP2C9": cyp2c9, "VKORC1": vkorc1})
    >>> joint.rules, joint.no_row.round(6).tolist()
    (('CYP2C9', 'VKORC1'), [[[0.01, 0.0]]])
    """
    rows = key_actions(content, drug, population)
    genes = (set(rows["gene_1"]) | set(rows["gene_2"])) - {""}
    if linked_pair := linked_genes(content, rows):
        raise LinkedGenes(f"{drug}: {' and '.join(linked_pair)} are linked, their frequencies cannot be multiplied")
    missing = sorted(genes - set(keys))
    if missing:
        raise MissingContent(f"{drug} needs the lookup key frequencies of {', '.join(missing)}")
    models = {gene: gene_model(content, gene) for gene in sorted(genes)}
    first = _probability_of(rows["gene_1"], rows["lookup_key_1"], keys, models)
    second = _probability_of(rows["gene_2"], rows["lookup_key_2"], keys, models)
    first, second = np.broadcast_arrays(first, second)
    same_status = _same_status(content, rows)
    probability = np.where(same_status == 0, first * second, _within_bounds(first, second, same_status, linkage))
    rules = tuple(dict.fromkeys(rows["rule"]))
    covered_share = np.stack(
        [probability[..., (rows["rule"] == rule).to_numpy()].sum(axis=-1) for rule in rules], axis=-1
    )
    sorted_share = np.stack(
        [_sorted_share_of_rule(rows[rows["rule"] == rule], keys, models) for rule in rules], axis=-1
    )
    return GuidanceProbabilities(rows, rules, probability, np.maximum(sorted_share - covered_share, 0.0))


def _same_status(content: ReferenceContent, rows: pd.DataFrame) -> NDArray[np.int8]:
    """Of each row [R] that names a test of two linked genes of carriers: 1 where both are positive or both negative,
    -1 where one is; 0 for all other rows."""
    status = np.zeros(len(rows), dtype=np.int8)
    for (gene_1, gene_2), of_pair in rows.reset_index(drop=True).groupby(["gene_1", "gene_2"]):
        if gene_2 == "" or not genes_of_shared_block(content, {str(gene_1), str(gene_2)}):
            continue
        tested = of_pair[(of_pair[["lookup_key_1", "lookup_key_2"]] != NO_RESULT).all(axis=1)]
        positive = [tested[f"lookup_key_{number}"].str.endswith(POSITIVE) for number in (1, 2)]
        status[tested.index] = np.where(positive[0] == positive[1], 1, -1)
    return status


def _within_bounds(first: Floats, second: Floats, same_status: NDArray[np.int8], linkage: Floats | float) -> Floats:
    """Share of people with both keys, [S, D, R], at a place between its bounds; `linkage` counts from that of the
    positive pair, so that the four cells of two tests have the right margins."""
    low, high = np.maximum(first + second - 1, 0.0), np.minimum(first, second)
    linkage_position = np.asarray(linkage, dtype=float)[..., None]
    position = np.where(same_status > 0, linkage_position, 1 - linkage_position)
    return np.asarray(low + position * (high - low))


def _probability_of(genes: pd.Series, lookup_keys: pd.Series, keys: Keys, models: Mapping[str, GeneModel]) -> Floats:
    """Frequency [S, D, R] of each row's key; 1 where a row has no such gene, 0 for keys that nobody tested has."""
    columns = [_column(gene, key, keys, models) for gene, key in zip(genes, lookup_keys, strict=True)]
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _column(gene: str, key: str, keys: Keys, models: Mapping[str, GeneModel]) -> Floats:
    if gene == "":
        return np.ones((1, 1))
    frequencies, names = keys[gene]
    positions = _key_positions(models[gene], key, names)
    return frequencies[..., positions].sum(axis=-1)


def _key_positions(model: GeneModel, key: str, names: Sequence[str]) -> list[int]:
    """Positions of the keys that a row's key stands for: itself, or all keys of a phenotype of that name."""
    if key in names:
        return [list(names).index(key)]
    return [i for i, name in enumerate(names) if model.phenotype_of_key.get(name) == key]


def _sorted_share_of_rule(rows: pd.DataFrame, keys: Keys, models: Mapping[str, GeneModel]) -> Floats:
    """Share of the tested whom a rule's genes sort, [S, D]; of a gene of carriers, by the tests that it names."""
    sums = []
    for number in (1, 2):
        for gene, of_gene in rows[rows[f"gene_{number}"] != ""].groupby(f"gene_{number}"):
            sums.append(_sorted_share(str(gene), set(of_gene[f"lookup_key_{number}"]), keys, models[str(gene)]))
    return np.prod(np.stack(np.broadcast_arrays(*sums)), axis=0)


def _sorted_share(gene: str, named: set[str], keys: Keys, model: GeneModel) -> Floats:
    frequencies, names = keys[gene]
    tests = {model.test_of_key[key] for key in named if key in model.test_of_key} or {""}
    of_tests = [model.test_of_key.get(name, None) in tests for name in names]
    return frequencies[..., of_tests].sum(axis=-1) / len(tests)
