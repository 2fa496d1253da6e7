"""Shortages of a site: what of an order is delivered, and where the rest of the demand goes."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.moves import valid_alternatives
from forecasting.procurement.findings import COLUMNS, Severity
from forecasting.procurement.protection_demand import DemandDraws
from forecasting.procurement.supply.shortages import (
    ShortageMove,
    blocked_share,
    move_demand,
    share_inside,
    shortage_at,
    units_per_unit,
)
from forecasting.terms import ALL_GROUPS, ResultType


@dataclasses.dataclass(frozen=True)
class ShortageFacts:
    """What shortages of a run rest on: their rows, approved alternatives, and who cannot take an alternative."""

    shortages: pd.DataFrame
    alternatives: pd.DataFrame
    prevalence: pd.DataFrame


def with_shortages(
    run: PlanningRun,
    items: pd.DataFrame,
    draws: DemandDraws,
    starts: pd.DatetimeIndex,
    facts: ShortageFacts,
    guidance: pd.DataFrame,
) -> tuple[pd.DataFrame, DemandDraws, pd.DataFrame]:
    """The items with allocation_share and shortage_ends_on, the draws with demand moved, and findings."""
    named = zip(items["product_id"], items["drug"], strict=True)
    rows = [shortage_at(facts.shortages, product, drug, run.as_of) for product, drug in named]
    share = [np.nan if row is None else float(row["allocation_share"]) for row in rows]
    ends = [None if row is None or pd.isna(row["ends_on"]) else row["ends_on"].date() for row in rows]
    items = items.assign(allocation_share=share, shortage_ends_on=pd.Series(ends, index=items.index, dtype=object))
    site = _Site(run, items, draws, [start.date() for start in starts], facts, guidance)
    moves: list[ShortageMove] = []
    findings: list[list[object]] = []
    for number in np.flatnonzero(np.isfinite(share)):
        of_item, sentences = _moves_of(site, int(number))
        moves += of_item
        item = items.iloc[number]
        until = ends[number] or "an unknown day"
        text = f"{item['drug']} is short until {until}: {share[number]:.0%} of an order is delivered"
        text = "; ".join([text, *sentences])
        findings.append([item["facility_id"], item["product_id"], "shortage", Severity.CHECK.value, text])
    return items, move_demand(draws, moves) if moves else draws, pd.DataFrame(findings, columns=COLUMNS)


@dataclasses.dataclass(frozen=True)
class _Site:
    """What the moves off a short item of one site depend on; `starts` are the days on which periods begin."""

    run: PlanningRun
    items: pd.DataFrame
    draws: DemandDraws
    starts: list[dt.date]
    facts: ShortageFacts
    guidance: pd.DataFrame

    def alternatives_of(self, drug: str) -> pd.DataFrame:
        """Approved alternatives of a drug with their shares of the move: what is not stated is split evenly."""
        approved = valid_alternatives(self.facts.alternatives, self.run)
        approved = approved[approved["drug"] == drug].drop_duplicates("alternative_drug")
        stated = approved["share"].astype(float)
        rest = max(1 - stated.fillna(0.0).sum(), 0.0) / max(int(stated.isna().sum()), 1)
        return approved.assign(share=stated.fillna(rest))

    def blocked_share(self, facility_id: str, drug: str) -> float:
        """Share of patients who cannot take a drug by their genotype."""
        rows = self.facts.prevalence
        of_all = (rows["facility_id"] == facility_id) & (rows["biogeographic_group"] == ALL_GROUPS)
        return blocked_share(self.guidance, rows[of_all & (rows["result_type"] == ResultType.LOOKUP_KEY.value)], drug)


def _moves_of(site: _Site, number: int) -> tuple[list[ShortageMove], list[str]]:
    """The moves off one short item (its number in the items), and sentences on them."""
    source = site.items.iloc[number]
    approved = site.alternatives_of(source["drug"])
    if approved.empty:
        return [], ["no alternative is approved at the site, its demand stays"]
    inside = share_inside(site.starts, site.run.period.step(site.starts[-1]), source["shortage_ends_on"])
    moves, sentences = [], []
    for row in approved.to_dict("records"):
        drug = str(row["alternative_drug"])
        blocked = site.blocked_share(source["facility_id"], drug)
        moved = (1 - float(source["allocation_share"])) * float(row["share"]) * (1 - blocked)
        reason = f"shortage of {source['drug']}: {moved:.1%} of its demand moves to {drug}"
        reason += f", which {blocked:.1%} of patients cannot take by their genotype" if blocked > 0 else ""
        ratio = None if pd.isna(row["dose_ratio"]) else float(row["dose_ratio"])
        targets = _targets(site, source, drug, ratio)
        if targets:
            moves += [ShortageMove(number, at, moved * weight, units, inside, reason) for at, weight, units in targets]
            sentences.append(reason)
        else:
            unknown = "(not stocked, short, or no daily dose known)"
            sentences.append(f"no product of {drug} can take its demand over {unknown}")
    return moves, sentences


def _targets(site: _Site, source: pd.Series, drug: str, ratio: float | None) -> list[tuple[int, float, float]]:
    """Products of the alternative with their part of the move and dose units per dose unit; the site's own mix."""
    is_target = (site.items["drug"] == drug) & site.items["allocation_share"].isna()
    units = {row: units_per_unit(source, site.items.iloc[row], ratio) for row in np.flatnonzero(is_target)}
    known = {row: per_unit for row, per_unit in units.items() if per_unit}
    weight = {row: site.draws.final_mean[row].sum() / per_unit for row, per_unit in known.items()}
    total = sum(weight.values())
    return [
        (int(row), weight[row] / total, per_unit) for row, per_unit in known.items() if total > 0 and weight[row] > 0
    ]
