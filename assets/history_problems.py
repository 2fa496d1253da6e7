"""What a history does not hold, in words: rows after the origin, products that nobody has dispensed yet."""

from typing import Any

import pandas as pd

from assets.run import PlanningRun
from assets.staged import problems_frame

MOST_NAMED = 3


def history_problems(dispensing: pd.DataFrame, products: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """Problems of the history as a whole.

    `future`: rows from the origin day on, which are not used. `never_dispensed`: products that can be dispensed on the
    origin day and never were, anywhere (one line each) or at single sites (one line a site); they get no forecast.
    """
    as_of = pd.Timestamp(run.as_of)
    later = dispensing[dispensing["period_start"] >= as_of]
    lines: list[tuple[Any, Any, str, Any]] = []
    if len(later):
        dates = f"{later['period_start'].min():%Y-%m-%d} to {later['period_start'].max():%Y-%m-%d}"
        told = f"{len(later)} history rows dated {dates} do not lie before the origin {run.as_of}: they are not used"
        lines.append((None, None, "future", told))
    return problems_frame(lines + _never_dispensed(dispensing[dispensing["period_start"] < as_of], products, as_of))


def _never_dispensed(
    history: pd.DataFrame, products: pd.DataFrame, as_of: pd.Timestamp
) -> list[tuple[Any, Any, str, Any]]:
    on_sale = ~(products["launched_on"] > as_of) & ~(products["withdrawn_on"] <= as_of)
    launched = products[on_sale].set_index("product_id")["launched_on"]
    dispensed = set(history["product_id"])
    lines: list[tuple[Any, Any, str, Any]] = [
        (None, product_id, "never_dispensed", _nowhere(str(product_id), day))
        for product_id, day in launched.items()
        if product_id not in dispensed
    ]
    usual = set(launched.index) & dispensed
    for facility_id, rows in history.groupby("facility_id"):
        missing = sorted(usual - set(rows["product_id"]))
        if missing:
            named = ", ".join(missing[:MOST_NAMED]) + (", ..." if len(missing) > MOST_NAMED else "")
            told = (
                f"{len(missing)} products dispensed elsewhere never were at {facility_id} ({named}): no baseline there"
            )
            lines.append((facility_id, None, "never_dispensed", told))
    return lines


def _nowhere(product_id: str, launched_on: Any) -> str:
    since = "" if pd.isna(launched_on) else f", launched on {launched_on:%Y-%m-%d},"
    return f"{product_id}{since} has no dispensing history anywhere: it gets a forecast only where testing brings it"
