"""CPIC's own published frequencies, recomputed from its allele tables with our arithmetic."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.genes import diplotype_frequencies, gene_model
from forecasting.pharmacogenomics.prevalence import draw_lookup_keys, posterior

GENES = ["CYP2C19", "CYP2D6", "CYP3A5", "SLCO1B1", "TPMT"]


def published_content(content, published, gene):
    """Functions of the version that CPIC's frequency sheets were computed with (SLCO1B1 changed in 2025-11)."""
    table = published(f"alleles/diplotype_phenotype/{gene}.csv").assign(gene=gene)
    return dataclasses.replace(content, diplotypes=table) if gene == "SLCO1B1" else content


def group_frequencies(model, published):
    rows = published("frequencies/allele_frequency_by_group.csv")
    rows = rows[rows["gene"] == model.gene].assign(frequency=lambda r: r["frequency"].astype(float))
    wide = rows.pivot_table(index="population_group", columns="allele", values="frequency")
    return wide.reindex(columns=list(model.alleles))


@pytest.mark.parametrize("gene", GENES)
def test_cpics_phenotype_frequencies_are_reproduced(gene, content, published):
    model = gene_model(published_content(content, published, gene), gene)
    wide = group_frequencies(model, published)
    sheet = published("frequencies/phenotype_frequency_by_group.csv")
    sheet = sheet[(sheet["gene"] == gene) & (sheet["frequency"] != "")]
    ours = model.lookup_key_frequencies(wide.to_numpy())
    row = [wide.index.get_loc(group) for group in sheet["population_group"]]
    column = [model.keys.index(key) for key in sheet["phenotype_or_activity_score"]]
    assert len(sheet) >= 35
    assert ours[row, column] == pytest.approx(sheet["frequency"].astype(float).to_numpy(), abs=1e-6)


@pytest.mark.parametrize("gene", GENES)
def test_cpics_diplotype_frequencies_are_reproduced(gene, content, published):
    model = gene_model(published_content(content, published, gene), gene)
    wide = group_frequencies(model, published)
    ours = diplotype_frequencies(wide.to_numpy())
    sheet = published("frequencies/diplotype_frequency_by_group.csv")
    sheet = sheet[sheet["gene"] == gene]
    pairs = [sorted(model.index_of(name) for name in text.rsplit("/", 1)) for text in sheet["diplotype"]]
    first, second = np.array(pairs).T
    compared = 0
    for i, group in enumerate(wide.index):
        theirs = pd.to_numeric(sheet[group]).to_numpy()
        both = ~np.isnan(theirs)
        assert ours[i, first, second][both] == pytest.approx(theirs[both], abs=1e-6)
        assert np.isnan(ours[i, first, second][~both]).all()
        compared += both.sum()
    assert compared > 50


OWN_RESIDUAL = ["CACNA1S", "DPYD", "G6PD", "RYR1", "UGT1A1"]
"""Genes for which CPIC publishes no frequency of the reference, or one that other alleles were taken out of twice."""


GONE = ["DPYD", "G6PD", "UGT1A1"]
"""Genes of which some published rows are not taken over as they stand."""


def test_our_frequency_table_is_cpics(content, published):
    ours = content.allele_frequency
    ours = ours[~ours["source"].str.contains("1000 Genomes")]
    residual = ours["source"].str.contains("1 less")
    ours = ours[~(residual & ours["gene"].isin(OWN_RESIDUAL))]
    theirs = published("frequencies/allele_frequency_by_group.csv").rename(
        columns={"population_group": "biogeographic_group"}
    )
    keys = ["gene", "allele", "biogeographic_group"]
    # two names of G6PD are written with another comma than in the table of functions
    theirs = theirs.assign(allele=theirs["allele"].str.replace("\u201a", ","))
    theirs = theirs[theirs["gene"].isin(ours["gene"])].set_index(keys)["frequency"].astype(float)
    ours = ours.set_index(keys)["frequency"]
    assert ours.index.is_unique
    assert ours.to_numpy() == pytest.approx(theirs.reindex(ours.index).to_numpy(), abs=1e-12)
    left_out = theirs.index.difference(ours.index)
    names = {gene: set(left_out[left_out.get_level_values("gene") == gene].get_level_values("allele")) for gene in GONE}
    assert set(left_out.get_level_values("gene")) == set(GONE)
    assert names["UGT1A1"] == {"*1", "*80"}
    assert names["G6PD"] == {"B (reference)"}


SUPERPOPULATIONS = {"EUR": "European", "EAS": "East Asian", "SAS": "Central/South Asian"}
TRUSTED = ["CYP2B6", "CYP2C19", "CYP2D6", "NUDT15", "TPMT", "DPYD", "CYP3A5"]
"""Not ABCG2 and SLCO1B1: those 1000 Genomes calls contradict CPIC and known values."""

UNREPORTED = {("CYP2C19", "SAS", "Indeterminate")}
"""Alleles of uncertain function that CPIC's table of the group does not report, so their mass is in the reference."""


@pytest.mark.parametrize("gene", TRUSTED)
@pytest.mark.parametrize("superpopulation", SUPERPOPULATIONS)
def test_people_of_the_1000_genomes_fall_within_the_predictions(gene, superpopulation, content, published):
    """Each phenotype of at least 5 observed people lies in the central 99.8 % of what a site of the group may show."""
    observed = published("cohorts/1kgp_pypgx_phenotype_counts.csv")
    observed = observed[(observed["gene"] == gene) & (observed["superpopulation"] == superpopulation)]
    counts = observed.set_index("phenotype")["n_individuals"].astype(int)
    total = int(observed["n_total"].iloc[0])
    ancestry = pd.DataFrame(
        {"facility_id": ["A"], "biogeographic_group": [SUPERPOPULATIONS[superpopulation]], "share": [1.0]}
    )
    state = posterior(content, ["A"], [gene], ancestry=ancestry)
    draws, keys = draw_lookup_keys(state, gene, 2000, seed=7)
    model = gene_model(content, gene)
    compared = 0
    for phenotype, count in counts.items():
        hits = [i for i, key in enumerate(keys) if model.phenotype_of_key[key] == phenotype]
        if count < 5 or not hits or (gene, superpopulation, phenotype) in UNREPORTED:
            continue
        predicted = np.random.default_rng(3).binomial(total, np.clip(draws[0][:, hits].sum(axis=1), 0, 1))
        low, high = np.quantile(predicted, [0.001, 0.999])
        assert low <= count <= high, (phenotype, count, low, high)
        compared += 1
    assert compared >= 1
