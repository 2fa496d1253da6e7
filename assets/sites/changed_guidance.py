"""Which drugs' advice changed with the guidance that a site follows now: what a buyer is told as the line's reason."""

from typing import Any

import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from warehouse.schema import Base
from warehouse.schema.inputs import NOT_STATED

GUIDANCE: Any = Base.metadata.tables["guidance"]
NOT_ADVICE = ["release_id", "recommendation_id", "guideline_id", "version", "year", "pmid", "no_pmid_reason", "reason"]
"""Columns that say where a row comes from, not what it asks for."""


def guidance_changed_on(
    warehouse: Warehouse, run: PlanningRun, site_releases: pd.DataFrame, facility_id: str, drugs: pd.Series
) -> pd.Series:
    """Day from which changed advice on each item's drug is in force at a site; blank where none changed [item].

    A drug's advice changed if a row of it, or one that names it as an alternative, is not the same in the release in
    force as in the one before.
    """
    blank = pd.Series(pd.NaT, index=drugs.index, dtype="datetime64[ns]")
    of_site = site_releases[(site_releases["facility_id"] == facility_id) & (site_releases["kind"] == "guidance")]
    eras = of_site.sort_values("effective_on")
    if not run.with_genetics or len(eras) < 2 or eras["effective_on"].iloc[-1] <= pd.Timestamp(NOT_STATED):
        return blank
    before, now = (warehouse.read(GUIDANCE, GUIDANCE.c.release_id == name) for name in eras["release_id"].iloc[-2:])
    changed = changed_drugs(before, now)
    return blank.mask(drugs.isin(changed), eras["effective_on"].iloc[-1])


def changed_drugs(before: pd.DataFrame, now: pd.DataFrame) -> set[str]:
    """Drugs, and alternatives, of rows that are in one of two guidance tables alone.

    >>> rows = pd.DataFrame({"drug": ["a", "b"], "alternatives": ["c;d", None], "action": ["avoid", "standard"]})
    >>> sorted(changed_drugs(rows, rows.assign(action="standard")))
    ['a', 'c', 'd']
    """
    advice = [one.drop(columns=NOT_ADVICE, errors="ignore").astype(object) for one in (before, now)]
    distinct = [one.where(one.notna(), "").drop_duplicates() for one in advice]
    alone = pd.concat(distinct, ignore_index=True).drop_duplicates(keep=False)
    named = [name.strip() for names in alone["alternatives"] for name in str(names).split(";")]
    return {*alone["drug"], *named} - {""}
