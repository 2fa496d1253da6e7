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
    speak of who was tested for that gene alone. A key that a rule does not name changes nothing of the other's advice
    (`B+CYP2C9 n/a`). All other guidance stays as it is.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> rows = with_joint_rules(builtin_content())[0].guidance.set_index("recommendation_id")
    >>> both = rows.loc["PA166299070+PA166299078"]
    >>> both["lookup_key_1"], both["lookup_key_2"], round(float(both["dose_factor_low"]), 4)
    ('1.0', '-1639 AA', 0.39)
    """
    guidance = content.guidance
    second = guidance["gene_2"].fillna("")
    rule = guidance["gene_1"].where(second == "", guidance["gene_1"] + JOINED_BY + second)
    moves = ~guidance["action"].isin(STAYING) & (guidance["applies_to"] != "loading")
    rules = rule[moves].groupby([guidance["drug"], guidance["population"]]).nunique()
    apart: list[tuple[str, str]] = [(str(drug), str(population)) for drug, population in rules[rules > 1].index]
    parts, problems = [], []
    joined = pd.Series(False, index=guidance.index)
    for drug, population in apart:
        here = (guidance["drug"] == drug) & (guidance["population"] == population)
        here &= rule.isin(set(rule[here & moves]))
        try:
            parts.append(pd.DataFrame(list(_joint_rows(content, guidance[here])), columns=list(guidance.columns)))
            joined |= here
        except _NotJoinable as error:
            message = f"{drug}: {error}; planned without genetics"
            problems.append((drug, "rules_not_joined", message))
    if not parts:
        return content, problems
    rows = pd.concat([guidance[~joined], *(part.astype(guidance.dtypes) for part in parts)], ignore_index=True)
    return dataclasses.replace(content, guidance=rows), problems


class _NotJoinable(Exception):
    """Rules whose advice for a patient of both cannot be said in one row."""


def _joint_rows(content: ReferenceContent, rows: pd.DataFrame) -> Iterator[Row]:
    if (rows["gene_2"].fillna("") != "").any() or rows["gene_1"].nunique() != 2:
        raise _NotJoinable("its rules on more than two genes would have to be joined")
    first, second = (of_gene.to_dict("records") for _, of_gene in rows.groupby("gene_1"))
    yield from (_both(one, other) for one, other in itertools.product(first, second))
    for number, own, others in ((1, first, second), (2, second, first)):
        gene = str(own[0]["gene_1"])
        unnamed = _unnamed(content, gene, {str(row["lookup_key_1"]) for row in own})
        for other, key in itertools.product(others, (NO_RESULT, *unnamed)):
            beside = "" if key == NO_RESULT else f"{JOINED_BY}{gene} {key}"
            yield _alone(other, number, gene, key) | {"recommendation_id": f"{other['recommendation_id']}{beside}"}


def _alone(row: Row, number: int, gene: str, key: str) -> Row:
    """A row for those of whom the other gene, which stands in place `number`, says nothing."""
    other = 3 - number
    own = {f"gene_{other}": row["gene_1"], f"lookup_key_{other}": row["lookup_key_1"]}
    return row | own | {f"gene_{number}": gene, f"lookup_key_{number}": key}


def _unnamed(content: ReferenceContent, gene: str, named: set[str]) -> list[str]:
    """Keys of a gene that a rule does not name; of a gene of carriers, only those of the tests that it names."""
    model = gene_model(content, gene)
    tests = {model.test_of_key.get(key, "") for key in named}
    spoken = named | {key for key, phenotype in model.phenotype_of_key.items() if phenotype in named}
    return [key for key in model.keys if key not in spoken and model.test_of_key[key] in tests]


def _both(one: Row, other: Row) -> Row:
    """The row of who has both keys."""
    moving = [row for row in (one, other) if row["action"] not in STAYING and row["applies_to"] != "loading"]
    keys = {"gene_2": other["gene_1"], "lookup_key_2": other["lookup_key_1"]}
    row_id = {"recommendation_id": JOINED_BY.join((str(one["recommendation_id"]), str(other["recommendation_id"])))}
    origin = {name: _together(one[name], other[name]) for name in ORIGIN}
    return one | _advice(moving or [one]) | origin | keys | row_id


def _advice(moving: list[Row]) -> Row:
    """What several pieces of advice ask for together: an alternative before all, else the product of the factors."""
    one, *others = sorted(moving, key=lambda row: row["action"] != Action.ALTERNATIVE)
    own = {name: one[name] for name in ADVICE}
    if not others:
        return own
    other = others[0]
    if one["action"] == Action.ALTERNATIVE:
        both = one["fallback_action"] == other["action"] == Action.DOSE_FACTOR
        return own | (
            {back: one[back] * other[name] for back, name in zip(FALLBACK, FACTORS, strict=True)} if both else {}
        )
    if any(row["action"] != Action.DOSE_FACTOR for row in moving):
        raise _NotJoinable("two of its rules ask for doses that cannot be multiplied")
    if one["applies_to"] != other["applies_to"]:
        raise _NotJoinable("two of its rules change doses of different phases of treatment")
    strength = max(one["strength"], other["strength"], key=[str(name) for name in WEAKEST_LAST].index)
    return own | {name: one[name] * other[name] for name in FACTORS} | {"strength": strength}


def _together(one: Any, other: Any) -> Any:
    """What both rows say of where they are from: numbers by the newer, text side by side."""
    if isinstance(one, str) and isinstance(other, str):
        return " + ".join(dict.fromkeys(text for text in (one, other) if text))
    return max(one, other)
