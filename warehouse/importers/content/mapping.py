"""Whether the structured guidance covers what a publisher recommends: rows it does not cover must not be overlooked."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from forecasting.terms import Action

Key = tuple[str, str, str, str]

NOBODYS_KEY = "xN combinations"
"""PharmCAT's hint that a copy number is missing: input that it refuses, and no person's key."""


def mapping_of(published: pd.DataFrame, guidance: pd.DataFrame) -> pd.Series:
    """For each published row: mapped, changed, unmapped, or no_guidance where the drug has none of that source.

    `published` has source, recommendation_id, version, drug, population and lookup_key (JSON object gene -> key). A row
    whose id the guidance knows is compared by version, drug and lookup key, of which a publisher may write more than
    the gene's model gives (`same_key`); a row of another numbering by its drug, population and lookup key.
    """
    return covered(published, guidance)["mapping"]


def covered(published: pd.DataFrame, guidance: pd.DataFrame) -> pd.DataFrame:
    """Each published row's `mapping` (as `mapping_of`), and the `action` of the guidance that covers it ("" = none)."""
    by_id = {str(row["recommendation_id"]): row for row in _rows(guidance)}
    by_key = {_key(row, lookup_key(row)): row for row in by_id.values()}
    drugs = {(str(row["source"]), str(row["drug"])) for row in by_id.values()}

    def state(row: Mapping[str, str]) -> tuple[str, str]:
        keys = {gene: key_text(value) for gene, value in json.loads(row["lookup_key"]).items()}
        known = by_id.get(row["recommendation_id"])
        if NOBODYS_KEY in keys.values():
            return "mapped", Action.NO_RECOMMENDATION.value
        if known is not None:
            ours = lookup_key(known)
            same = (str(known["version"]), str(known["drug"]), set(ours)) == (row["version"], row["drug"], set(keys))
            same = same and all(same_key(keys[gene], ours[gene]) for gene in ours)
            return ("mapped", str(known["action"])) if same else ("changed", "")
        if (alike := by_key.get(_key(row, keys))) is not None:
            return "mapped", str(alike["action"])
        return ("unmapped" if (row["source"], row["drug"]) in drugs else "no_guidance"), ""

    states = [state(row) for row in _rows(published)]
    return pd.DataFrame(states, index=published.index, columns=["mapping", "action"], dtype="str")


def same_key(published: str, ours: str) -> bool:
    """Whether a row of guidance stands at the key that its publisher wrote.

    DPWG writes diplotypes and phenotypes where the gene's model gives an activity score. Which score that is was fixed,
    and tested, where the row was read; a score that became another score is a change.

    >>> same_key("*1/*3", "1.0"), same_key("0.0 (Poor Metabolizer)", "0.0"), same_key("1.5", "1.0")
    (True, True, False)
    """
    return published == ours or (_is_score(ours) and not _is_score(published))


def _is_score(key: str) -> bool:
    return re.fullmatch(r"\u2265?\d+\.\d+", key) is not None


def lookup_key(row: Mapping[str, object]) -> dict[str, str]:
    """Gene -> lookup key of a guidance row."""
    pairs = [(row.get(f"gene_{number}"), row.get(f"lookup_key_{number}")) for number in (1, 2)]
    return {str(gene): str(key) for gene, key in pairs if isinstance(gene, str) and gene}


def is_lookup_key(text: object) -> bool:
    """Whether the text is a JSON object of at least one gene and its lookup key.

    >>> is_lookup_key('{"CYP2D6": "1.0"}'), is_lookup_key("[]"), is_lookup_key("CYP2D6")
    (True, False, False)
    """
    try:
        keys = json.loads(str(text))
    except ValueError:
        return False
    return isinstance(keys, dict) and bool(keys)


def normal_lookup_key(text: str) -> str:
    """The JSON object in one spelling: genes in order, no escapes, a diplotype as A/B.

    >>> normal_lookup_key('{"TPMT":"x","NUDT15":"y"}')
    '{"NUDT15": "y", "TPMT": "x"}'
    """
    keys = {gene: key_text(value) for gene, value in json.loads(text).items()}
    return json.dumps(keys, sort_keys=True, ensure_ascii=False)


def key_text(value: Any) -> str:
    """A lookup key as text; PharmCAT's allele -> copies becomes a diplotype.

    >>> key_text({"*1": 1.0, "*28": 1.0}), key_text({"*3": 2.0}), key_text("1.0")
    ('*1/*28', '*3/*3', '1.0')
    """
    if isinstance(value, dict):
        return "/".join(allele for allele, copies in sorted(value.items()) for _ in range(int(copies)))
    return str(value)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _key(row: Mapping[str, object], keys: Mapping[str, str]) -> Key:
    population = " ".join(str(row["population"]).split()).lower()
    return str(row["source"]), str(row["drug"]), population, json.dumps(dict(keys), sort_keys=True, ensure_ascii=False)
