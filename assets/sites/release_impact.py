"""What putting releases in force would change, before anybody does: rows, drugs, sites and packs per week.

Everything is read from the newest run and computed in memory: no table is written. The stored baseline forecast is
brought from the guidance in force to usual care and on to the planned exposure under the guidance that is compared, so
that two releases differ only by their cause. The forecast is not fitted again, and advice is taken to act in full.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import FOLLOWED_KINDS, DrugProblem, Knowledge, SiteGroup, knowledge
from assets.sites.genetics import GeneticTables, build_genetics, with_learned
from assets.sites.moves import group_moves, stacked_moves
from assets.sites.posterior import group_posterior
from forecasting.errors import InvalidInput
from forecasting.population import planned_mean
from forecasting.regimens.therapy import TherapyAtSite
from warehouse import store
from warehouse.importers.content.difference import content_diff
from warehouse.importers.content.releases import release_content
from warehouse.releases import RELEASES
from warehouse.schema.inputs import NOT_STATED

PREVALENCE_KINDS = (
    *("allele_frequency", "allele_function", "function_probability", "phenotype_rule", "diplotype"),
    "group_effective_size",
)
MOVE_COLUMNS = ["facility_id", "drug", "product_id", "units_per_week_before", "units_per_week_after", "packs_per_week"]
NOTHING = 1e-9
"""A difference below this share of the demand is the arithmetic's, not the release's."""


@dataclasses.dataclass(frozen=True)
class ReleaseImpact:
    """Changed rows by the release they are compared with, moves (`MOVE_COLUMNS`), and new problems of a run.

    `rows` are those of `content_diff` with the column `against`. In `moves`, `packs_per_week` is what would be used
    more (or less), on average over the run's horizon, per site and product. `problems` holds (site, drug, message) of
    drugs that would stand aside, or whose alternatives are not stocked.
    """

    rows: pd.DataFrame
    moves: pd.DataFrame
    problems: list[DrugProblem]


@dataclasses.dataclass(frozen=True)
class _PlannedDemand:
    """Planned demand under some releases: mean [product, horizon] by site, and what stands aside."""

    by_site: dict[str, pd.DataFrame]
    problems: set[DrugProblem]


def release_impact(warehouse: Warehouse, release_ids: Sequence[str], facility_ids: Sequence[str] = ()) -> ReleaseImpact:
    """What the newest run's sites (or those named) would plan with these releases in force from its origin on.

    One release a kind. A release that is not stored, or a site that the run did not plan, raises `InvalidInput`.
    """
    run = warehouse.latest_run()
    if not run.with_genetics:
        raise InvalidInput("the newest run was made without genetics: there is no plan to compare with")
    tables = RunTables(warehouse, run)
    candidates = _kinds(warehouse, release_ids)
    in_force = _in_force(tables["site_releases"], facility_ids)
    replaced = {site: {kind: releases.get(kind, "") for kind in candidates} for site, releases in in_force.items()}
    before = _planned_demand(tables, in_force, replaced)
    after = _planned_demand(tables, in_force, dict.fromkeys(in_force, candidates))
    moves = _moves(before.by_site, after.by_site, tables["products"], run)
    return ReleaseImpact(_rows(warehouse, candidates, replaced), moves, sorted(after.problems - before.problems))


def _kinds(warehouse: Warehouse, release_ids: Sequence[str]) -> dict[str, str]:
    """Kind -> release of the named ones."""
    with warehouse.engine.connect() as connection:
        stored = store.read(connection, RELEASES, RELEASES.c.release_id.in_(release_ids))
    kinds = dict(zip(stored["release_id"], stored["kind"], strict=True))
    unknown = [release_id for release_id in release_ids if release_id not in kinds]
    if unknown:
        raise InvalidInput(f"there is no release {unknown[0]!r}: pgx-supply release list shows what is loaded")
    by_kind = {kinds[release_id]: release_id for release_id in release_ids}
    if len(by_kind) < len(set(release_ids)):
        raise InvalidInput("two of the releases are of one kind: compare them one after the other")
    return by_kind


def _in_force(site_releases: pd.DataFrame, facility_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Site -> kind -> release of the run's sites, or of those named."""
    by_site = in_force_by_site(site_releases)
    unknown = sorted(set(facility_ids) - set(by_site))
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)}: not among the sites of the newest run")
    return {site: by_site[site] for site in by_site if not facility_ids or site in facility_ids}


def in_force_by_site(site_releases: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Site -> kind -> release in force at the origin."""
    by_site = site_releases[site_releases["in_force"].astype(bool)].groupby("facility_id")
    return {str(site): dict(zip(rows["kind"], rows["release_id"], strict=True)) for site, rows in by_site}


def _planned_demand(
    tables: RunTables, in_force: Mapping[str, Mapping[str, str]], changed: Mapping[str, Mapping[str, str]]
) -> _PlannedDemand:
    """Demand with the changed releases put in force at their sites on the origin day."""
    run, content = tables.run, changed_knowledge(tables, in_force, changed)
    prevalence = prevalence_of(content.groups, tables, {kind for kinds in changed.values() for kind in kinds})
    parts: list[pd.DataFrame] = []
    problems: set[DrugProblem] = set()
    for group in content.groups:
        moves, of_group = group_moves(group, tables)
        parts.append(moves)
        problems |= {(site, drug, message) for site in group.facility_ids for drug, _, message in of_group}
    exposure, products, facilities = (tables[name] for name in ("exposure", "products", "facilities"))
    last = exposure.loc[exposure["period_start"] < pd.Timestamp(run.as_of), "period_start"].max()
    # means are all that is compared: one draw is as good as many
    one_draw = dataclasses.replace(run, draws=1)
    genetic_tables = GeneticTables(prevalence, exposure, stacked_moves(parts), products, facilities)
    genetics = build_genetics(one_draw, content, genetic_tables, pd.DatetimeIndex([last]))
    genetics = with_learned(genetics, tables["genetic_effects"], one_draw)
    problems |= {(site, drug, message) for site, drug, _, message in genetics.problems}
    by_site = {
        site: _at_planned_exposure(baseline, genetics.by_site.get(site, []), len(content.at(site).eras) > 1)
        for site, baseline in _baselines(tables["baseline_forecasts"], in_force)
    }
    return _PlannedDemand(by_site, problems)


def changed_knowledge(
    tables: RunTables, in_force: Mapping[str, Mapping[str, str]], changed: Mapping[str, Mapping[str, str]]
) -> Knowledge:
    """What sites rest on with the changed releases in force from the origin on."""
    with tables.warehouse.engine.connect() as connection:
        return knowledge(connection, changed_site_releases(in_force, changed, tables.run.as_of))


def changed_site_releases(
    in_force: Mapping[str, Mapping[str, str]], changed: Mapping[str, Mapping[str, str]], as_of: dt.date
) -> pd.DataFrame:
    """Rows of `site_releases` with the changed ones in force from the origin on; the replaced were followed before."""
    rows = []
    for site, releases in in_force.items():
        for kind in {**releases, **changed[site]}:
            release = changed[site].get(kind, releases.get(kind, ""))
            followed = kind in changed[site] and kind in FOLLOWED_KINDS
            if followed and kind in releases:
                rows.append((site, kind, NOT_STATED, releases[kind], False))
            if release:
                rows.append((site, kind, as_of if followed else NOT_STATED, release, True))
    return pd.DataFrame(rows, columns=["facility_id", "kind", "effective_on", "release_id", "in_force"])


def prevalence_of(groups: Sequence[SiteGroup], tables: RunTables, kinds: set[str]) -> pd.DataFrame:
    """The stored prevalence where releases of the changed `kinds` leave it, else that of the groups' own content."""
    stored = tables["prevalence"]
    genes = {gene for group in groups for gene in group.genes}
    if not kinds & set(PREVALENCE_KINDS) and genes <= set(stored["gene"]):
        return stored
    return pd.concat([group_posterior(group, tables).table for group in groups], ignore_index=True)


def _baselines(rows: pd.DataFrame, sites: Mapping[str, Any]) -> list[tuple[str, pd.DataFrame]]:
    """(site, baseline mean [product, horizon]) of the sites."""
    of_sites = rows[rows["facility_id"].isin(list(sites))].groupby("facility_id")
    return [
        (str(site), of_site.pivot_table(index="product_id", columns="period_start", values="mean"))
        for site, of_site in of_sites
    ]


def _at_planned_exposure(
    baseline: pd.DataFrame, therapies: Sequence[TherapyAtSite], was_followed: bool
) -> pd.DataFrame:
    """The baseline at the planned exposure; guidance that `was_followed` up to the origin is first taken back."""
    products = sorted({product for therapy in therapies for product in therapy.product_ids} | set(baseline.index))
    demand = baseline.reindex(products).fillna(0.0)
    # therapies of past guidance come first
    for therapy in therapies:
        demand = with_therapy(demand, at_guidance_change(therapy) if was_followed else therapy)
    return demand


def at_guidance_change(therapy: TherapyAtSite) -> TherapyAtSite:
    """The therapy of a site whose guidance changes at the origin: the baseline still stands at what was followed.

    Past guidance goes from its exposure to none, the new one begins at none.
    """
    is_new = therapy.exposure_planned.any()
    origin = np.zeros_like(therapy.exposure_at_origin) if is_new else therapy.exposure_history[-1]
    return dataclasses.replace(therapy, exposure_at_origin=origin)


def with_therapy(demand: pd.DataFrame, therapy: TherapyAtSite) -> pd.DataFrame:
    """Mean demand [product, period] with the therapy going from its exposure at the origin to the planned one."""
    moved, products = demand.copy(), list(therapy.product_ids)
    moved.loc[products] = planned_mean(demand.loc[products].to_numpy(), therapy)
    return moved


def _moves(
    before: Mapping[str, pd.DataFrame], after: Mapping[str, pd.DataFrame], products: pd.DataFrame, run: PlanningRun
) -> pd.DataFrame:
    """Products whose planned demand differs, with units and packs per week, largest move of each site first."""
    weeks = run.horizon * run.period.mean_days / 7
    parts = []
    for site, planned in before.items():
        both = pd.DataFrame({"before": planned.sum(axis=1), "after": after[site].sum(axis=1)}).fillna(0.0) / weeks
        parts.append(both.rename_axis("product_id").reset_index().assign(facility_id=site))
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["product_id", "before", "after"])
    about = products.set_index("product_id")
    change = rows["after"] - rows["before"]
    pack_size = rows["product_id"].map(about["pack_size"]).astype(float)
    named = rows.rename(columns={"before": "units_per_week_before", "after": "units_per_week_after"}).assign(
        drug=rows["product_id"].map(about["drug"]), packs_per_week=change / pack_size
    )
    moved = named[change.abs() > NOTHING * np.maximum(rows["before"].abs(), 1.0)]
    largest = moved["packs_per_week"].abs().rename("size")
    ordered = moved.join(largest).sort_values(["facility_id", "size", "product_id"], ascending=[True, False, True])
    return ordered[MOVE_COLUMNS].reset_index(drop=True)


def _rows(
    warehouse: Warehouse, candidates: Mapping[str, str], replaced: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """Changed rows of each candidate against each release that it would replace somewhere."""
    parts = []
    with warehouse.engine.connect() as connection:
        for kind, candidate in candidates.items():
            for against in sorted({releases[kind] for releases in replaced.values()}):
                parts.append(_diff(connection, kind, against, candidate).assign(against=against))
    return pd.concat(parts, ignore_index=True)


def _diff(connection: sa.Connection, kind: str, before: str, after: str) -> pd.DataFrame:
    old = release_content(connection, before) if before else None
    return content_diff(kind, old, release_content(connection, after))
