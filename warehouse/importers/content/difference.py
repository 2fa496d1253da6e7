"""What is new, changed and withdrawn from one release of a kind to another, row by row and field by field."""

from typing import Any

import pandas as pd

from warehouse.importers.content.releases import AS_JSON, table_of

COLUMNS = ["kind", "row", "subject", "change", "field", "before", "after"]
NEW, CHANGED, WITHDRAWN = "new", "changed", "withdrawn"

RULE_KEY = ["gene", "function_1", "function_2", "activity_score_low", "activity_score_high"]
DATED_AS_A_WHOLE = {"allele_frequency": {"source", "version"}, "allele_function": {"source", "version"}}
"""Kinds whose tables carry one date in every row: a new date alone changes nothing. Guidance rows have their own."""

DERIVED = {"published_recommendation": {"mapping"}}
SUBJECTS = ("drug", "gene")


def content_diff(kind: str, before: pd.DataFrame | None, after: pd.DataFrame) -> pd.DataFrame:
    """The rows of a kind that differ, `COLUMNS`: one line a changed field, one a new or withdrawn row.

    `row` is the row's key as text, `subject` its drug or gene; `before` and `after` are texts, blank for none. Nothing
    before (None) makes every row new.

    >>> old = pd.DataFrame({"drug": ["a", "b"], "usual_daily_dose_mg": [1.0, 2.0], "basis": "DDD", "source": "WHO"})
    >>> new = old.assign(usual_daily_dose_mg=[1.0, 4.0])
    >>> content_diff("usual_daily_dose", old, new)[["row", "change", "field", "before", "after"]].values.tolist()
    [['b', 'changed', 'usual_daily_dose_mg', '2', '4']]
    """
    old, new = _texts(kind, after.iloc[:0] if before is None else before), _texts(kind, after)
    gone, come = old[~old.index.isin(new.index)], new[~new.index.isin(old.index)]
    both = new.index[new.index.isin(old.index)]
    lines = [
        _changed_row(kind, str(row), rows, change)
        for rows, change in ((come, NEW), (gone, WITHDRAWN))
        for row in rows.index
    ]
    ignored = DATED_AS_A_WHOLE.get(kind, set()) | DERIVED.get(kind, set())
    for field in [name for name in new.columns if name in old.columns and name not in ignored]:
        was, now = old.loc[both, field], new.loc[both, field]
        lines += [
            _changed_row(kind, str(row), new, CHANGED)
            | {"field": field, "before": str(was[row]), "after": str(now[row])}
            for row in both[(was != now).to_numpy()]
        ]
    return pd.DataFrame(lines, columns=COLUMNS).sort_values(["subject", "row", "field"], ignore_index=True)


def counted(diff: pd.DataFrame) -> dict[str, int]:
    """Rows of each change.

    >>> counted(pd.DataFrame({"row": ["a", "a", "b"], "change": ["changed", "changed", "new"]}))
    {'new': 1, 'changed': 1, 'withdrawn': 0}
    """
    rows = diff.groupby("change")["row"].nunique()
    return {change: int(rows.get(change, 0)) for change in (NEW, CHANGED, WITHDRAWN)}


def _changed_row(kind: str, row: str, rows: pd.DataFrame, change: str) -> dict[str, str]:
    subjects = [str(rows.at[row, name]) for name in SUBJECTS if name in rows.columns]
    about = {"kind": kind, "row": row, "subject": subjects[0] if subjects else "", "change": change}
    return {**about, "field": "", "before": "", "after": ""}


def _texts(kind: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as text, indexed by its key as text."""
    keys = RULE_KEY if kind == AS_JSON else [column.name for column in table_of(kind).primary_key.columns][1:]
    texts = pd.DataFrame({name: frame[name].map(_text) for name in frame.columns}, index=frame.index, dtype=object)
    labels = pd.Series([" ".join(filter(None, row)) for row in texts[keys].to_numpy()], index=texts.index, dtype=object)
    repeated = labels.groupby(labels).cumcount()
    return texts.set_index(labels.where(repeated == 0, labels + " #" + (repeated + 1).astype(str)))


def _text(value: Any) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value).strip()
