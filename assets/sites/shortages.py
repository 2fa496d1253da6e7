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
    found = [shortage_at(facts.shortages, product, drug, run.as_of) for product, drug in named]
    share = [np.nan if one is None else float(one["allocation_share"]) for one in found]
    ends = [None if one is None or pd.isna(one["ends_on"]) else one["ends_on"].date() for one in found]
    items = items.assign(allocation_share=share, shortage_ends_on=pd.Series(ends, index=items.index, dtype=object))
    moves: list[ShortageMove] = []
    problems: list[list[object]] = []
    for row in np.flatnonzero(np.isfinite(share)):
        made, said = _moves_of(run, items, int(row), draws, starts, facts, guidance, ends[row])
        moves += made
        item = items.iloc[row]
        until = ends[row] or "an unknown day"
        text = f"{item['drug']} is short until {until}: {share[row]:.0%} of an order is delivered"
        problems.append(
            [item["facility_id"], item["product_id"], "shortage", Severity.CHECK.value, "; ".join([text, *said])]
        )
    return items, move_demand(draws, moves) if moves else draws, pd.DataFrame(problems, columns=COLUMNS)


def _moves_of(
    run: PlanningRun,
    items: pd.DataFrame,
    row: int,
    draws: DemandDraws,
    starts: pd.DatetimeIndex,
    facts: ShortageFacts,
    guidance: pd.DataFrame,
    ends_on: dt.date | None,
) -> tuple[list[ShortageMove], list[str]]:
    """The moves off one short item, and sentences on them."""
    source = items.iloc[row]
    approved = valid_alternatives(facts.alternatives, run)
    approved = approved[approved["drug"] == source["drug"]].drop_duplicates("alternative_drug")
    if approved.empty:
        return [], ["no alternative is approved at the site, its demand stays"]
    stated = approved["share"].astype(float)
    rest = max(1 - stated.fillna(0.0).sum(), 0.0) / max(int(stated.isna().sum()), 1)
    here = facts.prevalence[
        (facts.prevalence["facility_id"] == source["facility_id"])
        & (facts.prevalence["biogeographic_group"] == ALL_GROUPS)
        & (facts.prevalence["result_type"] == ResultType.LOOKUP_KEY.value)
    ]
    days = [start.date() for start in starts]
    inside = share_inside(days, run.period.step(days[-1]), ends_on)
    moves, said = [], []
    for one, part in zip(approved.to_dict("records"), stated.fillna(rest), strict=True):
        drug = str(one["alternative_drug"])
        blocked = blocked_share(guidance, here, drug)
        moved = (1 - float(source["allocation_share"])) * float(part) * (1 - blocked)
        words = f"shortage of {source['drug']}: {moved:.1%} of its demand moves to {drug}"
        words += f", which {blocked:.1%} of patients cannot take by their genotype" if blocked > 0 else ""
        ratio = None if pd.isna(one["dose_ratio"]) else float(one["dose_ratio"])
        targets = _targets(items, draws, source, drug, ratio)
        if not targets:
            said.append(f"no product of {drug} can take its demand over (not stocked, short, or no daily dose known)")
            continue
        moves += [ShortageMove(row, at, moved * weight, units, inside, words) for at, weight, units in targets]
        said.append(words)
    return moves, said


def _targets(
    items: pd.DataFrame, draws: DemandDraws, source: pd.Series, drug: str, ratio: float | None
) -> list[tuple[int, float, float]]:
    """Products of the alternative with their part of the move and dose units per dose unit; the site's own mix."""
    there = (items["drug"] == drug) & items["allocation_share"].isna()
    units = {row: units_per_unit(source, items.iloc[row], ratio) for row in np.flatnonzero(there)}
    known = {row: one for row, one in units.items() if one}
    weight = {row: draws.final_mean[row].sum() / one for row, one in known.items()}
    total = sum(weight.values())
    return [(int(row), weight[row] / total, one) for row, one in known.items() if total > 0 and weight[row] > 0]
