"""Overrides: what people set of a forecast, applied to its sample paths, and how much they improved it afterwards.

An override sets the expected demand of the periods it covers, to a quantity or by a factor. The sample paths of such a
period are scaled to it: relative uncertainty and the correlations of products and periods stay as forecast. A person
who moves the level has not become more certain of it.
"""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.seeds import stable_seed
from forecasting.terms import QUANTILE_LEVELS, OverrideKind

ACTING_COLUMNS = ("override_id", "product_id", "kind", "value", "starts_on", "ends_on")
NOTHING = -1


@dataclasses.dataclass(frozen=True)
class SiteForecast:
    """A site's forecast before overrides; products `product_ids`, periods that begin on `starts`.

    `paths` [product, period, draw], `quantiles` [product, period, level], `mean` and `baseline_mean` (that without
    genetics) [product, period].
    """

    facility_id: str
    product_ids: tuple[str, ...]
    starts: pd.DatetimeIndex
    paths: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    baseline_mean: np.ndarray


@dataclasses.dataclass(frozen=True)
class OverriddenDemand:
    """Demand of a site after overrides; products and periods as they were given.

    `paths` [product, period, draw], `quantiles` [product, period, level], `mean` and `before` (the mean without
    overrides) [product, period]. `without_genetics` [product, period] is what the overrides make of the baseline.
    Row s of `acting` (override_id, product_id) moves `quantity[s]` [period] dose units.
    """

    paths: np.ndarray
    quantiles: np.ndarray
    mean: np.ndarray
    before: np.ndarray
    without_genetics: np.ndarray
    acting: pd.DataFrame
    quantity: np.ndarray

    def select(self, products: np.ndarray) -> "OverriddenDemand":
        """The same for some products [product] (true or false) only; what acts is kept."""
        return dataclasses.replace(
            self,
            paths=self.paths[products],
            quantiles=self.quantiles[products],
            mean=self.mean[products],
            before=self.before[products],
            without_genetics=self.without_genetics[products],
        )


def acting_override_rows(product_ids: tuple[str, ...], starts: pd.DatetimeIndex, overrides: pd.DataFrame) -> np.ndarray:
    """Which row of `overrides` acts on each product and period [product, period], `NOTHING` (-1) where none does.

    `overrides` has `ACTING_COLUMNS`, oldest first: where several cover a period, the last one acts alone.

    >>> rows = pd.DataFrame([[1, "a", "factor", 2.0, "2026-11-23", "2026-12-06"]], columns=list(ACTING_COLUMNS))
    >>> acting_override_rows(("a", "b"), pd.DatetimeIndex(["2026-11-16", "2026-11-23"]), rows).tolist()
    [[-1, 0], [-1, -1]]
    """
    acts = np.full((len(product_ids), len(starts)), NOTHING)
    row_of_product = {product_id: number for number, product_id in enumerate(product_ids)}
    first, last = (pd.to_datetime(overrides[name]).to_numpy() for name in ("starts_on", "ends_on"))
    for row, product_id in enumerate(overrides["product_id"]):
        if product_id in row_of_product:
            covered = (starts.to_numpy() >= first[row]) & (starts.to_numpy() <= last[row])
            acts[row_of_product[product_id], covered] = row
    return acts


def overridden_mean(mean: np.ndarray, acts: np.ndarray, overrides: pd.DataFrame) -> np.ndarray:
    """Means [product, period] with the acting overrides: the quantity set, or the factor times the mean."""
    if not len(overrides):
        return mean
    value = overrides["value"].to_numpy(dtype=float)[acts]
    factor = (overrides["kind"] == OverrideKind.FACTOR.value).to_numpy()[acts]
    return np.where(acts == NOTHING, mean, np.where(factor, mean * value, value))


def apply_overrides(demand: SiteForecast, overrides: pd.DataFrame, *, seed: int) -> OverriddenDemand:
    """A site's demand with its overrides (`ACTING_COLUMNS`, oldest first); what none covers stays to the last bit.

    Where nothing was forecast there is nothing to scale: a quantity set there is drawn as a Poisson count, the least
    spread that counted demand has, keyed by `seed`, site and product.
    """
    mean, paths, quantiles = demand.mean, demand.paths, demand.quantiles
    acts = acting_override_rows(demand.product_ids, demand.starts, overrides)
    after = overridden_mean(mean, acts, overrides)
    if (acts != NOTHING).any():
        ratio = np.divide(after, mean, out=np.ones_like(mean), where=(mean > 0) & (acts != NOTHING))
        is_scaled = ratio != 1
        paths, quantiles = paths.copy(), quantiles.copy()
        paths[is_scaled] *= ratio[is_scaled][:, None]
        quantiles[is_scaled] *= ratio[is_scaled][:, None]
        is_drawn = (acts != NOTHING) & (after > 0) & ~(paths > 0).any(axis=2)
        for product in np.flatnonzero(is_drawn.any(axis=1)):
            key = stable_seed(seed, "override", demand.facility_id, demand.product_ids[product])
            periods = is_drawn[product]
            counts = _poisson_draws(after[product], paths.shape[2], key)[periods]
            paths[product, periods] = counts
            levels = np.quantile(counts, list(QUANTILE_LEVELS.values()), axis=-1)
            quantiles[product, periods] = np.moveaxis(levels, 0, -1)
    acting, quantity = _steps(demand.product_ids, overrides, acts, after - mean)
    without_genetics = overridden_mean(demand.baseline_mean, acts, overrides)
    return OverriddenDemand(paths, quantiles, after, mean, without_genetics, acting, quantity)


def _poisson_draws(mean: np.ndarray, draws: int, key: np.random.SeedSequence) -> np.ndarray:
    """Poisson counts [period, draw] of these means [period]."""
    return np.random.default_rng(key).poisson(mean[:, None], size=(len(mean), draws)).astype(float)


def _steps(
    product_ids: tuple[str, ...], overrides: pd.DataFrame, acts: np.ndarray, shift: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """One row an acting override and product, and what it moves [row, period]."""
    pairs = sorted({(product, row) for product, row in zip(*_acting_pairs(acts), strict=True)})
    product, row = (np.array([pair[n] for pair in pairs], dtype=np.int64) for n in range(2))
    quantity = np.where(acts[product] == row[:, None], shift[product], 0.0)
    named = {
        "override_id": overrides["override_id"].to_numpy()[row],
        "product_id": np.array(product_ids, dtype=object)[product],
    }
    return pd.DataFrame(named), quantity


def _acting_pairs(acts: np.ndarray) -> tuple[list[int], list[int]]:
    products, periods = np.nonzero(acts != NOTHING)
    return products.tolist(), acts[products, periods].tolist()


def value_of_overrides(rows: pd.DataFrame) -> pd.DataFrame:
    """What each override did to the forecast of each product it covered, from its past periods.

    `rows`: one a site, override, product and period, with the forecasts `without` and `with_it` and the known `actual`,
    in dose units. One row an override and product comes back: direction, relative_change (of the forecast; NaN where
    nothing was forecast), periods, demand, error_without and error_with (sums of absolute errors), value_added (the
    first less the second), bias_without and bias_with (forecast less demand).

    References
    ----------
    Fildes, Goodwin, Lawrence & Nikolopoulos (2009), International Journal of Forecasting 25:3-23,
    doi:10.1016/j.ijforecast.2008.11.010: edits that raise a forecast, and small ones, tend to make it worse.

    >>> keys = {"facility_id": "north", "override_id": 1, "product_id": "a"}
    >>> found = value_of_overrides(pd.DataFrame([keys | {"without": 10.0, "with_it": 15.0, "actual": 14.0}]))
    >>> found[["direction", "relative_change", "error_without", "error_with", "value_added"]].to_numpy().tolist()
    [['up', 0.5, 4.0, 1.0, 3.0]]
    """
    keys = ["facility_id", "override_id", "product_id"]
    scored = rows.assign(
        error_without=(rows["without"] - rows["actual"]).abs(), error_with=(rows["with_it"] - rows["actual"]).abs()
    )
    groups = scored.groupby(keys, sort=True)
    sums = groups[["without", "with_it", "actual", "error_without", "error_with"]].sum()
    change = sums["with_it"] - sums["without"]
    value = pd.DataFrame(
        {
            "direction": direction_of(change.to_numpy(dtype=float)),
            "relative_change": change / sums["without"].where(sums["without"] > 0),
            "periods": groups.size(),
            "demand": sums["actual"],
            "error_without": sums["error_without"],
            "error_with": sums["error_with"],
            "value_added": sums["error_without"] - sums["error_with"],
            "bias_without": sums["without"] - sums["actual"],
            "bias_with": sums["with_it"] - sums["actual"],
        }
    )
    return value.reset_index()


def direction_of(change: np.ndarray) -> np.ndarray:
    """`up`, `down` or `none` of each change.

    >>> direction_of(np.array([2.0, -1.0, 0.0])).tolist()
    ['up', 'down', 'none']
    """
    return np.select([change > 0, change < 0], ["up", "down"], "none").astype(object)
