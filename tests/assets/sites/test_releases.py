"""Each site is planned with the releases in force there, and its rows can be traced to them."""

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from api.access.accounts import NewUser, create_user
from assets.checks import mix_is_conserved
from assets.sites.release_impact import release_impact
from forecasting.pharmacogenomics.content import builtin_content
from warehouse.engine import create_engine, writing
from warehouse.importers import load
from warehouse.importers.content import releases as content_releases
from warehouse.releases import activate, releases_at
from warehouse.schema import Base

pytestmark = pytest.mark.slow

AS_OF = dt.date(2026, 11, 23)
MOVED_SITE, OTHER_SITE = "H01", "H02"
DECIDED = dt.datetime.fromisoformat("2026-11-20T10:00")


def edited_guidance(drug: str = "clopidogrel") -> pd.DataFrame:
    """The built-in guidance with every alternative of one drug withdrawn: everybody stays on it."""
    rows = builtin_content().guidance.copy()
    rows.loc[(rows["drug"] == drug) & (rows["action"] == "alternative"), "action"] = "standard"
    return rows


def put_in_force(
    planned: Any, frame: pd.DataFrame, *, sites: list[str], effective_on: dt.date, kind: str = "guidance"
) -> str:
    """The id of a curated release that a person put in force."""
    engine = create_engine(planned.url)
    with writing(engine) as connection:
        person = connection.scalar(sa.select(Base.metadata.tables["users"].c.user_id))
        if person is None:
            pia = NewUser("pia", "Pia", "pharmacist", "correct horse battery")
            person = create_user(connection, pia, now=DECIDED)
        release = content_releases.store_release(connection, kind, "curated", "2026-11", frame)
        activate(
            connection,
            [release],
            facility_ids=sites,
            effective_on=effective_on,
            user_id=person,
            decided_at=DECIDED,
        )
    engine.dispose()
    return release


def shifts(planned: Any, drug: str) -> pd.Series:
    rows = planned.table("genetic_shifts")
    return rows[rows["drug"] == drug].groupby("facility_id")["quantity"].apply(lambda values: values.abs().sum())


@pytest.fixture(scope="module")
def activated(planned: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The network planned again after one site activated guidance from the origin on."""
    folder = tmp_path_factory.mktemp("activated")
    for file in planned.folder.glob("pgx.db*"):
        shutil.copy(file, folder / file.name)
    mine = type(planned)(folder)
    mine.release = put_in_force(mine, edited_guidance(), sites=[MOVED_SITE], effective_on=AS_OF)
    warehouse = mine.warehouse
    mine.preview = release_impact(warehouse, [mine.release], [MOVED_SITE])
    warehouse.engine.dispose()
    mine.run()
    return mine


def test_the_preview_said_what_the_run_then_plans(planned: Any, activated: Any) -> None:
    told = activated.preview.moves.set_index("product_id")
    here = "facility_id == @MOVED_SITE and product_id in @told.index"
    weekly = [
        one.table("forecasts").query(here).groupby("product_id")["mean"].mean().reindex(told.index)
        for one in (planned, activated)
    ]
    assert {"clopidogrel-75", "ticagrelor-90"} <= set(told.index)
    # the preview takes advice to act in full, the run as strongly as it was learned to
    assert weekly[0].to_numpy() == pytest.approx(told["units_per_week_before"].to_numpy(), rel=1e-3)
    # the run fits its models again, to a history that was brought to the new guidance
    change = (told["units_per_week_after"] - told["units_per_week_before"]).to_numpy()
    assert (weekly[1] - weekly[0]).to_numpy() == pytest.approx(change, rel=0.1)


def test_only_the_site_that_activated_a_release_is_planned_with_it(planned: Any, activated: Any) -> None:
    before, after = shifts(planned, "clopidogrel"), shifts(activated, "clopidogrel")
    assert before[MOVED_SITE] > 1
    assert MOVED_SITE not in after.index
    assert after[OTHER_SITE] == pytest.approx(before[OTHER_SITE], rel=1e-6)
    keys = ["facility_id", "product_id", "period_start"]
    both = planned.table("forecasts").merge(activated.table("forecasts"), on=keys, suffixes=("", "_after"))
    others = both[both["facility_id"].isin([OTHER_SITE, "H03"])]
    # the width of intervals is learned over all series together, the mean is a site's own
    assert others["mean"].to_numpy() == pytest.approx(others["mean_after"].to_numpy(), rel=1e-6)


def test_every_forecast_and_recommendation_is_traced_to_the_releases_of_its_site(activated: Any) -> None:
    known = activated.table("site_releases")
    now = known[known["in_force"]].pivot_table(
        index="facility_id", columns="kind", values="release_id", aggfunc="first"
    )
    forecasts = activated.table("forecasts")
    assert set(forecasts["facility_id"]) - {"*"} <= set(now.index)
    assert now.loc[MOVED_SITE, "guidance"] == activated.release != now.loc[OTHER_SITE, "guidance"]
    assert len(set(now["allele_frequency"])) == 1
    newest = activated.table("runs").sort_values("started_at")["releases"].iloc[-1]
    assert all(releases_at(newest, site) == now.loc[site].dropna().to_dict() for site in now.index)
    told = activated.table("explanations").set_index("recommendation_id")["document"].map(json.loads)
    lines = activated.table("recommendations")
    lines = lines[lines["status"] == "proposed"]
    assert {MOVED_SITE, OTHER_SITE} <= set(lines["facility_id"])
    for line in lines.itertuples():
        document = told[line.recommendation_id]
        assert document["context"]["releases"] == now.loc[line.facility_id].dropna().to_dict()


def test_lines_of_drugs_whose_advice_changed_say_so_and_no_others(activated: Any) -> None:
    lines = activated.table("recommendations").query("status == 'proposed'")
    lines = lines.merge(activated.table("products")[["product_id", "drug"]], on="product_id")
    because = lines[["reason", "other_reasons"]].fillna("").agg(";".join, axis=1).str.contains("guideline_change")
    touched = {"clopidogrel", "prasugrel", "ticagrelor"}
    here = lines[(lines["facility_id"] == MOVED_SITE) & lines["drug"].isin(touched)]
    assert len(here) > 0
    assert set(here.index) == set(lines.index[because])
    assert set(lines.loc[because, "facility_id"]) == {MOVED_SITE}
    # a shortage, a launch and a withdrawal alone are told before it
    first = lines.loc[because & (lines["reason"] != "guideline_change"), "reason"]
    assert set(first) <= {"shortage", "launch", "withdrawal"}


def test_the_history_is_un_mixed_with_the_guidance_of_its_day(planned: Any, activated: Any) -> None:
    """What followed the old guidance comes back to its old drug: there is more clopidogrel at the site from now on."""
    keys = ["facility_id", "product_id", "period_start"]
    both = planned.table("reference_demand").merge(
        activated.table("reference_demand"), on=keys, suffixes=("", "_after")
    )
    site = both[(both["facility_id"] == MOVED_SITE) & both["product_id"].str.startswith("clopidogrel")].dropna()
    site = site[site["quantity"] > 0]
    exposed = activated.table("exposure").query("facility_id == @MOVED_SITE and gene == 'CYP2C19'")
    at_origin = exposed[exposed["period_start"] < str(AS_OF)].sort_values("period_start")["exposure"].iloc[-1]
    assert at_origin > 0
    cleaned = activated.table("clean_demand").set_index(keys)["quantity"]
    dispensed = cleaned.reindex(pd.MultiIndex.from_frame(site[keys])).to_numpy()
    exposure = exposed.set_index("period_start")["exposure"].reindex(site["period_start"]).to_numpy()
    # one drug leaves with a share of poor and intermediate metabolizers: history / (1 - exposure x share) = usual care
    with np.errstate(invalid="ignore"):
        leaving = (1 - dispensed / site["quantity_after"].to_numpy()) / exposure
    share = np.median(leaving[exposure > 0])
    assert 0.1 < share < 0.6
    # in a few weeks the alternatives were dispensed less than the plan of moves would have them
    plain = (exposure > 0) & (np.abs(leaving - share) < 1e-6)
    assert plain.sum() > 0.9 * (exposure > 0).sum()
    expected = dispensed * (1 - at_origin * share) / (1 - exposure * share)
    # the two runs learn a strength each, almost the same
    assert site["quantity"].to_numpy()[plain] == pytest.approx(expected[plain], rel=1e-3)


def test_moves_of_every_era_are_conserved(activated: Any) -> None:
    moves = activated.table("regimen_moves").query("facility_id == @MOVED_SITE")
    assert moves["followed_from"].nunique() == 2
    assert mix_is_conserved(activated.warehouse).passed


def test_a_recommendation_that_the_guidance_does_not_say_blocks_its_drug_with_the_reason(copied: Any) -> None:
    mine = copied()
    rows = builtin_content().guidance.query("drug == 'clopidogrel' and source == 'CPIC'").head(1)
    published = pd.DataFrame(
        {
            "recommendation_id": ["new-row", rows["recommendation_id"].iloc[0]],
            "source": "CPIC",
            "version": ["1", rows["version"].iloc[0]],
            "drug": "clopidogrel",
            "population": rows["population"].iloc[0],
            "lookup_key": ['{"CYP2C19": "Unheard Of"}', json.dumps({"CYP2C19": rows["lookup_key_1"].iloc[0]})],
            "classification": "Strong",
            "recommendation_text": "text",
            "mapping": ["unmapped", "mapped"],
        }
    )
    release = put_in_force(mine, published, sites=[OTHER_SITE], effective_on=AS_OF, kind="published_recommendation")
    mine.run()
    problems = mine.table("problems").query("rule == 'guidance_unmapped'")
    assert problems[["facility_id", "subject"]].values.tolist() == [[OTHER_SITE, "clopidogrel"]]
    assert release in problems["message"].iloc[0]
    assert "(1 unmapped)" in problems["message"].iloc[0]
    after = shifts(mine, "clopidogrel")
    assert OTHER_SITE not in after.index
    assert after[MOVED_SITE] > 0


def test_probabilities_of_uncertain_functions_move_people_out_of_indeterminate(copied: Any, tmp_path: Path) -> None:
    mine = copied()
    genes = sorted(set(mine.table("prevalence")["gene"]))
    functions = builtin_content().allele_function
    uncertain = functions[functions["clinical_function"].str.startswith(("Uncertain", "Unknown"))]
    rows = uncertain[uncertain["gene"].isin(["CYP2D6", "CYP2B6"]) & uncertain["gene"].isin(genes)]
    value = rows["gene"].map({"CYP2D6": "1.0", "CYP2B6": "n/a"})
    said = rows.assign(clinical_function="Normal function", activity_value=value, probability=0.9, source="invented")
    folder = tmp_path / "curated"
    folder.mkdir()
    said.to_csv(folder / "function_probability.csv", index=False)
    engine = create_engine(mine.url)
    report = load(engine, folder, format="curated")
    engine.dispose()
    assert (report.rejected, report.accepted) == (0, len(said))
    before = unassigned(mine)
    release = put_in_force(mine, said, sites=["H01"], effective_on=AS_OF, kind="function_probability")
    mine.run()
    after = unassigned(mine)
    assert release in set(mine.table("site_releases").query("facility_id == 'H01'")["release_id"])
    assert (after["H01"] < 0.25 * before["H01"]).all()
    assert after["H01"].gt(0).all(), "a tenth stays uncertain"
    others = before.index.get_level_values("facility_id") != "H01"
    pd.testing.assert_series_equal(after[others], before[others])


def unassigned(planned: Any) -> pd.Series:
    """Share of people without an assigned phenotype by site and gene."""
    rows = planned.table("prevalence").query("result_type == 'phenotype' and result == 'Indeterminate'")
    return rows[rows["gene"].isin(["CYP2D6", "CYP2B6"])].set_index(["facility_id", "gene"])["mean"].sort_index()
