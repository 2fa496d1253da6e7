"""The warehouse as a Dagster resource, and the IO manager that keeps frames in its tables."""

from functools import cached_property
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from assets.dagster_io.asset_result import PROBLEM_COLUMNS, AssetResult
from assets.dagster_io.metadata import output_metadata
from assets.dagster_io.planning_run import PlanningRun
from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.counts.disclosure import round_to_threshold
from warehouse import store
from warehouse.engine import create_engine, writing
from warehouse.schema import Base
from warehouse.schema.results import Problem, Run
from warehouse.settings import Settings, small_cell_threshold

PROBLEMS: Any = Problem.__table__
RUNS: Any = Run.__table__


class Warehouse(dg.ConfigurableResource[Any]):
    """The database that assets read and write."""

    database_url: str

    @classmethod
    def from_environment(cls) -> "Warehouse":
        """The warehouse that the environment names, else the embedded default."""
        return cls(database_url=Settings.from_environment().database_url)

    @cached_property
    def engine(self) -> sa.Engine:
        """Engine of the database."""
        return create_engine(self.database_url)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 (Dagster gives it)
        """Close the database's connections at the end of a run."""
        self.engine.dispose()

    def read(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> pd.DataFrame:
        """Rows of a table as a typed frame."""
        with self.engine.connect() as connection:
            return store.read(connection, table, *conditions)

    def read_input(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> pd.DataFrame:
        """A table as the assets may see it: counts of people only in steps of the small-cell threshold."""
        frame = self.read(table, *conditions)
        return round_to_threshold(frame, small_cell_threshold()) if table.name == "genotype_counts" else frame

    def latest_run(self) -> PlanningRun:
        """The run that was planned last; `MissingContent` before the first."""
        with self.engine.connect() as connection:
            newest = sa.select(RUNS.c.run_id).order_by(RUNS.c.started_at.desc()).limit(1).scalar_subquery()
            runs = store.read(connection, RUNS, RUNS.c.run_id == newest)
        if runs.empty:
            raise MissingContent("nothing is planned yet: materialise the asset runs first")
        return PlanningRun.from_frame(runs)


class WarehouseIOManager(dg.ConfigurableIOManager):
    """Keeps each asset's rows in the table of its name; a run's rows replace the rows of the same origin at once."""

    warehouse: dg.ResourceDependency[Warehouse]

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 (Dagster gives it)
        """Close the connections of the manager's own warehouse at the end of a run."""
        self.warehouse.engine.dispose()

    def handle_output(self, context: dg.OutputContext, obj: AssetResult) -> None:
        """Validate and write the rows and the problems of one asset in one transaction."""
        table = Base.metadata.tables[context.asset_key.path[-1]]
        run = self._run(table, obj.frame)
        rows = obj.frame
        if run.facilities and "facility_id" in table.columns:
            # a run of some sites leaves the others, and the network's totals, as they are
            rows = rows[rows["facility_id"].isin(run.facilities)]
        with writing(self.warehouse.engine) as connection:
            if not (run.facilities and table.name in NETWORK_SCORES and _has_rows(connection, table, run)):
                store.replace(connection, table, rows, *_scope(table, run))
            replace_problems(connection, table.name, str(_stage(context)), run, obj.problems)
        context.add_output_metadata(output_metadata(rows, table, obj.pictures, obj.problems))

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Rows of the upstream table: all of an input table, the current run's of a result."""
        table = Base.metadata.tables[context.asset_key.path[-1]]
        if "as_of" not in table.columns or table.info["layer"] != "results":
            return self.warehouse.read_input(table)
        run = self.warehouse.latest_run()
        return self.warehouse.read(table, *_scope(table, run))

    def _run(self, table: sa.Table, frame: pd.DataFrame) -> PlanningRun:
        return PlanningRun.from_frame(frame) if table.name == RUNS.name else self.warehouse.latest_run()


NETWORK_SCORES = ("backtest_scores", "replay_scores")
"""Tables about all sites together: a run of some sites does not replace the rows of a run of all."""


def _has_rows(connection: sa.Connection, table: sa.Table, run: PlanningRun) -> bool:
    """Whether the table has rows of the run's origin already."""
    of_origin = sa.select(sa.func.count()).select_from(table).where(table.c.as_of == run.as_of)
    return bool(connection.scalar(of_origin))


def _scope(table: sa.Table, run: PlanningRun) -> list[sa.ColumnElement[bool]]:
    """The rows of a result table that belong to the run."""
    if table.name == RUNS.name:
        return [table.c.run_id == run.run_id]
    conditions = [table.c.as_of == run.as_of]
    if run.facilities and "facility_id" in table.columns:
        conditions.append(table.c.facility_id.in_(run.facilities))
    return conditions


def _stage(context: dg.OutputContext) -> str:
    group = context.definition_metadata.get("stage") if context.definition_metadata else None
    return group or "inputs"


def replace_problems(
    connection: sa.Connection, asset: str, stage: str, run: PlanningRun, problems: pd.DataFrame
) -> None:
    """Put an asset's problems in place of its earlier ones; a run of some sites keeps those of the others."""
    conditions = [PROBLEMS.c.as_of == run.as_of, PROBLEMS.c.asset == asset]
    if run.facilities:
        stored = store.read(connection, PROBLEMS, *conditions, columns=PROBLEM_COLUMNS)
        of_other_sites = stored[stored["facility_id"].notna() & ~stored["facility_id"].isin(run.facilities)]
        of_run = problems[problems["facility_id"].isna() | problems["facility_id"].isin(run.facilities)]
        problems = pd.concat([of_other_sites.astype(object), of_run.astype(object)])
    numbered = problems.reset_index(drop=True).assign(as_of=run.as_of, stage=stage, asset=asset)
    numbered["number"] = range(len(numbered))
    store.replace(connection, PROBLEMS, numbered, *conditions)
