"""The replay on a planned network: what it writes, and that nothing known only later enters it."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from assets.dagster_io.run_tables import RunTables
from assets.execute import run_replay
from assets.pictures.replay import replay_drawings
from assets.sites import past_forecasts
from assets.sites.genetics import with_exposure
from assets.sites.reference_demand import known_panel
from warehouse.schema.replay import ReplayScore

pytestmark = pytest.mark.slow

HORIZON = 3


@pytest.fixture(scope="module")
def replayed(planned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replayed")
    for file in planned.folder.glob("pgx.db*"):
        shutil.copy(file, folder / file.name)
    made = type(planned)(folder)
    run_replay(made.url, made.folder)
    return made


def test_four_rules_are_scored_on_the_same_items(replayed):
    scores = replayed.table(ReplayScore.__tablename__)
    whole = scores[(scores["segment"] == "all") & (scores["level_factor"] == 1)].set_index("rule")
    assert set(whole.index) == {"par_levels", "recent_peak", "plan_without_genetics", "plan"}
    assert len(set(whole["items"])) == 1
    assert whole["weeks"].tolist() == [33] * 4  # half of 78 weeks, without the first six
    assert whole["fill_rate"].between(0.7, 1).all()
    assert "moved by genotype" in set(scores["segment"])
    problems = replayed.table("problems")
    assert {"par_derived", "past_plan_missing"} >= set(problems.loc[problems["asset"] == "replay_scores", "rule"])
    drawn = replay_drawings(scores)
    assert set(drawn) == {"replay, all", "replay, moved by genotype"}
    assert all(svg.count('r="6"') == 4 for svg in drawn.values())


def test_what_becomes_known_later_changes_no_forecast_of_before(planned):
    warehouse = planned.warehouse
    tables = RunTables(warehouse, warehouse.latest_run())
    panel = known_panel(tables["clean_demand"], tables.run)
    cuts = list(range(58, 72))
    day = pd.Timestamp(panel.period.step(panel.first_start, 66))
    later = np.random.default_rng(3).uniform(0, 9, panel.values[:, 66:].shape)
    changed_panel = dataclasses.replace(panel, values=np.hstack([panel.values[:, :66], panel.values[:, 66:] * later]))
    coverage, dispensing = tables["testing_coverage"].copy(), tables["dispensing"].copy()
    measured = ~coverage["planned"].astype(bool) & (coverage["period_start"] >= day)
    assert measured.any()
    coverage.loc[measured, "share_tested"] = 0.9
    after = dispensing["period_start"] >= day
    dispensing["quantity"] = dispensing["quantity"].where(~after, dispensing["quantity"] * 7)
    changed = tables.copied()
    changed["testing_coverage"], changed["dispensing"] = coverage, dispensing
    before = past_forecasts.past_forecasts(tables, panel, cuts, HORIZON)
    with_later = past_forecasts.past_forecasts(changed, changed_panel, cuts, HORIZON)
    warehouse.engine.dispose()
    for cut in cuts:
        same = cut <= 66
        for made, again in zip(
            (before.blind[cut], before.informed[cut]), (with_later.blind[cut], with_later.informed[cut]), strict=True
        ):
            assert (np.array_equal(made.mean, again.mean) and np.array_equal(made.quantiles, again.quantiles)) is same


def test_a_later_look_at_exposure_gives_what_putting_all_together_anew_would_give(planned):
    warehouse = planned.warehouse
    tables = RunTables(warehouse, warehouse.latest_run())
    panel = known_panel(tables["clean_demand"], tables.run)
    first, later = (tables.copied(past_forecasts._run_on_day(tables.run, panel, cut, HORIZON)) for cut in (60, 64))
    known = past_forecasts._knowledge_on_day(first)
    kept = past_forecasts._genetics(known, first, panel.until(60))
    past = panel.until(64)
    looked = with_exposure(kept, past_forecasts._exposure(later, past), past_forecasts._starts(past), HORIZON)
    anew = past_forecasts._genetics(known, later, past)
    warehouse.engine.dispose()
    exposures = ("exposure_history", "exposure_at_origin", "exposure_planned")
    compared = 0
    for site, therapies in anew.by_site.items():
        ours = {one.therapy: one for one in looked.by_site[site]}
        for therapy in therapies:
            rows = {label: number for number, label in enumerate(zip(therapy.row_ids, therapy.groups, strict=True))}
            mine = ours[therapy.therapy]
            for number, label in enumerate(zip(mine.row_ids, mine.groups, strict=True)):
                if label in rows:  # the mix of strengths moves on, and with it which moves there are
                    compared += 1
                    for name in exposures:
                        np.testing.assert_array_equal(
                            getattr(mine, name)[..., number], getattr(therapy, name)[..., rows[label]]
                        )
    assert compared > 10
