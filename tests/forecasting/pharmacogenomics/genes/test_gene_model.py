import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecasting.errors import InvalidInput, MissingContent
from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.genes.alleles import parse_diplotype, reference_allele
from forecasting.pharmacogenomics.genes.gene_model import gene_model

GENES = sorted(builtin_content().allele_function["gene"].unique())
NO_TABLE = {"CYP4F2", "HLA-A", "HLA-B", "IFNL3"}
"""CPIC publishes no diplotype table of these: their keys are genotypes, or the status of each allele."""

TABLE_OF = {gene: gene for gene in GENES if gene not in NO_TABLE} | {"SLCO1B1": "SLCO1B1.pharmcat_2025-11"}


def frequencies(alleles: int):
    weights = hnp.arrays(float, alleles, elements=st.floats(0.001, 1.0))
    return weights.map(lambda values: values / values.sum())


@pytest.mark.parametrize("gene", TABLE_OF)
def test_every_published_diplotype_gets_cpics_phenotype_score_and_key(gene, content, published):
    table = published(f"alleles/diplotype_phenotype/{TABLE_OF[gene]}.csv")
    model = gene_model(content, gene)
    derived = [model.key_of(diplotype) for diplotype in table["diplotype"]]
    assert derived == table["lookup_key"].tolist()
    assert [model.phenotype_of_key[key] for key in derived] == table["phenotype"].tolist()
    scored = table["activity_score"] != "n/a"
    assert table.loc[scored, "activity_score"].tolist() == [k for k, yes in zip(derived, scored, strict=True) if yes]
    alleles, one_copy = len(model.alleles), 0.0 < model.share_with_one_copy < 1.0
    pairs = alleles * (alleles + 1) // 2 if model.share_with_one_copy < 1.0 else 0
    assert len(table) == pairs + (alleles if one_copy or not pairs else 0)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_lookup_keys_are_the_diplotypes_added_up_one_by_one(data):
    model = gene_model(builtin_content(), data.draw(st.sampled_from(["CYP3A5", "NUDT15", "CYP2C19", "VKORC1"])))
    p = data.draw(frequencies(len(model.alleles)))
    expected = dict.fromkeys(model.keys, 0.0)
    for i, first in enumerate(model.alleles):
        for j, second in enumerate(model.alleles):
            expected[model.key_of(f"{first}/{second}")] += p[i] * p[j]
    assert model.lookup_key_frequencies(p) == pytest.approx([expected[key] for key in model.keys])
    assert model.lookup_key_frequencies(p).sum() == pytest.approx(1)


def test_sites_and_draws_are_computed_at_once(content):
    model = gene_model(content, "CYP2D6")
    p = np.random.default_rng(1).dirichlet(np.ones(len(model.alleles)), size=(3, 4))
    together = model.lookup_key_frequencies(p)
    assert together.shape == (3, 4, len(model.keys))
    assert together[2, 1] == pytest.approx(model.lookup_key_frequencies(p[2, 1]))


def test_a_loaded_diplotype_table_wins_over_the_rules(content):
    table = pd.DataFrame(
        {
            "gene": "NUDT15",
            "diplotype": ["*1/*1", "*3/*1", "*3/*3"],
            "activity_score": "n/a",
            "phenotype": ["Normal Metabolizer", "Changed", "Poor Metabolizer"],
            "lookup_key": ["Normal Metabolizer", "Changed", "Poor Metabolizer"],
        }
    )
    model = gene_model(dataclasses.replace(content, diplotypes=table), "NUDT15")
    assert model.key_of("*1/*3") == "Changed"
    assert model.alleles == ("*1", "*3")
    with pytest.raises(MissingContent, match=r"lacks \*3/\*3"):
        gene_model(dataclasses.replace(content, diplotypes=table.iloc[:2]), "NUDT15")


def test_an_unknown_gene_or_allele_is_an_error_and_never_normal(content):
    with pytest.raises(MissingContent, match="ABCD1"):
        gene_model(content, "ABCD1")
    with pytest.raises(MissingContent, match=r"\*99"):
        gene_model(content, "CYP2C19").key_of("*1/*99")


def test_function_pairs_without_a_rule_block(content):
    broken = dataclasses.replace(content, phenotype_rule=content.phenotype_rule.iloc[:2])
    with pytest.raises(MissingContent, match="phenotype rules"):
        gene_model(broken, "ABCG2")
    with pytest.raises(MissingContent, match="phenotype rules"):
        gene_model(broken, "CYP2C9")


@pytest.mark.parametrize("text", ["*1", "*1/", "*1/*2/*3", ""])
def test_a_diplotype_needs_exactly_two_alleles(text):
    with pytest.raises(InvalidInput, match="A/B"):
        parse_diplotype(text)


def test_a_gene_without_a_reference_allele_is_refused():
    with pytest.raises(MissingContent, match="no reference allele"):
        reference_allele("HLA-B", ["*57:01"])
