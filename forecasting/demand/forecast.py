"""The baseline forecast of a panel: mean, calibrated quantiles and what sample paths need, in one batched pass."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.demand.dependence import common_correlations, step_correlations, strength_correlations
from forecasting.demand.intervals import (
    LEVELS,
    OriginErrors,
    Scale,
    conformal_quantiles,
    count_quantiles,
    quantiles_of,
)
from forecasting.demand.mix import strength_factor
from forecasting.demand.pool.forecaster import Forecaster, SelectionEvidence, mean_of
from forecasting.demand.pool.models import cap, season_cycle
from forecasting.demand.pool.selection import Candidates, rolling_forecasts
from forecasting.demand.pool.table import FORECASTERS
from forecasting.demand.series import KEY, DemandPanel, reliable_series
from forecasting.errors import InvalidInput
from forecasting.terms import QUANTILE_LEVELS

MAXIMUM_LOG_VARIANCE = 0.8
"""Largest variance of the noise when the mean is computed from the median: e^0.4 is half above it."""

OUTLYING = 3.0
"""Changes beyond this many robust standard deviations count as that many."""

MINIMUM_CHANGES = 6


@dataclasses.dataclass(frozen=True)
class PanelForecast:
    """Demand to come, row i being `facility_ids[i]`, `product_ids[i]`, in the panel's order; quantities in dose units.

    `starts` are the future periods; `mean` is [series, horizon], `quantiles` [series, horizon, level] at the levels of
    `terms.QUANTILE_LEVELS`, `model` [series] the name of a forecaster in the pool. `autocorrelation` [series] joins
    neighbouring future periods of one series, `common_correlation` [series] one product's sites, `strength_correlation`
    [series] the products of one of `drugs` at a site. `actual` and `predicted` [series, origin, horizon] are the
    rolling-origin backtest (no origins when read back from a table).
    """

    facility_ids: tuple[str, ...]
    product_ids: tuple[str, ...]
    starts: tuple[dt.date, ...]
    mean: np.ndarray
    quantiles: np.ndarray
    model: np.ndarray
    autocorrelation: np.ndarray
    common_correlation: np.ndarray
    drugs: tuple[str, ...]
    strength_correlation: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray

    def select(self, rows: np.ndarray) -> "PanelForecast":
        """The series of these rows (integers), in their order; their paths are the same as among the others."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "starts"}
        chosen: dict[str, Any] = {
            name: value[rows] if isinstance(value, np.ndarray) else tuple(value[row] for row in rows)
            for name, value in values.items()
        }
        return dataclasses.replace(self, **chosen)

    def to_frame(self) -> pd.DataFrame:
        """One row a series and future period: KEY, period_start, mean, the quantiles, model, drug and correlations."""
        series, horizon = self.mean.shape
        frame = pd.DataFrame(
            {
                "facility_id": np.repeat(np.array(self.facility_ids, dtype=object), horizon),
                "product_id": np.repeat(np.array(self.product_ids, dtype=object), horizon),
                "period_start": np.tile(pd.to_datetime(list(self.starts)).to_numpy(), series),
                "mean": self.mean.ravel(),
            }
        )
        levels = self.quantiles.reshape(series * horizon, -1)
        for column, name in enumerate(QUANTILE_LEVELS):
            frame[name] = levels[:, column]
        frame["model"] = np.repeat(self.model.astype(object), horizon)
        frame["autocorrelation"] = np.repeat(self.autocorrelation, horizon)
        frame["common_correlation"] = np.repeat(self.common_correlation, horizon)
        frame["drug"] = np.repeat(np.array(self.drugs, dtype=object), horizon)
        frame["strength_correlation"] = np.repeat(self.strength_correlation, horizon)
        return frame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "PanelForecast":
        """The forecast that rows of `to_frame` hold, series in order of facility and product, without its backtest.

        Raises `InvalidInput` unless each series has one row for every period.
        """
        ordered = frame.assign(period_start=pd.to_datetime(frame["period_start"])).sort_values([*KEY, "period_start"])
        starts = np.sort(ordered["period_start"].unique())
        horizon = len(starts)
        periods = ordered["period_start"].to_numpy()
        is_even = len(ordered) % max(horizon, 1) == 0 and horizon > 0
        first = ordered.iloc[:: max(horizon, 1)]
        is_complete = is_even and not first[KEY].duplicated().any() and (periods.reshape(-1, horizon) == starts).all()
        if not is_complete:
            raise InvalidInput("each series of a forecast needs exactly one row for every period_start")
        series = len(first)
        return cls(
            facility_ids=tuple(first["facility_id"].astype(str)),
            product_ids=tuple(first["product_id"].astype(str)),
            starts=tuple(pd.Timestamp(start).date() for start in starts),
            mean=ordered["mean"].to_numpy(dtype=float).reshape(series, horizon),
            quantiles=ordered[list(QUANTILE_LEVELS)].to_numpy(dtype=float).reshape(series, horizon, -1),
            model=first["model"].to_numpy(dtype=str),
            autocorrelation=first["autocorrelation"].to_numpy(dtype=float),
            common_correlation=first["common_correlation"].to_numpy(dtype=float),
            drugs=tuple(first["drug"].astype(str)),
            strength_correlation=first["strength_correlation"].to_numpy(dtype=float),
            actual=np.empty((series, 0, horizon)),
            predicted=np.empty((series, 0, horizon)),
        )


@dataclasses.dataclass(frozen=True)
class PointForecasts:
    """Point forecasts, which depend on a site's own history alone: sites can be forecast in separate processes.

    `centre` and `mean` [series, horizon], `model` [series], `actual` and `predicted` [series, origin, horizon] as in
    `PanelForecast`; the quantiles lie around `centre`.
    """

    centre: np.ndarray
    mean: np.ndarray
    model: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray


def forecast_panel(
    panel: DemandPanel, horizon: int, *, origins: int = 24, pool: Sequence[Forecaster] = FORECASTERS
) -> PanelForecast:
    """Mean and quantiles of every series of the panel for the `horizon` periods after its last.

    The forecaster of a series is picked from the `pool` by its own errors over `origins` rolling origins. Its mean
    depends on nothing but its own history and, where the panel knows strengths, those of its drug at its site
    (`mix.strength_factor`); quantiles and correlations also learn from the panel's reliable series. One known period
    gives a flat forecast with the panel's typical error, an all-zero history zeros.

    Raises `InvalidInput` for a panel without series, a horizon below 1, a negative number of origins, negative demand
    (clean it first) and a series without any known period: unknown is not zero.

    >>> from forecasting.terms import Period
    >>> panel = DemandPanel(("a",), ("x",), np.full((1, 30), 6.0), dt.date(2026, 1, 5), Period.WEEK)
    >>> forecast_panel(panel, 2).mean.round(6)
    array([[6., 6.]])
    """
    return add_quantiles(panel, forecast_points(panel, horizon, origins=origins, pool=pool), pool=pool)


def forecast_points(
    panel: DemandPanel, horizon: int, *, origins: int = 24, pool: Sequence[Forecaster] = FORECASTERS
) -> PointForecasts:
    """Point forecasts and their backtest [series, ...]; parts of a panel can be forecast separately.

    This is the first step of `forecast_panel` and nearly all of its work.
    """
    _refuse_unusable(panel, horizon, origins)
    values, period = panel.values, panel.period
    candidates = Candidates.of(pool, period)
    rolling = rolling_forecasts(candidates, values, horizon, origins, period)
    shared = np.zeros(len(values), dtype=bool) if panel.season_shared is None else panel.season_shared
    model = candidates.select(SelectionEvidence(values, period, rolling.actual, rolling.backtest, shared))
    point = candidates.chosen(rolling.future, model)
    predicted = candidates.chosen(rolling.backtest, model)
    entries = [candidates.by_name[name] for name in model]
    noise_share = np.array([entry.noise_share for entry in entries])
    aims_at_mean = np.array([entry.aims_at_mean for entry in entries])
    noise = mean_over_median(np.log1p(rolling.actual) - np.log1p(predicted))
    factor = (1 - noise_share) + noise_share * noise
    centre = np.where(aims_at_mean[:, None], point / factor[:, None], point)
    mean = cap(centre * factor[:, None], values, season_cycle(period))
    mix = strength_factor(panel, mean, lambda totals: forecast_points(totals, horizon, origins=origins, pool=pool).mean)
    return PointForecasts(centre * mix, mean * mix, model, rolling.actual, predicted)


def add_quantiles(
    panel: DemandPanel, own: PointForecasts, *, pool: Sequence[Forecaster] = FORECASTERS
) -> PanelForecast:
    """The forecast with its quantiles and correlations, which are learned from all reliable series of the panel.

    This is the second step of `forecast_panel`. A series that is not reliable (`reliable_series`) gets them too and
    changes nothing for the others: with it or without it theirs are the same to the last bit.
    """
    values, model = panel.values, own.model
    horizon = own.centre.shape[1]
    errors = np.log1p(own.actual) - np.log1p(own.predicted)
    is_informative = reliable_series(panel) & OriginErrors(errors).informative
    informative_errors = np.where(is_informative[:, None, None], errors, np.nan)
    drugs = panel.product_ids if panel.drugs is None else panel.drugs
    columns = values.shape[1]
    quantiles = _quantiles(values, own, is_informative, Candidates.of(pool, panel.period))
    ceiling = cap(np.full(own.centre.shape, np.inf), values, season_cycle(panel.period))
    return PanelForecast(
        facility_ids=panel.facility_ids,
        product_ids=panel.product_ids,
        starts=tuple(panel.period.step(panel.first_start, columns + ahead) for ahead in range(horizon)),
        mean=own.mean,
        quantiles=np.minimum(quantiles, ceiling[:, :, None]),
        model=model,
        autocorrelation=step_correlations(errors, is_informative),
        common_correlation=common_correlations(informative_errors, panel.product_ids),
        drugs=drugs,
        strength_correlation=strength_correlations(informative_errors, panel.facility_ids, drugs),
        actual=own.actual,
        predicted=own.predicted,
    )


def _refuse_unusable(panel: DemandPanel, horizon: int, origins: int) -> None:
    if horizon < 1 or origins < 0:
        raise InvalidInput(f"horizon ({horizon}) must be 1 or more and origins ({origins}) 0 or more")
    if not len(panel.values):
        raise InvalidInput("the panel has no series to forecast")
    with np.errstate(invalid="ignore"):
        negative = (panel.values < 0).any(axis=1)
    for rows, rule in (
        (negative, "has negative demand: clean it first"),
        (_has_no_history(panel), "has no known period"),
    ):
        if rows.any():
            row = int(np.argmax(rows))
            raise InvalidInput(f"facility_id {panel.facility_ids[row]}, product_id {panel.product_ids[row]} {rule}")


def _has_no_history(panel: DemandPanel) -> np.ndarray:
    return ~np.isfinite(panel.values).any(axis=1)


def _quantiles(
    values: np.ndarray, own: PointForecasts, is_informative: np.ndarray, candidates: Candidates
) -> np.ndarray:
    """Quantiles [series, horizon, level] of each series, by the intervals that its forecaster has."""
    scales = {name: entry.interval_scales for name, entry in candidates.by_name.items()}
    has_scales = np.isin(own.model, [name for name in scales if scales[name]])
    quantiles = np.empty((*own.centre.shape, len(LEVELS)))
    used = {scale for name in set(own.model[has_scales]) for scale in scales[name]}
    # the quantiles on every scale learn from all dense series
    by_scale = {scale: _conformal_on_scale(own, has_scales, scale, is_informative) for scale in used}
    for name in set(own.model[has_scales]):
        rows = own.model == name
        quantiles[rows] = mean_of([by_scale[scale][rows[has_scales]] for scale in scales[name]])
    if not has_scales.all():
        quantiles[~has_scales] = count_quantiles(values[~has_scales], own.centre[~has_scales, 0], own.centre.shape[1])
    return quantiles


def _conformal_on_scale(own: PointForecasts, rows: np.ndarray, scale: Scale, is_informative: np.ndarray) -> np.ndarray:
    centre = own.centre[rows]
    size = centre.mean(axis=1)
    errors = scale.transform(own.actual[rows], size)
    errors -= scale.transform(own.predicted[rows], size)
    return conformal_quantiles(centre, scale, size, OriginErrors(errors, is_informative[rows]))


def mean_over_median(errors: np.ndarray) -> np.ndarray:
    """Mean demand over its median, [series], from backtest `errors` [series, origin, horizon] on the log scale.

    The factor is that of the log-normal, e^(variance / 2), of the noise between neighbouring periods alone: half the
    mean squared change of the errors from one horizon to the next (outlying ones held).
    """
    changes = np.abs(np.diff(errors, axis=2)).reshape(len(errors), -1)
    count = np.isfinite(changes).sum(axis=1)
    typical = 1.4826 * quantiles_of(changes, np.array([0.5]))[:, 0] if changes.shape[1] else np.zeros(len(errors))
    clipped = np.minimum(np.nan_to_num(changes), OUTLYING * np.nan_to_num(typical)[:, None])
    noise = (clipped**2).sum(axis=1) / np.maximum(count, 1) / 2
    variance = np.where(count >= MINIMUM_CHANGES, np.minimum(noise, MAXIMUM_LOG_VARIANCE), 0.0)
    return np.asarray(np.exp(variance / 2))
