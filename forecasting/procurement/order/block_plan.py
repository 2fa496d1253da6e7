"""The plans of all items, made block by block."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from forecasting.arrays import Floats, Integers, joined, take
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.order.plan import Plan, plan_orders
from forecasting.procurement.protection_demand import CumulativeDemand

BLOCK_ITEMS = 256
"""Items worked on at a time: large enough to be vectorised, small enough to stay in the processor's cache."""


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """What a block of items needs and orders, arrays [item].

    `rows` are the numbers of the items that get an order, `plan` has these alone. `packs_needed` and `packs` are before
    and after limits of the item alone. `position`, `level` (what the service target asks for) and `mean_until_arrival`
    (demand) are in thousandths of a dose unit.
    """

    packs_needed: Integers
    packs: Integers
    position: Integers
    level: Integers
    mean_until_arrival: Floats
    rows: Integers
    plan: Plan


def blocks_of(count: int) -> Iterator[slice]:
    """Slices of `BLOCK_ITEMS` that cover so many items."""
    for first in range(0, count, BLOCK_ITEMS):
        yield slice(first, first + BLOCK_ITEMS)


def plan_items(prepared: PreparedInputs) -> BlockPlan:
    """The plans of all items, as one block; an item that was not counted orders nothing."""
    blocks = blocks_of(max(len(prepared.items), 1))  # without items one empty block
    return joined([_plan_block(prepared, block) for block in blocks])


def _plan_block(prepared: PreparedInputs, block: slice) -> BlockPlan:
    situation = take(prepared.situation, block)
    plan = plan_orders(CumulativeDemand(prepared.demand.final[block], prepared.period_edges), situation)
    packs = np.where(situation.lots.counted, plan.packs, 0)
    ordered = np.flatnonzero(packs)
    return BlockPlan(
        packs_needed=plan.packs_needed,
        packs=packs,
        position=plan.position,
        level=plan.level,
        mean_until_arrival=plan.until_arrival.mean(axis=1),
        rows=ordered + block.start,
        plan=take(plan, ordered),
    )
