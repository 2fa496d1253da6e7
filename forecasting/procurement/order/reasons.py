"""Why a line is recommended: one primary reason and the others, from a fixed vocabulary, and how pressing it is."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.procurement.protection_demand import Floats
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
class Findings:
    """What holds of each line, arrays [line] of true or false."""

    shifted: np.ndarray
    guideline_changed: np.ndarray
    expiring: np.ndarray
    short: np.ndarray
    par_wrong: np.ndarray
    trimmed: np.ndarray
    runs_out: np.ndarray


def reasons_of(items: pd.DataFrame, found: Findings, as_of: dt.date) -> list[list[str]]:
    """The reasons of each line, the primary one first; `items` has launched_on and withdrawn_on.

    A line has at least one reason: where nothing special holds, that it is likely to run out.
    """
    days = {name: _days_until(items[name], as_of) for name in ("launched_on", "withdrawn_on")}
    holds = {
        Reason.SHORTAGE: found.short,
        Reason.LAUNCH: days["launched_on"] > -NEW_FOR_DAYS,
        Reason.WITHDRAWAL: np.abs(days["withdrawn_on"]) < NEW_FOR_DAYS,
        Reason.GUIDELINE_CHANGE: found.guideline_changed,
        Reason.GENETIC_SHIFT: found.shifted,
        Reason.EXPIRY: found.expiring,
        Reason.PAR_CHANGE: found.par_wrong,
        Reason.BUDGET: found.trimmed,
        Reason.STOCK_OUT_RISK: found.runs_out,
    }
    told = [[reason.value for reason in PRIMARY if holds[reason][line]] for line in range(len(items))]
    return [reasons or [Reason.STOCK_OUT_RISK.value] for reasons in told]


def changed_lately(dates: pd.Series, as_of: dt.date) -> np.ndarray:
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
