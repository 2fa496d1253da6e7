"""Problems of a history: rows after the origin, products that nobody has dispensed yet, doubtful units."""

from typing import Any

import pandas as pd

from assets.dagster_io.asset_result import ProblemRow, problems_frame
from assets.dagster_io.planning_run import PlanningRun

MOST_NAMED = 3
LEAST_PACK = 5
"""With smaller packs the two are too near to how demand varies by itself."""

UNIT_TOLERANCE = 1.6
LEAST_DOUBTFUL = 3
FEW_BETWEEN = 4
"""A quantity looks like packs within `UNIT_TOLERANCE` of a pack size below the median. An item with `LEAST_DOUBTFUL` of
them is reported, unless more than one for each `FEW_BETWEEN` of them lies in between: then demand is merely uneven."""


def history_problems(dispensing: pd.DataFrame, products: pd.DataFrame, run: PlanningRun) -> pd.DataFrame:
    """Problems of the history as a whole.

    `future`: rows from the origin day on, which are not used. `never_dispensed`: products that can be dispensed on the
    origin day and never were, anywhere (one line each) or at single sites (one line a site); they get no forecast.
    `unit_doubtful`: items some of whose quantities look like packs among dose units; nothing is changed.
    """
    as_of = pd.Timestamp(run.as_of)
    later = dispensing[dispensing["period_start"] >= as_of]
    lines: list[ProblemRow] = []
    if len(later):
        dates = f"{later['period_start'].min():%Y-%m-%d} to {later['period_start'].max():%Y-%m-%d}"
        message = f"{len(later)} history rows dated {dates} do not lie before the origin {run.as_of}: they are not used"
        lines.append((None, None, "future", message))
    past = dispensing[dispensing["period_start"] < as_of]
    return problems_frame(lines + _never_dispensed(past, products, as_of) + _doubtful_units(past, products))


def _doubtful_units(history: pd.DataFrame, products: pd.DataFrame) -> list[ProblemRow]:
    """Items with quantities about one pack size below what is usual, and next to none between the two."""
    pack_size = history["product_id"].map(products.set_index("product_id")["pack_size"].astype(float))
    rows = history.assign(quantity=history["quantity"].astype(float), pack_size=pack_size)
    rows = rows[(rows["quantity"] > 0) & (rows["pack_size"] >= LEAST_PACK)]
    keys = ["facility_id", "product_id"]
    below = rows.groupby(keys)["quantity"].transform("median") / rows["quantity"]
    like_packs = (below / rows["pack_size"]).between(1 / UNIT_TOLERANCE, UNIT_TOLERANCE)
    between = below.between(UNIT_TOLERANCE, rows["pack_size"] / UNIT_TOLERANCE, inclusive="neither")
    counts = pd.DataFrame({"like": like_packs, "between": between}).groupby([rows[key] for key in keys]).sum()
    is_doubtful = (counts["like"] >= LEAST_DOUBTFUL) & (counts["between"] * FEW_BETWEEN <= counts["like"])
    message = "quantities look like packs among dose units; see its unit"
    return [
        (site, product, "unit_doubtful", f"{product}: {count} {message}")
        for site, product, count in counts.loc[is_doubtful, "like"].reset_index().itertuples(index=False)
    ]


def _never_dispensed(history: pd.DataFrame, products: pd.DataFrame, as_of: pd.Timestamp) -> list[ProblemRow]:
    on_sale = ~(products["launched_on"] > as_of) & ~(products["withdrawn_on"] <= as_of)
    launched = products[on_sale].set_index("product_id")["launched_on"]
    dispensed = set(history["product_id"])
    lines: list[ProblemRow] = [
        (None, product_id, "never_dispensed", _never_anywhere(str(product_id), day))
        for product_id, day in launched.items()
        if product_id not in dispensed
    ]
    usual = set(launched.index) & dispensed
    for facility_id, rows in history.groupby("facility_id"):
        missing = sorted(usual - set(rows["product_id"]))
        if missing:
            named = ", ".join(missing[:MOST_NAMED]) + (", ..." if len(missing) > MOST_NAMED else "")
            message = f"products dispensed elsewhere never were at {facility_id} ({named}): no baseline there"
            lines.append((facility_id, None, "never_dispensed", f"{len(missing)} {message}"))
    return lines


def _never_anywhere(product_id: str, launched_on: Any) -> str:
    since = "" if pd.isna(launched_on) else f", launched on {launched_on:%Y-%m-%d},"
    return f"{product_id}{since} has no dispensing history anywhere: it gets a forecast only where testing brings it"
