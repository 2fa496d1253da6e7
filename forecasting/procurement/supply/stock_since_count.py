"""What left and entered the shelf between the last count and the day of the order.

What was dispensed since the count is taken from it and what was received since is added, so that an old count is no
reason to order too little. Days without a dispensing record count at the item's recent average use.
"""

import datetime as dt

import numpy as np
import pandas as pd

from forecasting.terms import Period

KEY = ["facility_id", "product_id"]
COLUMNS = [*KEY, "used", "received", "use_source"]


def moves_since_count(
    lots: pd.DataFrame,
    history: pd.DataFrame,
    receipts: pd.DataFrame,
    mean_per_day: pd.Series,
    *,
    period: Period,
    as_of: dt.date,
) -> pd.DataFrame:
    """Dose units used and received from each item's count up to `as_of`, one row a counted item (`COLUMNS`).

    `lots`: facility_id, product_id, counted_at (the oldest of an item holds). `history`: facility_id, product_id,
    period_start, quantity (dose units; a missing quantity is unknown). `receipts`: facility_id, product_id,
    received_at, quantity (dose units); those of the count's own day are taken as counted. `mean_per_day` is the recent
    use by (facility_id, product_id). `use_source` says where the use comes from. Net returns count as no use.
    """
    counted = pd.to_datetime(lots["counted_at"]).groupby([lots[name] for name in KEY]).min()
    end = pd.Timestamp(as_of)
    open_days = ((end - counted).dt.total_seconds() / 86_400).clip(lower=0.0)
    recorded, covered = _recorded(counted, history, period, end)
    rate = mean_per_day.reindex(counted.index).fillna(0.0)
    uncovered = (open_days - covered).clip(lower=0.0)
    used = (recorded + uncovered * rate).clip(lower=0.0)
    frame = pd.DataFrame({"used": used, "received": _received(counted, receipts, end)}, index=counted.index)
    cases = [open_days <= 0, uncovered <= 1e-9, covered <= 0]
    source = np.select(cases, ["nothing since", "dispensing", AVERAGE], MIXED)
    return frame.assign(use_source=source).reset_index()[COLUMNS]


AVERAGE = "recent average use"
MIXED = "dispensing and recent average use"


def _recorded(
    counted: pd.Series, history: pd.DataFrame, period: Period, end: pd.Timestamp
) -> tuple[pd.Series, pd.Series]:
    """Recorded use between count and `end`, and the days it covers; a period's use is spread over its days."""
    known = history.dropna(subset="quantity")
    # a quarter, the longest period, may have begun so long before the oldest count
    known = known[known["period_start"] >= counted.min() - pd.Timedelta(days=100)]
    count_day = pd.DatetimeIndex(counted.reindex(pd.MultiIndex.from_frame(known[KEY])))
    known, count_day = known[count_day.notna()], count_day[count_day.notna()]
    if known.empty:
        return pd.Series(0.0, index=counted.index), pd.Series(0.0, index=counted.index)
    starts = pd.DatetimeIndex(known["period_start"])
    after = {start: pd.Timestamp(period.step(start.date())) for start in starts.unique()}
    ends = pd.DatetimeIndex([after[start] for start in starts])
    length = np.asarray((ends - starts).total_seconds(), dtype=float) / 86_400
    first = starts.where(starts >= count_day, count_day)
    inside = ends.where(ends <= end, end) - first
    days = np.clip(np.asarray(inside.total_seconds(), dtype=float) / 86_400, 0.0, None)
    used = known["quantity"].to_numpy(dtype=float) * days / length
    amounts = pd.DataFrame({"used": used, "days": days}, pd.MultiIndex.from_frame(known[KEY]))
    total = amounts.groupby(level=KEY).sum().reindex(counted.index).fillna(0.0)
    return total["used"], total["days"]


def _received(counted: pd.Series, receipts: pd.DataFrame, end: pd.Timestamp) -> pd.Series:
    count_day = pd.DatetimeIndex(counted.reindex(pd.MultiIndex.from_frame(receipts[KEY]))).normalize()
    day = receipts["received_at"].to_numpy()
    later = receipts[(day > count_day.to_numpy()) & (day <= end.to_numpy())]
    return later.groupby(KEY)["quantity"].sum().astype(float).reindex(counted.index).fillna(0.0)
