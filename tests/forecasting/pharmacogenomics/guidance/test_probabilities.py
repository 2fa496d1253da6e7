import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from forecasting.errors import InvalidInput, MissingContent
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.guidance.probabilities import joint_lookup_keys, key_actions
from forecasting.terms import Action


def key_draws(content, genes, rng, sites=2, draws=3):
    found = {}
    for gene in genes:
        model = gene_model(content, gene)
        p = rng.dirichlet(np.full(len(model.alleles), 0.5), size=(sites, draws))
        found[gene] = (model.lookup_key_frequencies(p), model.keys)
    return found


def test_rows_and_missing_mass_account_for_every_patient_of_every_drug(content, rng):
    keys = key_draws(content, content.allele_function["gene"].unique(), rng)
    pairs = content.guidance[["drug", "population"]].drop_duplicates()
    of_cpic = set(content.guidance.loc[content.guidance["source"] == "CPIC", "drug"])
    assert len(pairs) >= 118
    for drug, population in pairs.itertuples(index=False):
        joint = joint_lookup_keys(content, drug, population, keys)
        assert joint.probability.shape == (2, 3, len(joint.rows))
        for r, rule in enumerate(joint.rules):
            of_rule = joint.probability[..., (joint.rows["rule"] == rule).to_numpy()].sum(axis=-1)
            assert of_rule + joint.no_row[..., r] == pytest.approx(1), drug
            partial = drug not in of_cpic or drug in ("rosuvastatin", "sertraline")
            assert (joint.no_row[..., r] < 1e-9).all() or partial, f"{drug}: CPIC names every key"


@pytest.mark.parametrize(
    ("drug", "genes"), [("azathioprine", ("NUDT15", "TPMT")), ("sertraline", ("CYP2B6", "CYP2C19"))]
)
def test_two_gene_rows_are_the_products_taken_one_by_one(drug, genes, content, rng):
    keys = key_draws(content, genes, rng, sites=1, draws=1)
    joint = joint_lookup_keys(content, drug, "general", keys)
    expected = {}
    for (i, one), (j, other) in itertools.product(*(enumerate(keys[gene][1]) for gene in genes)):
        expected[one, other] = keys[genes[0]][0][0, 0, i] * keys[genes[1]][0][0, 0, j]
    rows = list(zip(joint.rows["lookup_key_1"], joint.rows["lookup_key_2"], strict=True))
    assert joint.probability[0, 0] == pytest.approx([expected.get(row, 0.0) for row in rows])
    left = sum(chance for row, chance in expected.items() if row not in rows)
    assert joint.no_row[0, 0, 0] == pytest.approx(left)


def test_combinations_without_a_row_are_returned_as_missing_and_not_as_standard(content):
    cyp2c9 = (np.array([[[0.9, 0.1]]]), ("2.0", "n/a"))
    vkorc1 = (np.array([[[1.0]]]), ("-1639 AA",))
    joint = joint_lookup_keys(content, "warfarin", "general", {"CYP2C9": cyp2c9, "VKORC1": vkorc1})
    assert dict(zip(joint.rules, joint.no_row[0, 0].tolist(), strict=True)) == pytest.approx(
        {"CYP2C9": 0.1, "VKORC1": 0.0}
    )
    standard = (joint.rows["action"] == Action.STANDARD.value).to_numpy()
    assert joint.probability[..., standard].sum() == 0


def test_warfarins_two_guidelines_each_place_every_patient_once(content):
    cyp2c9 = (np.array([[[0.4, 0.6]]]), ("0.0", "2.0"))
    vkorc1 = (np.array([[[0.5, 0.5]]]), ("-1639 AA", "-1639 GG"))
    joint = joint_lookup_keys(content, "warfarin", "general", {"CYP2C9": cyp2c9, "VKORC1": vkorc1})
    factors = joint.rows["dose_factor_low"].fillna(1.0).to_numpy()
    mean = {
        rule: (joint.probability[0, 0] * factors)[(joint.rows["rule"] == rule).to_numpy()].sum() for rule in joint.rules
    }
    assert mean == pytest.approx({"CYP2C9": 0.4 * 0.2 + 0.6, "VKORC1": 0.5 * 0.6 + 0.5})


def test_unknown_prevalence_stays_unknown(content):
    keys = {"CYP3A5": (np.full((1, 1, 1), np.nan), ("Poor Metabolizer",))}
    joint = joint_lookup_keys(content, "tacrolimus", "general", keys)
    assert np.isnan(joint.no_row).all()


def test_a_drug_or_gene_that_is_not_known_blocks(content):
    with pytest.raises(MissingContent, match="no guidance for paracetamol"):
        key_actions(content, "paracetamol")
    with pytest.raises(MissingContent, match="population newborns"):
        key_actions(content, "voriconazole", "newborns")
    with pytest.raises(MissingContent, match="CYP2B6, CYP2C19"):
        joint_lookup_keys(content, "sertraline", "general", {})


def test_genes_that_are_linked_are_never_multiplied(content):
    row = content.guidance.iloc[[0]].assign(drug="x", population="general", gene_1="CYP2C19", gene_2="CYP2C9")
    linked = dataclasses.replace(content, guidance=pd.concat([content.guidance, row]))
    with pytest.raises(InvalidInput, match="linked"):
        joint_lookup_keys(linked, "x", "general", {})
