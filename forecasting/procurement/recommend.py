"""Recommendations: what to order of each item, why, and what to look at first."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.errors import InvalidInput
from forecasting.procurement.case import Case, Ordered, read_case
from forecasting.procurement.explanation import Document, recommendation_id
from forecasting.procurement.interval import CumulativeDemand, DemandDraws, shares_of_periods
from forecasting.procurement.lines import LINE_COLUMNS, line_row, lines_of
from forecasting.procurement.outlook import outlook
from forecasting.procurement.packs import Integers, packs_for_thousandths
from forecasting.procurement.plan import Plan, Situation, plan_orders
from forecasting.procurement.policy import PolicyDefaults
from forecasting.procurement.problems import find_problems
from forecasting.procurement.settings import take
from forecasting.procurement.story import tell
from forecasting.terms import Period, Reason

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
) -> Recommendations:
    """Orders to place on each item's next order day, with their calculations, and findings.

    `items`: one row a facility and product (`settings.ITEM_COLUMNS`; blank settings take `defaults`), in the order of
    the rows of `demand`. `lots`: rows as in the `stock` file; `since`: what moved after the count, as
    `since_count.since_count` gives. `open_orders`: `supply.COLUMNS`, with approved and
    exported recommendations among them. `lead_times`: as `lead_time.lead_times` gives. `context` (JSON) is stored with
    every line: releases, models. Raises `InvalidInput` with the item and rule named.
    """
    if len(items) != len(demand.final):
        raise InvalidInput(f"{len(items)} items do not fit {len(demand.final)} rows of demand")
    defaults = defaults or PolicyDefaults()
    case = read_case(
        items, demand, period, period_starts, as_of, lots, since, open_orders, lead_times, draws_seed, defaults, context
    )
    blocks = [slice(first, first + BLOCK) for first in range(0, len(items), BLOCK)]
    needed, packs = np.zeros(len(items), dtype=np.int64), np.zeros(len(items), dtype=np.int64)
    written: list[tuple[dict[str, Any], Document]] = []
    for block in blocks:
        needed[block], packs[block], ordered = _plan_block(case, block)
        for line in lines_of(case, ordered):
            document = tell(line)
            name = recommendation_id(document)
            written.append((line_row(name, line), {"recommendation_id": name} | document))
    written.sort(
        key=lambda pair: (-pair[0]["urgency"], pair[0]["order_by"], pair[0]["facility_id"], pair[0]["product_id"])
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
    lines = pd.DataFrame([row for row, _ in written], columns=LINE_COLUMNS)
    return Recommendations(lines, [document for _, document in written], problems)


def _plan_block(case: Case, block: slice) -> tuple[Integers, Integers, Ordered]:
    """Packs needed and packs to order of a block's items, and the items that get an order."""
    situation = case.situation.take(block)
    plan = plan_orders(CumulativeDemand(case.demand.final[block], case.edges), situation)
    packs = np.where(situation.lots.counted, plan.packs, 0)
    return plan.packs_needed, packs, _ordered(case, plan, np.flatnonzero(packs), block.start)


def _ordered(case: Case, plan: Plan, chosen: Integers, first: int) -> Ordered:
    rows, plan = chosen + first, take(plan, chosen)
    situation = case.situation.take(rows)
    without_shift = _packs_without_genetic_shift(case, rows, plan.packs, situation)
    multiple = situation.settings.order_multiple_packs
    shifted = plan.packs - without_shift >= multiple
    expiring = plan.packs - _packs_without_expiry(plan, situation) >= multiple
    reasons = [Reason.GENETIC_SHIFT.value, Reason.EXPIRY.value]
    return Ordered(
        rows=rows,
        plan=plan,
        outlook=outlook(CumulativeDemand(case.demand.final[rows], case.edges), situation, plan),
        reason=np.select([shifted, expiring], reasons, Reason.STOCK_OUT_RISK.value),
        packs_without_genetic_shift=without_shift,
        shares=shares_of_periods(situation.next_arrival, case.edges),
    )


def _packs_without_genetic_shift(case: Case, rows: Integers, packs: Integers, situation: Situation) -> Integers:
    """The same orders on the same draws, each period scaled back to its baseline mean."""
    baseline, final = case.demand.baseline_mean[rows], case.demand.final_mean[rows]
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
    return packs_for_thousandths(plan.level - there, *situation.settings.pack_rule)
