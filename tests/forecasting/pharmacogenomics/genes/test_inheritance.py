"""Genes whose people do not all have two copies, and genes whose alleles are tests of their own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.genes.traits import genes_of_shared_block
from forecasting.pharmacogenomics.prevalence.posterior import (
    PrevalencePosterior,
    SiteRecords,
    draw_lookup_keys,
    prevalence_posterior,
)

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


def test_ryr1_any_causative_variant_is_enough(content):
    model = gene_model(content, "RYR1")
    assert model.key_of(f"c.7300G>A/{model.reference}") == "Malignant Hyperthermia Susceptibility"
    assert model.key_of(f"{model.reference}/{model.reference}") == "Uncertain Susceptibility"


def test_linked_genes_are_declared(content):
    assert genes_of_shared_block(content, {"CYP2C9", "CYP2C19", "VKORC1"}) == ("CYP2C19", "CYP2C9")
    assert genes_of_shared_block(content, {"HLA-A", "HLA-B"}) == ("HLA-A", "HLA-B")
    assert genes_of_shared_block(content, {"TPMT", "NUDT15"}) == ()


def test_hla_stands_aside_with_a_reason_unless_the_site_counted_and_knows_only_what_it_tested(content):
    nothing = prevalence_posterior(content, ["A"], ["HLA-B"], SiteRecords(ancestry=EUROPEAN))
    assert nothing.by_gene["HLA-B"].facility_ids == ()
    assert nothing.problems["problem"].str.contains("no two-field frequencies").any()
    seen = pd.DataFrame(
        [("A", "HLA-B", "lookup_key", "*57:01 positive", 70, 1000)],
        columns=["facility_id", "gene", "result_type", "result", "count", "tested"],
    )
    state = prevalence_posterior(content, ["A"], ["HLA-B"], SiteRecords(ancestry=EUROPEAN, genotype_counts=seen))
    draws, names = draw_lookup_keys(state, "HLA-B", 500, seed=1)
    keys = dict(zip(names, np.moveaxis(draws[0], -1, 0), strict=True))
    assert keys["*57:01 positive"].mean() == pytest.approx(0.07, abs=0.004)
    assert np.isnan(keys["*15:02 positive"]).all()
    rows = state.frame[state.frame["result_type"] == "lookup_key"]
    assert set(rows["result"]) == {"*57:01 positive", "*57:01 negative"}


MALES = {"A": 0.0, "B": 0.5, "C": 1.0, "D": None}
GROUPS = ("European", "East Asian", "African American/Afro-Caribbean")


@pytest.mark.parametrize("group", GROUPS)
def test_g6pd_follows_the_share_of_males_that_each_site_states(group, content):
    """Closed form: q of males, and of females q^2 deficient and 2 q (1 - q) variable, q being Dirichlet."""
    ancestry = pd.DataFrame({"facility_id": list(MALES), "biogeographic_group": group, "share": 1.0})
    state = prevalence_posterior(
        content, list(MALES), ["G6PD"], SiteRecords(ancestry=ancestry, share_male=pd.Series(MALES, dtype=float))
    )
    rows = state.frame.set_index(["facility_id", "result_type", "result"])["mean"].sort_index()
    function = content.allele_function.query("gene == 'G6PD'").set_index("allele")["clinical_function"]
    alleles = rows["A", "allele"]
    q = alleles[function.reindex(alleles.index).str.contains("Deficient").to_numpy()].sum()
    copies = 2 * state.by_gene["G6PD"].state.people[0]
    twice = q * (q * copies + 1) / (copies + 1)
    for site, stated in MALES.items():
        male = 0.5 if stated is None else stated
        keys = rows[site, "lookup_key"]
        deficient = keys.reindex(["Deficient", "Deficient with CNSHA"]).sum()
        assert deficient == pytest.approx(male * q + (1 - male) * twice, rel=1e-9), site
        assert keys["Variable"] == pytest.approx((1 - male) * 2 * (q - twice) * _normal_part(rows[site], q), rel=0.02)
    draws, names = draw_lookup_keys(state, "G6PD", 4000, seed=1)
    again = PrevalencePosterior.from_frame(state.table, content, pd.Series(MALES, dtype=float))
    assert draw_lookup_keys(again, "G6PD", 50, seed=1)[0] == pytest.approx(
        draw_lookup_keys(state, "G6PD", 50, seed=1)[0], rel=1e-9
    )
    assert draws[2, :, list(names).index("Variable")].max() == 0
    assert draws.mean(axis=1) == pytest.approx(state.by_gene["G6PD"].mean_keys(), abs=4e-3)


def _normal_part(rows, q):
    """Of the copies that are not deficient, those that are normal (a few are of uncertain function)."""
    function = builtin_content().allele_function.query("gene == 'G6PD'").set_index("allele")["clinical_function"]
    alleles = rows["allele"]
    return alleles[(function.reindex(alleles.index) == "IV/Normal").to_numpy()].sum() / (1 - q)


def test_counts_of_x_linked_results_are_read_with_the_sites_own_share_of_males(content):
    """One frequency of 0.316 at both sites: 316 of 1,000 males deficient, or 100 of 1,000 females and 432 variable."""
    told = [("A", "Deficient", 316), ("A", "Normal", 684), ("B", "Deficient", 100), ("B", "Variable", 432)]
    counts = pd.DataFrame([*told, ("B", "Normal", 468)], columns=["facility_id", "result", "count"])
    counts = counts.assign(gene="G6PD", result_type="phenotype", tested=1000)
    ancestry = pd.DataFrame({"facility_id": ["A", "B"], "biogeographic_group": "European", "share": 1.0})
    males = pd.Series({"A": 1.0, "B": 0.0})
    state = prevalence_posterior(
        content, ["A", "B"], ["G6PD"], SiteRecords(ancestry=ancestry, genotype_counts=counts, share_male=males)
    )
    assert not state.problems["problem"].str.contains("left out|depart").any()
    rows = state.frame[state.frame["result"] == "B (reference)"].set_index("facility_id")["mean"]
    assert rows.to_numpy() == pytest.approx(1 - 0.316, abs=0.03), "a share of one half would say 0.56 and 0.76"


def test_a_share_of_males_beyond_one_is_refused(content):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        prevalence_posterior(content, ["A"], ["G6PD"], SiteRecords(ancestry=EUROPEAN, share_male=pd.Series({"A": 1.2})))
