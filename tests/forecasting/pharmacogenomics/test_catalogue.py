"""The page of genes and drugs: current, complete, and true about the tests that it names."""

import ast
from pathlib import Path

import pandas as pd
import pytest

from forecasting.pharmacogenomics import catalogue
from forecasting.pharmacogenomics.content import builtin_content

ROOT = Path(__file__).resolve().parents[3]
GUIDANCE = builtin_content().guidance


def test_the_page_is_current():
    written = (ROOT / catalogue.PATH).read_text(encoding="utf-8")
    assert written == catalogue.render(), "run: python -m forecasting.pharmacogenomics.catalogue"


def functions(path: str) -> set[str]:
    return {node.name for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if hasattr(node, "name")}


def test_the_tests_that_it_names_are_there(content):
    named = {catalogue.covering_gene(content, gene) for gene in content.gene["gene"]}
    named |= {catalogue.covering_drug(rows) for _, rows in GUIDANCE.groupby("drug")}
    for test in named:
        path, name = test.split("::")
        assert name in functions(path), test


def test_every_gene_and_drug_has_a_line(content):
    firsts = [line.split(" | ")[0].removeprefix("| ") for line in catalogue.render().splitlines()]
    assert set(content.gene["gene"]) | set(GUIDANCE["drug"]) <= set(firsts)


@pytest.mark.parametrize(
    ("drug", "why"),
    [
        ("clopidogrel", []),
        ("warfarin", []),
        ("eliglustat", ["no default alternative"]),
        ("haloperidol", []),
        ("clozapine", ["another dose is asked for without a number"]),
        ("mavacamten", ["no other drug or dose is asked for"]),
        ("lamotrigine", ["HLA-B: no two-field frequencies with a clear licence"]),
    ],
)
def test_why_a_drug_has_no_genetic_step(drug, why, content):
    assert catalogue.why_nothing_moves(content, drug) == why


PUBLISHED_TABLES = ("gene", "allele_frequency", "allele_function", "phenotype_rule")
PLANNING_TABLES = ("population_share", "usual_daily_dose", "default_alternative")


@pytest.mark.parametrize("table", PUBLISHED_TABLES)
def test_every_published_row_names_source_version_and_publication_or_why_not(table, content):
    frame = getattr(content, table)
    assert (frame["source"].str.len() > 3).all()
    assert frame["version"].str.fullmatch(r"\d{4}-\d{2}(-\d{2})?").all()
    assert frame["pmid"].str.fullmatch(r"\d{7,8}|none: .{10,}").all()


@pytest.mark.parametrize("table", PLANNING_TABLES)
def test_every_planning_row_names_what_it_rests_on(table, content):
    frame: pd.DataFrame = getattr(content, table)
    assert (frame["basis"].str.len() > 10).all()


def test_every_effective_size_names_its_studies_or_says_that_there_are_none(content):
    sizes = content.group_effective_size
    studied = sizes["source"].str.contains(r"table of \d{4}-\d{2}-\d{2}; PMID \d{7,8}$")
    assert sizes.loc[~studied, "source"].str.contains("no publication").all()
    assert (sizes.loc[~studied, "biogeographic_group"] == "all").all()
