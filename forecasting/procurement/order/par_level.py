"""Sites that keep their own par levels: is a par too low or too high for the service that is aimed at?"""

import numpy as np
import pandas as pd

from forecasting.arrays import Booleans, Integers
from forecasting.procurement.findings import COLUMNS, finding
from forecasting.procurement.order.plan import Situation
from forecasting.procurement.packs import from_thousandths
from forecasting.terms import PolicyKind

PAR_TOLERANCE = 0.1
"""A par that is off by less than this share of what the target asks for, or by less than an order step, is right."""


def par_is_wrong(situation: Situation, level: Integers) -> Booleans:
    """Whether an item's par differs from the target's `level` [item] by more than what matters [item].

    Items of other kinds are never wrong.
    """
    off = np.abs(level - situation.stocking.par_level)
    matters = (off > PAR_TOLERANCE * np.maximum(level, 1)) & (off >= situation.settings.step)
    return np.asarray((situation.stocking.kind == PolicyKind.PAR.value) & matters)


def par_problems(items: pd.DataFrame, situation: Situation, level: Integers) -> pd.DataFrame:
    """One finding for each par that is wrong, with the par that the target asks for, ordered or not."""
    rows = []
    for row in np.flatnonzero(par_is_wrong(situation, level) & situation.lots.counted):
        par, proposed = int(situation.stocking.par_level[row]), int(level[row])
        side, item = ("low" if par < proposed else "high"), items.iloc[row]
        text = f"the par level of {from_thousandths(par)} dose units is too {side} for the target of {item['target']}: "
        text += f"{from_thousandths(proposed)} would meet it"
        rows.append(finding(item, f"par_too_{side}", text))
    return pd.DataFrame(rows, columns=COLUMNS)
