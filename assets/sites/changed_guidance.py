"""Drugs whose advice changed with the guidance that a site follows now: the reason that a buyer sees on the line."""

from typing import Any

import pandas as pd

from assets.dagster_io.run_tables import RunTables
from warehouse.schema import Base
from warehouse.schema.inputs import NOT_STATED

GUIDANCE: Any = Base.metadata.tables["guidance"]
NOT_ADVICE = ["release_id", "recommendation_id", "guideline_id", "version", "year", "pmid", "no_pmid_reason", "reason"]
"""Columns with the source of a row, not its advice."""


def guidance_changed_on(tables: RunTables, facility_id: str, drugs: pd.Series) -> pd.Series:
    """Day from which changed advice on each item's drug is in force at a site; blank where none changed [item].

    A drug's advice changed if a row of it, or one that names it as an alternative, is not the same in the release in
    force as in the one before.
    """
    blank = pd.Series(pd.NaT, index=drugs.index, dtype="datetime64[ns]")
    releases = tables["site_releases"]
    of_site = releases[(releases["facility_id"] == facility_id) & (releases["kind"] == "guidance")]
    eras = of_site.sort_values("effective_on")
    if not tables.run.with_genetics or len(eras) < 2 or eras["effective_on"].iloc[-1] <= pd.Timestamp(NOT_STATED):
        return blank
    before, now = (
        tables.warehouse.read(GUIDANCE, GUIDANCE.c.release_id == name) for name in eras["release_id"].iloc[-2:]
    )
    return blank.mask(drugs.isin(changed_drugs(before, now)), eras["effective_on"].iloc[-1])


def changed_drugs(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    """Drugs, and alternatives, of rows that are in only one of two guidance tables.

    >>> rows = pd.DataFrame({"drug": ["a", "b"], "alternatives": ["c;d", None], "action": ["avoid", "standard"]})
    >>> sorted(changed_drugs(rows, rows.assign(action="standard")))
    ['a', 'c', 'd']
    """
    advice = [rows.drop(columns=NOT_ADVICE, errors="ignore").astype(object) for rows in (before, now)]
    distinct = [rows.where(rows.notna(), "").drop_duplicates() for rows in advice]
    changed = pd.concat(distinct, ignore_index=True).drop_duplicates(keep=False)
    alternatives = [name.strip() for names in changed["alternatives"] for name in str(names).split(";")]
    return {*changed["drug"], *alternatives} - {""}
