"""Recommendations: what to order of each item, why, and what to look at first."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.errors import InvalidInput
from forecasting.procurement.explanation.calculation import Document, recommendation_id
from forecasting.procurement.explanation.line_calculation import tell
from forecasting.procurement.explanation.lines import LINE_COLUMNS, line_row, lines_of
from forecasting.procurement.findings import find_problems
from forecasting.procurement.items import joined, take
from forecasting.procurement.order.outlook import outlook
from forecasting.procurement.order.par_level import par_is_wrong, par_problems
from forecasting.procurement.order.plan import NO_LIMIT, Plan, Situation, plan_orders
from forecasting.procurement.order.planning_case import Case, Ordered, read_case
from forecasting.procurement.order.reasons import RISK_THAT_MATTERS, Findings, changed_lately, reasons_of
from forecasting.procurement.order.shared_limits import Together, settle_together
from forecasting.procurement.packs import Integers, packs_for_thousandths
from forecasting.procurement.policy.limits import Limit
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.protection_demand import CumulativeDemand, DemandDraws, Floats, shares_of_periods
from forecasting.procurement.supply.shortages import moved_by_shortage
from forecasting.terms import Period

BLOCK = 256
"""Items worked on at a time: large enough to be vectorised, small enough to stay in the processor's cache."""


@dataclasses.dataclass(frozen=True)
class Recommendations:
    """`lines` has `LINE_COLUMNS`, most urgent first; `explanations` are their documents, in the same order."""

    lines: pd.DataFrame
    explanations: list[Document]
    problems: pd.DataFrame


def recommend(
    items: pd.DataFrame,
    demand: DemandDraws,
    *,
    period: Period,
    period_starts: Sequence[dt.date],
    as_of: dt.date,
    lots: pd.DataFrame,
    open_orders: pd.DataFrame,
    lead_times: pd.DataFrame,
    draws_seed: int,
    defaults: PolicyDefaults | None = None,
    context: dict[str, Any] | None = None,
    since: pd.DataFrame | None = None,
    standing: pd.Series | None = None,
    limits: Sequence[Limit] = (),
) -> Recommendations:
    """Orders to place on each item's next order day, with their calculations, and findings.

    `items`: one row a facility and product (`settings.ITEM_COLUMNS`; blank settings take `defaults`), in the order of
    the rows of `demand`. `lots`: rows as in the `stock` file; `since`: what moved after the count, as
    `since_count.since_count` gives. `open_orders`: `supply.COLUMNS`, with approved and exported recommendations among
    them; `standing`: packs proposed before that wait for a decision, by (facility_id, product_id). `lead_times`: as
    `lead_time.lead_times` gives. `limits` hold for the items that they name, by their numbers in `items`. `context`
    (JSON) is stored with every line: releases, models. Raises `InvalidInput` with the item and rule named.
    """
    if len(items) != len(demand.final):
        raise InvalidInput(f"{len(items)} items do not fit {len(demand.final)} rows of demand")
    defaults = defaults or PolicyDefaults()
    facts = (items, demand, period, period_starts, as_of, lots, since, open_orders, lead_times, draws_seed)
    case = read_case(*facts, defaults, context, standing)
    blocks = [slice(first, first + BLOCK) for first in range(0, max(len(items), 1), BLOCK)]
    planned = [_plan_block(case, block) for block in blocks]
    needed, packs, position, level, until_arrival = (np.concatenate([one[n] for one in planned]) for n in range(5))
    rows = np.concatenate([one[5] for one in planned])
    plan = joined([one[6] for one in planned])
    shared = settle_together(case, rows, plan, position, until_arrival, limits)
    packs[rows] = shared.packs
    written: list[tuple[dict[str, Any], Document]] = []
    kept = np.flatnonzero(shared.packs)
    for first in range(0, len(kept), BLOCK):
        some = kept[first : first + BLOCK]
        ordered = _ordered(case, take(plan, some), shared, some)
        for line in lines_of(case, ordered, shared, some):
            document = tell(line)
            name = recommendation_id(document)
            written.append((line_row(name, line), {"recommendation_id": name} | document))
    written.sort(
        key=lambda pair: (-pair[0]["urgency"], -(pair[0]["cost"] or 0), pair[0]["facility_id"], pair[0]["product_id"])
    )
    problems = find_problems(
        case.items,
        case.situation.lots,
        case.orders,
        protection_days=case.situation.settings.protection_days,
        horizon_days=float(case.edges[-1]),
        packs=packs,
        packs_needed=needed,
        defaults=defaults,
    )
    others = [one for one in (shared.problems, par_problems(case.items, case.situation, level)) if len(one)]
    problems = pd.concat([problems, *others], ignore_index=True)
    lines = pd.DataFrame([row for row, _ in written], columns=LINE_COLUMNS)
    return Recommendations(lines, [document for _, document in written], problems)


_Block = tuple[Integers, Integers, Integers, Integers, Floats, Integers, Plan]


def _plan_block(case: Case, block: slice) -> _Block:
    """Of a block: packs needed and to order, position, target level, mean demand until arrival; ordered items, plan."""
    situation = case.situation.take(block)
    plan = plan_orders(CumulativeDemand(case.demand.final[block], case.edges), situation)
    packs = np.where(situation.lots.counted, plan.packs, 0)
    chosen = np.flatnonzero(packs)
    facts = (plan.packs_needed, packs, plan.position, plan.level, plan.until_arrival.mean(axis=1))
    return *facts, chosen + block.start, take(plan, chosen)


def _ordered(case: Case, plan: Plan, shared: Together, lines: Integers) -> Ordered:
    rows, packs = shared.rows[lines], shared.packs[lines]
    situation = case.situation.take(rows)
    without_shift = _packs_without_genetic_shift(case, rows, plan.packs, situation)
    multiple = situation.settings.order_multiple_packs
    final = dataclasses.replace(plan, packs=packs)
    found = outlook(CumulativeDemand(case.demand.final[rows], case.edges), situation, final)
    items = case.items.iloc[rows]
    holds = Findings(
        shifted=plan.packs - without_shift >= multiple,
        guideline_changed=changed_lately(items["guidance_changed_on"], case.as_of),
        expiring=plan.packs - _packs_without_expiry(plan, situation) >= multiple,
        short=(situation.allocation != NO_LIMIT) | moved_by_shortage(case.demand, rows),
        par_wrong=par_is_wrong(situation, plan.level),
        trimmed=shared.trimmed.packs[lines] < shared.before[lines],
        runs_out=found.stockout_probability_before > RISK_THAT_MATTERS,
    )
    return Ordered(
        rows=rows,
        plan=plan,
        packs=packs,
        outlook=found,
        reasons=reasons_of(items, holds, case.as_of),
        packs_without_genetic_shift=without_shift,
        shares=shares_of_periods(situation.next_arrival, case.edges),
    )


def _packs_without_genetic_shift(case: Case, rows: Integers, packs: Integers, situation: Situation) -> Integers:
    """The same orders on the same draws, each period scaled back to its baseline mean; overrides stay."""
    without_genetics = case.demand.without_genetics
    baseline = (case.demand.baseline_mean if without_genetics is None else without_genetics)[rows]
    final = case.demand.final_mean[rows]
    moved = np.flatnonzero(np.any(baseline != final, axis=1))
    if not len(moved):
        return packs
    ratio = np.divide(baseline, final, out=np.zeros_like(baseline), where=final > 0)[moved, :, None]
    constant = np.where(final > 0, 0.0, baseline)[moved, :, None]
    draws = case.demand.final[rows[moved]] * ratio + constant
    without = packs.copy()
    without[moved] = plan_orders(CumulativeDemand(draws, case.edges), situation.take(moved)).packs
    return without


def _packs_without_expiry(plan: Plan, situation: Situation) -> Integers:
    """The orders if nothing had expired or would expire before it is used."""
    there = situation.lots.on_hand + situation.lots.expired + plan.in_time
    needed = np.where(there <= plan.reorder_point, plan.order_to - there, 0)
    return packs_for_thousandths(needed, *situation.settings.pack_rule)
