"""A test for each known trap of pharmacogenomic reference data, by its number and name."""

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.counts.censoring import censored_mean
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.guidance.probabilities import joint_lookup_keys, key_actions
from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, draw_lookup_keys, prevalence_posterior
from forecasting.terms import Action
from warehouse.importers.content import cpic


def site(group, share=1.0):
    return pd.DataFrame({"facility_id": ["A"], "biogeographic_group": [group], "share": [share]})


def mean_keys(content, gene, group, **inputs):
    rows = prevalence_posterior(content, ["A"], [gene], SiteRecords(ancestry=site(group), **inputs)).frame
    return rows[rows["result_type"] == "lookup_key"].set_index("result")["mean"]


def published_frequencies(content, gene, group):
    model = gene_model(content, gene)
    rows = content.allele_frequency
    rows = rows[(rows["gene"] == gene) & (rows["biogeographic_group"] == group)].set_index("allele")["frequency"]
    return model, rows.reindex(list(model.alleles)).to_numpy()


def test_trap_01_dead_api_flags__actions_come_from_the_texts_not_from_the_flags(content):
    """False in a flag is never read, so it cannot be read as "no change": most rows with advice carry an action."""
    flags = {"dosing_information", "alternate_drug_available", "other_prescribing_guidance"}
    assert not flags & set(cpic.RECOMMENDATION_COLUMNS)
    codeine = key_actions(content, "codeine").set_index("lookup_key_1")["action"]
    assert codeine["0.0"] == Action.ALTERNATIVE.value
    assert key_actions(content, "paroxetine").set_index("lookup_key_1").loc["0.0", "dose_factor_low"] == 0.5


def test_trap_02_lookup_keys__join_on_keys_with_the_real_sign_and_na_kept(content):
    codeine = key_actions(content, "codeine")
    assert {"≥3.0", "n/a", "0.0"} <= set(codeine["lookup_key_1"])
    assert (content.guidance["population"] == content.guidance["population"].str.strip()).all()
    for drug, rows in content.guidance.groupby("drug"):
        for gene, keys in rows.groupby("gene_1")["lookup_key_1"]:
            model = gene_model(content, gene)
            unknown = set(keys) - set(model.keys) - {"No Result"}
            if (rows["source"] == "FDA").all():  # who speaks of phenotypes alone
                unknown -= set(model.phenotype_of_key.values())
            assert not unknown, (drug, gene, unknown)


def test_trap_03_many_populations__shares_keep_one_drug_from_counting_twice(content):
    shares = content.population_share.set_index("drug")["share"]
    populations = content.guidance.groupby("drug")["population"].nunique()
    several = populations.index[populations > 1].intersection(shares.index)
    assert shares[several].groupby(level=0).sum().to_numpy() == pytest.approx(1)
    assert len(shares["clopidogrel"]) == 3
    assert shares["clopidogrel"].sum() == pytest.approx(1)
    assert (
        content.population_share.loc[content.population_share["drug"] == "clopidogrel", "basis"]
        .str.contains("approved by the site")
        .all()
    )


def test_trap_04_copy_number__duplications_have_their_own_alleles_and_open_scores(content):
    model = gene_model(content, "CYP2D6")
    assert model.key_of("*1x2/*1") == "3.0"
    assert model.key_of("*1x≥3/*41") == "≥3.25"
    assert "*1xN" not in model.alleles


def test_trap_05_copies_of_no_function_alleles_have_no_activity(content):
    model = gene_model(content, "CYP2D6")
    assert {model.key_of(f"{allele}/*4") for allele in ("*4x2", "*4x≥3", "*68+*4")} == {"0.0"}


def test_trap_05_defaults__cpics_own_alleles_are_used_as_booked(content):
    model, p = published_frequencies(content, "CYP2D6", "European")
    keys = pd.Series(model.lookup_key_frequencies(p), [model.phenotype_of_key[key] for key in model.keys])
    phenotypes = keys.groupby(level=0).sum()
    expected = {"Ultrarapid": 0.023, "Normal": 0.492, "Intermediate": 0.383, "Poor": 0.065}
    for name, value in expected.items():
        assert phenotypes[f"{name} Metabolizer"] == pytest.approx(value, abs=6e-4)
    assert phenotypes["Indeterminate"] == pytest.approx(0.037, abs=6e-4)


def test_trap_06_the_reference_is_a_residual__nudt15_keeps_allele_2_apart_from_1(content):
    _, p = published_frequencies(content, "NUDT15", "East Asian")
    alleles = dict(zip(gene_model(content, "NUDT15").alleles, p, strict=True))
    assert alleles["*1"] == pytest.approx(0.879, abs=6e-4)
    assert alleles["*2"] > 0.03


def test_trap_07_ugt1a1_names_one_haplotype_twice__80_is_not_taken_out_again(content):
    rows = content.allele_frequency[content.allele_frequency["gene"] == "UGT1A1"]
    assert "*80" not in set(rows["allele"])
    assert not gene_model(content, "UGT1A1").counts_beside_reference("*80")
    european = rows[rows["biogeographic_group"] == "European"].set_index("allele")["frequency"]
    assert european["*1"] == pytest.approx(0.675, abs=1e-3)


def test_trap_08_dpyd__only_reduced_function_variants_and_the_two_lowest_values(content):
    rows = content.allele_frequency[content.allele_frequency["gene"] == "DPYD"]
    function = content.allele_function.set_index(["gene", "allele"])["clinical_function"]
    normal = {allele for allele in rows["allele"] if function["DPYD", allele] == "Normal function"}
    assert normal == {"Reference"}
    model, p = published_frequencies(content, "DPYD", "European")
    keys = dict(zip(model.keys, model.lookup_key_frequencies(p), strict=True))
    assert [keys[key] for key in ("2.0", "1.5", "1.0")] == pytest.approx([0.929, 0.053, 0.018], abs=1e-3)
    assert 1 - keys["2.0"] == pytest.approx(37 / 502, abs=0.005)


def test_trap_09_g6pd_is_x_linked__males_have_one_copy_and_the_a_minus_allele_is_named_asahi(content):
    """Males: q deficient. Females: q^2 deficient and 2 q (1 - q) variable, of all deficient alleles together."""
    group = "African American/Afro-Caribbean"
    model, p = published_frequencies(content, "G6PD", group)
    function = content.allele_function[content.allele_function["gene"] == "G6PD"].set_index("allele")
    function = function["clinical_function"].reindex(list(model.alleles))
    q = np.nansum(p[function.str.contains("Deficient").to_numpy()])
    assert q == pytest.approx(0.1245, abs=5e-4)
    assert p[model.index_of("Asahi")] == pytest.approx(0.1164, abs=1e-4)
    assert function["A"] == "IV/Normal"
    assert "A- 202A_376G" in model.alleles
    assert np.isnan(p[model.index_of("A- 202A_376G")])
    keys = mean_keys(content, "G6PD", group)
    # sites of a group differ: the mean of q^2 is a little above the square of the mean
    assert keys["Variable"] == pytest.approx(0.5 * 2 * q * (1 - q), rel=0.03)
    deficient = keys.reindex(["Deficient", "Deficient with CNSHA"]).sum()
    assert deficient == pytest.approx(0.5 * q + 0.5 * q**2, rel=0.03)
    assert deficient > 4 * q**2, "an autosomal gene would have the square alone"
    names = content.allele_frequency.loc[content.allele_frequency["gene"] == "G6PD", "allele"]
    assert set(names) <= set(model.alleles), "two names are published with a comma of another alphabet"


def test_trap_10_hla__positive_is_at_least_one_copy_and_a_group_says_nothing(content):
    """1 - (1 - p)^2 per allele, no reference allele, and no frequency of a whole group in place of a people's."""
    assert not content.allele_frequency["gene"].isin(["HLA-A", "HLA-B"]).any()
    nothing = prevalence_posterior(content, ["A"], ["HLA-B"], SiteRecords(ancestry=site("East Asian")))
    assert nothing.by_gene["HLA-B"].facility_ids == ()
    counted = pd.DataFrame(
        [("A", "HLA-B", "allele", "*15:02", 110, 500)],
        columns=["facility_id", "gene", "result_type", "result", "count", "tested"],
    )
    keys = mean_keys(content, "HLA-B", "East Asian", genotype_counts=counted)
    assert keys["*15:02 positive"] == pytest.approx(1 - (1 - 0.11) ** 2, abs=0.002)
    assert keys["*15:02 negative"] == pytest.approx((1 - 0.11) ** 2, abs=0.002)
    assert "*57:01 positive" not in keys, "what was not tested is unknown, not negative"


def test_trap_11_no_result_means_untested__nobody_fully_tested_gets_such_a_row(content):
    state = prevalence_posterior(content, ["A"], ["TPMT", "NUDT15"], SiteRecords(ancestry=site("European")))
    keys = {gene: draw_lookup_keys(state, gene, 20, seed=1) for gene in ("TPMT", "NUDT15")}
    joint = joint_lookup_keys(content, "azathioprine", "general", keys)
    untested = (joint.rows[["lookup_key_1", "lookup_key_2"]] == "No Result").any(axis=1).to_numpy()
    assert untested.sum() == 10
    assert (joint.probability[..., untested] == 0).all()
    indeterminate = (joint.rows["lookup_key_2"] == "Indeterminate").to_numpy()
    assert joint.probability[..., indeterminate].sum() > 0


def test_trap_12_indeterminate_is_not_small_and_not_standard(content):
    assert mean_keys(content, "CYP2D6", "Central/South Asian")["n/a"] > 0.08
    assert mean_keys(content, "CYP2B6", "Sub-Saharan African")["Indeterminate"] > 0.2
    codeine = key_actions(content, "codeine").set_index("lookup_key_1")["action"]
    assert codeine["n/a"] == Action.NO_RECOMMENDATION.value


def test_trap_13_likely_phenotypes_have_rows_of_their_own_with_the_same_action(content):
    rows = key_actions(content, "clopidogrel").set_index(["population", "lookup_key_1"])["action"]
    for population in rows.index.get_level_values(0).unique():
        for phenotype in ("Intermediate Metabolizer", "Poor Metabolizer"):
            assert rows[population, f"Likely {phenotype}"] == rows[population, phenotype]


def test_trap_14_null_is_not_zero__absent_frequencies_are_absent_rows(content):
    assert content.allele_frequency["frequency"].notna().all()
    _, p = published_frequencies(content, "CYP2C19", "American")
    assert np.isnan(p).any()
    inferred = content.allele_frequency["source"].str.contains("1 less the")
    assert content.allele_frequency.loc[inferred, "n_subjects"].isna().all()


def test_trap_15_cyp3a5__the_normal_metabolizers_need_more(content):
    rows = key_actions(content, "tacrolimus").set_index("lookup_key_1")
    assert rows.loc["Normal Metabolizer", "dose_factor_low"] == 1.5
    assert rows.loc["Poor Metabolizer", "action"] == Action.STANDARD.value
    assert 1 - mean_keys(content, "CYP3A5", "European")["Poor Metabolizer"] == pytest.approx(0.14, abs=0.01)


def test_trap_16_an_untyped_allele_is_not_an_absent_allele(content):
    """Ten thousand people without a find of *17 say nothing about *17 when only *2 and *3 were typed."""
    seen = pd.DataFrame(
        {
            "facility_id": "A",
            "gene": "CYP2C19",
            "result_type": "diplotype",
            "result": ["*1/*1", "*1/*2", "*2/*2"],
            "count": [7200, 2550, 250],
            "tested": 10_000,
        }
    )
    assay = pd.DataFrame({"facility_id": ["A"], "gene": ["CYP2C19"], "alleles_tested": ["*2;*3"]})
    state = prevalence_posterior(
        content, ["A"], ["CYP2C19"], SiteRecords(ancestry=site("European"), genotype_counts=seen, assays=assay)
    )
    before = prevalence_posterior(content, ["A"], ["CYP2C19"], SiteRecords(ancestry=site("European")))
    rows, prior = (frame.frame[frame.frame["result_type"] == "allele"].set_index("result") for frame in (state, before))
    assert rows.loc["*2", "mean"] == pytest.approx(0.1525, abs=1e-3)
    ratio = rows.loc["*17", "mean"] / rows.loc["*1", "mean"]
    assert ratio == pytest.approx(prior.loc["*17", "mean"] / prior.loc["*1", "mean"])
    width = (rows["high"] - rows["low"])["*17"] / (prior["high"] - prior["low"])["*17"]
    assert width > 0.85
    assert rows.loc["*3", "mean"] < prior.loc["*3", "mean"] / 10
    unlisted = prevalence_posterior(
        content, ["A"], ["CYP2C19"], SiteRecords(ancestry=site("European"), genotype_counts=seen)
    )
    assert unlisted.problems["problem"].str.contains("no assay list").any()


def test_trap_16_a_monomorphic_gene_is_flagged(content):
    """736 of 736 people with CYP2C19*1/*1 are a platform's doing; 60 with NUDT15*1/*1 may well be chance."""

    def told(gene, results, tested, group="European", alleles=None):
        counts = pd.DataFrame({"result": list(results), "count": list(results.values())})
        counts = counts.assign(facility_id="A", gene=gene, result_type="diplotype", tested=tested)
        assay = (
            None if alleles is None else pd.DataFrame({"facility_id": ["A"], "gene": [gene], "alleles_tested": alleles})
        )
        state = prevalence_posterior(
            content, ["A"], [gene], SiteRecords(ancestry=site(group), genotype_counts=counts, assays=assay)
        )
        return state.problems["problem"].str.contains("everybody who was counted has the same allele").any()

    assert told("CYP2C19", {"*1/*1": 736}, 736, "Latino")
    assert told("CYP2C19", {"*1/*1": 736}, 736, "Latino", "*2;*3;*17")
    assert told("CYP3A5", {"*3/*3": 6407}, 6407, "Sub-Saharan African")
    assert not told("CYP2C19", {"*1/*1": 700, "*1/*2": 36}, 736, "Latino")
    assert not told("CYP2C19", {"*1/*1": 700, "*1/*2": None}, 736, "Latino")  # a suppressed cell is somebody
    assert not told("CYP2C19", {"*1/*1": 40}, 40, "Latino")
    assert not told("CYP2C19", {"*1/*1": 736}, 736, "Latino", "*3")  # *3 is rare there
    assert not told("NUDT15", {"*1/*1": 60}, 60)


def test_trap_17_superpopulations_are_not_cpic_groups__each_such_row_says_so(content):
    rows = content.allele_frequency[content.allele_frequency["gene"] == "VKORC1"]
    assert rows["source"].str.contains("1000 Genomes superpopulation").all()
    assert rows["source"].str.contains("assumption").all()
    variant = rows[rows["allele"].str.contains("variant")].set_index("biogeographic_group")["frequency"]
    assert variant["East Asian"] == 0.885
    assert variant["European"] == 0.388


def test_trap_18_small_cells__a_suppressed_count_is_between_one_and_the_threshold(content):
    expected = censored_mean(np.array([500.0, 500.0]), np.array([1e-9, 0.9]), 11)
    assert expected[0] == pytest.approx(1, abs=1e-3)
    assert 9.9 < expected[1] <= 10


def test_trap_19_what_a_factor_applies_to_is_kept(content):
    applies = content.guidance[content.guidance["action"] == Action.DOSE_FACTOR.value].groupby("drug")["applies_to"]
    assert set(applies.get_group("azathioprine")) == {"start"}
    assert set(applies.get_group("omeprazole")) == {"start", "chronic_use"}
    assert set(applies.get_group("paroxetine")) == {"start_and_maintenance"}


def test_trap_20_versions_travel_with_every_row(content):
    for column in ("recommendation_id", "version", "year", "guideline_id"):
        assert (content.guidance[column] != "").all()
    assert content.guidance["recommendation_id"].is_unique
