"""Problems of prevalence are told once, not once a site and gene."""

import pandas as pd

from assets.stages.pharmacogenomics import grouped_problems


def test_the_same_problem_of_many_sites_and_genes_is_one_line():
    sites = [f"S{number:02}" for number in range(8)]
    rows = [(site, gene, "no ancestry shares") for site in sites for gene in ("TPMT", "CYP2C19")]
    rows += [("S00", "NUDT15", "no published frequencies"), ("*", "DPYD", "alleles of unknown function")]
    told = grouped_problems(pd.DataFrame(rows, columns=["facility_id", "gene", "problem"]))
    assert len(told) == 3
    many = told[told["facility_id"].isna()]["message"].iloc[0]
    assert many == "CYP2C19, TPMT: no ancestry shares (S00, S01, S02, S03, S04 and 3 more)"
    assert "DPYD: alleles of unknown function" in set(told["message"])
