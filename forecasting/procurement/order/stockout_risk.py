"""The chance to run out of every item, ordered or not, when so many packs of it are ordered."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.order.outlook import outlook
from forecasting.procurement.order.plan import plan_orders
from forecasting.procurement.order.planning_case import read_case
from forecasting.procurement.packs import Integers
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.protection_demand import CumulativeDemand, DemandDraws, Floats

BLOCK = 256


def stockout_risk(items: pd.DataFrame, demand: DemandDraws, packs: Integers, **asked: Any) -> Floats:
    """Probability [item] of a stock-out between the arrival of `packs` [item], if any, and that of the next order.

    `items`, `demand` and the keywords are those of `recommend.recommend`; limits do not matter, the packs are given.
    NaN where the stock was never counted.
    """
    given = {"defaults": PolicyDefaults(), "context": None, "since": None} | asked
    case = read_case(items, demand, **given)
    found = [np.zeros(0)]
    for first in range(0, len(items), BLOCK):
        block = slice(first, first + BLOCK)
        situation, draws = case.situation.take(block), CumulativeDemand(case.demand.final[block], case.edges)
        plan = dataclasses.replace(plan_orders(draws, situation), packs=packs[block])
        after = outlook(draws, situation, plan).stockout_probability_after
        found.append(np.where(situation.lots.counted, after, np.nan))
    return np.concatenate(found)
