"""Stage 4, demand: what each stored release would change where it is not in force, kept for those who decide."""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, table_out
from assets.sites.release_impact import MOVE_COLUMNS, Preview, preview
from forecasting.errors import PgxSupplyError
from warehouse.releases import RELEASES
from warehouse.schema.previews import ReleaseMove, ReleasePreview

PREVIEW_COLUMNS = ["release_id", "facility_id", "against_release_id", "stands_aside"]
NEEDED = ("runs", "site_releases", "prevalence", "exposure", "regimen_moves", "baseline_forecasts", "genetic_effects")


@dg.multi_asset(
    outs={model.__tablename__: table_out(model, group=DEMAND) for model in (ReleasePreview, ReleaseMove)},
    deps=list(NEEDED),
)
def previews_of_releases(warehouse: Warehouse) -> tuple[Staged, Staged]:
    """Of every release that could be put in force: what it would replace where, and the demand it would move."""
    run = warehouse.latest_run()
    in_force = _in_force(warehouse, run) if run.with_genetics else {}
    rows: list[dict[str, Any]] = []
    moves: list[pd.DataFrame] = [pd.DataFrame(columns=["release_id", *MOVE_COLUMNS])]
    problems = []
    for release_id, kind in candidates(warehouse.read(RELEASES), in_force):
        sites = {site: own.get(kind) for site, own in in_force.items() if own.get(kind) != release_id}
        try:
            found = preview(warehouse, [release_id], list(sites))
        except PgxSupplyError as error:
            problems.append((None, release_id, "release_not_previewed", f"{release_id} could not be compared: {error}"))
            continue
        rows += [
            {"release_id": release_id, "facility_id": site, "against_release_id": against}
            | {"stands_aside": json.dumps(_stands_aside(found, site))}
            for site, against in sites.items()
        ]
        moves.append(found.moves.assign(release_id=release_id))
    previews = pd.DataFrame(rows, columns=PREVIEW_COLUMNS).assign(as_of=run.as_of)
    moved = pd.concat([one for one in moves if len(one)] or moves, ignore_index=True).assign(as_of=run.as_of)
    return Staged(previews, problems_frame(problems)), Staged(moved)


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
        (release_id, kind) for release_id, kind in pairs if any(o.get(kind) != release_id for o in in_force.values())
    ]


def _in_force(warehouse: Warehouse, run: PlanningRun) -> dict[str, dict[str, str]]:
    """Site -> kind -> release of the run's sites."""
    table: Any = ReleasePreview.metadata.tables["site_releases"]
    now = warehouse.read(table, table.c.as_of == run.as_of, table.c.in_force)
    wanted: Sequence[str] = run.facilities or sorted(set(now["facility_id"]))
    by_site = now[now["facility_id"].isin(wanted)].groupby("facility_id")
    return {str(site): dict(zip(rows["kind"], rows["release_id"], strict=True)) for site, rows in by_site}


def _stands_aside(found: Preview, site: str) -> list[str]:
    return [message for facility_id, _, message in found.problems if facility_id == site]
