"""Lead times: what receipts and suppliers say about the days from order to arrival, and draws of it.

A product's receipts are shrunk to those of its supplier, these to what the supplier states, and never to zero when
nothing is known: the default is named, long, and marked "assumed".
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput

DEFAULT_LEAD_TIME_DAYS = 14.0
"""Used when neither receipts nor a supplier say anything: long on purpose, and always marked "assumed"."""

ASSUMED_COEFFICIENT_OF_VARIATION = 0.4
"""Standard deviation over mean where no one states the spread."""

STATED_WEIGHT = 5.0
"""The supplier's other receipts, and the stated lead time, count as much as this many receipts."""

LOST_AFTER_DAYS = 30
"""An open order that is overdue for longer was probably never placed, or is a slip in the records."""

CENSORED_ROUNDS = 40
"""Rounds of imputing open orders: by then the moments change by less than a minute."""

COLUMNS = ["product_id", "supplier_id", "mean_days", "sd_days", "observations", "source"]

Rows = npt.NDArray[np.intp]
Seeds = npt.NDArray[np.uint64]


def lead_times(
    receipts: pd.DataFrame,
    suppliers: pd.DataFrame,
    products: pd.DataFrame,
    open_orders: pd.DataFrame | None = None,
    as_of: dt.date | None = None,
) -> pd.DataFrame:
    """Mean and standard deviation of the lead time per product, one row a product.

    `receipts`: order_id, product_id, ordered_at, received_at. `suppliers`: supplier_id, lead_time_days,
    lead_time_sd_days. `products`: product_id, supplier_id (blank if unknown). `open_orders`: product_id, ordered_at and
    expected_at of what had not come on `as_of`. Returns `COLUMNS`; `source` says what was used: "receipts" of the
    product, else "supplier_receipts" (its supplier's other products), else "supplier" (the stated time), else
    "assumed".

    A product's receipts are mixed with `STATED_WEIGHT` pseudo-receipts that have the moments of its supplier's other
    receipts, and those with as many of the stated moments. An order that is still open counts as longer than its age
    (Dempster, Laird & Rubin 1977, JRSS B 39:1-38): leaving it out would teach that late orders do not exist. One that
    is overdue by more than `LOST_AFTER_DAYS` is taken as lost and teaches nothing.

    Raises `InvalidInput` for a receipt before its order.
    """
    frame = products[["product_id", "supplier_id"]].merge(_stated(suppliers), on="supplier_id", how="left")
    own = _sums(_observed(receipts), frame["product_id"])
    # a product whose supplier is not known has no companions
    supplier = frame["supplier_id"].where(frame["supplier_id"].notna(), "alone: " + frame["product_id"])
    of_companions = own.groupby(supplier.astype(object)).transform("sum") - own
    stated = frame["stated_mean"].notna().to_numpy()
    mean = frame["stated_mean"].fillna(DEFAULT_LEAD_TIME_DAYS).to_numpy(float)
    sd = frame["stated_sd"].fillna(pd.Series(mean * ASSUMED_COEFFICIENT_OF_VARIATION)).to_numpy(float)
    of_supplier = _mixed(of_companions.to_numpy(), (mean, sd))
    rows, ages = _still_open(open_orders, as_of, frame["product_id"])
    frame["mean_days"], frame["sd_days"] = _with_open_orders(own.to_numpy(), of_supplier, rows, ages)
    frame["observations"] = own["count"].to_numpy().astype(np.int64)
    cases = [(own["count"] > 0).to_numpy(), (of_companions["count"] > 0).to_numpy(), stated]
    frame["source"] = np.select(cases, ["receipts", "supplier_receipts", "supplier"], "assumed")
    return frame[COLUMNS]


Moments = tuple[Floats, Floats]


def _stated(suppliers: pd.DataFrame) -> pd.DataFrame:
    stated = suppliers.reindex(columns=["supplier_id", "lead_time_days", "lead_time_sd_days"])
    stated.columns = ["supplier_id", "stated_mean", "stated_sd"]
    stated[["stated_mean", "stated_sd"]] = stated[["stated_mean", "stated_sd"]].astype(float)
    if (stated[["stated_mean", "stated_sd"]] < 0).to_numpy().any():
        raise InvalidInput("a supplier states a lead time below 0 days")
    return stated.dropna(subset="supplier_id")


def _observed(receipts: pd.DataFrame) -> pd.DataFrame:
    ordered, received = (pd.to_datetime(receipts[name]) for name in ("ordered_at", "received_at"))
    days = (received - ordered).dt.total_seconds() / 86_400
    if (days < 0).any():
        first = receipts.loc[days < 0].iloc[0]
        raise InvalidInput(f"order {first['order_id']} was received {first['received_at']}, before it was ordered")
    return pd.DataFrame({"product_id": receipts["product_id"], "days": days}).dropna(subset="days")


def _sums(observed: pd.DataFrame, product_ids: pd.Series) -> pd.DataFrame:
    """Count, sum and sum of squares of the lead times of each product."""
    powers = pd.DataFrame({"count": 1.0, "sum": observed["days"], "squares": observed["days"] ** 2})
    totals = powers.groupby(observed["product_id"]).sum()
    return totals.reindex(product_ids).fillna(0.0).reset_index(drop=True)


def _mixed(sums: Floats, prior: Moments) -> Moments:
    """Mean and standard deviation of what was seen mixed with `STATED_WEIGHT` cases of the prior's moments."""
    mean, sd = prior
    count = sums[:, 0] + STATED_WEIGHT
    first = (sums[:, 1] + STATED_WEIGHT * mean) / count
    second = (sums[:, 2] + STATED_WEIGHT * (sd**2 + mean**2)) / count
    return first, np.sqrt(np.maximum(second - first**2, 0.0))


def _still_open(open_orders: pd.DataFrame | None, as_of: dt.date | None, product_ids: pd.Series) -> tuple[Rows, Floats]:
    """Product rows and ages in days of the orders that can still come."""
    if open_orders is None or as_of is None or open_orders.empty:
        return np.zeros(0, dtype=np.intp), np.zeros(0)
    today = pd.Timestamp(as_of)
    lost = pd.to_datetime(open_orders["expected_at"]) < today - pd.Timedelta(days=LOST_AFTER_DAYS)
    age = (today - pd.to_datetime(open_orders["ordered_at"])).dt.total_seconds().to_numpy(dtype=float) / 86_400
    row = pd.Index(product_ids).get_indexer(pd.Index(open_orders["product_id"]))
    informative = (row >= 0) & (age > 0) & ~lost.to_numpy()
    return row[informative], age[informative]


def _with_open_orders(sums: Floats, prior: Moments, row: Rows, age: Floats) -> Moments:
    """The mixture with each open order at the moments of a gamma above its age, until they settle."""
    mean, sd = _mixed(sums, prior)
    for _ in range(CENSORED_ROUNDS if len(row) else 0):
        imputed = np.zeros_like(sums)
        np.add.at(imputed, row, _moments_above(mean[row], sd[row], age))
        mean, sd = _mixed(sums + imputed, prior)
    return mean, sd


def _moments_above(mean: Floats, sd: Floats, age: Floats) -> Floats:
    """1, mean and mean square of lead times above their age [order, 3]; where that is all but impossible, the age."""
    mean, sd = np.maximum(mean, 1e-9), np.maximum(sd, 1e-9)
    shape, scale = (mean / sd) ** 2, sd**2 / mean
    scaled_age = age / scale
    tail = stats.gamma.sf(scaled_age, shape)
    possible = tail > LEAST_TAIL
    safe = np.where(possible, tail, 1.0)
    first = np.where(possible, mean * stats.gamma.sf(scaled_age, shape + 1) / safe, age)
    second = np.where(possible, (mean**2 + sd**2) * stats.gamma.sf(scaled_age, shape + 2) / safe, age**2)
    return np.column_stack([np.ones_like(age), first, second])


def draw_lead_times(mean: Floats, sd: Floats, draws: int, seed_keys: Sequence[str]) -> Floats:
    """Lead times in days [item, draw]: gamma by moments, one draw from each of `draws` equal strata, shuffled per item.

    The shuffle depends on the item's own key alone, so an item keeps its draws when others come or go. A standard
    deviation of 0 is a certain lead time. Raises `InvalidInput` for a negative mean or spread, or a spread around 0.

    >>> draw_lead_times(np.array([3.0]), np.array([0.0]), 4, ["north|clopidogrel"])
    array([[3., 3., 3., 3.]])
    """
    mean, sd = np.asarray(mean, dtype=float), np.asarray(sd, dtype=float)
    if not (np.all(mean >= 0) and np.all(sd >= 0)):
        raise InvalidInput("lead time means and standard deviations must be 0 or more days")
    if np.any((mean == 0) & (sd > 0)):
        raise InvalidInput("a lead time with mean 0 days cannot vary")
    return _drawn(_lead_time_quantiles, (mean, sd), draws, key_seeds(seed_keys))


def _drawn(quantiles_of: Callable[..., Floats], parameters: tuple[Floats, ...], draws: int, seeds: Seeds) -> Floats:
    """One draw from each of equal strata, shuffled by seed [row, draw]; equal parameters [row] are worked out once."""
    distinct, which = np.unique(np.column_stack(parameters), axis=0, return_inverse=True)
    levels = (np.arange(draws) + 0.5) / draws
    return np.take_along_axis(quantiles_of(*distinct.T, levels)[which.reshape(-1)], shuffled(seeds, draws), axis=1)


def _lead_time_quantiles(mean: Floats, sd: Floats, levels: Floats) -> Floats:
    quantiles = np.repeat(mean[:, None], len(levels), axis=1)
    varies = sd > 0
    shape = (mean[varies] / sd[varies]) ** 2
    quantiles[varies] = stats.gamma.ppf(levels, shape[:, None]) * (sd[varies] ** 2 / mean[varies])[:, None]
    return quantiles


def draw_arrivals(mean: Floats, sd: Floats, elapsed: Floats, draws: int, seeds: Seeds) -> Floats:
    """Days from today until orders arrive that are `elapsed` days old and have not come yet [order, draw].

    The lead time is a gamma with `mean` and `sd` [order], given that it is longer than `elapsed`: an order that is late
    already comes later than one that is not. NaN where it should have come with near certainty, or has no spread.

    >>> draw_arrivals(np.array([8.0]), np.array([0.0]), np.array([3.0]), 2, np.array([1], dtype=np.uint64))
    array([[5., 5.]])
    """
    return _drawn(_arrival_quantiles, (mean, sd, elapsed), draws, seeds)


def _arrival_quantiles(mean: Floats, sd: Floats, elapsed: Floats, levels: Floats) -> Floats:
    remaining = np.repeat((mean - elapsed)[:, None], len(levels), axis=1)
    remaining[(sd == 0) & (remaining[:, 0] < 0)] = np.nan
    varies = np.flatnonzero((sd > 0) & (mean > 0))
    mean, sd, age = mean[varies], sd[varies], elapsed[varies]
    shape, scale = (mean / sd) ** 2, sd**2 / mean
    tail = stats.gamma.sf(np.maximum(age, 0.0) / scale, shape)
    with np.errstate(invalid="ignore"):
        later = stats.gamma.isf((1 - levels) * tail[:, None], shape[:, None]) * scale[:, None] - age[:, None]
    remaining[varies] = np.where(tail[:, None] < LEAST_TAIL, np.nan, np.maximum(later, 0.0))
    return remaining


LEAST_TAIL = 1e-6
"""A lead time longer than the order's age is given up as impossible below this probability."""


def key_seeds(keys: Sequence[str]) -> Seeds:
    """A number per key that depends on the key alone."""
    digests = (hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)


def shuffled(seeds: Seeds, draws: int) -> Rows:
    """A permutation of the draws for each seed [seed, draw]."""
    return np.argsort(_hashed(seeds, draws), axis=1, kind="stable")


def _hashed(seeds: Seeds, draws: int) -> Seeds:
    """Pseudo-random integers [seed, draw] that depend on the seed and the draw alone.

    Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators", doi:10.1145/2714064.2660195.
    """
    state = seeds[:, None] + np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
