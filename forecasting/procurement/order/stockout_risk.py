"""The chance to run out of every item, ordered or not, when so many packs of it are ordered."""

import dataclasses

import numpy as np

from forecasting.arrays import Floats, Integers, take
from forecasting.procurement.order.block_plan import blocks_of
from forecasting.procurement.order.inputs import OrderInputs, prepare
from forecasting.procurement.order.outlook import outlook
from forecasting.procurement.order.plan import plan_orders
from forecasting.procurement.protection_demand import CumulativeDemand


def stockout_risk(inputs: OrderInputs, packs: Integers) -> Floats:
    """Probability [item] of a stock-out between the arrival of `packs` [item], if any, and that of the next order.

    Limits do not matter: the packs are given. NaN where the stock was never counted.
    """
    prepared = prepare(inputs)
    risk = np.full(len(packs), np.nan)
    for block in blocks_of(len(packs)):
        situation = take(prepared.situation, block)
        draws = CumulativeDemand(prepared.demand.final[block], prepared.period_edges)
        plan = dataclasses.replace(plan_orders(draws, situation), packs=packs[block])
        after = outlook(draws, situation, plan).stockout_probability_after
        risk[block] = np.where(situation.lots.counted, after, np.nan)
    return risk
