"""Two-gene rules with carriers and with anaesthetics' genes: linked carriers are bounded, the others multiplied."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.guidance.probabilities import (
    LinkedGenes,
    joint_lookup_keys,
    key_actions,
    linked_genes,
)
from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, draw_lookup_keys, prevalence_posterior
from forecasting.terms import NO_RESULT

HLA_A = ("*31:01 positive", "*31:01 negative", NO_RESULT)
HLA_B = ("*15:02 positive", "*15:02 negative", NO_RESULT)
BOTH = [(one, other) for one, other in itertools.product(HLA_A, HLA_B) if (one, other) != (NO_RESULT, NO_RESULT)]
"""The eight pairs of keys that one population of carbamazepine has rows for."""


def with_rows(genes, pairs, drug="invented"):
    """Content whose guidance is one made-up row for each pair of keys."""
    content = builtin_content()
    row = content.guidance.iloc[0].to_dict() | {"drug": drug, "population": "general"}
    rows = [
        row | {"recommendation_id": f"r{n}", "gene_1": genes[0], "lookup_key_1": one, "gene_2": genes[1]}
        | {"lookup_key_2": other}
        for n, (one, other) in enumerate(pairs)
    ]  # fmt: skip
    return dataclasses.replace(content, guidance=pd.DataFrame(rows, columns=content.guidance.columns))


def carriers(frequency, allele):
    """Both statuses of one test, and "No Result" for everybody who lacks it."""
    positive = np.asarray(frequency, dtype=float)[None, :]
    values = np.stack([positive, 1 - positive, np.ones_like(positive)], axis=-1)
    return values, (f"{allele} positive", f"{allele} negative", NO_RESULT)


def cells(a, b, linkage):
    keys = {"HLA-A": carriers(a, "*31:01"), "HLA-B": carriers(b, "*15:02")}
    joint = joint_lookup_keys(with_rows(("HLA-A", "HLA-B"), BOTH), "invented", "general", keys, np.asarray(linkage))
    return dict(zip(BOTH, np.moveaxis(joint.probability[0], 1, 0), strict=True))


@settings(deadline=None, max_examples=50)
@given(a=st.floats(0, 1), b=st.floats(0, 1), place=st.floats(0, 1))
def test_four_cells_keep_both_margins_and_stay_within_their_bounds(a, b, place):
    found = cells([a], [b], [place])
    positive_a, negative_a, _ = HLA_A
    positive_b, negative_b, _ = HLA_B
    tested = {pair: float(share[0]) for pair, share in found.items() if NO_RESULT not in pair}
    assert tested[positive_a, positive_b] + tested[positive_a, negative_b] == pytest.approx(a, abs=1e-12)
    assert tested[positive_a, positive_b] + tested[negative_a, positive_b] == pytest.approx(b, abs=1e-12)
    assert sum(tested.values()) == pytest.approx(1)
    for one, other in tested:
        x, y = a if one == positive_a else 1 - a, b if other == positive_b else 1 - b
        assert max(0.0, x + y - 1) - 1e-12 <= tested[one, other] <= min(x, y) + 1e-12


def test_the_ends_are_no_overlap_and_the_rarer_within_the_commoner():
    found = cells([0.02, 0.02, 0.9], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0])
    assert found["*31:01 positive", "*15:02 positive"] == pytest.approx([0.0, 0.02, 0.7])


def test_three_states_who_has_no_result_of_one_gene_counts_by_the_other_alone():
    found = cells([0.03], [0.12], [0.37])
    assert found["*31:01 positive", NO_RESULT][0] == pytest.approx(0.03)
    assert found["*31:01 negative", NO_RESULT][0] == pytest.approx(0.97)
    assert found[NO_RESULT, "*15:02 positive"][0] == pytest.approx(0.12)


def test_what_is_not_known_of_the_overlap_is_in_the_interval(content):
    """Counts give the margins; draws of the place between the bounds widen the overlap by what they allow."""
    counts = pd.DataFrame(
        [("HLA-A", "*31:01 positive", 50), ("HLA-B", "*15:02 positive", 160)], columns=["gene", "result", "count"]
    ).assign(facility_id="A", result_type="lookup_key", tested=2000)
    european = pd.DataFrame({"facility_id": ["A"], "biogeographic_group": ["European"], "share": [1.0]})
    state = prevalence_posterior(
        content, ["A"], ["HLA-A", "HLA-B"], SiteRecords(ancestry=european, genotype_counts=counts)
    )
    drawn = {gene: draw_lookup_keys(state, gene, 2000, seed=5) for gene in ("HLA-A", "HLA-B")}
    rows = with_rows(("HLA-A", "HLA-B"), BOTH)
    place = np.random.default_rng(5).random(2000)
    both = joint_lookup_keys(rows, "invented", "general", drawn, place).probability[0, :, 0]
    fixed = joint_lookup_keys(rows, "invented", "general", drawn).probability[0, :, 0]
    low, high = np.quantile(both, [0.05, 0.95])
    assert low < 0.003
    assert high > 0.021
    assert high - low > 2 * np.subtract(*np.quantile(fixed, [0.95, 0.05]))
    multiplied = 0.025 * 0.08
    assert low < multiplied < high


def test_linked_genes_that_are_not_carriers_still_block():
    content = with_rows(("CYP2C19", "CYP2C9"), [("Poor Metabolizer", "0.0")])
    with pytest.raises(LinkedGenes, match="CYP2C19 and CYP2C9"):
        joint_lookup_keys(content, "invented", "general", {})


def test_phenytoin_multiplies_cyp2c9_with_hla_b_of_another_chromosome(content):
    pairs = [(score, status) for score in ("2.0", "1.0") for status in HLA_B]
    cyp2c9 = (np.array([[[0.1, 0.7, 0.2, 1.0]]]), ("1.0", "2.0", "n/a", NO_RESULT))
    keys = {"CYP2C9": cyp2c9, "HLA-B": carriers([0.08], "*15:02")}
    joint = joint_lookup_keys(with_rows(("CYP2C9", "HLA-B"), pairs), "invented", "general", keys, 0.9)
    assert joint.probability[0, 0] == pytest.approx(
        [0.7 * 0.08, 0.7 * 0.92, 0.7, 0.1 * 0.08, 0.1 * 0.92, 0.1]
    )  # fmt: skip


def test_anaesthetics_multiply_ryr1_with_cacna1s(content):
    risk, unsure = "Malignant Hyperthermia Susceptibility", "Uncertain Susceptibility"
    assert set(gene_model(content, "RYR1").keys) == set(gene_model(content, "CACNA1S").keys) == {risk, unsure}
    pairs = [(one, other) for one in (risk, unsure, NO_RESULT) for other in (risk, unsure, NO_RESULT)][:-1]
    european = pd.DataFrame({"facility_id": ["A"], "biogeographic_group": ["European"], "share": [1.0]})
    state = prevalence_posterior(content, ["A"], ["RYR1", "CACNA1S"], SiteRecords(ancestry=european))
    drawn = {gene: draw_lookup_keys(state, gene, 50, seed=2) for gene in state.by_gene}
    joint = joint_lookup_keys(with_rows(("CACNA1S", "RYR1"), pairs), "invented", "general", drawn)
    tested = [NO_RESULT not in pair for pair in pairs]
    assert joint.probability[..., tested].sum(axis=-1) == pytest.approx(1)
    assert joint.no_row == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("drug", ["carbamazepine", "phenytoin", "fosphenytoin", "sevoflurane", "succinylcholine"])
def test_built_in_rules_of_two_genes_place_everybody_who_is_tested_once(drug, content, rng):
    rows = key_actions(content, drug)
    assert linked_genes(content, rows) == ()
    keys = {}
    for gene in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""}):
        model = gene_model(content, gene)
        p = rng.dirichlet(np.full(len(model.alleles), 0.5), size=(1, 6))
        with_none = np.concatenate([model.lookup_key_frequencies(p), np.ones((1, 6, 1))], axis=2)
        keys[gene] = (with_none, (*model.keys, NO_RESULT))
    for population in rows["population"].unique():
        joint = joint_lookup_keys(content, drug, population, keys, rng.random(6))
        both = ((joint.rows[["lookup_key_1", "lookup_key_2"]] != NO_RESULT).all(axis=1)).to_numpy()
        assert (~both).any()
        assert joint.probability[..., both].sum(axis=-1) == pytest.approx(1), population
        for number, other in ((1, 2), (2, 1)):
            alone = (joint.rows[f"lookup_key_{other}"] == NO_RESULT).to_numpy()
            assert joint.probability[..., alone].sum(axis=-1) == pytest.approx(1), (population, number)
