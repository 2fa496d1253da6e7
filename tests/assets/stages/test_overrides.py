"""Overrides in a plan: forecasts, orders and their calculations follow; nothing else moves; no override, no change."""

import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.cli.main import cli
from forecasting.procurement.explanation.calculation import recompute
from forecasting.procurement.explanation.number_check import unsupported_numbers
from forecasting.procurement.explanation.paragraph import render_paragraph
from forecasting.terms import ALL_FACILITIES, QUANTILE_LEVELS
from warehouse.queries.exports import export_frame, genetic_moves
from warehouse.schema import Base

AS_OF = dt.date(2026, 11, 23)
KEYS = ["facility_id", "product_id", "period_start"]
BEFORE = dt.date(2026, 10, 12)
SITE = "H01"
SET_AT = dt.datetime.fromisoformat("2026-01-02T09:00")
pytestmark = pytest.mark.slow


def forecasts(planned: Any) -> pd.DataFrame:
    rows = planned.table("forecasts")
    return rows[rows["as_of"] == pd.Timestamp(AS_OF)].set_index(KEYS)


def insert(planned: Any, table: str, **row: Any) -> None:
    warehouse = planned.warehouse
    with warehouse.engine.begin() as connection:
        connection.execute(sa.insert(Base.metadata.tables[table]), row)
    warehouse.engine.dispose()


def add_person(planned: Any) -> None:
    row = {"name": "ben", "display_name": "Ben Buyer", "password_hash": "x", "role": "buyer", "active": True}
    insert(planned, "users", **row, created_at=SET_AT)


def add_override(planned: Any, product_id: str | None, drug: str, **changed: Any) -> None:
    row = {"facility_id": SITE, "product_id": product_id, "drug": drug, "kind": "factor", "value": 2.0}
    row |= {"starts_on": BEFORE, "ends_on": dt.date(2026, 12, 20), "expires_on": dt.date(2027, 1, 31)}
    row |= {"reason_code": "new_service", "created_at": SET_AT, "user_id": 1}
    insert(planned, "forecast_overrides", **row | changed)


@pytest.fixture(scope="module")
def both(planned: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The small network planned without and with overrides: a factor on clopidogrel, a quantity of metformin.

    Planned six weeks earlier too, when a person changed two lines.
    """
    folder = tmp_path_factory.mktemp("overridden")
    mine = type(planned)(folder)
    for file in planned.folder.glob("pgx.db*"):
        (folder / file.name).write_bytes(file.read_bytes())
    add_person(mine)
    add_override(mine, None, "clopidogrel")
    add_override(mine, "metformin-500", "metformin", kind="quantity", value=12_345.0)
    add_override(mine, "warfarin-1", "warfarin", expires_on=dt.date(2026, 11, 1))
    for product_id in ("metformin-850", "clopidogrel-75"):  # nothing is ordered of what nobody has counted
        counted = {"facility_id": "H02", "product_id": product_id, "counted_at": dt.datetime.combine(BEFORE, dt.time())}
        insert(mine, "stock", **counted, lot="", quantity=5.0, status="available")
    mine.run(as_of=BEFORE)
    change_lines(mine)
    mine.run()
    return planned, mine


def change_lines(planned: Any) -> None:
    """Of the earlier plan the first line is doubled, the second one taken down to a pack and back to proposed."""
    lines = planned.table("recommendations")
    then = lines[(lines["as_of"] == pd.Timestamp(BEFORE)) & (lines["packs"] > 1)].sort_values("recommendation_id")
    for line, packs, status in zip(then.itertuples(), (2, 1), ("modified", "proposed"), strict=False):
        after = int(line.packs) * 2 if packs == 2 else 1
        decision = {"recommendation_id": line.recommendation_id, "decided_at": SET_AT, "user_id": 1, "kind": "modify"}
        decision |= {"status_before": "proposed", "status_after": status, "packs_before": int(line.packs)}
        insert(planned, "decisions", **decision, packs_after=after, version_seen=1, reason_code="demand_event")
        statement = "UPDATE recommendations SET status = :status, packs = :packs WHERE recommendation_id = :name"
        planned.execute(statement, status=status, packs=after, name=line.recommendation_id)


def test_the_plan_keeps_what_acted_and_the_forecast_says_what_it_moved(both: tuple[Any, Any]) -> None:
    before, after = (forecasts(one) for one in both)
    acted = both[1].table("acting_overrides").query("as_of == @pd.Timestamp(@AS_OF)")
    assert set(acted["override_id"]) == {1, 2}
    assert set(acted.loc[acted["override_id"] == 1, "product_id"]) == {"clopidogrel-75"}
    assert both[0].table("acting_overrides").empty
    assert (before["override_shift"] == 0).all()
    assert before.index.equals(after.index)
    moved = after["override_shift"] != 0
    products, sites = moved[moved].index.unique("product_id"), moved[moved].index.unique("facility_id")
    assert (set(products), set(sites)) == ({"clopidogrel-75", "metformin-500"}, {SITE, ALL_FACILITIES})
    same = ~moved & (after.index.get_level_values("facility_id") != ALL_FACILITIES)
    pd.testing.assert_frame_equal(after[same], before[same])


def test_baseline_genetic_and_override_add_up_to_final_at_sites_and_in_the_network(both: tuple[Any, Any]) -> None:
    before, after = (forecasts(one) for one in both)
    total = after["baseline_mean"] + after["genetic_shift"] + after["override_shift"]
    np.testing.assert_allclose(after["mean"], total, atol=1e-9)
    np.testing.assert_allclose(after["genetic_shift"], before["genetic_shift"], atol=1e-9)
    here = after.loc[(SITE, "metformin-500")]
    assert (here["mean"].iloc[:4] == 12_345).all()
    spread = [one.loc[(SITE, "clopidogrel-75")] for one in (before, after)]
    ratio = (spread[1][list(QUANTILE_LEVELS)] / spread[0][list(QUANTILE_LEVELS)]).to_numpy()
    np.testing.assert_allclose(ratio[:4], 2.0)
    np.testing.assert_allclose(ratio[4:], 1.0)
    sites = after[after.index.get_level_values("facility_id") != ALL_FACILITIES].groupby(KEYS[1:])["override_shift"]
    np.testing.assert_allclose(after.loc[ALL_FACILITIES]["override_shift"], sites.sum(), atol=1e-9)


def test_every_order_recomputes_and_those_overridden_say_by_whom_and_why(both: tuple[Any, Any]) -> None:
    lines = both[1].table("recommendations")
    stored = both[1].table("explanations")
    documents = {
        name: json.loads(text) for name, text in zip(stored["recommendation_id"], stored["document"], strict=True)
    }
    now = lines[(lines["status"] == "proposed") & (lines["as_of"] == pd.Timestamp(AS_OF))]
    now = now.set_index("recommendation_id")
    named = 0
    for name, line in now.iterrows():
        document = documents[name]
        assert recompute(document)["packs"] == line["packs"]
        overrides = [one for one in document["inputs"] if "override_id" in one]
        covered = line["facility_id"] == SITE and line["product_id"] in ("clopidogrel-75", "metformin-500")
        assert bool(overrides) == covered, (name, line["product_id"], line["facility_id"], overrides)
        for one in overrides:
            named += 1
            assert (one["decided_by"], one["reason_code"]) == ("Ben Buyer", "new_service")
        text = render_paragraph(document)
        assert unsupported_numbers(text, document) == []
        assert ("Ben Buyer" in text) == covered
    assert named >= 1


def test_a_run_with_overrides_is_another_run(both: tuple[Any, Any]) -> None:
    before, after = (one.table("runs") for one in both)
    assert set(before["inputs_sha256"]) < set(after["inputs_sha256"])


def test_what_overrides_were_worth_is_the_error_of_the_plan_they_were_made_on(both: tuple[Any, Any]) -> None:
    mine = both[1]
    value = mine.table("override_value").set_index("override_id")
    assert set(value["as_of"]) == {pd.Timestamp(AS_OF)}
    then = mine.table("forecasts").query("as_of == @pd.Timestamp(@BEFORE)").set_index(KEYS)
    demand = mine.table("clean_demand").query("as_of == @pd.Timestamp(@AS_OF)").set_index(KEYS)["quantity"]
    for number, product_id in ((1, "clopidogrel-75"), (2, "metformin-500")):
        weeks = [(SITE, product_id, day) for day in pd.date_range(BEFORE, "2026-11-16", freq="7D")]
        known = demand.reindex(weeks).dropna()
        plan = then.loc[known.index]
        told = value.loc[number]
        assert told["periods"] == len(known) > 3
        assert told["error_with"] == pytest.approx((plan["mean"] - known).abs().sum())
        without = plan["baseline_mean"] + plan["genetic_shift"]
        assert told["error_without"] == pytest.approx((without - known).abs().sum())
        assert told["value_added"] == pytest.approx(told["error_without"] - told["error_with"])
        assert (told["direction"], told["decided_by"]) == ("up", "Ben Buyer")
    assert value.loc[1, "relative_change"] == pytest.approx(1.0)
    warehouse = mine.warehouse
    with warehouse.engine.connect() as connection:
        # the third had not expired when the earlier plan was made
        assert export_frame(connection, "override_value")["override_id"].tolist() == [1, 2, 3]
        assert len(export_frame(connection, "edit_value")) == 1
        moves = {one["product_id"]: one for one in genetic_moves(connection, 50)}
    warehouse.engine.dispose()
    shift = forecasts(mine).loc[(ALL_FACILITIES, "clopidogrel-75"), "genetic_shift"].sum()
    assert moves["clopidogrel-75"]["change"] == pytest.approx(shift)
    assert both[0].table("override_value").empty


def test_what_changed_lines_were_worth_is_measured_for_those_that_stand(both: tuple[Any, Any]) -> None:
    edits = both[1].table("edit_value")
    assert len(edits) == 1
    told = edits.iloc[0]
    assert told["packs_ordered"] == 2 * told["packs_proposed"]
    assert (told["direction"], told["reason_code"]) == ("up", "demand_event")
    away = [abs(told[name] - told["packs_needed"]) for name in ("packs_proposed", "packs_ordered")]
    assert told["value_added"] == away[0] - away[1]


def test_the_backtest_scores_the_override_step_where_something_was_set_and_not_elsewhere(both: tuple[Any, Any]) -> None:
    before, after = (one.table("backtest_scores").query("as_of == @pd.Timestamp(@AS_OF)") for one in both)
    assert set(before["stage"]) == {"seasonal_naive", "baseline", "genetic"}
    assert set(after["stage"]) == set(before["stage"]) | {"override"}
    whole = after.query("segment == 'all' and horizon == 'all' and metric == 'wape'").set_index("stage")
    assert whole.loc["override", "value_added"] == pytest.approx(
        1 - whole.loc["override", "value"] / whole.loc["genetic", "value"]
    )
    # what is set at double and far too much does harm, and is told as such
    touched = after.query("segment == 'overridden' and horizon == 'all' and metric == 'wape'").set_index("stage")
    assert touched.loc["override", "value_added"] < whole.loc["override", "value_added"] < 0
    same = ["stage", "segment", "horizon", "metric"]
    kept = after[(after["stage"] != "override") & (after["segment"] != "overridden")].set_index(same)["value"]
    pd.testing.assert_series_equal(kept.sort_index(), before.set_index(same)["value"].sort_index())


def test_the_backtest_command_tells_the_override_step_and_what_edits_were_worth(both: tuple[Any, Any]) -> None:
    told = CliRunner().invoke(cli, ["backtest", "--database", both[1].url], env={"COLUMNS": "100"})
    assert told.exit_code == 0, told.output
    assert "o = override" in told.output
    assert "…" not in told.output
    assert "Overrides: none" not in told.output
    worth = told.output[told.output.index("What people's edits were worth") :]
    assert "large up" in worth
    assert all(len(line) <= 100 for line in worth.splitlines())
    without = CliRunner().invoke(cli, ["backtest", "--database", both[0].url])
    assert "Overrides: none had been set by these origins" in without.output
    assert "edits were worth" not in without.output
