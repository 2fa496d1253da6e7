"""Stage 4, demand: what each stored release would change where it is not in force, kept for those who decide."""

import json
from typing import Any

import pandas as pd

from assets.dagster_io.asset_result import AssetResult, ProblemRow, problems_frame
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.sites.release_impact import MOVE_COLUMNS, in_force_by_site, release_impact
from forecasting.errors import PgxSupplyError
from warehouse.releases import RELEASES
from warehouse.schema.previews import ReleaseMove, ReleasePreview

PREVIEW_COLUMNS = ["release_id", "facility_id", "against_release_id", "stands_aside"]
READ_BY_PREVIEW = ("prevalence", "exposure", "regimen_moves", "baseline_forecasts", "genetic_effects")
"""Tables that `release_impact` reads of all sites, also in a run of some."""


@table_asset(ReleasePreview, ReleaseMove, group=DEMAND, inputs=("runs", "site_releases"), deps=READ_BY_PREVIEW)
def previews_of_releases(tables: RunTables) -> tuple[AssetResult, AssetResult]:
    """Of every release that could be put in force: what it would replace where, and the demand it would move."""
    run, warehouse = tables.run, tables.warehouse
    in_force = in_force_by_site(tables["site_releases"]) if run.with_genetics else {}
    rows: list[dict[str, Any]] = []
    moves: list[pd.DataFrame] = [pd.DataFrame(columns=["release_id", *MOVE_COLUMNS])]
    problems: list[ProblemRow] = []
    for release_id, kind in candidates(warehouse.read(RELEASES), in_force):
        replaced = {site: releases.get(kind) for site, releases in in_force.items() if releases.get(kind) != release_id}
        try:
            impact = release_impact(warehouse, [release_id], list(replaced))
        except PgxSupplyError as error:
            problems.append((None, release_id, "release_not_previewed", f"{release_id} could not be compared: {error}"))
            continue
        for site, against in replaced.items():
            messages = [message for facility_id, _, message in impact.problems if facility_id == site]
            row = {"release_id": release_id, "facility_id": site, "against_release_id": against}
            rows.append(row | {"stands_aside": json.dumps(messages)})
        moves.append(impact.moves.assign(release_id=release_id))
    previews = pd.DataFrame(rows, columns=PREVIEW_COLUMNS).assign(as_of=run.as_of)
    filled = [part for part in moves if len(part)] or moves
    moved = pd.concat(filled, ignore_index=True).assign(as_of=run.as_of)
    return AssetResult(previews, problems_frame(problems)), AssetResult(moved)


def candidates(releases: pd.DataFrame, in_force: dict[str, dict[str, str]]) -> list[tuple[str, str]]:
    """(release, kind) of what a person may want to put in force: of each kind and publisher the newest, if it has rows
    and some site uses another.

    >>> stored = pd.DataFrame({"release_id": ["a", "b", "c"], "kind": "guidance", "publisher": ["x", "x", "y"],
    ...     "rows": 1, "loaded_at": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"])})
    >>> candidates(stored, {"H1": {"guidance": "c"}})
    [('b', 'guidance')]
    """
    newest = releases.sort_values(["loaded_at", "release_id"]).drop_duplicates(["kind", "publisher"], keep="last")
    filled = newest[newest["rows"] > 0]
    pairs = zip(filled["release_id"], filled["kind"], strict=True)
    return [
        (release_id, kind)
        for release_id, kind in pairs
        if any(used.get(kind) != release_id for used in in_force.values())
    ]
