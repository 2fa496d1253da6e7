"""How good forecasts were: error measures against what was then observed, by series, origin and kind of demand."""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.demand.forecast import forecast_panel
from forecasting.demand.intervals import LEVELS
from forecasting.demand.models import fill_gaps
from forecasting.demand.selection import INTERMITTENT_ZERO_SHARE
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput

COVERAGE = {"coverage_50": (3, 5), "coverage_80": (2, 6), "coverage_95": (0, 8)}
"""Measure -> positions of the interval's ends among the quantile levels."""

INTERVAL_CUTOFF = 1.32
VARIATION_CUTOFF = 0.49
"""Syntetos, Boylan & Croston (2005), doi:10.1057/palgrave.jors.2601841: mean interval and squared variation."""

MEANS = ["mase", "rmsse", "scaled_crps", *COVERAGE, "mase_seasonal_naive", "rmsse_seasonal_naive"]


@dataclasses.dataclass(frozen=True)
class Backtest:
    """Rolling-origin results.

    `frame`: one row a series and origin: facility_id, product_id, origin (first period forecast), segment (dense /
    intermittent), demand_class (smooth / intermittent / erratic / lumpy), model, the columns of `accuracy`, and mase,
    rmsse and wape of the seasonal naive forecast. `segments`: the same measures for `all`, each segment and class, with
    `rows` counted; ratios of sums (wape, weighted_quantile_loss, bias) are of the segment's sums.
    """

    frame: pd.DataFrame
    segments: pd.DataFrame


def accuracy(
    actual: np.ndarray, mean: np.ndarray, quantiles: np.ndarray, *, scale: np.ndarray, root_scale: np.ndarray
) -> pd.DataFrame:
    """Error measures of each series, one row each, over the known periods of `actual` [series, horizon].

    `scale` and `root_scale` [series] are the naive error in the history (`naive_scales`). mase, rmsse and scaled_crps
    (twice the mean pinball loss over `scale`) are NaN for a scale of 0; wape, weighted_quantile_loss and bias (error
    over demand, positive = too much) for no demand. total, error, absolute_error and pinball_loss are the sums.

    References
    ----------
    Hyndman & Koehler (2006), International Journal of Forecasting 22:679-688, doi:10.1016/j.ijforecast.2006.03.001.

    >>> one, unit = np.array([[2.0, 4.0]]), np.ones(1)
    >>> measures = accuracy(one, one + 1, np.repeat(one[:, :, None], 9, axis=2), scale=unit, root_scale=unit)
    >>> measures[["mase", "bias", "scaled_crps", "coverage_80"]].round(3).iloc[0].tolist()
    [1.0, 0.333, 0.0, 1.0]
    """
    known = np.isfinite(actual)
    count = known.sum(axis=1)
    error = np.where(known, mean - actual, 0.0)
    pinball = _pinball(actual, quantiles)
    sums = {
        "total": np.nansum(actual, axis=1),
        "error": error.sum(axis=1),
        "absolute_error": np.abs(error).sum(axis=1),
        "pinball_loss": pinball,
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = {
            "mase": sums["absolute_error"] / count / _positive(scale),
            "rmsse": np.sqrt((error**2).sum(axis=1) / count) / _positive(root_scale),
            "scaled_crps": 2 * pinball / count / _positive(scale),
        }
        inside = {name: _coverage(actual, quantiles, ends) for name, ends in COVERAGE.items()}
    return pd.DataFrame({**scaled, **_ratios(sums), **inside, **sums, "scale": scale})


def _ratios(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    total = _positive(sums["total"])
    return {
        "wape": sums["absolute_error"] / total,
        "weighted_quantile_loss": 2 * sums["pinball_loss"] / total,
        "bias": sums["error"] / total,
    }


def _positive(scale: np.ndarray) -> np.ndarray:
    return np.where(scale > 0, scale, np.nan)


def _pinball(actual: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Sum over the known periods of the mean pinball loss over the levels, [series]."""
    over = actual[:, :, None] - quantiles
    loss = np.maximum(LEVELS * over, (LEVELS - 1) * over).mean(axis=2)
    return np.nansum(loss, axis=1)


def _coverage(actual: np.ndarray, quantiles: np.ndarray, ends: tuple[int, int]) -> np.ndarray:
    """Share of the known periods within the interval, its ends included, [series]."""
    inside = (actual >= quantiles[:, :, ends[0]]) & (actual <= quantiles[:, :, ends[1]])
    return inside.sum(axis=1) / np.isfinite(actual).sum(axis=1)


def naive_scales(values: np.ndarray, cycle: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean absolute and root mean square change over one cycle in the history [series, period], both [series].

    Histories without two periods a cycle apart take the change from one period to the next; without that, NaN.

    >>> naive_scales(np.array([[1.0, 3.0, np.nan, 4.0]]), cycle=2)
    (array([1.]), array([1.]))
    """
    scales = []
    for lag in (cycle, 1):
        change = np.abs(values[:, lag:] - values[:, :-lag]) if values.shape[1] > lag else np.empty((len(values), 0))
        count = np.isfinite(change).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            scales.append([np.nansum(change, axis=1) / count, np.sqrt(np.nansum(change**2, axis=1) / count)])
    (seasonal, seasonal_root), (plain, plain_root) = scales
    seen = np.isfinite(seasonal)
    return np.where(seen, seasonal, plain), np.where(seen, seasonal_root, plain_root)


def seasonal_naive(values: np.ndarray, horizon: int, cycle: int) -> np.ndarray:
    """The quantity one cycle earlier, [series, horizon]; the last known one where the history is shorter.

    >>> seasonal_naive(np.array([[1.0, 2.0, 3.0]]), 3, cycle=2)
    array([[2., 3., 2.]])
    """
    filled = fill_gaps(values, cycle)
    source = np.maximum(values.shape[1] - cycle + np.arange(horizon) % cycle, 0)
    earlier = filled[:, source]
    return np.where(np.isfinite(earlier), earlier, filled[:, [-1]])


def demand_class(values: np.ndarray) -> np.ndarray:
    """Syntetos-Boylan class of each series, [series]: smooth, intermittent, erratic or lumpy.

    By the mean interval between demands and the squared coefficient of variation of their sizes, over what is known.

    >>> demand_class(np.array([[5.0, 6, 5, 6], [0, 0, 5, 0]])).tolist()
    ['smooth', 'intermittent']
    """
    positive = values > 0
    count = np.maximum(positive.sum(axis=1), 1)
    sizes = np.where(positive, values, 0.0)
    mean = sizes.sum(axis=1) / count
    variance = np.where(positive, (sizes - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
    variation = variance / np.maximum(mean**2, 1e-300)
    rare = np.isfinite(values).sum(axis=1) / count >= INTERVAL_CUTOFF
    varied = variation >= VARIATION_CUTOFF
    return np.select([rare & varied, rare, varied], ["lumpy", "intermittent", "erratic"], "smooth")


def backtest(panel: DemandPanel, horizon: int, *, origins: int = 3, step: int | None = None) -> Backtest:
    """Forecasts made `origins` times from what was known then, against what came.

    The last origin lies `horizon` periods before the panel's end, each earlier one `step` periods (default: the
    horizon) before the next. Series not launched at an origin, or unknown all through its horizon, are left out of it.
    Raises `InvalidInput` when the panel is too short for the first origin.
    """
    step = horizon if step is None else step
    cuts = [panel.values.shape[1] - horizon - step * back for back in range(origins)]
    if origins < 1 or step < 1 or cuts[-1] < 1:
        raise InvalidInput(
            f"{origins} origins, {step} apart, with horizon {horizon} do not fit {panel.values.shape[1]} periods"
        )
    frame = pd.concat([_one_origin(panel, cut, horizon) for cut in reversed(cuts)], ignore_index=True)
    return Backtest(frame, _segments(frame))


def _one_origin(panel: DemandPanel, cut: int, horizon: int) -> pd.DataFrame:
    future = panel.values[:, cut : cut + horizon]
    usable = np.isfinite(panel.values[:, :cut]).any(axis=1) & np.isfinite(future).any(axis=1)
    past = panel.until(cut).select(usable)
    actual = future[usable]
    forecast = forecast_panel(past, horizon)
    cycle = panel.period.per_year
    scale, root_scale = naive_scales(past.values, cycle)
    measures = accuracy(actual, forecast.mean, forecast.quantiles, scale=scale, root_scale=root_scale)
    naive = seasonal_naive(past.values, horizon, cycle)
    benchmark = accuracy(
        actual, naive, np.repeat(naive[:, :, None], len(LEVELS), axis=2), scale=scale, root_scale=root_scale
    )
    zeros = (past.values == 0).sum(axis=1) / np.isfinite(past.values).sum(axis=1)
    keys = {
        "facility_id": past.facility_ids,
        "product_id": past.product_ids,
        "origin": pd.Timestamp(forecast.starts[0]),
        "segment": np.where(zeros > INTERMITTENT_ZERO_SHARE, "intermittent", "dense"),
        "demand_class": demand_class(past.values),
        "model": forecast.model,
    }
    named = benchmark[["mase", "rmsse", "wape", "absolute_error"]].add_suffix("_seasonal_naive")
    return pd.concat([pd.DataFrame(keys), measures, named], axis=1)


def _segments(frame: pd.DataFrame) -> pd.DataFrame:
    groups = [("all", frame), *frame.groupby("segment"), *((f"class {k}", g) for k, g in frame.groupby("demand_class"))]
    return pd.DataFrame([{"segment": name, **_summary(group)} for name, group in groups])


def _summary(group: pd.DataFrame) -> dict[str, float]:
    sums = {name: np.array(group[name].sum()) for name in ("total", "error", "absolute_error", "pinball_loss")}
    naive = {**sums, "absolute_error": np.array(group["absolute_error_seasonal_naive"].sum())}
    ratios = {name: float(value) for name, value in _ratios(sums).items()}
    means = {name: float(group[name].mean()) for name in MEANS}
    return {"rows": len(group), **means, **ratios, "wape_seasonal_naive": float(_ratios(naive)["wape"])}
