"""One small network loaded and planned once; tests that change something work on a copy of its database."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from assets.dagster_io.resources import Warehouse
from assets.execute import run_plan
from forecasting.demo import DemoNetwork, small_network
from warehouse import importers, migrations
from warehouse.engine import create_engine
from warehouse.schema import Base

AS_OF = dt.date(2026, 11, 23)
HORIZON = 8
CLOCKS = ["started_at", "finished_at", "updated_at", "loaded_at"]


def load_files(url: str, folder: Path, files: dict[str, pd.DataFrame]) -> None:
    folder.mkdir(exist_ok=True)
    for name, frame in files.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    engine = create_engine(url)
    migrations.upgrade(engine)
    report = importers.load(engine, folder)
    engine.dispose()
    assert not report.rejected_rows


class Planned:
    """A database with plans in it, and the folder of its runs."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder, self.url = folder, url or f"sqlite:///{folder / 'pgx.db'}"

    def load(self, files: dict[str, pd.DataFrame]) -> None:
        load_files(self.url, self.folder / "bundle", files)

    def run(self, **asked: object) -> None:
        run_plan(self.url, self.folder, **({"as_of": AS_OF, "horizon": HORIZON} | asked))  # type: ignore[arg-type]

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(database_url=self.url)

    def table(self, name: str) -> pd.DataFrame:
        warehouse = self.warehouse
        try:
            return warehouse.read(Base.metadata.tables[name])
        finally:
            warehouse.engine.dispose()

    def execute(self, statement: str, **values: object) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(sa.text(statement), values)
        engine.dispose()


@pytest.fixture(scope="session")
def network() -> DemoNetwork:
    return small_network(AS_OF, history_weeks=78, horizon_weeks=HORIZON)


@pytest.fixture(scope="session")
def planned(network: DemoNetwork, made_once: Callable[[str, Callable[[Path], None]], Path]) -> Planned:
    """The small network planned once; read it, do not change it."""

    def plan(folder: Path) -> None:
        Planned(folder).load(network.files)
        Planned(folder).run()

    return Planned(made_once("planned_network", plan))


@pytest.fixture
def copied(planned: Planned, tmp_path: Path) -> Callable[[], Planned]:
    """Makes a copy of the planned database for the test to change."""

    def make() -> Planned:
        folder = tmp_path / "copy"
        folder.mkdir()
        for file in planned.folder.glob("pgx.db*"):
            shutil.copy(file, folder / file.name)
        return Planned(folder)

    return make


@pytest.fixture(scope="session")
def comparable() -> Callable[..., pd.DataFrame]:
    """A frame without the columns that tell when it was written."""

    def strip(frame: pd.DataFrame, *others: str) -> pd.DataFrame:
        dropped = [name for name in (*CLOCKS, *others) if name in frame.columns]
        return frame.drop(columns=dropped).reset_index(drop=True)

    return strip
