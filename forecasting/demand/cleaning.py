"""Dispensing rows made fit for a forecast, by named rules; what the file said is kept beside what is used."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd

from forecasting.demand.data_quality import grid_starts, isolated_rows, provisional_periods
from forecasting.demand.series import KEY, period_offsets
from forecasting.demand.stock_outs import stock_outs
from forecasting.errors import InvalidInput
from forecasting.terms import Period

CHANGE_COLUMNS = [*KEY, "period_start", "quantity_raw", "quantity", "rule", "reason"]

NEIGHBOURS = 6
"""Periods either side that a quantity is compared with."""

MINIMUM_NEIGHBOURS = 3
OUTLIER_RATIO = 10.0
OUTLIER_SPREADS = 6.0
"""An outlier is this many times, and this many robust standard deviations, beyond its neighbours on both sides."""

RETURN_PERIODS = 12
RETURN_RATIO = 3.0
"""A return of more than this many times all that went out in the `RETURN_PERIODS` before it is an error."""


@dataclasses.dataclass(frozen=True)
class CleanDemand:
    """Cleaned demand and its change log.

    `frame`: facility_id, product_id, period_start, quantity_raw (the file's; NaN where it had no such row), quantity
    (NaN = unknown), rule (the last one applied; blank when untouched). `changes`: one row per touched row and rule, the
    same columns with the reason; a merged row is listed under the site that closed, without a quantity.
    """

    frame: pd.DataFrame
    changes: pd.DataFrame


def clean(
    dispensing: pd.DataFrame,
    *,
    period: Period,
    facilities: pd.DataFrame | None = None,
    products: pd.DataFrame | None = None,
    revisions: pd.DataFrame | None = None,
    as_of: dt.date,
) -> CleanDemand:
    """Demand history as of a day, from rows of facility_id, product_id, period_start, quantity (negative = return).

    In this order: `revision` (a later load changed it: the newest counts), `off_grid` (dated inside a period: added to
    that period), `merger` (a closed site's history is added to its successor's), `isolated` (unknown: a stray far from
    the rest of its series), `future` (unknown: the period is not over on `as_of`), `provisional` (unknown: the site's
    last periods are not complete yet), `before_launch`, `withdrawn` (unknown outside the product's life), `stock_out`
    (unknown: an item that always sells did not, see `stock_outs`), `outlier` (unknown), `return` (nets against the same
    series' preceding periods). `facilities` may have closed_on and successor_id, `products` launched_on and
    withdrawn_on; `revisions` are KEY, period_start, quantity_before, quantity_after, revised_at.
    Raises `InvalidInput` for doubled keys and circles of successors.

    >>> rows = pd.DataFrame({"facility_id": "a", "product_id": "x", "quantity": [5.0, -2.0],
    ...     "period_start": pd.to_datetime(["2026-01-01", "2026-02-01"])})
    >>> clean(rows, period=Period.MONTH, as_of=dt.date(2026, 3, 1)).frame["quantity"].tolist()
    [3.0, 0.0]
    """
    rows = _rows(dispensing)
    changes = [_revised(rows, revisions)]
    rows, moved = _to_grid(rows, period)
    rows, merged = _merge_sites(rows, facilities, as_of)
    changes += [moved, *merged]
    strays = rows.iloc[:0]
    if len(rows):
        strays, rows, log = _without_strays(rows, period, as_of)
        changes.append(log)
    if len(rows):
        origin = rows["period_start"].min().date()
        rows["offset"] = period_offsets(pd.DatetimeIndex(rows["period_start"]), origin, period)
        changes += [_future(rows, period, origin, as_of), _provisional(rows, period)]
        changes += _outside_life(rows, period, origin, products)
        rows, stock_out_log = _stock_outs(rows, period, origin)
        changes += [stock_out_log, _outliers(rows), _returns(rows)]
        rows = rows.drop(columns="offset")
    rows = pd.concat([strays, rows]).sort_values([*KEY, "period_start"], ignore_index=True) if len(strays) else rows
    changes = [change for change in changes if len(change)]
    log = pd.concat(changes, ignore_index=True) if changes else pd.DataFrame(columns=CHANGE_COLUMNS)
    return CleanDemand(rows, log.sort_values([*KEY, "period_start"], kind="stable", ignore_index=True))


def _rows(dispensing: pd.DataFrame) -> pd.DataFrame:
    rows = pd.DataFrame({name: dispensing[name].astype(str).to_numpy() for name in KEY})
    rows["period_start"] = pd.to_datetime(dispensing["period_start"]).to_numpy().astype("datetime64[s]")
    rows["quantity_raw"] = dispensing["quantity"].to_numpy(dtype=float)
    rows["quantity"] = rows["quantity_raw"]
    rows["rule"] = ""
    repeated = rows.duplicated([*KEY, "period_start"])
    if repeated.any():
        row = rows[repeated].iloc[0]
        raise InvalidInput(
            f"two rows for facility_id {row['facility_id']}, product_id {row['product_id']}, "
            f"period_start {row['period_start'].date()}: one row a key is allowed"
        )
    return rows.sort_values([*KEY, "period_start"], ignore_index=True)


def _changes(rows: pd.DataFrame, mask: np.ndarray, rule: str, reasons: list[str] | str) -> pd.DataFrame:
    touched = rows.loc[mask, [*KEY, "period_start", "quantity_raw", "quantity"]]
    return touched.assign(rule=rule, reason=reasons)[CHANGE_COLUMNS]


def _apply(
    rows: pd.DataFrame, mask: np.ndarray, quantity: float | np.ndarray, rule: str, reason: list[str] | str
) -> pd.DataFrame:
    """Sets quantity and rule of the rows in `mask` and returns their part of the change log."""
    rows.loc[mask, "quantity"] = quantity
    rows.loc[mask, "rule"] = rule
    return _changes(rows, mask, rule, reason)


def _revised(rows: pd.DataFrame, revisions: pd.DataFrame | None) -> pd.DataFrame:
    """Rows that a later load changed; what they said first stays in the log (and in the table of revisions)."""
    if revisions is None or revisions.empty:
        return rows.iloc[:0]
    ordered = revisions.assign(
        **{name: revisions[name].astype(str) for name in KEY},
        period_start=pd.to_datetime(revisions["period_start"]).astype(rows["period_start"].dtype),
    ).sort_values("revised_at", kind="stable")
    by_row = ordered.groupby([*KEY, "period_start"]).agg(
        first=("quantity_before", "first"), times=("revised_at", "size"), last=("revised_at", "max")
    )
    revised = by_row.reindex(pd.MultiIndex.from_frame(rows[[*KEY, "period_start"]]))
    mask = revised["times"].notna().to_numpy()
    reasons = [
        f"first loaded as {revision.first:g}; revised {revision.times:g} times, last on {revision.last:%Y-%m-%d}"
        for revision in revised[mask].itertuples()
    ]
    return _apply(rows, mask, rows.loc[mask, "quantity"].to_numpy(), "revision", reasons)


def _to_grid(rows: pd.DataFrame, period: Period) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows dated inside a period are added to what the period has."""
    starts = grid_starts(rows["period_start"], period)
    off = (starts != rows["period_start"]).to_numpy()
    if not off.any():
        return rows, rows.iloc[:0]
    reasons = [
        f"dated inside a {period.value}; added to the {period.value} of {start:%Y-%m-%d}" for start in starts[off]
    ]
    log = _changes(rows, off, "off_grid", reasons)
    moved = rows[off].assign(period_start=starts[off], quantity_raw=np.nan, rule="off_grid")
    return _sum_by_key(pd.concat([rows[~off], moved], ignore_index=True)), log


def _sum_by_key(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a key: quantities summed (with an unknown part unknown), the row that was there first named as raw."""
    summed = (
        rows.assign(unknown=rows["quantity"].isna())
        .groupby([*KEY, "period_start"], as_index=False)
        .agg({"quantity_raw": "first", "quantity": "sum", "rule": "last", "unknown": "max"})
    )
    summed.loc[summed.pop("unknown"), "quantity"] = np.nan
    return summed


def _without_strays(
    rows: pd.DataFrame, period: Period, as_of: dt.date
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Strays made unknown, the other rows, and the strays' part of the log."""
    rows = rows.sort_values([*KEY, "period_start"], ignore_index=True)
    origin = rows["period_start"].min().date()
    series = rows.groupby(KEY, sort=False).ngroup().to_numpy()
    offsets = period_offsets(pd.DatetimeIndex(rows["period_start"]), origin, period)
    has_ended = offsets < period.offset(as_of + dt.timedelta(days=1), origin)
    is_isolated = isolated_rows(series, offsets, period, last=int(offsets[has_ended].max(initial=0)))
    log = _apply(rows, is_isolated, np.nan, "isolated", "a year or more of silence follows so few quantities")
    return rows[is_isolated], rows[~is_isolated].reset_index(drop=True), log


def _merge_sites(
    rows: pd.DataFrame, facilities: pd.DataFrame | None, as_of: dt.date
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    successors = final_successors(facilities, as_of)
    moves = rows["facility_id"].isin(list(successors)).to_numpy()
    if not moves.any():
        return rows, []
    target = rows["facility_id"].map(successors)
    reasons = [f"closed; added to {successor}" for successor in target[moves]]
    log = _changes(rows.assign(quantity=np.nan), moves, "merger", reasons)
    moved = rows[moves].assign(facility_id=target[moves], quantity_raw=np.nan, rule="merger")
    all_rows = pd.concat([rows[~moves], moved], ignore_index=True)
    return _sum_by_key(all_rows), [log]


def final_successors(facilities: pd.DataFrame | None, as_of: dt.date) -> dict[str, str]:
    """Closed facility -> the open one that its demand goes to, chains followed; only closures up to `as_of` count.

    Raises `InvalidInput` where successors run in a circle.

    >>> sites = pd.DataFrame({"facility_id": ["a", "b", "c"], "closed_on": ["2024-01-01", "2025-01-01", None],
    ...     "successor_id": ["b", "c", None]})
    >>> final_successors(sites, dt.date(2026, 1, 1))
    {'a': 'c', 'b': 'c'}
    """
    if facilities is None or not {"closed_on", "successor_id"} <= set(facilities.columns):
        return {}
    closed = (pd.to_datetime(facilities["closed_on"]) <= pd.Timestamp(as_of)) & facilities["successor_id"].notna()
    pairs = facilities.loc[closed, ["facility_id", "successor_id"]].astype(str)
    direct = dict(zip(pairs["facility_id"], pairs["successor_id"], strict=True))
    return {facility: _end_of_chain(facility, direct) for facility in direct}


def _end_of_chain(facility: str, direct: dict[str, str]) -> str:
    chain = [facility]
    while chain[-1] in direct:
        chain.append(direct[chain[-1]])
        if chain[-1] in chain[:-1]:
            raise InvalidInput(f"successor_id runs in a circle: {' -> '.join(chain)}")
    return chain[-1]


def _future(rows: pd.DataFrame, period: Period, origin: dt.date, as_of: dt.date) -> pd.DataFrame:
    complete = period.offset(as_of + dt.timedelta(days=1), origin)
    return _apply(
        rows, (rows["offset"] >= complete).to_numpy(), np.nan, "future", f"the {period.value} is not over on {as_of}"
    )


def _provisional(rows: pd.DataFrame, period: Period) -> pd.DataFrame:
    cells, series = _cells(rows)
    site, _ = pd.factorize(rows["facility_id"])
    of_series = site[np.unique(series, return_index=True)[1]]
    is_provisional = (
        provisional_periods(cells, of_series, period)[site, rows["offset"]] & rows["quantity"].notna().to_numpy()
    )
    reason = f"the site's {period.value} is not complete: at least half of what always sells is far below its lowest"
    return _apply(rows, is_provisional, np.nan, "provisional", reason)


def _outside_life(
    rows: pd.DataFrame, period: Period, origin: dt.date, products: pd.DataFrame | None
) -> list[pd.DataFrame]:
    """Rows of periods wholly before the launch, and of those that start after the withdrawal."""
    life = [pd.Series(pd.NaT, index=rows.index, dtype="datetime64[s]")] * 2
    for place, name in enumerate(("launched_on", "withdrawn_on")):
        if products is not None and name in products.columns:
            dates = pd.Series(pd.to_datetime(products[name]).to_numpy(), index=products["product_id"].astype(str))
            life[place] = rows["product_id"].map(dates)
    launched, withdrawn = life
    alive = ~rows["rule"].isin(["future", "provisional"])
    ends = pd.Series(
        pd.to_datetime([period.step(origin, offset + 1) for offset in range(int(rows["offset"].max()) + 1)])
    )
    early = (rows["offset"].map(ends) <= launched) & alive
    late = (rows["period_start"] > withdrawn) & alive
    return [
        _apply(rows, early.to_numpy(), np.nan, "before_launch", "the period ends before launched_on"),
        _apply(rows, late.to_numpy(), np.nan, "withdrawn", "the period starts after withdrawn_on"),
    ]


def _cells(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Quantities as [series, period] (NaN without a row) and each row's series."""
    series = rows.groupby(KEY, sort=False).ngroup().to_numpy()
    cells = np.full((series.max() + 1, int(rows["offset"].max()) + 1), np.nan)
    cells[series, rows["offset"]] = rows["quantity"]
    return cells, series


def _stock_outs(rows: pd.DataFrame, period: Period, origin: dt.date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with stock-outs made unknown; periods of one that have no row get one."""
    cells, series = _cells(rows)
    is_after_first = np.maximum.accumulate(np.isfinite(cells), axis=1)
    is_before_last = np.maximum.accumulate(np.isfinite(cells)[:, ::-1], axis=1)[:, ::-1]
    keys = rows.loc[np.unique(series, return_index=True)[1], KEY].reset_index(drop=True)
    site = pd.factorize(keys["facility_id"])[0]
    reported = np.zeros((site.max() + 1, cells.shape[1]), dtype=bool)
    reported[site[series], rows["offset"]] = True
    silent = np.isnan(cells) & is_after_first & is_before_last & reported[site]
    is_stock_out = stock_outs(np.where(silent, 0.0, cells))
    has_row = np.zeros_like(is_stock_out)
    has_row[series, rows["offset"]] = True
    of_series, offset = np.nonzero(is_stock_out & ~has_row)
    added = keys.iloc[of_series].assign(
        period_start=pd.to_datetime([period.step(origin, int(number)) for number in offset]).to_numpy("datetime64[s]"),
        quantity_raw=np.nan,
        quantity=np.nan,
        rule="",
        offset=offset,
    )
    mask = np.concatenate([is_stock_out[series, rows["offset"]], np.ones(len(added), dtype=bool)])
    all_rows = pd.concat([rows, added], ignore_index=True) if len(added) else rows
    log = _apply(all_rows, mask, np.nan, "stock_out", "an item that always sells sold nothing for several periods")
    return all_rows.sort_values([*KEY, "period_start"], ignore_index=True), log


def _outliers(rows: pd.DataFrame) -> pd.DataFrame:
    cells, series = _cells(rows)
    is_outlier = outliers(cells)[series, rows["offset"]]
    spike = f"more than {OUTLIER_RATIO:g} times its neighbours before and after it"
    large_return = (
        f"a return of more than {RETURN_RATIO:g} times what went out in the {RETURN_PERIODS} periods before it"
    )
    reasons = np.where(rows["quantity"].to_numpy()[is_outlier] > 0, spike, large_return).tolist()
    return _apply(rows, is_outlier, np.nan, "outlier", reasons)


def outliers(cells: np.ndarray) -> np.ndarray:
    """Which quantities of [series, period] cannot be real, bool; NaN is unknown.

    On the log scale against the medians of the positive neighbours before and after: a level shift agrees with one
    side and stays. A negative quantity is one if it exceeds them in size and is far more than went out before it.

    >>> outliers(np.array([[5.0, 6, 5, 6, -900, 5, 6, 5]])).nonzero()[1]
    array([4])
    """
    logs = np.log(np.where(cells > 0, cells, np.nan))
    earlier, later = _side_windows(logs)
    spread = _spread(np.concatenate([earlier, later], axis=2))
    limit = np.maximum(np.log(OUTLIER_RATIO), OUTLIER_SPREADS * spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.log(np.abs(cells))
        exceeds = [
            (size - _median(side) > limit) & (np.isfinite(side).sum(axis=2) >= MINIMUM_NEIGHBOURS)
            for side in (earlier, later)
        ]
    is_large_return = -cells > RETURN_RATIO * _sum_before(cells)
    return np.where(cells > 0, exceeds[0] & exceeds[1], is_large_return & exceeds[0])


def _side_windows(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The `NEIGHBOURS` cells before and after each, [series, period, neighbour]."""
    padded = np.pad(logs, ((0, 0), (NEIGHBOURS, NEIGHBOURS)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS, axis=1)
    columns = logs.shape[1]
    return windows[:, :columns], windows[:, NEIGHBOURS + 1 : NEIGHBOURS + 1 + columns]


def _median(samples: np.ndarray) -> np.ndarray:
    """Median over the last axis, NaN left out; NaN where nothing is known."""
    ordered = np.sort(samples, axis=-1)
    last = np.maximum(np.isfinite(samples).sum(axis=-1) - 1, 0)[..., None]
    central = [np.take_along_axis(ordered, (last + extra) // 2, axis=-1)[..., 0] for extra in (0, 1)]
    return (central[0] + central[1]) / 2


def _spread(samples: np.ndarray) -> np.ndarray:
    """Robust standard deviation over the last axis: 1.4826 times the median absolute deviation."""
    return np.nan_to_num(1.4826 * _median(np.abs(samples - _median(samples)[..., None])))


def _sum_before(cells: np.ndarray) -> np.ndarray:
    """What went out in the `RETURN_PERIODS` before each period."""
    total = np.cumsum(np.pad(np.maximum(np.nan_to_num(cells), 0.0), ((0, 0), (RETURN_PERIODS + 1, 0))), axis=1)
    return total[:, RETURN_PERIODS:-1] - total[:, : -RETURN_PERIODS - 1]


def _returns(rows: pd.DataFrame) -> pd.DataFrame:
    cells, series = _cells(rows)
    netted = net_returns(cells)[series, rows["offset"]]
    changed = np.isfinite(netted) & (netted != rows["quantity"].to_numpy())
    return _apply(rows, changed, netted[changed], "return", "a return is netted against the periods up to it")


def net_returns(cells: np.ndarray) -> np.ndarray:
    """Quantities [series, period] with each negative taken off the periods before it, latest first; none below 0.

    What exceeds all earlier quantities is dropped: it went out before the history starts.

    >>> net_returns(np.array([[5.0, 4.0, np.nan, -6.0, 2.0]]))
    array([[ 3.,  0., nan,  0.,  2.]])
    """
    netted = cells.copy()
    returned = np.zeros(len(cells))
    for column in range(cells.shape[1] - 1, -1, -1):
        balance = np.nan_to_num(cells[:, column]) - returned
        returned = np.maximum(-balance, 0.0)
        netted[:, column] = np.where(np.isnan(cells[:, column]), np.nan, np.maximum(balance, 0.0))
    return netted
