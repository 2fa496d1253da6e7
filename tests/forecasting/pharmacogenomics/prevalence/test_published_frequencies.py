"""CPIC's own published frequencies, recomputed from its allele tables with our arithmetic."""

import dataclasses
import sys

import numpy as np
import pandas as pd
import pytest

from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, draw_lookup_keys, prevalence_posterior

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


SERVED = {
    "EUR": {"European": 1.0},
    "EAS": {"East Asian": 1.0},
    "SAS": {"Central/South Asian": 1.0},
    "AMR": {"Latino": 1.0},
    "AFR": {"Sub-Saharan African": 504 / 661, "African American/Afro-Caribbean": 157 / 661},
}
"""The superpopulations of 1000 Genomes as people of CPIC's groups. AFR is a mixture: of its 661 people 96 are of
Barbados (ACB) and 61 of the south-west of the USA (ASW), the others of five peoples of Africa."""

NOT_TRUSTED = {
    "ABCG2": "rs2231142 is called half as often as CPIC and others find it (EUR 0.059 for 0.104)",
    "SLCO1B1": "*15 is called too seldom (EAS 0.027 for 0.125), and other versions of the functions were used",
    "IFNL3": "another variant is called, and no frequency of it is built in",
    "CFTR": "no frequency is built in",
    "F5": "no guidance or frequency of it is built in",
}
"""Genes of the file whose calls cannot be held against CPIC's tables, with the reason."""

APART = {
    ("CYP2B6", "AFR"): (
        "CPIC's sub-Saharan table has *11 at 0.071 and *15 at 0.015, both of uncertain function; among these 661 "
        "people each is called at 0.001, and duplications that the table does not have (*22x2, 0.007) are called"
    )
}
"""One gene in one superpopulation whose calls contradict the table: 4 of its 6 cells would lie outside."""

HELD, LEVEL = 0.9, (0.025, 0.975)


def predicted_cells(content, gene, served, observed):
    """One row per phenotype that is observed or can be predicted: the count, and the 95 % interval of such a sample."""
    ancestry = pd.DataFrame({"facility_id": "A", "biogeographic_group": list(served), "share": list(served.values())})
    state = prevalence_posterior(content, ["A"], [gene], SiteRecords(ancestry=ancestry))
    if not state.by_gene[gene].facility_ids:
        return []  # no frequencies of these groups are published: nothing is predicted
    draws, keys = draw_lookup_keys(state, gene, 2000, seed=7)
    model, total = gene_model(content, gene), int(observed["n_total"].iloc[0])
    counts = observed.set_index("phenotype")["n_individuals"].astype(int)
    rows = []
    for phenotype in sorted(set(counts.index[counts > 0]) | set(model.phenotypes)):
        hits = [model.phenotype_of_key[key] == phenotype for key in keys]
        chance = np.clip(draws[0][:, hits].sum(axis=1), 0, 1)
        low, high = np.quantile(np.random.default_rng(3).binomial(total, chance), LEVEL)
        rows.append((gene, phenotype, int(counts.get(phenotype, 0)), low, high))
    return rows


def test_people_of_the_1000_genomes_fall_within_what_the_alleles_predict(content, published):
    """For each gene whose calls can be trusted, nine tenths of the cells of group and phenotype hold what was seen."""
    observed = published("cohorts/1kgp_pypgx_phenotype_counts.csv")
    genes = sorted(set(observed["gene"]))
    assert set(NOT_TRUSTED) < set(genes)
    rows = [
        row
        for gene in genes
        if gene not in NOT_TRUSTED
        for superpopulation, served in SERVED.items()
        if (gene, superpopulation) not in APART
        for row in predicted_cells(
            content,
            gene,
            served,
            observed[(observed["gene"] == gene) & (observed["superpopulation"] == superpopulation)],
        )
    ]
    cells = pd.DataFrame(rows, columns=["gene", "phenotype", "count", "low", "high"])
    cells["held"] = cells["count"].between(cells["low"], cells["high"])
    share = cells.groupby("gene")["held"].agg(["mean", "size"])
    sys.stdout.write(f"\n{share.round(3).to_string()}\n{cells[~cells['held']].to_string()}\n")
    assert len(share) == 11
    assert (share["mean"] >= HELD).all(), share.to_string()
    # a wide interval holds anything: where the phenotype is common, it must also say something
    common = cells[cells["count"].between(50, 300)]
    assert ((common["high"] - common["low"]) / common["count"]).median() < 2
