"""The page of genes and drugs: current, complete, and true about the tests that it names."""

import ast
from pathlib import Path

import pandas as pd
import pytest

from forecasting.pharmacogenomics.content import builtin_content
from forecasting.regimens.moves import Moves, build_moves
from forecasting.regimens.strengths import describe_products
from tests.forecasting.pharmacogenomics import genes_and_drugs_page

ROOT = Path(__file__).resolve().parents[3]
GUIDANCE = builtin_content().guidance


@pytest.fixture(scope="module")
def page() -> str:
    return genes_and_drugs_page.render()


def test_the_page_is_current(page):
    written = (ROOT / genes_and_drugs_page.PATH).read_text(encoding="utf-8")
    assert written == page, "run: python -m tests.forecasting.pharmacogenomics.genes_and_drugs_page"


def functions(path: str) -> set[str]:
    return {node.name for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if hasattr(node, "name")}


def test_the_tests_that_it_names_are_there(content):
    named = {genes_and_drugs_page.covering_gene(content, gene) for gene in content.gene["gene"]}
    named |= {genes_and_drugs_page.covering_drug(rows) for _, rows in GUIDANCE.groupby("drug")}
    for test in named:
        path, name = test.split("::")
        assert name in functions(path), test


def test_every_gene_and_drug_has_a_line(content, page):
    firsts = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines()]
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
    assert genes_and_drugs_page.why_nothing_moves(content, drug) == why


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


SAYS = [
    "population",
    "gene_1",
    "gene_2",
    *(name for name in GUIDANCE if name.startswith(("action", "absolute", "applies", "dose", "fallback"))),
]


def moves_of(content, drug: str) -> Moves:
    """The moves where a drug and its default alternatives are stocked in tablets of one usual day and of ten."""
    policy = content.default_alternative[content.default_alternative["drug"] == drug]
    drugs = [drug, *sorted(set(policy["alternative_drug"]))]
    doses = content.usual_daily_dose.set_index("drug")["usual_daily_dose_mg"].fillna(100.0)
    rows = [(f"{name} {days}", name, doses[name] * days) for name in drugs for days in (1, 10)]
    frame = pd.DataFrame(rows, columns=["product_id", "drug", "strength_value"])
    frame = frame.assign(strength_unit="mg", dose_form="tablet", usual_daily_dose=float("nan"))
    products = describe_products(frame, content.usual_daily_dose)
    guidance = GUIDANCE[GUIDANCE["drug"] == drug].drop_duplicates(SAYS)  # what moves depends on, once
    return build_moves(products, guidance, policy.assign(dose_ratio=float("nan")), content.population_share)


@pytest.mark.parametrize("drug", sorted(GUIDANCE["drug"].unique()))
def test_a_drug_that_the_page_says_nothing_against_has_moves_and_the_others_say_why(drug, content):
    reasons = genes_and_drugs_page.why_nothing_moves(content, drug)
    moves = moves_of(content, drug)
    rules = set(moves.problems["rule"])
    blocked = {"no default alternative": "no_approved_alternative", "no daily dose": "treatment_days_unknown"}
    named = [rule for words, rule in blocked.items() for reason in reasons if reason.startswith(words)]
    expected = set(named[:1])  # the first that is found is told
    assert rules & set(blocked.values()) == expected
    quiet = any(reason.startswith(("another dose", "no other drug")) for reason in reasons)
    assert bool(moves.therapies) == (not quiet and not expected)
