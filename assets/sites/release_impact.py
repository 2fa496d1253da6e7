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
from assets.sites.content import FOLLOWED_KINDS, Knowledge, SiteGroup, knowledge
from assets.sites.genetics import assemble, with_learned
from assets.sites.moves import group_moves, in_use, recent_quantity, stacked
from assets.sites.posterior import group_posterior, newest_counts
from forecasting.errors import InvalidInput
from forecasting.population import planned_mean
from forecasting.regimens.therapy import TherapyAtSite
from warehouse import store
from warehouse.importers.content.difference import content_diff
from warehouse.importers.content.releases import release_content
from warehouse.releases import RELEASES
from warehouse.schema import Base
from warehouse.schema.inputs import NOT_STATED

PREVALENCE_KINDS = (
    *("allele_frequency", "allele_function", "function_probability", "phenotype_rule", "diplotype"),
    "group_effective_size",
)
MOVE_COLUMNS = ["facility_id", "drug", "product_id", "units_per_week_before", "units_per_week_after", "packs_per_week"]
NOTHING = 1e-9
"""A difference below this share of the demand is the arithmetic's, not the release's."""


@dataclasses.dataclass(frozen=True)
class Preview:
    """Changed rows by the release they are compared with, moves (`MOVE_COLUMNS`), and what a run would newly say.

    `rows` are those of `content_diff` with the column `against`. In `moves`, `packs_per_week` is what would be used
    more (or less), on average over the run's horizon, per site and product. `problems` holds (site, drug, message) of
    drugs that would stand aside, or whose alternatives are not stocked.
    """

    rows: pd.DataFrame
    moves: pd.DataFrame
    problems: list[tuple[str, str, str]]


@dataclasses.dataclass(frozen=True)
class _Side:
    """Planned demand under some releases: mean [product, horizon] by site, and what stands aside."""

    planned: dict[str, pd.DataFrame]
    problems: set[tuple[str, str, str]]


def preview(warehouse: Warehouse, release_ids: Sequence[str], facility_ids: Sequence[str] = ()) -> Preview:
    """What the newest run's sites (or those named) would plan with these releases in force from its origin on.

    One release a kind. A release that is not stored, or a site that the run did not plan, raises `InvalidInput`.
    """
    run = warehouse.latest_run()
    if not run.with_genetics:
        raise InvalidInput("the newest run was made without genetics: there is no plan to compare with")
    tables = RunTables(warehouse, run)
    candidates = _kinds(warehouse, release_ids)
    in_force = _in_force(tables["site_releases"], facility_ids)
    now = {site: {kind: own.get(kind, "") for kind in candidates} for site, own in in_force.items()}
    before = _side(warehouse, tables, run, in_force, now)
    after = _side(warehouse, tables, run, in_force, dict.fromkeys(in_force, candidates))
    moves = _moves(before.planned, after.planned, tables["products"], run)
    return Preview(_rows(warehouse, candidates, now), moves, sorted(after.problems - before.problems))


class RunTables:
    """Tables as the run saw them: inputs whole, results of its origin; each read once."""

    def __init__(self, warehouse: Warehouse, run: PlanningRun) -> None:
        self.warehouse, self.run = warehouse, run
        self.frames: dict[str, pd.DataFrame] = {}

    def copied(self) -> "RunTables":
        """The same, of which frames can be put in the place of others."""
        copy = RunTables(self.warehouse, self.run)
        copy.frames = self.frames.copy()
        return copy

    def __setitem__(self, name: str, frame: pd.DataFrame) -> None:
        self.frames[name] = frame

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self.frames:
            table = Base.metadata.tables[name]
            results = table.info["layer"] == "results"
            frame = self.warehouse.read(table, table.c.as_of == self.run.as_of) if results else None
            self.frames[name] = self.warehouse.read_input(table) if frame is None else frame
        return self.frames[name]


def _kinds(warehouse: Warehouse, release_ids: Sequence[str]) -> dict[str, str]:
    """Kind -> release of those asked for."""
    with warehouse.engine.connect() as connection:
        stored = store.read(connection, RELEASES, RELEASES.c.release_id.in_(release_ids))
    kinds = dict(zip(stored["release_id"], stored["kind"], strict=True))
    unknown = [one for one in release_ids if one not in kinds]
    if unknown:
        raise InvalidInput(f"there is no release {unknown[0]!r}: pgx-supply release list shows what is loaded")
    found = {kinds[one]: one for one in release_ids}
    if len(found) < len(set(release_ids)):
        raise InvalidInput("two of the releases are of one kind: compare them one after the other")
    return found


def _in_force(site_releases: pd.DataFrame, facility_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Site -> kind -> release of the run's sites, or of those named."""
    now = site_releases[site_releases["in_force"]]
    planned = set(now["facility_id"])
    unknown = sorted(set(facility_ids) - planned)
    if unknown:
        raise InvalidInput(f"{', '.join(unknown)}: not among the sites of the newest run")
    chosen = now[now["facility_id"].isin(list(facility_ids) or planned)]
    by_site = chosen.groupby("facility_id")
    return {str(site): dict(zip(rows["kind"], rows["release_id"], strict=True)) for site, rows in by_site}


def _side(
    warehouse: Warehouse,
    tables: RunTables,
    run: PlanningRun,
    in_force: Mapping[str, Mapping[str, str]],
    changed: Mapping[str, Mapping[str, str]],
) -> _Side:
    rows = [row for site, own in in_force.items() for row in release_rows(site, own, changed[site], run.as_of)]
    with warehouse.engine.connect() as connection:
        known = knowledge(connection, pd.DataFrame(rows))
    prevalence = prevalence_of(known, tables, run, {kind for own in changed.values() for kind in own})
    parts: list[pd.DataFrame] = []
    problems: set[tuple[str, str, str]] = set()
    for group in known.groups:
        moved, found = moves_of_group(group, tables, run)
        parts.append(moved)
        problems |= {(site, drug, text) for site in group.facility_ids for drug, _, text in found}
    moves = stacked(parts)
    moves["followed_from"] = pd.to_datetime(moves["followed_from"])
    exposure = tables["exposure"]
    last = exposure.loc[exposure["period_start"] < pd.Timestamp(run.as_of), "period_start"].max()
    # means are all that is compared: one draw is as good as many
    one_draw = dataclasses.replace(run, draws=1)
    starts, facilities = pd.DatetimeIndex([last]), tables["facilities"]
    whole = assemble(one_draw, known, prevalence, exposure, moves, tables["products"], facilities, starts)
    genetics = with_learned(whole, tables["genetic_effects"], one_draw)
    problems |= {(site, drug, text) for site, drug, _, text in genetics.problems}
    planned = {
        site: _planned(baseline, genetics.by_site.get(site, []), len(known.at(site).eras) > 1)
        for site, baseline in _baselines(tables["baseline_forecasts"], in_force)
    }
    return _Side(planned, problems)


def release_rows(site: str, own: Mapping[str, str], changed: Mapping[str, str], as_of: dt.date) -> list[dict[str, Any]]:
    """The site's releases with the changed ones in force from the origin on: what they replace was followed before."""
    rows = []
    for kind in {**own, **changed}:
        release = changed.get(kind, own.get(kind, ""))
        followed = kind in changed and kind in FOLLOWED_KINDS
        if followed and kind in own:
            rows.append((kind, NOT_STATED, own[kind], False))
        if release:
            rows.append((kind, as_of if followed else NOT_STATED, release, True))
    names = ("kind", "effective_on", "release_id", "in_force")
    return [{"facility_id": site, **dict(zip(names, row, strict=True))} for row in rows]


def prevalence_of(known: Knowledge, tables: RunTables, run: PlanningRun, kinds: set[str]) -> pd.DataFrame:
    """The stored prevalence where it still holds, else that of the groups' own content."""
    stored = tables["prevalence"]
    genes = {gene for group in known.groups for gene in group.genes}
    if not kinds & set(PREVALENCE_KINDS) and genes <= set(stored["gene"]):
        return stored
    facilities, as_of = tables["facilities"], pd.Timestamp(run.as_of)
    open_sites = facilities[~(facilities["closed_on"] <= as_of)]
    counts = newest_counts(tables["genotype_counts"], as_of)
    parts = [
        group_posterior(group, open_sites, tables["ancestry"], counts, tables["assays"]).table for group in known.groups
    ]
    return pd.concat(parts, ignore_index=True)


def moves_of_group(
    group: SiteGroup, tables: RunTables, run: PlanningRun
) -> tuple[pd.DataFrame, list[tuple[str, str, str]]]:
    """Moves of a group's eras at its sites that dispensed anything lately, and (drug, rule, message)."""
    quantity = recent_quantity(tables["dispensing"], run)
    sites = [site for site in group.facility_ids if site in quantity.index]
    stocked = in_use(tables["products"], tables["dispensing"], run)
    return group_moves(group, sites, stocked, tables["alternatives"], quantity, run)


def _baselines(rows: pd.DataFrame, sites: Mapping[str, Any]) -> list[tuple[str, pd.DataFrame]]:
    """(site, baseline mean [product, horizon]) of the sites."""
    here = rows[rows["facility_id"].isin(list(sites))]
    return [
        (str(site), of_site.pivot_table(index="product_id", columns="period_start", values="mean"))
        for site, of_site in here.groupby("facility_id")
    ]


def _planned(baseline: pd.DataFrame, therapies: Sequence[TherapyAtSite], was_followed: bool) -> pd.DataFrame:
    """The baseline at the planned exposure; guidance `was_followed` up to the origin is first taken back."""
    products = sorted({product for one in therapies for product in one.product_ids} | set(baseline.index))
    demand = baseline.reindex(products).fillna(0.0)
    # therapies of past guidance come first
    for therapy in therapies:
        demand = _moved(demand, taken_back(therapy) if was_followed else therapy)
    return demand


def taken_back(therapy: TherapyAtSite) -> TherapyAtSite:
    """The therapy of a site whose guidance changes at the origin: the baseline still stands at what was followed.

    Past guidance goes from its exposure to none, what is to come begins at none.
    """
    to_come = therapy.exposure_planned.any()
    origin = np.zeros_like(therapy.exposure_at_origin) if to_come else therapy.exposure_history[-1]
    return dataclasses.replace(therapy, exposure_at_origin=origin)


def _moved(demand: pd.DataFrame, therapy: TherapyAtSite) -> pd.DataFrame:
    moved = demand.copy()
    places = list(therapy.product_ids)
    moved.loc[places] = planned_mean(demand.loc[places].to_numpy(), therapy)
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
    told = rows.rename(columns={"before": "units_per_week_before", "after": "units_per_week_after"}).assign(
        drug=rows["product_id"].map(about["drug"]), packs_per_week=change / pack_size
    )
    moved = told[change.abs() > NOTHING * np.maximum(rows["before"].abs(), 1.0)]
    largest = moved["packs_per_week"].abs().rename("size")
    ordered = moved.join(largest).sort_values(["facility_id", "size", "product_id"], ascending=[True, False, True])
    return ordered[MOVE_COLUMNS].reset_index(drop=True)


def _rows(warehouse: Warehouse, candidates: Mapping[str, str], now: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Changed rows of each candidate against each release that it would replace somewhere."""
    parts = []
    with warehouse.engine.connect() as connection:
        for kind, candidate in candidates.items():
            for against in sorted({own[kind] for own in now.values()}):
                parts.append(_diff(connection, kind, against, candidate).assign(against=against))
    return pd.concat(parts, ignore_index=True)


def _diff(connection: sa.Connection, kind: str, before: str, after: str) -> pd.DataFrame:
    old = release_content(connection, before) if before else None
    return content_diff(kind, old, release_content(connection, after))
