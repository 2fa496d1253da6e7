"""What an asset hands over: its rows, what it could not do, and pictures of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

PROBLEM_COLUMNS = ["facility_id", "subject", "rule", "message"]

ProblemRow = tuple[Any, Any, str, Any]
"""Values of `PROBLEM_COLUMNS`; the site and the subject may be None."""


@dataclasses.dataclass(frozen=True)
class AssetResult:
    """Rows for the asset's table, problems (`PROBLEM_COLUMNS`) in sentences, and markdown shown beside it in the UI."""

    frame: pd.DataFrame
    problems: pd.DataFrame = dataclasses.field(default_factory=lambda: problems_frame([]))
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)


def problems_frame(rows: list[ProblemRow]) -> pd.DataFrame:
    """Problems [row, `PROBLEM_COLUMNS`].

    >>> problems_frame([("F1", "CYP2C19", "no_ancestry", "F1 has no ancestry")])["rule"].tolist()
    ['no_ancestry']
    """
    return pd.DataFrame(rows, columns=PROBLEM_COLUMNS, dtype=object)


def skipped(columns: list[str], rule: str, message: str) -> AssetResult:
    """No rows, and the one reason that holds for every site."""
    return AssetResult(pd.DataFrame(columns=columns), problems_frame([(None, None, rule, message)]))
