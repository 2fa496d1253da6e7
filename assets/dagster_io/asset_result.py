"""What an asset hands over: its rows, what it could not do, and pictures of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

PROBLEM_COLUMNS = ["facility_id", "subject", "rule", "message"]


@dataclasses.dataclass(frozen=True)
class Staged:
    """Rows for the asset's table, problems (`PROBLEM_COLUMNS`) in words, and markdown shown beside it in the UI."""

    frame: pd.DataFrame
    problems: pd.DataFrame = dataclasses.field(default_factory=lambda: problems_frame([]))
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)


def problems_frame(rows: list[tuple[Any, Any, str, Any]]) -> pd.DataFrame:
    """Problems from (facility_id, subject, rule, message) tuples.

    >>> problems_frame([("F1", "CYP2C19", "no_ancestry", "F1 has no ancestry")])["rule"].tolist()
    ['no_ancestry']
    """
    return pd.DataFrame(rows, columns=PROBLEM_COLUMNS, dtype=object)
