"""What if: the same steps on the same draws, and nothing but the cause differs."""

import datetime as dt
import sys
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from api.cli.main import main
from assets.dagster_io.run_tables import RunTables
from assets.scenarios.changes import Budget, Coverage, GoLive, ReleaseInForce, Scenario, Shortage, changed_tables
from assets.scenarios.compare import COMPARED, KEYS, MEASURES, compare_scenario
from assets.sites.release_impact import release_impact
from tests.assets.conftest import AS_OF, HORIZON
from tests.assets.sites.test_release_impact import changed_guidance, contents
from warehouse.engine import create_engine, writing
from warehouse.importers.content import releases as content_releases

SITES = ("H01", "H02", "H03")
LATE = dt.date(2027, 6, 7)


def asked(planned: Any, *changes: Any) -> Any:
    warehouse = planned.warehouse
    try:
        scenario = Scenario("x", changes, tuple(f"change {number}" for number in range(len(changes))))
        return compare_scenario(scenario, RunTables(warehouse, warehouse.latest_run()))
    finally:
        warehouse.engine.dispose()


@pytest.fixture(scope="module")
def nothing(planned: Any) -> Any:
    return asked(planned)


def test_without_a_change_nothing_differs(nothing: Any) -> None:
    lines = nothing.lines
    assert len(lines) > 50
    for name in MEASURES:
        pd.testing.assert_series_equal(lines[f"{name}_now"], lines[f"{name}_then"], check_names=False)
    assert nothing.moved.empty


def test_the_present_plan_is_what_the_run_recommended(nothing: Any, planned: Any) -> None:
    proposed = planned.table("recommendations").set_index(KEYS)
    lines = nothing.lines.set_index(KEYS)
    ordered = lines[lines["packs_now"] > 0]
    assert set(ordered.index) == set(proposed.index)
    assert (ordered["packs_now"] == proposed["packs"].reindex(ordered.index)).all()
    risk = proposed["stockout_probability_after"].reindex(ordered.index)
    np.testing.assert_allclose(ordered["stockout_probability_now"], risk, atol=1e-12)
    np.testing.assert_allclose(ordered["cost_now"], proposed["cost"].reindex(ordered.index).astype(float), atol=0.005)
    forecast = planned.table("forecasts").groupby(KEYS)["mean"].sum().reindex(lines.index)
    np.testing.assert_allclose(lines["units_per_week_now"], forecast / HORIZON, rtol=1e-9)


FILE = """\
name: Later and short
go_live:
  - {gene: CYP2C19, date: 2027-06-07, facility_id: H01}
shortage:
  - {drug: clopidogrel, allocation_share: 0.3}
"""


@pytest.mark.slow
def test_field_note_29__the_command_touches_no_table_but_its_own_and_tells_the_table(
    copied: Any, capfd: Any, monkeypatch: Any
) -> None:
    mine = copied()
    (mine.folder / "s.yaml").write_text(FILE)
    before = contents(mine)
    asked_of = ["s.yaml", "--csv", "s.csv", "--markdown", "s.md", "--pictures", "drawn", "--database", mine.url]
    monkeypatch.chdir(mine.folder)
    monkeypatch.setattr(sys, "argv", ["pgx-supply", "scenario", *asked_of])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    after = contents(mine)
    assert {name for name, frame in before.items() if not after[name].equals(frame)} == {"scenarios", "scenario_lines"}
    told = capfd.readouterr().out
    assert "shortage of clopidogrel, 30% delivered" in told
    kept = after["scenario_lines"].sort_values(KEYS, ignore_index=True)
    written = pd.read_csv("s.csv").sort_values(KEYS, ignore_index=True)
    assert written["packs_then"].tolist() == kept["packs_then"].tolist()
    assert written["cause"].notna().sum() == kept["cause"].notna().sum() > 3
    assert "| clopidogrel-75 |" in (mine.folder / "s.md").read_text()
    ET.parse(mine.folder / "drawn" / "scenario_H01.svg")


def planned_coverage(planned: Any, gene: str) -> pd.DataFrame:
    rows = planned.table("testing_coverage")
    return rows[(rows["gene"] == gene) & rows["planned"]]


@pytest.mark.slow
def test_a_later_go_live_keeps_the_origins_testing_and_moves_only_the_genes_products_of_the_site(planned: Any) -> None:
    gene = "CYP2C19"
    site = planned_coverage(planned, gene)["facility_id"].iloc[0]
    found = asked(planned, GoLive(gene, LATE, (site,)))
    moved = found.moved
    assert set(moved["facility_id"]) == {site}
    guided = planned.table("genetic_shifts").query("gene.str.contains(@gene) and facility_id == @site")
    # a rule of two genes may come with it
    assert set(moved["product_id"]) <= set(guided["product_id"])
    assert "clopidogrel-75" in set(moved["product_id"])
    # nobody new is tested within the horizon: the plan is the baseline, to the last bit of the sum
    baseline = planned.table("baseline_forecasts").query("facility_id == @site").groupby("product_id")["mean"].sum()
    then = found.lines.query("facility_id == @site").set_index("product_id")["units_per_week_then"]
    alone = [name for name in ("clopidogrel-75",) if name in baseline.index]
    np.testing.assert_allclose(then[alone], baseline[alone] / HORIZON, rtol=0.02)
    assert (moved["cause"] == "change 0").all()


@pytest.mark.slow
def test_more_coverage_moves_more_in_the_direction_of_the_advice(planned: Any) -> None:
    def change(share: float) -> float:
        found = asked(planned, Coverage("CYP2C19", AS_OF, share, 0.9, ("H01",)))
        line = found.lines.set_index(KEYS).loc[("H01", "clopidogrel-75")]
        return float(line["units_per_week_then"] - line["units_per_week_now"])

    none, some, everybody = change(0.0), change(0.5), change(1.0)
    assert none > some > everybody


@pytest.mark.slow
def test_a_release_moves_what_its_preview_says(copied: Any) -> None:
    mine = copied()
    mine.execute("UPDATE genetic_effects SET strength = 1, delay_days = 0")
    engine = create_engine(mine.url)
    with writing(engine) as connection:
        release = content_releases.store_release(connection, "guidance", "curated", "1", changed_guidance())
    engine.dispose()
    found = asked(mine, ReleaseInForce(release, "guidance", ("H01", "H02")))
    warehouse = mine.warehouse
    told = release_impact(warehouse, [release], ["H01", "H02"]).moves.set_index(KEYS)
    warehouse.engine.dispose()
    lines = found.lines.set_index(KEYS)
    change = lines["units_per_week_then"] - lines["units_per_week_now"]
    expected = told["units_per_week_after"] - told["units_per_week_before"]
    large = expected[expected.abs() > 1]
    assert len(large) >= 3
    np.testing.assert_allclose(change.reindex(large.index), large, rtol=0.02)
    assert set(found.moved["facility_id"]) <= {"H01", "H02"}


@pytest.mark.slow
def test_a_release_that_is_in_force_already_changes_nothing(planned: Any) -> None:
    rows = planned.table("site_releases").query("in_force and kind == 'guidance'")
    release, sites = rows["release_id"].iloc[0], tuple(rows["facility_id"])
    assert asked(planned, ReleaseInForce(release, "guidance", sites)).moved.empty


@pytest.mark.slow
def test_a_shortage_and_a_budget_bound_orders(planned: Any) -> None:
    now = asked(planned).lines
    dearest = now.sort_values("cost_now", ascending=False).iloc[0]
    short = asked(planned, Shortage("*", dearest["product_id"], 0.0, None)).lines.set_index(KEYS)
    assert short.loc[(slice(None), dearest["product_id"]), "packs_then"].max() == 0
    site = dearest["facility_id"]
    spent = now.groupby("facility_id")["cost_now"].sum()
    bounded = asked(planned, Budget(float(spent[site]) / 2, (site,)))
    assert set(bounded.moved["facility_id"]) == {site}
    assert bounded.lines.groupby("facility_id")["cost_then"].sum()[site] < spent[site]
    assert np.array_equal(bounded.lines["units_per_week_now"], bounded.lines["units_per_week_then"])


@pytest.mark.slow
def test_each_cause_is_named_where_it_acts_alone_and_the_present_plan_stays(planned: Any, nothing: Any) -> None:
    late = GoLive("CYP2C19", LATE, ("H01",))
    budget = Budget(1.0, ("H02",))
    both, one = asked(planned, late, budget), asked(planned, late)
    pd.testing.assert_frame_equal(both.lines[KEYS], nothing.lines[KEYS])
    now = [name for name in COMPARED if name.endswith("now")]
    pd.testing.assert_frame_equal(both.lines[now], nothing.lines[now])
    causes = both.moved.groupby("facility_id")["cause"].unique()
    assert causes["H01"].tolist() == ["change 0"]
    assert causes["H02"].tolist() == ["change 1"]
    # common draws: what the budget does not touch is the same to the last bit with and without it
    here = both.lines["facility_id"] == "H01"
    pd.testing.assert_frame_equal(both.lines.loc[here, COMPARED], one.lines.loc[here, COMPARED])


def test_changed_tables_share_what_no_change_touches(planned: Any) -> None:
    warehouse = planned.warehouse
    tables = RunTables(warehouse, warehouse.latest_run())
    before, _, _ = (tables[name] for name in ("testing_coverage", "products", "exposure"))
    changed = changed_tables(tables, [GoLive("CYP2C19", LATE, ("H01",))])
    assert tables["testing_coverage"] is before
    assert changed["products"] is tables["products"]
    assert not changed["exposure"].equals(tables["exposure"])
    warehouse.engine.dispose()
