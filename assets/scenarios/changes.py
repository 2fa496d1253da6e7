"""What a scenario changes: rows of the tables that a run reads, in memory."""

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence

import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import knowledge
from assets.sites.moves import moves_of_groups
from assets.sites.release_impact import PREVALENCE_KINDS, changed_site_releases, in_force_by_site, prevalence_of
from forecasting.errors import InvalidInput
from forecasting.regimens.exposure import exposure_table

ANY = "*"


@dataclasses.dataclass(frozen=True)
class GoLive:
    """Planned testing of a gene begins on another day: the site's plan moves as a whole."""

    gene: str
    on: dt.date
    facility_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Planned coverage of a gene from a day on, in place of the site's plan from then."""

    gene: str
    starts_on: dt.date
    share_tested: float
    share_followed: float
    facility_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ReleaseInForce:
    """A release in force from the origin on."""

    release_id: str
    kind: str
    facility_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Shortage:
    """A shortage at the origin: the share of an order that is delivered until its last day (None = not known)."""

    drug: str
    product_id: str
    allocation_share: float
    ends_on: dt.date | None


@dataclasses.dataclass(frozen=True)
class Budget:
    """Most that each site may spend in a period."""

    per_period: float
    facility_ids: tuple[str, ...]


Change = GoLive | Coverage | ReleaseInForce | Shortage | Budget


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A name and its changes; `labels` [change] describe each for people."""

    name: str
    changes: tuple[Change, ...]
    labels: tuple[str, ...]


def changed_tables(tables: RunTables, changes: Sequence[Change]) -> RunTables:
    """The run's tables with the changes made; tables that no change touches are the same objects."""
    changed, run = tables.copied(), tables.run
    for change in changes:
        match change:
            case GoLive() | Coverage():
                changed["testing_coverage"] = _coverage(changed["testing_coverage"], change, run)
            case Shortage():
                changed["shortages"] = _shortages(changed["shortages"], change, run)
            case Budget():
                changed["policies"] = _policies(changed["policies"], change)
    if any(isinstance(change, GoLive | Coverage) for change in changes):
        changed["exposure"] = _exposure(changed, tables["exposure"])
    releases = [change for change in changes if isinstance(change, ReleaseInForce)]
    if releases:
        _put_in_force(changed, releases)
    return changed


def _coverage(rows: pd.DataFrame, change: GoLive | Coverage, run: PlanningRun) -> pd.DataFrame:
    """Rows of `testing_coverage` with the plan of the change's sites in place of their own."""
    is_plan = rows["planned"].astype(bool)
    of_gene = rows["gene"] == change.gene
    parts = []
    for site in change.facility_ids:
        of_site = of_gene & (rows["facility_id"] == site)
        measured, plan = rows.loc[of_site & ~is_plan, "period_start"], rows[of_site & is_plan]
        if isinstance(change, GoLive):
            known_until = measured[measured < pd.Timestamp(run.as_of)].max()
            parts.append(_moved_plan(plan[~(plan["period_start"] <= known_until)], change, site))
        else:
            shares = {"share_tested": change.share_tested, "share_followed": change.share_followed}
            row = {"facility_id": site, "gene": change.gene, "period_start": pd.Timestamp(change.starts_on)}
            parts += [
                plan[plan["period_start"] < row["period_start"]],
                pd.DataFrame([row | {"planned": True} | shares]),
            ]
    unchanged = rows[~(is_plan & of_gene & rows["facility_id"].isin(change.facility_ids))]
    changed: pd.DataFrame = pd.concat([unchanged, *(part for part in parts if len(part))], ignore_index=True)
    return changed[list(rows.columns)]


def _moved_plan(plan: pd.DataFrame, change: GoLive, site: str) -> pd.DataFrame:
    """The plan to come of a site, moved as a whole so that it begins on the day of the go-live."""
    if plan.empty:
        raise InvalidInput(f"go_live: {site} has no plan to test {change.gene}; state it under coverage")
    plan = plan.sort_values("period_start")
    delay = pd.Timestamp(change.on) - plan["period_start"].iloc[0]
    return plan.assign(period_start=plan["period_start"] + delay)


def _exposure(tables: RunTables, stored: pd.DataFrame) -> pd.DataFrame:
    """Exposure of the changed coverage over the periods that are stored."""
    if stored.empty:
        raise InvalidInput("coverage: the plan knows of no testing; load testing_coverage and run it first")
    starts = pd.DatetimeIndex(sorted(stored["period_start"].unique()))
    sites, as_of = tables["facilities"]["facility_id"].tolist(), tables.run.as_of
    return exposure_table(tables["testing_coverage"], sites, starts, as_of).assign(as_of=pd.Timestamp(as_of))


def _shortages(rows: pd.DataFrame, change: Shortage, run: PlanningRun) -> pd.DataFrame:
    row = {"product_id": change.product_id, "drug": change.drug, "allocation_share": change.allocation_share}
    days = {"starts_on": pd.Timestamp(run.as_of), "ends_on": pd.Timestamp(change.ends_on) if change.ends_on else pd.NaT}
    is_same = (rows["product_id"] == change.product_id) & (rows["drug"] == change.drug)
    added = pd.DataFrame([row | days]).reindex(columns=rows.columns)
    return pd.concat([rows[~is_same], added], ignore_index=True) if (~is_same).any() else added


def _policies(rows: pd.DataFrame, change: Budget) -> pd.DataFrame:
    """Rows of `policies` with the budget of each site: in its row for all products, which is added where none is."""
    keys = {name: ANY for name in ("product_id", "drug", "abc", "xyz", "criticality")}
    for_all = (rows[list(keys)].fillna(ANY) == ANY).all(axis=1) if len(rows) else pd.Series(dtype=bool)
    policies = rows.copy()
    policies["budget_per_period"] = policies["budget_per_period"].astype(object)
    added = []
    for site in change.facility_ids:
        of_site = for_all & (policies["facility_id"] == site) if len(policies) else for_all
        if of_site.any():
            policies.loc[of_site, "budget_per_period"] = change.per_period
        else:
            added.append({"facility_id": site, **keys, "budget_per_period": change.per_period})
    if not added:
        return policies
    new = pd.DataFrame(added).reindex(columns=policies.columns)
    return pd.concat([policies, new], ignore_index=True) if len(policies) else new


def _put_in_force(tables: RunTables, changes: Sequence[ReleaseInForce]) -> None:
    """Site releases with what each site would follow from the origin on, and prevalence and moves under them."""
    stored, as_of = tables["site_releases"], tables.run.as_of
    in_force = in_force_by_site(stored)
    changed: dict[str, dict[str, str]] = {}
    for change in changes:
        for site in change.facility_ids:
            if in_force.get(site, {}).get(change.kind) != change.release_id:
                changed.setdefault(site, {})[change.kind] = change.release_id
    if not changed:
        return
    new = changed_site_releases({site: in_force[site] for site in changed}, changed, as_of)
    new = new.assign(as_of=pd.Timestamp(as_of), effective_on=pd.to_datetime(new["effective_on"]))
    tables["site_releases"] = pd.concat([_of_other_sites(stored, changed), new], ignore_index=True)
    with tables.warehouse.engine.connect() as connection:
        groups = knowledge(connection, new).groups
    kinds = {kind for releases in changed.values() for kind in releases}
    if kinds & set(PREVALENCE_KINDS):
        prevalence = prevalence_of(groups, tables, kinds)
        parts = [_of_other_sites(tables["prevalence"], changed), prevalence[prevalence["facility_id"].isin(changed)]]
        tables["prevalence"] = pd.concat(parts, ignore_index=True)
    kept, moves = _of_other_sites(tables["regimen_moves"], changed), moves_of_groups(groups, tables)
    tables["regimen_moves"] = pd.concat([kept, moves], ignore_index=True) if len(kept) else moves


def _of_other_sites(rows: pd.DataFrame, changed: Collection[str]) -> pd.DataFrame:
    return rows[~rows["facility_id"].isin(changed)]


def planned_sites(tables: RunTables) -> list[str]:
    """Sites that the run planned."""
    return sorted(set(tables["baseline_forecasts"]["facility_id"]))
