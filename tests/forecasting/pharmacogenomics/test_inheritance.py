"""Genes whose people do not all have two copies, and genes whose alleles are tests of their own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.genes import gene_model
from forecasting.pharmacogenomics.prevalence import draw_lookup_keys, posterior
from forecasting.pharmacogenomics.traits import linked

EUROPEAN = pd.DataFrame({"facility_id": ["A"], "biogeographic_group": ["European"], "share": [1.0]})
PRESCRIBED = [
    *("CYP2C19", "CYP2D6", "CYP2C9", "CYP2B6", "CYP3A5", "CYP3A4", "CYP4F2", "VKORC1", "SLCO1B1", "ABCG2", "TPMT"),
    *("NUDT15", "DPYD", "UGT1A1", "NAT2", "HLA-A", "HLA-B", "G6PD", "MT-RNR1", "RYR1", "CACNA1S", "IFNL3"),
]


def shares(model, **frequencies):
    p = np.zeros(len(model.alleles))
    for allele, value in frequencies.items():
        p[model.index_of(allele)] = value
    p[model.index_of(model.reference)] = 1 - p.sum()
    return dict(zip(model.keys, model.lookup_key_frequencies(p), strict=True))


@pytest.mark.parametrize("gene", PRESCRIBED)
def test_every_gene_with_prescribing_guidance_has_a_model_and_a_declared_inheritance(gene, content):
    model = gene_model(content, gene)
    assert gene in set(content.gene["gene"])
    everyone = model.lookup_key_frequencies(np.eye(len(model.alleles))[model.index_of(model.reference)])
    assert everyone.sum() == pytest.approx(len(set(model.test_of_key.values())))


@settings(deadline=None, max_examples=25)
@given(q=st.floats(0.001, 0.4), males=st.floats(0, 1))
def test_g6pd_males_have_one_copy_and_females_two(q, males):
    model = gene_model(builtin_content(), "G6PD", share_male=males)
    keys = shares(model, Asahi=q)
    assert keys["Deficient"] == pytest.approx(males * q + (1 - males) * q**2)
    assert keys["Variable"] == pytest.approx((1 - males) * 2 * q * (1 - q))
    assert sum(keys.values()) == pytest.approx(1)


@settings(deadline=None, max_examples=25)
@given(p=st.floats(0, 0.3), q=st.floats(0, 0.3))
def test_hla_carriers_have_at_least_one_copy_each_allele_by_itself(p, q):
    keys = shares(gene_model(builtin_content(), "HLA-B"), **{"*57:01": p, "*15:02": q})
    assert keys["*57:01 positive"] == pytest.approx(1 - (1 - p) ** 2)
    assert keys["*15:02 negative"] == pytest.approx((1 - q) ** 2)
    assert keys["*58:01 positive"] == pytest.approx(0)


def test_mt_rnr1_everybody_has_one_copy(content):
    keys = shares(gene_model(content, "MT-RNR1"), **{"m.1555A>G": 0.02})
    assert keys["increased risk of aminoglycoside-induced hearing loss"] == pytest.approx(0.02)


def test_dpyd_unphased_variants_count_by_the_two_lowest_values(content):
    model = gene_model(content, "DPYD")
    assert model.key_of_variants(["c.85T>C (*9A)", "c.1627A>G (*5)"]) == "2.0"
    assert model.key_of_variants(["c.2846A>T", "c.1905+1G>A (*2A)", "c.85T>C (*9A)"]) == "0.5"
    with pytest.raises(InvalidInput, match="haplotypes"):
        gene_model(content, "CYP2C19").key_of_variants(["*2"])


def test_ryr1_any_causative_variant_is_enough(content):
    model = gene_model(content, "RYR1")
    assert model.key_of_variants(["c.7300G>A"]) == "Malignant Hyperthermia Susceptibility"
    assert model.key_of_variants([]) == "Uncertain Susceptibility"


def test_linked_genes_are_declared(content):
    assert linked(content, {"CYP2C9", "CYP2C19", "VKORC1"}) == ("CYP2C19", "CYP2C9")
    assert linked(content, {"HLA-A", "HLA-B"}) == ("HLA-A", "HLA-B")
    assert linked(content, {"TPMT", "NUDT15"}) == ()


def test_hla_stands_aside_with_a_reason_unless_the_site_counted_and_knows_only_what_it_tested(content):
    nothing = posterior(content, ["A"], ["HLA-B"], ancestry=EUROPEAN)
    assert nothing.by_gene["HLA-B"].facility_ids == ()
    assert nothing.problems["problem"].str.contains("no two-field frequencies").any()
    seen = pd.DataFrame(
        [("A", "HLA-B", "lookup_key", "*57:01 positive", 70, 1000)],
        columns=["facility_id", "gene", "result_type", "result", "count", "tested"],
    )
    state = posterior(content, ["A"], ["HLA-B"], ancestry=EUROPEAN, genotype_counts=seen)
    draws, names = draw_lookup_keys(state, "HLA-B", 500, seed=1)
    keys = dict(zip(names, np.moveaxis(draws[0], -1, 0), strict=True))
    assert keys["*57:01 positive"].mean() == pytest.approx(0.07, abs=0.004)
    assert np.isnan(keys["*15:02 positive"]).all()
    rows = state.frame[state.frame["result_type"] == "lookup_key"]
    assert set(rows["result"]) == {"*57:01 positive", "*57:01 negative"}
