"""The main job on real public data, through the importers and one planning run."""

from pathlib import Path

import pandas as pd
import pytest

from assets.dagster_io.resources import Warehouse
from assets.execute import run_plan
from warehouse import importers, migrations
from warehouse.engine import create_engine
from warehouse.schema import Base

pytestmark = pytest.mark.slow

CLOSED_TRUSTS = {"RD3", "RDZ", "RT3", "RTV", "RW6", "RXH"}
"""Trusts with a close date before the data end, in the trust lookup itself."""


@pytest.fixture(scope="module")
def hospital(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    folder = tmp_path_factory.mktemp("hospital")
    url = f"sqlite:///{folder / 'hospital.db'}"
    engine = create_engine(url)
    migrations.upgrade(engine)
    names = ["scmd_adhd_narcolepsy_trust_month.csv.gz", "scmd_adhd_narcolepsy_vmp_info.csv", "nhs_trust_lookup_etr.csv"]
    report = importers.load(engine, [shared_data / "rx" / name for name in names], "scmd")
    engine.dispose()
    assert not report.refused
    run_plan(url, folder, horizon=3)
    return Warehouse(database_url=url)


def table(warehouse: Warehouse, name: str) -> pd.DataFrame:
    return warehouse.read(Base.metadata.tables[name])


def test_the_one_absurd_row_of_the_hospital_data_is_unknown_and_named(hospital: Warehouse) -> None:
    rows = table(hospital, "clean_demand")
    absurd = rows[rows["quantity_raw"] == -314_280]
    assert absurd["rule"].tolist() == ["outlier"]
    assert absurd["quantity"].isna().all()
    problems = table(hospital, "problems")
    assert "RM3" in set(problems.loc[problems["rule"] == "outlier", "facility_id"])


def test_months_are_inferred_and_the_plan_starts_after_the_last_one(hospital: Warehouse) -> None:
    run = table(hospital, "runs").iloc[0]
    assert (run["period"], str(run["as_of"])[:10]) == ("month", "2021-11-01")


def test_a_trust_that_closed_without_a_named_successor_is_not_planned_and_is_told(hospital: Warehouse) -> None:
    assert not CLOSED_TRUSTS & set(table(hospital, "forecasts")["facility_id"])
    problems = table(hospital, "problems")
    told = problems.loc[problems["rule"] == "closed_without_successor", "facility_id"]
    assert set(told) == CLOSED_TRUSTS


def test_the_network_forecast_of_each_large_product_is_near_what_it_used(hospital: Warehouse) -> None:
    history = table(hospital, "dispensing")
    recent = history[history["period_start"] >= "2021-05-01"].groupby("product_id")["quantity"].sum() / 6
    forecasts = table(hospital, "forecasts")
    network = forecasts[forecasts["facility_id"] == "*"].groupby("product_id")["mean"].mean()
    large = recent[recent > 1000]
    ratio = network[large.index] / large
    assert len(ratio) >= 10
    assert ratio.between(0.5, 2).all()
