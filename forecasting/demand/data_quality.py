"""Rows whose place in time is doubtful: dates inside a period, strays far from the rest, and a site's unfinished last
periods. `cleaning` applies these rules; here is what each of them finds."""

import datetime as dt

import numpy as np
import pandas as pd

from forecasting.terms import Period

MOST_ISOLATED = 3
"""So many quantities with a year of silence after them are strays and no history."""

LATEST_PERIODS = 3
"""The last periods of a site that may still be incomplete."""

COMPARED_PERIODS = 8
LOW_SHARE = 0.5
"""An item is low when less than this share of its lowest of the `COMPARED_PERIODS` before went out."""

LEAST_ITEMS = 4
"""Items that always sell, below which a site's last periods are taken as they are."""


def grid_starts(starts: pd.Series, period: Period) -> pd.Series:
    """The start of the period that each date falls in; weeks (and quarters) begin where most of the dates do.

    >>> days = pd.Series(pd.to_datetime(["2026-01-05", "2026-01-12", "2026-01-14"]))
    >>> grid_starts(days, Period.WEEK).dt.strftime("%m-%d").tolist()
    ['01-05', '01-12', '01-12']
    """
    if period is Period.DAY or starts.empty:
        return starts
    if period is Period.WEEK:
        weekdays = starts.dt.day_of_week
        return starts - pd.to_timedelta((weekdays - _most_common(weekdays)) % 7, unit="D")
    late = 0 if period is Period.MONTH else (starts.dt.month - _most_common(starts.dt.month % 3)) % 3
    months = starts.dt.year * 12 + starts.dt.month - 1 - late
    return pd.to_datetime(pd.DataFrame({"year": months // 12, "month": months % 12 + 1, "day": 1})).astype(starts.dtype)


def _most_common(values: pd.Series) -> int:
    return int(values.mode().iloc[0])


def history_start(starts: pd.Series, period: Period) -> dt.date:
    """First period of a history, strays before it left out (`isolated_rows` says of each row whether it is one).

    >>> days = pd.Series(pd.to_datetime(["1926-01-04", "2026-01-05", "2026-01-12"]))
    >>> history_start(days, Period.WEEK)
    datetime.date(2026, 1, 5)
    """
    distinct = grid_starts(starts, period).drop_duplicates().sort_values(ignore_index=True)
    offsets = np.array([period.offset(day.date(), distinct.iloc[0].date()) for day in distinct])
    strays = isolated_rows(np.zeros(len(offsets), dtype=int), offsets, period, last=int(offsets[-1]))
    return distinct[~strays].iloc[0].date() if not strays.all() else distinct.iloc[0].date()


def isolated_rows(series: np.ndarray, offsets: np.ndarray, period: Period, *, last: int) -> np.ndarray:
    """Which rows are strays: at most `MOST_ISOLATED` quantities that more than a year of silence follows, bool.

    `series` and `offsets` [row] are sorted; `last` is the offset of the last period that anything is
    known of.

    >>> isolated_rows(np.array([0, 0, 0]), np.array([0, 40, 41]), Period.MONTH, last=41)
    array([ True, False, False])
    """
    if not len(series):
        return np.zeros(0, dtype=bool)
    begins = np.r_[True, series[1:] != series[:-1]]
    number = np.arange(len(series)) - np.maximum.accumulate(np.where(begins, np.arange(len(series)), 0))
    ends = np.r_[begins[1:], True]
    following = np.minimum(np.where(ends, last, np.r_[offsets[1:], 0]), last)
    is_before_silence = (following - offsets > period.per_year) & (number < MOST_ISOLATED)
    # a row is a stray if it, or a later one of its series, stands right before such a silence
    latest_cut = pd.Series(np.where(is_before_silence, number, -1)).groupby(series).transform("max").to_numpy()
    return np.asarray(number <= latest_cut)


def provisional_periods(cells: np.ndarray, site: np.ndarray, period: Period) -> np.ndarray:
    """Which of a site's last periods are still incomplete, bool [site, period].

    `cells` are quantities [series, period], NaN without a row; `site` [series] numbers the sites. Of the last
    `LATEST_PERIODS` a site reported, the final ones are provisional in which at least half of the items that always
    sell were low. A single low item, a low period with full ones after it, and a
    level that stays low are demand.

    >>> cells = np.full((5, 12), 20.0)
    >>> cells[:4, -1] = 3.0
    >>> provisional_periods(cells, np.zeros(5, dtype=int), Period.WEEK).nonzero()[1]
    array([11])
    """
    sites, columns = site.max(initial=-1) + 1, cells.shape[1]
    is_provisional = np.zeros((sites, columns), dtype=bool)
    known = np.isfinite(cells)
    reported = np.zeros((sites, columns), dtype=bool)
    np.logical_or.at(reported, site, known)
    end = np.where(reported.any(axis=1), columns - reported[:, ::-1].argmax(axis=1), 0)
    is_incomplete = end > 0
    for age in range(1, LATEST_PERIODS + 1):
        column = end - age
        steady, low = _low(np.nan_to_num(cells), column[site], 7 if period is Period.DAY else 1)
        items, lows = (np.bincount(site, weights=mask, minlength=sites) for mask in (steady, steady & low))
        is_incomplete = is_incomplete & (items >= LEAST_ITEMS) & (lows * 2 >= items)
        is_provisional[np.flatnonzero(is_incomplete), column[is_incomplete]] = True
    return is_provisional


def _low(cells: np.ndarray, column: np.ndarray, cycle: int) -> tuple[np.ndarray, np.ndarray]:
    """Items that sold in all the periods compared with, and those that sold far less in `column` [series]."""
    first = cycle * -(-LATEST_PERIODS // cycle)
    places = column[:, None] - first - cycle * np.arange(COMPARED_PERIODS)
    compared = np.take_along_axis(cells, np.maximum(places, 0), axis=1)
    steady = (compared > 0).all(axis=1) & (places >= 0).all(axis=1)
    observed = cells[np.arange(len(cells)), np.maximum(column, 0)]
    return np.asarray(steady), np.asarray(observed < LOW_SHARE * compared.min(axis=1))
