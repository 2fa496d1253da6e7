"""Stage 1, inputs: what the site handed in, which knowledge is active, and what this run is asked to plan."""

import datetime as dt
import hashlib
import json
from importlib.metadata import version
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from assets.dagster_io.asset_result import AssetResult
from assets.dagster_io.metadata import table_schema
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import INPUTS, table_asset, table_facts
from assets.sites.content import store_builtin_content
from forecasting.demand.data_quality import grid_starts
from forecasting.errors import InvalidInput, MissingContent
from forecasting.terms import Period
from warehouse.engine import writing
from warehouse.queries.overrides import known_overrides
from warehouse.releases import BUILTIN_PUBLISHER, newest_releases, releases_in_force
from warehouse.releases import site_releases as releases_of_sites
from warehouse.schema import Base
from warehouse.schema.inputs import Dispensing
from warehouse.schema.ledger import Load
from warehouse.schema.results import Run, SiteRelease

DEFAULT_SEED = 7
DEFAULT_DRAWS = 200

input_tables = [
    dg.AssetSpec(
        table.name,
        group_name=INPUTS,
        description=table.comment,
        metadata={"dagster/column_schema": table_schema(table)},
        kinds={"table"},
    ).with_io_manager_key("warehouse_io")
    for table in Base.metadata.sorted_tables
    if table.info["layer"] == "inputs"
]
"""The site bundle's tables: loaded by `pgx-supply load`, read by the assets."""


class PlanningConfig(dg.Config):
    """What a run is asked for: a blank origin is the period after the history, a blank horizon the period's own."""

    as_of: str | None = None
    horizon: int | None = None
    facilities: list[str] = []
    with_genetics: bool = True
    seed: int = DEFAULT_SEED
    draws: int = DEFAULT_DRAWS


@dg.asset(group_name=INPUTS, kinds={"table"})
def content_releases(warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Releases of reference knowledge; the built-in content is stored as such, so that forecasts can name it."""
    with writing(warehouse.engine) as connection:
        store_builtin_content(connection)
        builtin = newest_releases(connection, BUILTIN_PUBLISHER)
    return dg.MaterializeResult(metadata={"built-in releases": dg.MetadataValue.json(builtin)})


@dg.asset(deps=[content_releases, "dispensing", "facilities"], **table_facts(Run, INPUTS))  # type: ignore[untyped-decorator]
def runs(config: PlanningConfig, warehouse: Warehouse) -> AssetResult:
    """The run to plan: origin, horizon, sites, seed, releases in force and a digest of the inputs."""
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with warehouse.engine.connect() as connection:
        starts = _history_starts(connection)
        known = _known_facilities(connection, config.facilities)
        period = Period.infer(starts)
        as_of = dt.date.fromisoformat(config.as_of) if config.as_of else _after_last(starts, period)
        if as_of <= min(starts):
            raise InvalidInput(f"as-of {as_of}: the history begins on {min(starts)}, nothing is known before it")
        releases = releases_in_force(connection, config.facilities or known, as_of, now)
        inputs = _inputs_digest(connection, as_of, now)
    facts = {
        "as_of": as_of,
        "period": period.value,
        "horizon": config.horizon or period.default_horizon,
        "with_genetics": config.with_genetics,
        "facilities": ";".join(sorted(config.facilities)) or None,
        "seed": config.seed,
        "draws": config.draws,
        "releases": json.dumps(releases, sort_keys=True),
        "inputs_sha256": inputs,
        "software_version": version("pgx-supply"),
    }
    run_id = hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()[:16]
    return AssetResult(pd.DataFrame([facts | {"run_id": run_id, "started_at": now, "finished_at": None}]))


@table_asset(SiteRelease, group=INPUTS, inputs=("runs", "facilities"))
def site_releases(tables: RunTables) -> AssetResult:
    """Releases in force at each site of the run, and those that its prescribing followed before."""
    run = tables.run
    sites = list(run.facilities) or sorted(tables["facilities"]["facility_id"])
    with tables.warehouse.engine.connect() as connection:
        # what is decided while a run is under way counts from the next one
        began = tables["runs"]["started_at"].iloc[0].to_pydatetime()
        frame = releases_of_sites(connection, sites, run.as_of, began)
    return AssetResult(frame.assign(as_of=run.as_of))


def _history_starts(connection: sa.Connection) -> list[dt.date]:
    starts = connection.scalars(sa.select(Dispensing.period_start).distinct()).all()
    if not starts:
        raise MissingContent("there is no dispensing history: load a site bundle first (pgx-supply load PATH)")
    return list(starts)


def _after_last(starts: list[dt.date], period: Period) -> dt.date:
    """The period after the history's last; a row dated after today is a mistake and does not move the origin."""
    today = dt.datetime.now(dt.UTC).date()
    past = [start for start in starts if start <= today] or starts
    last: pd.Timestamp = grid_starts(pd.Series(pd.to_datetime(sorted(past))), period).iloc[-1]
    return period.step(last.date())


def _known_facilities(connection: sa.Connection, named: list[str]) -> list[str]:
    """All sites; a named one that is not among them raises `InvalidInput`."""
    facilities = Base.metadata.tables["facilities"]
    known = sorted(connection.scalars(sa.select(facilities.c.facility_id)))
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise InvalidInput(f"unknown facility {', '.join(unknown)}; known are {', '.join(known)}")
    return known


def _inputs_digest(connection: sa.Connection, as_of: dt.date, now: dt.datetime) -> str:
    """Digest of all files and snapshots that changed something, as the load ledger names them, and of overrides."""
    changed = sa.select(Load.table_name, Load.sha256).where(Load.accepted > 0).distinct()
    rows = sorted(tuple(row) for row in connection.execute(changed))
    acting = known_overrides(connection, as_of, now)["override_id"].unique().tolist()
    rows += [("forecast_overrides", str(acting))] if acting else []
    return hashlib.sha256(repr(rows).encode()).hexdigest()
