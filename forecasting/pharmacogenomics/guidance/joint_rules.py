"""Rules of one drug that were written apart, as rows over the keys of both: who has both gets both, factors multiplied.

Warfarin is the example: DPWG has a guideline for CYP2C9 and one for VKORC1, and every patient has a row of each. What
one patient is to get is linear in the rows only if a row says all of it.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import pandas as pd

from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.terms import JOINED_BY, NO_RESULT, Action, Strength

STAYING = (Action.STANDARD, Action.NO_NUMBER, Action.NO_RECOMMENDATION)
FACTORS = ("dose_factor_low", "dose_factor_high")
FALLBACK = ("fallback_dose_factor_low", "fallback_dose_factor_high")
ADVICE = (
    *("action", *FACTORS, "dose_cap_mg_per_day", "absolute_dose_mg_per_day", "applies_to", "alternatives"),
    *("fallback_action", *FALLBACK, "fallback_dose_cap_mg_per_day", "reason", "strength"),
)
ORIGIN = ("source", "guideline_id", "version", "year", "pmid", "no_pmid_reason", "table_date")
WEAKEST_LAST = (Strength.STRONG, Strength.MODERATE, Strength.OPTIONAL, Strength.NO_RECOMMENDATION, Strength.NOT_GRADED)

Row = dict[Any, Any]
Problems = list[tuple[str, str, str]]


def with_joint_rules(content: ReferenceContent) -> tuple[ReferenceContent, Problems]:
    """The content with drugs' separate rules joined, and (drug, rule, message) of drugs whose rules cannot be.

    Two rules of one drug and population that both move something become rows over pairs of their keys, whose
    `recommendation_id` names both rows (`A+B`). Rows with "No Result" keep the id of the row that they repeat: they
    are about people who were tested for that gene alone. A key that a rule does not name changes nothing of the other's
    advice (`B+CYP2C9 n/a`). All other guidance stays as it is.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> rows = with_joint_rules(builtin_content())[0].guidance.set_index("recommendation_id")
    >>> both = rows.loc["PA166299070+PA166299078"]
    >>> both["lookup_key_1"], both["lookup_key_2"], round(float(both["dose_factor_low"]), 4)
    ('1.0', '-1639 AA', 0.39)
    """
    guidance = content.guidance
    second_gene = guidance["gene_2"].fillna("")
    rule = guidance["gene_1"].where(second_gene == "", guidance["gene_1"] + JOINED_BY + second_gene)
    moves = ~guidance["action"].isin(STAYING) & (guidance["applies_to"] != "loading")
    rules = rule[moves].groupby([guidance["drug"], guidance["population"]]).nunique()
    separate: list[tuple[str, str]] = [(str(drug), str(population)) for drug, population in rules[rules > 1].index]
    parts, problems = [], []
    is_joined = pd.Series(False, index=guidance.index)
    for drug, population in separate:
        is_of_drug = (guidance["drug"] == drug) & (guidance["population"] == population)
        is_of_drug &= rule.isin(set(rule[is_of_drug & moves]))
        try:
            parts.append(pd.DataFrame(list(_joint_rows(content, guidance[is_of_drug])), columns=list(guidance.columns)))
            is_joined |= is_of_drug
        except _NotJoinable as error:
            message = f"{drug}: {error}; planned without genetics"
            problems.append((drug, "rules_not_joined", message))
    if not parts:
        return content, problems
    rows = pd.concat([guidance[~is_joined], *(part.astype(guidance.dtypes) for part in parts)], ignore_index=True)
    return dataclasses.replace(content, guidance=rows), problems


class _NotJoinable(Exception):
    """Rules whose advice for a patient of both cannot be said in one row."""


def _joint_rows(content: ReferenceContent, rows: pd.DataFrame) -> Iterator[Row]:
    if (rows["gene_2"].fillna("") != "").any() or rows["gene_1"].nunique() != 2:
        raise _NotJoinable("its rules on more than two genes would have to be joined")
    first, second = (of_gene.to_dict("records") for _, of_gene in rows.groupby("gene_1"))
    yield from (_pair_row(first_row, second_row) for first_row, second_row in itertools.product(first, second))
    for number, own_rows, other_rows in ((1, first, second), (2, second, first)):
        gene = str(own_rows[0]["gene_1"])
        unnamed = _unnamed_keys(content, gene, {str(row["lookup_key_1"]) for row in own_rows})
        for other_row, key in itertools.product(other_rows, (NO_RESULT, *unnamed)):
            suffix = "" if key == NO_RESULT else f"{JOINED_BY}{gene} {key}"
            yield _single_gene_row(other_row, number, gene, key) | {
                "recommendation_id": f"{other_row['recommendation_id']}{suffix}"
            }


def _single_gene_row(row: Row, number: int, gene: str, key: str) -> Row:
    """A row for those of whom the other gene, which stands in place `number`, says nothing."""
    other_number = 3 - number
    row_gene = {f"gene_{other_number}": row["gene_1"], f"lookup_key_{other_number}": row["lookup_key_1"]}
    return row | row_gene | {f"gene_{number}": gene, f"lookup_key_{number}": key}


def _unnamed_keys(content: ReferenceContent, gene: str, named: set[str]) -> list[str]:
    """Keys of a gene that a rule does not name; of a gene of carriers, only those of the tests that it names."""
    model = gene_model(content, gene)
    tests = {model.test_of_key.get(key, "") for key in named}
    named_keys = named | {key for key, phenotype in model.phenotype_of_key.items() if phenotype in named}
    return [key for key in model.keys if key not in named_keys and model.test_of_key[key] in tests]


def _pair_row(first: Row, second: Row) -> Row:
    """The row of who has both keys."""
    moving = [row for row in (first, second) if row["action"] not in STAYING and row["applies_to"] != "loading"]
    keys = {"gene_2": second["gene_1"], "lookup_key_2": second["lookup_key_1"]}
    row_id = {"recommendation_id": JOINED_BY.join((str(first["recommendation_id"]), str(second["recommendation_id"])))}
    origin = {name: _combined_origin(first[name], second[name]) for name in ORIGIN}
    return first | _advice(moving or [first]) | origin | keys | row_id


def _advice(moving: list[Row]) -> Row:
    """What several pieces of advice ask for together: an alternative before all, else the product of the factors."""
    first, *further = sorted(moving, key=lambda row: row["action"] != Action.ALTERNATIVE)
    advice = {name: first[name] for name in ADVICE}
    if not further:
        return advice
    second = further[0]
    if first["action"] == Action.ALTERNATIVE:
        both_factors = first["fallback_action"] == second["action"] == Action.DOSE_FACTOR
        return advice | (
            {fallback: first[fallback] * second[name] for fallback, name in zip(FALLBACK, FACTORS, strict=True)}
            if both_factors
            else {}
        )
    if any(row["action"] != Action.DOSE_FACTOR for row in moving):
        raise _NotJoinable("two of its rules ask for doses that cannot be multiplied")
    if first["applies_to"] != second["applies_to"]:
        raise _NotJoinable("two of its rules change doses of different phases of treatment")
    strength = max(first["strength"], second["strength"], key=[str(name) for name in WEAKEST_LAST].index)
    return advice | {name: first[name] * second[name] for name in FACTORS} | {"strength": strength}


def _combined_origin(first: Any, second: Any) -> Any:
    """Origin of both rows: the newer number, or both texts."""
    if isinstance(first, str) and isinstance(second, str):
        return " + ".join(dict.fromkeys(text for text in (first, second) if text))
    return max(first, second)
