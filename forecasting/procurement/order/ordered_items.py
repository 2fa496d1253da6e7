"""The items that get an order: its packs, what they change, why, and what the order would be without this or that."""

import dataclasses
from typing import Any

import numpy as np

from forecasting.arrays import Floats, Integers, take
from forecasting.procurement.order.block_plan import BlockPlan
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.order.outlook import Outlook, outlook
from forecasting.procurement.order.par_level import par_is_wrong
from forecasting.procurement.order.plan import NO_LIMIT, Plan, Situation, plan_orders, within_life
from forecasting.procurement.order.reasons import RISK_THAT_MATTERS, Conditions, changed_lately, reasons_of
from forecasting.procurement.order.shared_limits import SharedPlan
from forecasting.procurement.packs import packs_for_thousandths
from forecasting.procurement.protection_demand import CumulativeDemand, shares_of_periods
from forecasting.procurement.supply.shortages import moved_by_shortage


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrderedItems:
    """Some items with an order, arrays [line]; `take(ordered, number)` is one line, with numbers in place of arrays.

    `rows` are their numbers among the items, `numbers` those in the shared plan. `plan.packs` are those before limits
    that several items share, `packs` those after. `reasons` [line] are lists of
    codes, the primary one first. `demand_within_life` [line, draw] is what `within_life` gives,
    `period_shares` [line, period] how much of each period the protection interval covers.
    """

    rows: Integers
    numbers: Integers
    situation: Situation
    plan: Plan
    packs: Integers
    outlook: Outlook
    reasons: list[Any]
    packs_without_genetic_shift: Integers
    demand_within_life: Integers
    period_shares: Floats


def ordered_items(prepared: PreparedInputs, planned: BlockPlan, shared: SharedPlan, numbers: Integers) -> OrderedItems:
    """The lines `numbers` of the shared plan with their outlook and reasons."""
    rows, packs = shared.rows[numbers], shared.packs[numbers]
    plan, situation = take(planned.plan, numbers), take(prepared.situation, rows)
    demand = CumulativeDemand(prepared.demand.final[rows], prepared.period_edges)
    effect = outlook(demand, situation, dataclasses.replace(plan, packs=packs))
    without_shift = _packs_without_genetic_shift(prepared, rows, plan.packs, situation)
    multiple = situation.settings.order_multiple_packs
    items = prepared.items.iloc[rows]
    conditions = Conditions(
        shifted=plan.packs - without_shift >= multiple,
        guideline_changed=changed_lately(items["guidance_changed_on"], prepared.as_of),
        expiring=plan.packs - _packs_without_expiry(plan, situation) >= multiple,
        short=(situation.allocation != NO_LIMIT) | moved_by_shortage(prepared.demand, rows),
        par_wrong=par_is_wrong(situation, plan.level),
        trimmed=shared.trimmed.packs[numbers] < shared.packs_before[numbers],
        runs_out=effect.stockout_probability_before > RISK_THAT_MATTERS,
    )
    return OrderedItems(
        rows=rows,
        numbers=numbers,
        situation=situation,
        plan=plan,
        packs=packs,
        outlook=effect,
        reasons=reasons_of(items, conditions, prepared.as_of),
        packs_without_genetic_shift=without_shift,
        demand_within_life=within_life(demand, situation),
        period_shares=shares_of_periods(situation.next_arrival, prepared.period_edges),
    )


def _packs_without_genetic_shift(
    prepared: PreparedInputs, rows: Integers, packs: Integers, situation: Situation
) -> Integers:
    """The same orders on the same draws, each period scaled back to its baseline mean; overrides stay."""
    demand = prepared.demand
    baseline = (demand.baseline_mean if demand.without_genetics is None else demand.without_genetics)[rows]
    final = demand.final_mean[rows]
    moved = np.flatnonzero(np.any(baseline != final, axis=1))
    if not len(moved):
        return packs
    ratio = np.divide(baseline, final, out=np.zeros_like(baseline), where=final > 0)[moved, :, None]
    constant = np.where(final > 0, 0.0, baseline)[moved, :, None]
    draws = demand.final[rows[moved]] * ratio + constant
    without = packs.copy()
    without[moved] = plan_orders(CumulativeDemand(draws, prepared.period_edges), take(situation, moved)).packs
    return without


def _packs_without_expiry(plan: Plan, situation: Situation) -> Integers:
    """The orders if nothing had expired or would expire before it is used."""
    position = situation.lots.on_hand + situation.lots.expired + plan.in_time
    needed = np.where(position <= plan.reorder_point, plan.order_to - position, 0)
    return packs_for_thousandths(needed, *situation.settings.pack_rule)
