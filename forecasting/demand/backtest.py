"""How good forecasts were: error measures against what was then observed, by step, segment and horizon.

A *step* is one stage of a forecast (seasonal naive, baseline, genetic, override); its value added is the share of the
error that it takes off the step before it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from forecasting.demand.forecast import forecast_panel
from forecasting.demand.intervals import LEVELS, quantiles_of
from forecasting.demand.pool.forecaster import Forecaster
from forecasting.demand.pool.models import INTERMITTENT_ZERO_SHARE, fill_gaps
from forecasting.demand.pool.table import FORECASTERS
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput

COVERAGE = {"coverage_50": (3, 5), "coverage_80": (2, 6), "coverage_95": (0, 8)}
"""Measure -> positions of the interval's ends among the quantile levels."""

INTERVAL_CUTOFF = 1.32
VARIATION_CUTOFF = 0.49
"""Syntetos, Boylan & Croston (2005), doi:10.1057/palgrave.jors.2601841: mean interval and squared variation."""

ERRORS = ("mase", "rmsse", "wape", "scaled_crps", "weighted_quantile_loss")
"""Measures that are better when smaller: value added is computed for these."""

MEANS = ("mase", "rmsse", "scaled_crps", *COVERAGE)
"""Measures of a segment that are the mean over its series; the others are ratios of sums."""

MEASURES = (*ERRORS, *COVERAGE, "bias")
SUMS = ("total", "error", "absolute_error", "pinball_loss")
STEPS = ("seasonal_naive", "baseline", "genetic", "override")
"""The steps in the order in which they build on one another."""

ALL = "all"
BAND_ENDS = (1 / 6, 1 / 2, 1.0)
"""Shares of the horizon where its bands end."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One step's forecast of every series: `mean` [series, horizon] and `quantiles` [series, horizon, level]."""

    mean: np.ndarray
    quantiles: np.ndarray


SCORE_COLUMNS = ("stage", "segment", "horizon", "metric", "value", "value_added", "series", "origins")


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
        coverage = {name: _coverage(actual, quantiles, ends) for name, ends in COVERAGE.items()}
    return pd.DataFrame({**scaled, **_ratios(sums), **coverage, **sums, "scale": scale})


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
    is_inside = (actual >= quantiles[:, :, ends[0]]) & (actual <= quantiles[:, :, ends[1]])
    return is_inside.sum(axis=1) / np.isfinite(actual).sum(axis=1)


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
    (seasonal, seasonal_root), (step_scale, step_root) = scales
    has_cycle = np.isfinite(seasonal)
    return np.where(has_cycle, seasonal, step_scale), np.where(has_cycle, seasonal_root, step_root)


def seasonal_naive(values: np.ndarray, horizon: int, cycle: int) -> np.ndarray:
    """The quantity one cycle earlier, [series, horizon]; the last known one where the history is shorter.

    >>> seasonal_naive(np.array([[1.0, 2.0, 3.0]]), 3, cycle=2)
    array([[2., 3., 2.]])
    """
    filled = fill_gaps(values, cycle)
    source = np.maximum(values.shape[1] - cycle + np.arange(horizon) % cycle, 0)
    earlier = filled[:, source]
    return np.where(np.isfinite(earlier), earlier, filled[:, [-1]])


def seasonal_naive_step(values: np.ndarray, horizon: int, cycle: int) -> Step:
    """The seasonal naive forecast with intervals of its own: quantiles of the changes over one cycle in the history.

    >>> seasonal_naive_step(np.array([[1.0, 2.0, 3.0, 4.0]]), 1, cycle=2).quantiles.round(1).tolist()
    [[[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]]]
    """
    mean = seasonal_naive(values, horizon, cycle)
    lag = cycle if values.shape[1] > cycle else 1
    changes = quantiles_of(values[:, lag:] - values[:, :-lag])
    quantiles = np.maximum(mean[:, :, None] + np.nan_to_num(changes)[:, None, :], 0.0)
    return Step(mean, quantiles)


def horizon_bands(horizon: int) -> dict[str, slice]:
    """Spans of the horizon that are scored apart, by name: all of it, near, middle and far, and each period ahead.

    >>> list(horizon_bands(6))
    ['all', '1', '2-3', '4-6', '2', '3', '4', '5', '6']
    """
    ends = [0, *sorted({max(1, round(share * horizon)) for share in BAND_ENDS})]
    bands = {ALL: slice(0, horizon)}
    bands |= {_band_name(first, last): slice(first, last) for first, last in zip(ends[:-1], ends[1:], strict=True)}
    return bands | {_band_name(ahead, ahead + 1): slice(ahead, ahead + 1) for ahead in range(horizon)}


def _band_name(first: int, last: int) -> str:
    return str(last) if last - first == 1 else f"{first + 1}-{last}"


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
    is_rare = np.isfinite(values).sum(axis=1) / count >= INTERVAL_CUTOFF
    is_variable = variation >= VARIATION_CUTOFF
    return np.select([is_rare & is_variable, is_rare, is_variable], ["lumpy", "intermittent", "erratic"], "smooth")


def demand_segments(past: DemandPanel) -> dict[str, np.ndarray]:
    """The series of each segment, bool [series]: `all`, dense and intermittent, and the Syntetos-Boylan classes."""
    zeros = (past.values == 0).sum(axis=1) / np.maximum(np.isfinite(past.values).sum(axis=1), 1)
    classes = demand_class(past.values)
    segments = {ALL: np.full(len(zeros), True), "dense": zeros <= INTERMITTENT_ZERO_SHARE}
    segments["intermittent"] = ~segments["dense"]
    return segments | {f"class {name}": classes == name for name in sorted(set(classes))}


def backtest(
    panel: DemandPanel,
    horizon: int,
    *,
    origins: int = 3,
    step: int | None = None,
    pool: Sequence[Forecaster] = FORECASTERS,
) -> pd.DataFrame:
    """Baseline forecasts made `origins` times from what was known then, against what came and the seasonal naive.

    The last origin lies `horizon` periods before the panel's end, each earlier one `step` periods (default: the
    horizon) before the next. Series not launched at an origin, or unknown all through its horizon, are left out of it.
    Gives `SCORE_COLUMNS`. Raises `InvalidInput` when the panel is too short for the first origin.
    """
    step = horizon if step is None else step
    cuts = [panel.values.shape[1] - horizon - step * index for index in range(origins)]
    if origins < 1 or step < 1 or cuts[-1] < 1:
        raise InvalidInput(
            f"{origins} origins, {step} apart, with horizon {horizon} do not fit {panel.values.shape[1]} periods"
        )
    origin_sums = []
    for cut in reversed(cuts):
        past, actual = held_out(panel, cut, horizon)
        forecast = forecast_panel(past, horizon, pool=pool)
        naive = seasonal_naive_step(past.values, horizon, panel.period.per_year)
        steps = {"seasonal_naive": naive, "baseline": Step(forecast.mean, forecast.quantiles)}
        origin_sums.append(origin_scores(past, actual, steps, demand_segments(past)))
    return scores(origin_sums)


def held_out(panel: DemandPanel, cut: int, horizon: int) -> tuple[DemandPanel, np.ndarray]:
    """The panel as it was known after `cut` periods, and what came [series, horizon]; only series that have both."""
    future = panel.values[:, cut : cut + horizon]
    usable = np.isfinite(panel.values[:, :cut]).any(axis=1) & np.isfinite(future).any(axis=1)
    return panel.until(cut).select(usable), future[usable]


def origin_scores(
    past: DemandPanel, actual: np.ndarray, steps: Mapping[str, Step], segments: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Sums over the series of each segment, by stage, segment and horizon, from which `scores` makes the measures.

    `segments` are bool [series]. Single periods ahead are scored for all series only.
    """
    scale, root_scale = naive_scales(past.values, past.period.per_year)
    rows = []
    for stage, forecast in steps.items():
        for horizon, span in horizon_bands(actual.shape[1]).items():
            measured = accuracy(
                actual[:, span], forecast.mean[:, span], forecast.quantiles[:, span], scale=scale, root_scale=root_scale
            )
            known = np.isfinite(actual[:, span]).any(axis=1)
            for segment, members in segments.items():
                if segment == ALL or not horizon.isdigit():
                    chosen = measured[known & members]
                    sums = {name: float(chosen[name].sum()) for name in (*SUMS, *MEANS)}
                    counts = {f"{name}_count": int(chosen[name].count()) for name in MEANS}
                    labels = {"stage": stage, "segment": segment, "horizon": horizon}
                    rows.append({**labels, **sums, **counts, "series": len(chosen)})
    return pd.DataFrame(rows)


def scores(origins: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """`SCORE_COLUMNS` from the `origin_scores` of some origins: one row a stage, segment, horizon and measure.

    `value` is NaN where it cannot be computed; `value_added` is the share of an error that the stage takes off the one
    before it (negative: it adds to it), NaN for the first stage and for measures that are no errors. `series` is the
    most at one origin, `origins` those with any.
    """
    all_origins = pd.concat(origins, ignore_index=True)
    rows: list[dict[str, object]] = []
    for (segment, horizon), segment_rows in all_origins.groupby(["segment", "horizon"], sort=False):
        previous_values: dict[str, float] = {}
        for stage, stage_rows in segment_rows.groupby("stage", sort=False):
            series = int(stage_rows["series"].max())
            counts = {"series": series, "origins": int((stage_rows["series"] > 0).sum())}
            values = _measures(stage_rows)
            for metric in MEASURES if series else ():
                added = (
                    1 - values[metric] / previous_values[metric]
                    if metric in ERRORS and previous_values.get(metric, 0) > 0
                    else np.nan
                )
                labels = {"stage": stage, "segment": segment, "horizon": horizon, "metric": metric}
                rows.append({**labels, "value": values[metric], "value_added": added, **counts})
            previous_values = values
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def _measures(stage_rows: pd.DataFrame) -> dict[str, float]:
    sums = {name: np.array(stage_rows[name].sum()) for name in SUMS}
    with np.errstate(divide="ignore", invalid="ignore"):
        means = {name: float(np.divide(stage_rows[name].sum(), stage_rows[f"{name}_count"].sum())) for name in MEANS}
    return means | {name: float(value) for name, value in _ratios(sums).items()}
