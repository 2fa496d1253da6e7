"""All genes and drugs on one page: `python -m tests.forecasting.pharmacogenomics.genes_and_drugs_page` writes it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from forecasting.pharmacogenomics.content import ReferenceContent, builtin_content, notes
from forecasting.pharmacogenomics.guidance.probabilities import linked_genes
from forecasting.terms import Action

PATH = Path("docs/genes_and_drugs.md")
TESTS = "tests/forecasting/pharmacogenomics/"
TEST_OF_SOURCE = {
    "CPIC": "guidance/test_guidance_tables.py::test_rows_agree_with_cpic_in_all_but_the_wording",
    "DPWG": "guidance/test_guidance_sources.py::test_dpwg_rows_say_what_the_publisher_says",
    "FDA": "guidance/test_guidance_sources.py::test_fda_rows_say_what_the_table_says",
}
TEST_OF_2024_FILE = "guidance/test_guidance_sources.py::test_antiemetics_are_cpics_2024_rows"
TEST_OF_CARRIERS = "genes/test_inheritance.py::test_hla_carriers_have_at_least_one_copy_each_allele_by_itself"
TEST_OF_GENOTYPES = "guidance/test_guidance_sources.py::test_genes_without_a_diplotype_table_have_their_genotypes"
TEST_OF_DIPLOTYPES = "genes/test_gene_model.py::test_every_published_diplotype_gets_cpics_phenotype_score_and_key"
GENOTYPES = ("CYP4F2", "IFNL3")
"""Genes of which CPIC publishes no diplotype table: their keys are genotypes."""

STAYING = (Action.STANDARD, Action.NO_NUMBER, Action.NO_RECOMMENDATION)


def covering_gene(content: ReferenceContent, gene: str) -> str:
    """The test that holds a gene's alleles and keys against what was published, as pytest names it."""
    row = content.gene[content.gene["gene"] == gene].iloc[0]
    if row["counting"] == "carriers":
        return TESTS + TEST_OF_CARRIERS
    return TESTS + (TEST_OF_GENOTYPES if gene in GENOTYPES else TEST_OF_DIPLOTYPES)


def covering_drug(rows: pd.DataFrame) -> str:
    """The test that holds a drug's guidance `rows` against their publisher's, as pytest names it."""
    first = rows.iloc[0]
    in_2024_file = first["source"] == "CPIC" and first["table_date"] < "2026"
    return TESTS + (TEST_OF_2024_FILE if in_2024_file else TEST_OF_SOURCE[first["source"]])


def why_nothing_moves(content: ReferenceContent, drug: str) -> list[str]:
    """Reasons for which a drug's demand is planned without genetics until a site adds what is missing; [] = none.

    >>> why_nothing_moves(builtin_content(), "clopidogrel")
    []
    """
    rows = content.guidance[content.guidance["drug"] == drug]
    if rows["action"].isin(STAYING).all():
        unnumbered = (rows["action"] == Action.NO_NUMBER).any()
        return ["another dose is asked for without a number" if unnumbered else "no other drug or dose is asked for"]
    reasons = [*_genes_aside(content, rows), *_alternatives_aside(content, drug, rows)]
    if genes := linked_genes(content, rows):
        reasons.append(f"{' and '.join(genes)} are linked: their frequencies cannot be multiplied")
    return reasons


def _genes_aside(content: ReferenceContent, rows: pd.DataFrame) -> Iterable[str]:
    reason = content.gene.set_index("gene")["no_frequency"]
    for gene in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""}):
        if reason[gene]:
            yield f"{gene}: {reason[gene]}"


def _alternatives_aside(content: ReferenceContent, drug: str, rows: pd.DataFrame) -> Iterable[str]:
    switched = rows[rows["action"] == Action.ALTERNATIVE]
    if switched.empty:
        return
    policy = content.default_alternative[content.default_alternative["drug"] == drug]
    if policy.empty and (switched["fallback_action"] == "").any():
        yield "no default alternative"
    without = content.usual_daily_dose.query("usual_daily_dose_mg.isna()")["drug"]
    days = sorted({drug, *policy["alternative_drug"]} & set(without))
    if days:
        yield f"no daily dose of {', '.join(days)}: a site states the dose ratio"


def render(content: ReferenceContent | None = None) -> str:
    """The page as Markdown: every gene and drug with its sources, and what was left out and why."""
    content = content or builtin_content()
    guidance = content.guidance
    drugs = guidance.groupby("source")["drug"].nunique()
    rows = guidance["action"].value_counts().sort_index()
    lines = [
        *("# Genes and drugs", ""),
        "Made from the tables by `python -m tests.forecasting.pharmacogenomics.genes_and_drugs_page`; do not edit.",
        "",
        f"{len(content.gene)} genes; {guidance['drug'].nunique()} drugs with guidance ({_counted(drugs)}).",
        f"{len(guidance)} rows of guidance ({_counted(rows)}). Tests are those of `{TESTS}`.",
        *("", "## Genes", ""),
        *_table(GENE_COLUMNS, (_gene(content, str(gene)) for gene in sorted(content.gene["gene"]))),
        *("", "## Drugs", ""),
        *_table(DRUG_COLUMNS, (_drug(content, str(drug)) for drug in sorted(guidance["drug"].unique()))),
        *("", "## What was judged in a row", ""),
        *_notes("guidance_judgement"),
        *("", "## Drugs that are switched and have no default alternative", ""),
        *_notes("no_default_alternative"),
        *("", "## Published rows that are left out", ""),
        *_notes("guidance_left_out"),
        *("", "## The FDA's table of pharmacogenetic associations", ""),
        *_notes("fda_association"),
    ]
    return "\n".join(lines) + "\n"


GENE_COLUMNS = (
    *("gene", "copies", "alleles are", "alleles with function", "alleles with frequency", "source", "version"),
    *("PMID", "drugs", "stands aside because", "test"),
)
DRUG_COLUMNS = (
    *("drug", "genes", "source", "guideline", "version", "year", "PMID", "table date", "rows"),
    *("usual daily dose, mg", "basis", "default alternatives", "no genetic step because", "test"),
)


def _gene(content: ReferenceContent, gene: str) -> Sequence[object]:
    row = content.gene[content.gene["gene"] == gene].iloc[0]
    return (
        *(gene, row["inheritance"], row["counting"]),
        *(_alleles(content.allele_function, gene), _alleles(content.allele_frequency, gene)),
        *(row["source"], row["version"], row["pmid"], _drugs_of(content, gene)),
        *(row["no_frequency"], _short(covering_gene(content, gene))),
    )


def _alleles(table: pd.DataFrame, gene: str) -> str:
    rows = table[table["gene"] == gene]
    return f"{rows['allele'].nunique()} ({_each(rows['version'])})" if len(rows) else "0"


def _drugs_of(content: ReferenceContent, gene: str) -> int:
    asked = (content.guidance["gene_1"] == gene) | (content.guidance["gene_2"] == gene)
    return int(content.guidance.loc[asked, "drug"].nunique())


def _drug(content: ReferenceContent, drug: str) -> Sequence[object]:
    rows = content.guidance[content.guidance["drug"] == drug]
    genes = sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""})
    dose = content.usual_daily_dose.set_index("drug").loc[drug]
    known = f"{dose['usual_daily_dose_mg']:g}" if dose["usual_daily_dose_mg"] > 0 else ""
    return (
        *(drug, ", ".join(genes), _each(rows["source"]), _each(rows["guideline_id"]), _versions(rows["version"])),
        *(_each(rows["year"]), _pmids(rows), _each(rows["table_date"])),
        _counted(rows["action"].value_counts().sort_index()),
        *(known, dose["basis"] if not known else f"{dose['basis']}: {dose['source']}"),
        *(_defaults(content, drug), "; ".join(why_nothing_moves(content, drug)), _short(covering_drug(rows))),
    )


def _counted(numbers: pd.Series) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _each(values: pd.Series) -> str:
    return ", ".join(sorted({str(value) for value in values}))


def _versions(values: pd.Series) -> str:
    known = sorted(set(values), key=lambda text: (len(text), text))
    return known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}"


def _pmids(rows: pd.DataFrame) -> str:
    return _each(rows["pmid"].where(rows["pmid"] != "", "none: " + rows["no_pmid_reason"]))


def _defaults(content: ReferenceContent, drug: str) -> str:
    policy = content.default_alternative[content.default_alternative["drug"] == drug]
    return "; ".join(
        f"{row.alternative_drug} {row.share:.0%}" + ("" if row.population == "*" else f" ({row.population})")
        for row in policy.itertuples()
    )


def _short(test: str) -> str:
    return f"`{test.removeprefix(TESTS)}`"


def _notes(name: str) -> list[str]:
    frame = notes(name)
    return _table([column.replace("_", " ") for column in frame.columns], frame.itertuples(index=False))


def _table(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> list[str]:
    text = [" | ".join(str(cell).replace("|", "\\|") for cell in cells) for cells in (columns, *rows)]
    return [f"| {text[0]} |", "|" + " --- |" * len(columns), *(f"| {line} |" for line in text[1:])]


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
