"""What a scenario changes: rows of the tables that a run reads, in memory."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.content import knowledge
from assets.sites.moves import stacked
from assets.sites.release_impact import PREVALENCE_KINDS, RunTables, moves_of_group, prevalence_of, release_rows
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
class InForce:
    """A release in force from the origin on."""

    release_id: str
    kind: str
    facility_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Short:
    """A shortage that runs at the origin: so much of an order is delivered until its last day (None = not known)."""

    drug: str
    product_id: str
    allocation_share: float
    ends_on: dt.date | None


@dataclasses.dataclass(frozen=True)
class Budget:
    """Most that each site may spend in a period."""

    per_period: float
    facility_ids: tuple[str, ...]


Change = GoLive | Coverage | InForce | Short | Budget


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A name and its changes; `labels` [change] say each in words."""

    name: str
    changes: tuple[Change, ...]
    labels: tuple[str, ...]


def changed_tables(tables: RunTables, run: PlanningRun, changes: Sequence[Change]) -> RunTables:
    """The run's tables with the changes made; tables that no change touches are the same objects."""
    changed = tables.copied()
    for change in changes:
        match change:
            case GoLive() | Coverage():
                changed["testing_coverage"] = _coverage(changed["testing_coverage"], change, run)
            case Short():
                changed["shortages"] = _shortages(changed["shortages"], change, run)
            case Budget():
                changed["policies"] = _policies(changed["policies"], change)
            case InForce():
                pass
    if any(isinstance(one, GoLive | Coverage) for one in changes):
        changed["exposure"] = _exposure(changed, tables["exposure"], run)
    releases = [one for one in changes if isinstance(one, InForce)]
    if releases:
        _put_in_force(changed, run, releases)
    return changed


def _coverage(rows: pd.DataFrame, change: GoLive | Coverage, run: PlanningRun) -> pd.DataFrame:
    planned = rows["planned"].astype(bool) & (rows["gene"] == change.gene)
    parts = []
    for site in change.facility_ids:
        here = rows["facility_id"] == site
        measured = rows.loc[here & (rows["gene"] == change.gene) & ~rows["planned"].astype(bool), "period_start"]
        known_until = measured[measured < pd.Timestamp(run.as_of)].max()
        plan = rows[here & planned]
        ahead = plan[~(plan["period_start"] <= known_until)].sort_values("period_start")
        if isinstance(change, GoLive):
            if ahead.empty:
                raise InvalidInput(f"go_live: {site} has no plan to test {change.gene}; state it under coverage")
            later = pd.Timestamp(change.on) - ahead["period_start"].iloc[0]
            parts.append(ahead.assign(period_start=ahead["period_start"] + later))
        else:
            shares = {"share_tested": change.share_tested, "share_followed": change.share_followed}
            row = {"facility_id": site, "gene": change.gene, "period_start": pd.Timestamp(change.starts_on)}
            parts += [
                plan[plan["period_start"] < row["period_start"]],
                pd.DataFrame([row | {"planned": True} | shares]),
            ]
    kept = rows[~(planned & rows["facility_id"].isin(change.facility_ids))]
    whole: pd.DataFrame = pd.concat([kept, *(one for one in parts if len(one))], ignore_index=True)
    return whole[list(rows.columns)]


def _exposure(tables: RunTables, stored: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """Exposure of the changed coverage over the periods that are stored."""
    if stored.empty:
        raise InvalidInput("coverage: the plan knows of no testing; load testing_coverage and run it first")
    starts = pd.DatetimeIndex(sorted(stored["period_start"].unique()))
    sites = tables["facilities"]["facility_id"].tolist()
    found = exposure_table(tables["testing_coverage"], sites, starts, run.as_of)
    return found.assign(as_of=pd.Timestamp(run.as_of))


def _shortages(rows: pd.DataFrame, change: Short, run: PlanningRun) -> pd.DataFrame:
    row = {"product_id": change.product_id, "drug": change.drug, "allocation_share": change.allocation_share}
    days = {"starts_on": pd.Timestamp(run.as_of), "ends_on": pd.Timestamp(change.ends_on) if change.ends_on else pd.NaT}
    same = (rows["product_id"] == change.product_id) & (rows["drug"] == change.drug)
    added = pd.DataFrame([row | days]).reindex(columns=rows.columns)
    return pd.concat([rows[~same], added], ignore_index=True) if (~same).any() else added


def _policies(rows: pd.DataFrame, change: Budget) -> pd.DataFrame:
    keys = {name: ANY for name in ("product_id", "drug", "abc", "xyz", "criticality")}
    whole = (rows[list(keys)].fillna(ANY) == ANY).all(axis=1) if len(rows) else pd.Series(dtype=bool)
    found = rows.copy()
    found["budget_per_period"] = found["budget_per_period"].astype(object)
    added = []
    for site in change.facility_ids:
        own = whole & (found["facility_id"] == site) if len(found) else whole
        if own.any():
            found.loc[own, "budget_per_period"] = change.per_period
        else:
            added.append({"facility_id": site, **keys, "budget_per_period": change.per_period})
    if not added:
        return found
    more = pd.DataFrame(added).reindex(columns=found.columns)
    return pd.concat([found, more], ignore_index=True) if len(found) else more


def _put_in_force(tables: RunTables, run: PlanningRun, releases: Sequence[InForce]) -> None:
    """Site releases with what each site would follow from the origin on, and prevalence and moves under them."""
    rows = tables["site_releases"]
    now = rows[rows["in_force"].astype(bool)]
    changed: dict[str, dict[str, str]] = {}
    in_force: dict[str, Mapping[str, str]] = {}
    for site, own in now.groupby("facility_id"):
        in_force[str(site)] = dict(zip(own["kind"], own["release_id"], strict=True))
    for one in releases:
        for site in one.facility_ids:
            if in_force.get(site, {}).get(one.kind) != one.release_id:
                changed.setdefault(site, {})[one.kind] = one.release_id
    if not changed:
        return
    new = [row for site, kinds in changed.items() for row in release_rows(site, in_force[site], kinds, run.as_of)]
    frame = pd.DataFrame(new).assign(as_of=pd.Timestamp(run.as_of))
    frame["effective_on"] = pd.to_datetime(frame["effective_on"])
    tables["site_releases"] = pd.concat([rows[~rows["facility_id"].isin(changed)], frame], ignore_index=True)
    with tables.warehouse.engine.connect() as connection:
        known = knowledge(connection, frame)
    kinds = {kind for own in changed.values() for kind in own}
    if kinds & set(PREVALENCE_KINDS):
        fresh, stored = prevalence_of(known, tables, run, kinds), tables["prevalence"]
        kept = stored[~stored["facility_id"].isin(changed)]
        tables["prevalence"] = pd.concat([kept, fresh[fresh["facility_id"].isin(changed)]], ignore_index=True)
    moves = stacked([moves_of_group(group, tables, run)[0] for group in known.groups])
    moves["followed_from"] = pd.to_datetime(moves["followed_from"])
    others = tables["regimen_moves"][~tables["regimen_moves"]["facility_id"].isin(changed)]
    tables["regimen_moves"] = pd.concat([others, moves], ignore_index=True) if len(others) else moves


def sites_of(tables: RunTables) -> list[str]:
    """Sites that the run planned."""
    return sorted(set(tables["baseline_forecasts"]["facility_id"]))
