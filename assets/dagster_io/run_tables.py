"""The tables of one planning run by name: those that an asset declares, or every one that somebody asks for."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from warehouse.schema import Base

EMPTY: Mapping[str, pd.DataFrame] = MappingProxyType({})


class RunTables:
    """Tables as the run saw them: inputs whole, results of its origin; each read once.

    An asset gets `only` the tables that it declares. Another name raises `KeyError`: Dagster would not know that the
    asset depends on it.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        run: PlanningRun,
        frames: Mapping[str, pd.DataFrame] | None = None,
        only: bool = False,
        results_as_of: dt.date | None = None,
    ) -> None:
        self.warehouse, self.run, self.only = warehouse, run, only
        self.results_as_of = results_as_of or run.as_of
        self.frames = dict(frames or {})

    @classmethod
    def declared(cls, warehouse: Warehouse, frames: Mapping[str, pd.DataFrame]) -> "RunTables":
        """The tables that Dagster hands to an asset, among them `runs`."""
        return cls(warehouse, PlanningRun.from_frame(frames["runs"]), frames, only=True)

    def copied(self, run: PlanningRun | None = None) -> "RunTables":
        """The same tables, of which some can be replaced, for this run or another; results stay those of this run."""
        return RunTables(self.warehouse, run or self.run, self.frames, self.only, self.results_as_of)

    def __setitem__(self, name: str, frame: pd.DataFrame) -> None:
        self.frames[name] = frame

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self.frames:
            if self.only:
                raise KeyError(f"{name} is not among the declared inputs: {', '.join(self.frames)}")
            table = Base.metadata.tables[name]
            results = table.info["layer"] == "results"
            conditions = [table.c.as_of == self.results_as_of] if results else []
            self.frames[name] = self.warehouse.read_input(table, *conditions)
        return self.frames[name]
