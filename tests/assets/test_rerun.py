"""Plans made again: the same answer, other sites untouched, decisions kept, nothing from after the origin."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from forecasting.demo import DemoNetwork

AS_OF = dt.date(2026, 11, 23)
RESULTS = [
    *("runs", "problems", "prevalence", "exposure", "regimen_moves", "clean_demand", "reference_demand"),
    *(
        "baseline_forecasts",
        "forecasts",
        "genetic_shifts",
        "representation",
        "backtest_scores",
        "lead_times",
        "recommendations",
    ),
    "explanations",
]
KEYS = ["facility_id", "product_id", "period_start"]
Comparable = Callable[..., pd.DataFrame]


def decide(planned: Any, recommendation_id: str, status: str) -> None:
    statement = "UPDATE recommendations SET status = :status, version = version + 1 WHERE recommendation_id = :id"
    planned.execute(statement, status=status, id=recommendation_id)


@pytest.mark.slow
def test_the_same_origin_planned_again_gives_identical_tables(copied: Any, comparable: Comparable) -> None:
    mine = copied()
    before = {name: comparable(mine.table(name)) for name in RESULTS}
    mine.run()
    for name in RESULTS:
        assert len(before[name]) > 0, name
        pd.testing.assert_frame_equal(comparable(mine.table(name)), before[name])


def test_without_genetics_only_what_testing_moves_changes(copied: Any) -> None:
    mine = copied()
    with_genetics = mine.table("forecasts").set_index(KEYS)["mean"]
    exposure = mine.table("exposure")
    mine.run(with_genetics=False)
    blind = mine.table("forecasts").set_index(KEYS)
    assert (blind["genetic_shift"] == 0).all()
    assert mine.table("genetic_shifts").empty
    both = pd.concat({"with": with_genetics, "without": blind["mean"]}, axis=1).reset_index()
    steady = {
        site for site, rows in exposure.groupby("facility_id") if rows.groupby("gene")["exposure"].nunique().max() == 1
    }
    never = set(both["facility_id"]) - set(exposure["facility_id"]) - {"*"} | steady
    assert never
    still = both[both["facility_id"].isin(never) | both["product_id"].str.startswith("metformin")]
    assert (still["with"] == still["without"]).all()
    grows = both[(both["facility_id"] == "H01") & (both["product_id"] == "clopidogrel-75")]
    assert (grows["with"] < grows["without"]).all()


@pytest.mark.slow
def test_a_run_of_one_site_leaves_the_others_rows_as_they_are(copied: Any, comparable: Comparable) -> None:
    mine = copied()
    before = {name: comparable(mine.table(name)) for name in RESULTS}
    mine.execute("UPDATE dispensing SET quantity = quantity * 1.3 WHERE facility_id = 'H02'")
    mine.run(facilities=("H01",))
    for name in set(RESULTS) - {"runs", "explanations"}:
        after = comparable(mine.table(name), "number")
        old = before[name].drop(columns="number", errors="ignore")
        if "facility_id" in after.columns:
            after, old = after[after["facility_id"] != "H01"], old[old["facility_id"] != "H01"]
        if name == "problems":  # what is said of no site in particular may be said anew
            after, old = (rows[rows["facility_id"].notna()].sort_values("message") for rows in (after, old))
        pd.testing.assert_frame_equal(after.reset_index(drop=True), old.reset_index(drop=True), obj=name)


def test_an_approved_line_is_on_order_and_undecided_ones_are_superseded(copied: Any) -> None:
    mine = copied()
    first = mine.table("recommendations")
    assert (first["status"] == "proposed").all()
    approved, rejected = first["recommendation_id"].iloc[0], first["recommendation_id"].iloc[1]
    decide(mine, approved, "approved")
    decide(mine, rejected, "rejected")
    item = first.set_index("recommendation_id").loc[approved, ["facility_id", "product_id"]].tolist()
    mine.run()
    again = mine.table("recommendations").set_index("recommendation_id")
    assert again.loc[[approved, rejected], "status"].tolist() == ["approved", "rejected"]
    same = again[(again["facility_id"] == item[0]) & (again["product_id"] == item[1])]
    assert same.index.tolist() == [approved]
    next_week = dt.date(2026, 11, 30)
    mine.run(as_of=next_week)
    later = mine.table("recommendations")
    older = later[later["as_of"] == pd.Timestamp(AS_OF)].set_index("recommendation_id")["status"]
    assert older.loc[[approved, rejected]].tolist() == ["approved", "rejected"]
    assert set(older.drop([approved, rejected])) == {"superseded"}
    documents = mine.table("explanations").set_index("recommendation_id")["document"]
    new = later[(later["as_of"] == pd.Timestamp(next_week)) & (later["product_id"] == item[1])]
    counted = new.loc[new["facility_id"] == item[0], "recommendation_id"]
    assert all(approved in documents[one] for one in counted)


@pytest.mark.slow
def test_an_open_order_that_an_exported_line_became_is_counted_once(copied: Any) -> None:
    mine = copied()
    line = mine.table("recommendations").iloc[0]
    decide(mine, line["recommendation_id"], "exported")
    mine.execute(
        "INSERT INTO open_orders VALUES (:id, :product, :site, 1, '2026-11-23', '2026-11-25')",
        id=line["recommendation_id"],
        product=line["product_id"],
        site=line["facility_id"],
    )
    mine.run()
    lines = mine.table("recommendations")
    again = lines[(lines["status"] == "proposed") & (lines["product_id"] == line["product_id"])]
    again = again[again["facility_id"] == line["facility_id"]]
    # one pack is all that is still to come of it: the rest is needed again
    assert len(again) == 1
    assert again["packs"].iloc[0] <= line["packs"]


@pytest.mark.slow
def test_a_plan_of_the_past_uses_nothing_from_after_its_origin(copied: Any, comparable: Comparable) -> None:
    mine = copied()
    past = dt.date(2026, 8, 3)
    names = ["prevalence", "exposure", "regimen_moves", "clean_demand", "reference_demand", "forecasts", "lead_times"]

    def planned_then() -> dict[str, pd.DataFrame]:
        mine.run(as_of=past)
        tables = {name: comparable(mine.table(name)) for name in names}
        return {name: rows[rows["as_of"] == pd.Timestamp(past)] for name, rows in tables.items()}

    before = planned_then()
    for statement in (
        "UPDATE dispensing SET quantity = quantity * 3 + 7 WHERE period_start >= :day",
        "UPDATE testing_coverage SET share_tested = 0.01 WHERE period_start >= :day AND planned = 0",
        "UPDATE genotype_counts SET count = 500 WHERE as_of > :day",
        "DELETE FROM receipts WHERE received_at > :day",
        "DELETE FROM stock WHERE counted_at > :day",
    ):
        mine.execute(statement, day=past.isoformat())
    after = planned_then()
    for name in names:
        assert len(before[name]) > 0, name
        pd.testing.assert_frame_equal(after[name], before[name], obj=name)


def test_the_required_files_alone_give_forecasts_and_say_what_is_skipped(
    network: DemoNetwork, new_engine: Callable[[str], Any], tmp_path: Any, planned: Any
) -> None:
    url = new_engine("postgresql").url.render_as_string(hide_password=False)
    mine = type(planned)(tmp_path / "home", url)
    mine.folder.mkdir()
    files = {name: network.files[name] for name in ("facilities", "products", "dispensing")}
    mine.load(files | {"products": files["products"].drop(columns="supplier_id")})
    mine.run()
    forecasts = mine.table("forecasts")
    assert set(forecasts["facility_id"]) >= {"*", "H01", "H02", "H03"}
    assert (forecasts["genetic_shift"] == 0).all()
    assert mine.table("recommendations").empty
    problems = mine.table("problems")
    skipped = problems.loc[problems["rule"] == "input_missing", "asset"]
    assert set(skipped) == {"prevalence", "exposure", "lead_times", "recommendations"}
