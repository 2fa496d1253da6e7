"""Why a line is recommended: one primary reason and the others, from a fixed vocabulary, and how pressing it is."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.arrays import Booleans, Floats
from forecasting.terms import Reason

NEW_FOR_DAYS = 91
"""A product counts as launched, and guidance as changed, for so many days."""

RISK_THAT_MATTERS = 0.02
"""A chance to run out above this is a reason by itself."""

PRIMARY = (
    Reason.SHORTAGE,
    Reason.LAUNCH,
    Reason.WITHDRAWAL,
    Reason.GUIDELINE_CHANGE,
    Reason.GENETIC_SHIFT,
    Reason.EXPIRY,
    Reason.PAR_CHANGE,
    Reason.BUDGET,
    Reason.STOCK_OUT_RISK,
)
"""The first that holds is the primary reason: what a buyer must know before the order, before what is usual."""


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What holds of each line, arrays [line] of true or false."""

    shifted: Booleans
    guideline_changed: Booleans
    expiring: Booleans
    short: Booleans
    par_wrong: Booleans
    trimmed: Booleans
    runs_out: Booleans


def reasons_of(items: pd.DataFrame, holds: Conditions, as_of: dt.date) -> list[list[str]]:
    """The reasons of each line, the primary one first; `items` has launched_on and withdrawn_on.

    A line has at least one reason: where nothing special holds, that it is likely to run out.
    """
    days = {name: _days_until(items[name], as_of) for name in ("launched_on", "withdrawn_on")}
    reasons = {
        Reason.SHORTAGE: holds.short,
        Reason.LAUNCH: days["launched_on"] > -NEW_FOR_DAYS,
        Reason.WITHDRAWAL: np.abs(days["withdrawn_on"]) < NEW_FOR_DAYS,
        Reason.GUIDELINE_CHANGE: holds.guideline_changed,
        Reason.GENETIC_SHIFT: holds.shifted,
        Reason.EXPIRY: holds.expiring,
        Reason.PAR_CHANGE: holds.par_wrong,
        Reason.BUDGET: holds.trimmed,
        Reason.STOCK_OUT_RISK: holds.runs_out,
    }
    named = [[reason.value for reason in PRIMARY if reasons[reason][line]] for line in range(len(items))]
    return [names or [Reason.STOCK_OUT_RISK.value] for names in named]


def changed_lately(dates: pd.Series, as_of: dt.date) -> Booleans:
    """Whether each date [line] lies within the last `NEW_FOR_DAYS` days.

    >>> changed_lately(pd.Series(["2026-11-01", None]), dt.date(2026, 11, 23)).tolist()
    [True, False]
    """
    days = _days_until(dates, as_of)
    return np.asarray((days <= 0) & (days > -NEW_FOR_DAYS))


def _days_until(dates: pd.Series, as_of: dt.date) -> Floats:
    """Days from today to each date; not a number where there is none, which no comparison holds for."""
    days = (pd.to_datetime(dates) - pd.Timestamp(as_of)).dt.days
    return np.asarray(days, dtype=np.float64)
