"""What a release would move is told before anybody activates it: exactly, and without touching a table."""

import dataclasses
import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from assets.dagster_io.run_tables import RunTables
from assets.sites.content import knowledge
from assets.sites.moves import MOVE_COLUMNS, group_moves
from assets.sites.release_impact import ReleaseImpact, release_impact
from assets.stages.release_previews import previews_of_releases
from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import builtin_content
from warehouse.engine import create_engine, writing
from warehouse.importers.content import releases as content_releases
from warehouse.schema import Base

AS_OF = dt.date(2026, 11, 23)
TESTED = ["H01", "H02"]
FACTOR_ROW, WITHDRAWN_ROW = "8481452", "8480387"
"""Tacrolimus for intermediate metabolizers; clopidogrel for intermediate metabolizers with PCI."""

NEW_FACTOR = 1.2
TABLES = {"guidance": "guidance", "default_alternative": "default_alternatives"}


def changed_guidance() -> pd.DataFrame:
    rows = builtin_content().guidance.copy()
    rows.loc[rows["recommendation_id"] == FACTOR_ROW, ["dose_factor_low", "dose_factor_high"]] = NEW_FACTOR
    return rows[rows["recommendation_id"] != WITHDRAWN_ROW]


def changed_alternatives() -> pd.DataFrame:
    """Simvastatin goes to pravastatin alone, which the network does not stock."""
    rows = builtin_content().default_alternative.copy()
    simvastatin = rows["drug"] == "simvastatin"
    rows.loc[simvastatin & (rows["alternative_drug"] == "pravastatin"), "share"] = 1.0
    return rows[~(simvastatin & (rows["alternative_drug"] == "rosuvastatin"))]


@pytest.fixture
def released(copied: Any) -> Any:
    """The planned network, where the sites approved no alternative to simvastatin; two releases beside the built-in."""
    mine = copied()
    mine.execute("DELETE FROM alternatives WHERE drug = 'simvastatin'")
    # the expected numbers are worked out at the guideline's full strength
    mine.execute("UPDATE genetic_effects SET strength = 1, delay_days = 0")
    engine = create_engine(mine.url)
    with writing(engine) as connection:
        frames = {"guidance": changed_guidance(), "default_alternative": changed_alternatives()}
        mine.releases = [
            content_releases.store_release(connection, kind, "curated", "1", one) for kind, one in frames.items()
        ]
    engine.dispose()
    return mine


def contents(planned: Any) -> dict[str, pd.DataFrame]:
    return {name: planned.table(name) for name in Base.metadata.tables}


class Site:
    """One site's plan worked out by hand from the stored tables, product by product and period by period."""

    def __init__(self, planned: Any, facility_id: str) -> None:
        self.products = planned.table("products").set_index("product_id")
        self.products["days"] = self.products["strength_value"] / self.products["usual_daily_dose"]
        here = f"facility_id == '{facility_id}'"
        baseline = planned.table("baseline_forecasts").query(here)
        self.baseline = baseline.pivot_table(index="product_id", columns="period_start", values="mean")
        prevalence = planned.table("prevalence").query(here)
        people = prevalence[(prevalence["result_type"] == "lookup_key") & (prevalence["biogeographic_group"] == "*")]
        self.prevalence = people.set_index(["gene", "result"])["mean"]
        self.exposure = (
            planned.table("exposure").query(here).pivot_table(index="period_start", columns="gene", values="exposure")
        )
        used = planned.table("dispensing").query(here)
        recent = used[(used["period_start"] < str(AS_OF)) & (used["period_start"] >= str(AS_OF - dt.timedelta(365)))]
        self.used = recent.groupby("product_id")["quantity"].sum().clip(lower=0)

    def of(self, drug: str) -> list[str]:
        return [name for name in self.baseline.index if self.products.loc[name, "drug"] == drug]

    def exposed(self, gene: str) -> tuple[float, np.ndarray]:
        """Exposure at the origin and in each planned period."""
        path = self.exposure[gene]
        return path[path.index < str(AS_OF)].iloc[-1], path[path.index >= str(AS_OF)].to_numpy()

    def share(self, gene: str, rows: pd.DataFrame, weights: pd.Series) -> float:
        """Share of a drug's patients that the rows speak of."""
        keys = zip(rows["lookup_key_1"], rows["population"], strict=True)
        return sum(self.prevalence.get((gene, key), 0.0) * weights.get(population, 1.0) for key, population in keys)

    def mix(self, drug: str) -> pd.Series:
        days = self.used.reindex(self.of(drug)).fillna(0) * self.products["days"].reindex(self.of(drug))
        return days / days.sum()

    def packs_per_week(self, product: str, units: np.ndarray) -> float:
        return float(units.mean() / float(self.products.loc[product, "pack_size"]))


def expected(planned: Any, facility_id: str) -> dict[str, float]:
    """Packs per week that the changed clopidogrel row and simvastatin's alternative move, by product."""
    site, content = Site(planned, facility_id), builtin_content()
    guidance = content.guidance
    found: dict[str, float] = {}
    # clopidogrel: whoever the withdrawn row spoke of stays
    weights = content.population_share.query("drug == 'clopidogrel'").set_index("population")["share"]
    moving = guidance[(guidance["drug"] == "clopidogrel") & (guidance["action"] == "alternative")]
    leaving = site.share("CYP2C19", moving, weights)
    staying = site.share("CYP2C19", moving[moving["recommendation_id"] == WITHDRAWN_ROW], weights)
    origin, planned_exposure = site.exposed("CYP2C19")
    usual_care = site.baseline.loc["clopidogrel-75"].to_numpy() / (1 - origin * leaving)
    stays = planned_exposure * staying * usual_care
    found["clopidogrel-75"] = site.packs_per_week("clopidogrel-75", stays)
    for drug, part in (("ticagrelor", 0.6), ("prasugrel", 0.4)):
        for product, mix in site.mix(drug).items():
            units = (
                part * mix * stays * site.products.loc["clopidogrel-75", "days"] / site.products.loc[product, "days"]
            )
            found[str(product)] = -site.packs_per_week(str(product), units)
    # rosuvastatin: what came from simvastatin comes no more
    moving = guidance[(guidance["drug"] == "simvastatin") & (guidance["action"] == "alternative")]
    leaving = site.share("SLCO1B1", moving, pd.Series(dtype=float))
    origin, planned_exposure = site.exposed("SLCO1B1")
    days = sum(
        site.baseline.loc[product].to_numpy() / (1 - origin * leaving) * site.products.loc[product, "days"]
        for product in site.of("simvastatin")
    )
    for product, mix in site.mix("rosuvastatin").items():
        units = planned_exposure * leaving * days * mix / site.products.loc[product, "days"]
        found[str(product)] = -site.packs_per_week(str(product), units)
    # simvastatin: whose row has a cap to fall back on stay, at the strength that the cap allows
    capped = moving[moving["fallback_action"] == "dose_cap"]
    strength = site.products["strength_value"]
    for product in site.of("simvastatin"):
        usual_care = site.baseline.loc[product].to_numpy() / (1 - origin * leaving)
        for cap, rows in capped.groupby("fallback_dose_cap_mg_per_day"):
            allowed = min(strength[product], cap)
            (target,) = [one for one in site.of("simvastatin") if strength[one] == allowed]
            units = planned_exposure * site.share("SLCO1B1", rows, pd.Series(dtype=float)) * usual_care
            found[target] = found.get(target, 0.0) + site.packs_per_week(target, units)
    return found


def expected_tacrolimus_mg(planned: Any, facility_id: str) -> float:
    """Milligrams a week that the changed factor moves: every strength's milligrams are multiplied alike."""
    site, guidance = Site(planned, facility_id), builtin_content().guidance
    rows = guidance[(guidance["drug"] == "tacrolimus") & (guidance["action"] == "dose_factor")]
    extra = {row.recommendation_id: (row.dose_factor_low + row.dose_factor_high) / 2 - 1 for row in rows.itertuples()}

    def growth(extra: dict[str, float]) -> float:
        return sum(
            site.prevalence.get(("CYP3A5", row.lookup_key_1), 0.0) * extra[row.recommendation_id]
            for row in rows.itertuples()
        )

    before, after = growth(extra), growth(extra | {FACTOR_ROW: NEW_FACTOR - 1})
    origin, planned_exposure = site.exposed("CYP3A5")
    strengths = site.products["strength_value"]
    mg = sum(site.baseline.loc[product].to_numpy() * strengths[product] for product in site.of("tacrolimus"))
    usual_care = mg / (1 + origin * before)
    return float((usual_care * planned_exposure * (after - before)).mean())


def packs(found: ReleaseImpact, facility_id: str) -> dict[str, float]:
    rows = found.moves[found.moves["facility_id"] == facility_id]
    return dict(zip(rows["product_id"], rows["packs_per_week"], strict=True))


def test_a_changed_release_gives_exactly_the_expected_diff_and_packs(released: Any) -> None:
    before = contents(released)
    warehouse = released.warehouse
    found = release_impact(warehouse, released.releases)
    warehouse.engine.dispose()
    told = [tuple(row) for row in found.rows[["kind", "row", "change", "field", "before", "after"]].to_numpy()]
    assert sorted(told) == [
        ("default_alternative", "simvastatin * pravastatin", "changed", "share", "0.4", "1"),
        ("default_alternative", "simvastatin * rosuvastatin", "withdrawn", "", "", ""),
        ("guidance", WITHDRAWN_ROW, "withdrawn", "", "", ""),
        ("guidance", FACTOR_ROW, "changed", "dose_factor_high", "2", "1.2"),
        ("guidance", FACTOR_ROW, "changed", "dose_factor_low", "1.5", "1.2"),
    ]
    strengths = Site(released, TESTED[0]).products
    for site in TESTED:
        moved = packs(found, site)
        tacrolimus = {product: moved.pop(product) for product in list(moved) if product.startswith("tacrolimus")}
        wanted = {product: value for product, value in expected(released, site).items() if abs(value) > 1e-9}
        assert moved == pytest.approx(wanted, rel=1e-6), site
        mg = sum(
            value * float(strengths.loc[product, "pack_size"]) * strengths.loc[product, "strength_value"]
            for product, value in tacrolimus.items()
        )
        assert mg == pytest.approx(expected_tacrolimus_mg(released, site), rel=1e-6, abs=1e-9)
    assert set(found.moves["facility_id"]) == {"H01", "H02"}, "nobody is tested at H03"
    assert {drug for _, drug, _ in found.problems} == {"simvastatin"}
    said = " ".join(text for _, _, text in found.problems)
    assert "pravastatin is not among" in said
    assert "2 guidance rows move as the guideline asks without one" in said
    for name, frame in contents(released).items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_a_release_that_changes_nothing_moves_nothing_and_a_site_may_be_asked_alone(released: Any) -> None:
    engine = create_engine(released.url)
    with writing(engine) as connection:
        same = content_releases.store_release(connection, "guidance", "curated", "same", builtin_content().guidance)
    engine.dispose()
    warehouse = released.warehouse
    nothing = release_impact(warehouse, [same])
    alone = release_impact(warehouse, released.releases, ["H02"])
    with pytest.raises(InvalidInput, match="there is no release 'nothing'"):
        release_impact(warehouse, ["nothing"])
    with pytest.raises(InvalidInput, match="not among the sites"):
        release_impact(warehouse, [same], ["H09"])
    with pytest.raises(InvalidInput, match="of one kind"):
        release_impact(warehouse, [same, released.releases[0]])
    warehouse.engine.dispose()
    assert nothing.rows.empty
    assert nothing.moves.empty
    assert set(alone.moves["facility_id"]) == {"H02"}


def test_a_release_that_leaves_a_drug_without_guidance_says_that_it_stands_aside(released: Any) -> None:
    engine = create_engine(released.url)
    published = {"recommendation_id": "new", "source": "CPIC", "version": "1", "drug": "clopidogrel"}
    published |= {"population": "NVI", "lookup_key": '{"CYP2C19": "Unheard Of"}', "classification": "Strong"}
    with writing(engine) as connection:
        frame = pd.DataFrame([published | {"recommendation_text": "text", "mapping": "unmapped"}])
        release = content_releases.store_release(connection, "published_recommendation", "CPIC", "1", frame)
    engine.dispose()
    warehouse = released.warehouse
    found = release_impact(warehouse, [release], ["H01"])
    warehouse.engine.dispose()
    ((site, drug, message),) = found.problems
    assert (site, drug) == ("H01", "clopidogrel")
    assert release in message
    assert set(found.moves["drug"]) == {"clopidogrel", "ticagrelor", "prasugrel"}
    assert found.moves.set_index("product_id").loc["clopidogrel-75", "packs_per_week"] > 0


def test_a_network_of_which_guidance_says_nothing_is_planned_and_has_no_moves(planned: Any) -> None:
    warehouse = planned.warehouse
    with warehouse.engine.connect() as connection:
        groups = knowledge(connection, planned.table("site_releases")).groups
    run = warehouse.latest_run()
    warehouse.engine.dispose()
    tables = RunTables(warehouse, run)
    tables["products"] = planned.table("products").query("drug == 'metformin'")
    moves, problems = group_moves(dataclasses.replace(groups[0], facility_ids=("H01",)), tables)
    warehouse.engine.dispose()
    assert moves.empty
    assert list(moves.columns) == MOVE_COLUMNS
    assert problems == []


def test_a_run_keeps_the_preview_of_every_release_that_could_be_put_in_force(released: Any) -> None:
    engine = create_engine(released.url)
    with writing(engine) as connection:
        nothing = builtin_content().guidance.iloc[:0]
        empty = content_releases.store_release(connection, "guidance", "nobody", "1", nothing)
    engine.dispose()
    warehouse = released.warehouse
    inputs = {name: released.table(name) for name in ("runs", "site_releases")}
    previews, moves = previews_of_releases(warehouse=warehouse, **inputs)
    alone = {release: release_impact(warehouse, [release]) for release in released.releases}
    warehouse.engine.dispose()
    guidance, alternatives = released.releases
    sites = ["H01", "H02", "H03"]
    told = previews.frame.groupby("release_id")["facility_id"].apply(list).to_dict()
    assert told == {guidance: sites, alternatives: sites}
    assert empty not in told
    assert set(previews.frame["against_release_id"].str.split(":").str[:2].str.join(":")) == {
        "guidance:pgx-supply",
        "default_alternative:pgx-supply",
    }
    assert previews.problems.empty
    for release, found in alone.items():
        kept = moves.frame[moves.frame["release_id"] == release].drop(columns=["release_id", "as_of"])
        pd.testing.assert_frame_equal(kept.reset_index(drop=True)[found.moves.columns], found.moves, check_dtype=False)
        aside = previews.frame.query("release_id == @release").set_index("facility_id")["stands_aside"].map(json.loads)
        assert {site: texts for site, texts in aside.items() if texts} == {
            site: [text for where, _, text in found.problems if where == site] for site, _, _ in found.problems
        }
    assert "pravastatin is not among" in " ".join(previews.frame["stands_aside"])


@pytest.mark.slow
def test_a_planned_network_stores_them_beside_its_results(released: Any) -> None:
    released.run()
    assert set(released.table("release_previews")["release_id"]) == set(released.releases)
    moves = released.table("release_moves")
    assert set(moves["release_id"]) == set(released.releases)
    assert moves["packs_per_week"].abs().gt(0).all()


def test_no_guidance_at_all_is_a_reason_and_not_no_effect(planned: Any) -> None:
    warehouse = planned.warehouse
    with warehouse.engine.connect() as connection:
        group = knowledge(connection, planned.table("site_releases")).groups[0]
    run = warehouse.latest_run()
    warehouse.engine.dispose()
    nothing = dataclasses.replace(group.content, guidance=group.content.guidance.iloc[:0])
    eras = tuple(dataclasses.replace(era, content=nothing) for era in group.eras)
    empty = dataclasses.replace(group, facility_ids=("H01",), content=nothing, eras=eras)
    moves, problems = group_moves(empty, RunTables(warehouse, run))
    warehouse.engine.dispose()
    assert moves.empty
    assert ("*", "guidance_empty", "no guidance is in force: every drug is planned without genetics") in problems


def test_a_release_of_a_gene_that_nobody_knows_says_so_and_stops_that_drug_alone(released: Any) -> None:
    rows = builtin_content().guidance.copy()
    rows.loc[rows["drug"] == "clopidogrel", "gene_1"] = "NOTAGENE9"
    engine = create_engine(released.url)
    with writing(engine) as connection:
        release = content_releases.store_release(connection, "guidance", "curated", "new-gene", rows)
    engine.dispose()
    warehouse = released.warehouse
    found = release_impact(warehouse, [release], ["H01"])
    warehouse.engine.dispose()
    told = {drug: message for _, drug, message in found.problems}
    assert set(told) == {"clopidogrel"}
    assert "NOTAGENE9" in told["clopidogrel"]
    assert set(found.moves["drug"]) == {"clopidogrel", "ticagrelor", "prasugrel"}
