"""Demand histories as one matrix: a row per facility and product, a column per period, NaN where nothing is known."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.demand.stock_outs import run_length
from forecasting.errors import InvalidInput
from forecasting.terms import Period

KEY = ["facility_id", "product_id"]


@dataclasses.dataclass(frozen=True)
class DemandPanel:
    """Demand of many series on one period grid.

    `facility_ids[i]` and `product_ids[i]` name row i of `values` (float64, [series, period], dose units). NaN is
    unknown, 0 is no demand. Column 0 starts on `first_start`. `drugs` [series] says which products are strengths of one
    drug, `amount_per_unit` [series] how much of it a dose unit holds, in one unit a drug (NaN: not known, or not
    comparable); without them every product is a drug of its own. `season_shared` (bool, [series]) marks the series
    whose shared season (that of a drug's sites, possibly none) was removed.
    """

    facility_ids: tuple[str, ...]
    product_ids: tuple[str, ...]
    values: np.ndarray
    first_start: dt.date
    period: Period
    drugs: tuple[str, ...] | None = None
    amount_per_unit: np.ndarray | None = None
    season_shared: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.facility_ids) == len(self.product_ids) == len(self.values):
            raise InvalidInput(
                f"values {self.values.shape} must have one row per facility_id ({len(self.facility_ids)}) "
                f"and product_id ({len(self.product_ids)})"
            )

    def period_starts(self) -> tuple[dt.date, ...]:
        """Start date of each column.

        >>> DemandPanel(("a",), ("x",), np.ones((1, 2)), dt.date(2026, 1, 5), Period.WEEK).period_starts()
        (datetime.date(2026, 1, 5), datetime.date(2026, 1, 12))
        """
        return tuple(self.period.step(self.first_start, column) for column in range(self.values.shape[1]))

    def select(self, mask: np.ndarray) -> "DemandPanel":
        """The series where `mask` (bool, [series]) is true, in the same order."""
        rows = np.flatnonzero(mask)
        facility_ids = tuple(self.facility_ids[row] for row in rows)
        product_ids = tuple(self.product_ids[row] for row in rows)
        drugs = None if self.drugs is None else tuple(self.drugs[row] for row in rows)
        amount = None if self.amount_per_unit is None else self.amount_per_unit[rows]
        shared = None if self.season_shared is None else self.season_shared[rows]
        return dataclasses.replace(
            self,
            facility_ids=facility_ids,
            product_ids=product_ids,
            values=self.values[rows],
            drugs=drugs,
            amount_per_unit=amount,
            season_shared=shared,
        )

    def until(self, columns: int) -> "DemandPanel":
        """The same series as they were known after the first `columns` periods."""
        return dataclasses.replace(self, values=self.values[:, :columns])


def panel_from_frame(frame: pd.DataFrame, period: Period, *, end: dt.date | None = None) -> DemandPanel:
    """A panel from rows of facility_id, product_id, period_start and quantity, in order of facility and product.

    Before its first known quantity a series is unknown (not yet launched). A missing row after it is 0 where the
    facility reported any product in that period, else unknown: silence is not zero. A row without a quantity stays
    unknown, and a series without any known quantity is left out. `end` is the start of the last period wanted; without
    it, the last period with a known quantity.

    Raises `InvalidInput` for no rows, two rows of one key, and dates off the period's grid.

    >>> rows = pd.DataFrame({"facility_id": "a", "product_id": ["x", "x", "y"], "quantity": [5.0, 7.0, 2.0],
    ...     "period_start": pd.to_datetime(["2026-01-01", "2026-03-01", "2026-02-01"])})
    >>> panel_from_frame(rows, Period.MONTH).values
    array([[ 5.,  0.,  7.],
           [nan,  2.,  0.]])
    """
    known = frame.loc[frame["quantity"].notna(), "period_start"]
    if known.empty:
        raise InvalidInput("a demand panel needs at least one row with a quantity")
    frame = frame[pd.to_datetime(frame["period_start"]) >= pd.Timestamp(known.min())]
    dates = pd.DatetimeIndex(pd.to_datetime(frame["period_start"]))
    first = dates.min().date()
    offsets = period_offsets(dates, first, period)
    last = period.offset(end or pd.Timestamp(known.max()).date(), first)
    if last < 0:
        raise InvalidInput(f"end {end} lies before the first period_start {first}")
    return _panel(frame, offsets, last + 1, first, period)


def _panel(frame: pd.DataFrame, offsets: np.ndarray, columns: int, first: dt.date, period: Period) -> DemandPanel:
    keys = frame[KEY].astype(str)
    series = keys.groupby(KEY, sort=True).ngroup().to_numpy()
    names = keys.drop_duplicates().sort_values(KEY)
    _refuse_duplicates(frame, series, offsets)
    inside = offsets < columns
    series, offsets = series[inside], offsets[inside]
    values = np.full((len(names), columns), np.nan)
    is_stated = np.zeros(values.shape, dtype=bool)
    values[series, offsets] = frame["quantity"].to_numpy(dtype=float)[inside]
    is_stated[series, offsets] = True
    facility = pd.factorize(names["facility_id"])[0]
    reported = np.zeros((facility.max() + 1, columns), dtype=bool)
    np.logical_or.at(reported, facility, np.isfinite(values))
    is_launched = np.maximum.accumulate(np.isfinite(values), axis=1)
    values[is_launched & ~is_stated & reported[facility]] = 0.0
    panel = DemandPanel(tuple(names["facility_id"]), tuple(names["product_id"]), values, first, period)
    return panel.select(is_launched[:, -1])


def period_offsets(dates: pd.DatetimeIndex, origin: dt.date, period: Period) -> np.ndarray:
    """Whole periods from `origin` to each date; a date that starts no period raises `InvalidInput`.

    >>> period_offsets(pd.DatetimeIndex(["2026-01-01", "2026-03-01"]), dt.date(2026, 1, 1), Period.MONTH).tolist()
    [0, 2]
    """
    step_days = {Period.DAY: 1, Period.WEEK: 7}.get(period)
    if step_days is not None:
        days = np.asarray((dates - pd.Timestamp(origin)).days)
        offsets, off_grid = days // step_days, days % step_days != 0
    else:
        step_months = 1 if period is Period.MONTH else 3
        months = np.asarray((dates.year - origin.year) * 12 + dates.month - origin.month)
        offsets, off_grid = months // step_months, (months % step_months != 0) | (np.asarray(dates.day) != 1)
    if off_grid.any():
        bad = dates[off_grid][0].date()
        raise InvalidInput(f"period_start {bad} is not the start of a {period.value} counted from {origin}")
    return offsets


def _refuse_duplicates(frame: pd.DataFrame, series: np.ndarray, offsets: np.ndarray) -> None:
    cells = pd.DataFrame({"series": series, "offset": offsets})
    repeated = cells.duplicated().to_numpy()
    if repeated.any():
        row = frame.iloc[int(np.argmax(repeated))]
        raise InvalidInput(
            f"two rows for facility_id {row['facility_id']}, product_id {row['product_id']}, "
            f"period_start {pd.Timestamp(row['period_start']).date()}: one row a key is allowed"
        )


def reliable_series(panel: DemandPanel) -> np.ndarray:
    """Series that others may learn from, bool [series]: no period of their history is doubtful.

    Not reliable is a series with a period of its own unknown since its first quantity (periods in which its whole
    facility is unknown do not count where it has several products), or with a year or more without demand between two
    quantities.

    >>> values = np.array([[5.0, np.nan, 7.0], [5.0, 6.0, 7.0]])
    >>> reliable_series(DemandPanel(("a", "a"), ("x", "y"), values, dt.date(2026, 1, 1), Period.MONTH))
    array([False,  True])
    """
    known = np.isfinite(panel.values)
    facility = pd.factorize(np.array(panel.facility_ids, dtype=object))[0]
    reported = np.zeros((facility.max(initial=-1) + 1, known.shape[1]), dtype=bool)
    np.logical_or.at(reported, facility, known)
    has_one_product = np.bincount(facility, minlength=len(reported))[facility, None] < 2
    is_missing = ~known & np.maximum.accumulate(known, axis=1) & (reported[facility] | has_one_product)
    with np.errstate(invalid="ignore"):
        sold = panel.values > 0
    between = np.maximum.accumulate(sold, axis=1) & np.maximum.accumulate(sold[:, ::-1], axis=1)[:, ::-1]
    has_silent_year = run_length(~sold & between).max(axis=1, initial=0) >= panel.period.per_year
    return ~is_missing.any(axis=1) & ~has_silent_year
