"""What was learned of each advice and what the step adds: stored per site and drug, used by the plan, exported."""

from typing import Any

import numpy as np

from warehouse.engine import create_engine
from warehouse.queries.exports import export_frame


def test_genetic_effects_and_genetic_value_are_told_per_site_and_drug(planned: Any) -> None:
    effects, value = planned.table("genetic_effects"), planned.table("genetic_value")
    assert set(effects["facility_id"]) == set(planned.table("exposure")["facility_id"])
    assert {"clopidogrel", "simvastatin", "warfarin"} <= set(effects["drug"])
    assert ((effects["low"] <= effects["learned"]) & (effects["learned"] <= effects["high"])).all()
    np.testing.assert_allclose(effects["strength"], effects["learned"] * effects["earned"])
    # one site's testing grew, the other's is planned: the evidence is the first's
    evidence = effects[effects["drug"] == "clopidogrel"].groupby("facility_id")["evidence"].max()
    assert evidence["H01"] > 0.05
    assert evidence["H02"] < 1e-9
    np.testing.assert_allclose(value["value_added"], value["error_without"] - value["error_with"])
    assert "ticagrelor" in set(value.loc[value["facility_id"] == "H01", "drug"])
    engine = create_engine(planned.url)
    with engine.connect() as connection:
        exported = {name: len(export_frame(connection, name)) for name in ("genetic_effects", "genetic_value")}
    engine.dispose()
    assert exported == {"genetic_effects": len(effects), "genetic_value": len(value)}


def test_a_step_that_is_faded_out_leaves_the_blind_forecast(copied: Any) -> None:
    """With strength 0 for every advice the genetic side has no exposure that changes."""
    from assets.dagster_io.planning_run import PlanningRun
    from assets.dagster_io.run_tables import RunTables
    from assets.sites.reference_demand import known_panel, site_genetics

    mine = copied()
    mine.execute("UPDATE genetic_effects SET strength = 0")
    warehouse = mine.warehouse
    run = PlanningRun.from_frame(mine.table("runs"))
    tables = RunTables(warehouse, run)
    panel = known_panel(tables["clean_demand"], run)
    genetics = site_genetics(tables, panel)
    full = site_genetics(tables, panel, learned=False)
    warehouse.engine.dispose()
    assert any(full.at(site) for site in full.by_site)
    assert not any(genetics.at(site) for site in genetics.by_site)
