"""Prophet and statsmodels behind the pool's shape, for a few aggregate levels on request: up to 0.5 s a series.

Imported inside the functions: the bulk path never pays for them. Unlike the pool they fit one series after the other.
"""

import datetime as dt
import logging
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from forecasting.demand.pool.models import cap, fill_gaps
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.terms import Period

MINIMUM_PERIODS = 4
LONGEST_ARIMA_CYCLE = 12
"""A seasonal ARIMA of weeks has a state of more than a hundred numbers: minutes a series."""

CHANGEPOINT_FLEXIBILITY = 0.05
"""Prophet's own default for how easily the trend bends."""


def prophet_forecast(panel: DemandPanel, horizon: int) -> np.ndarray:
    """Prophet's mean [series, horizon] on log1p: a trend with changepoints and, from two years on, a yearly pattern
    (days have a weekly one as well).

    Raises `InvalidInput` for a series with fewer than 4 known periods.

    References
    ----------
    Taylor & Letham (2018), The American Statistician 72:37-45, doi:10.1080/00031305.2017.1380080.
    """
    logging.getLogger("cmdstanpy").disabled = True
    logging.getLogger("prophet").setLevel(logging.ERROR)
    logging.getLogger("prophet.plot").disabled = True  # it misses a library of pictures that nobody asks it for
    starts = [*panel.period_starts()]
    future = [panel.period.step(panel.first_start, panel.values.shape[1] + ahead) for ahead in range(horizon)]
    years = np.isfinite(panel.values).sum(axis=1) / panel.period.per_year

    def fit(row: int, log_history: np.ndarray) -> np.ndarray:
        return _prophet(starts, log_history, future, yearly=bool(years[row] >= 2), weekly=panel.period is Period.DAY)

    return _one_by_one(panel, horizon, fit)


def _prophet(
    starts: list[dt.date], log_history: np.ndarray, future: list[dt.date], *, yearly: bool, weekly: bool
) -> np.ndarray:
    from prophet import Prophet

    model = Prophet(
        yearly_seasonality=yearly,
        weekly_seasonality=weekly,
        daily_seasonality=False,
        changepoint_prior_scale=CHANGEPOINT_FLEXIBILITY,
        uncertainty_samples=0,
    )
    with warnings.catch_warnings():
        # Prophet's own use of pandas, not ours to mend
        warnings.simplefilter("ignore")
        model.fit(pd.DataFrame({"ds": pd.to_datetime(starts), "y": log_history}))
        return model.predict(pd.DataFrame({"ds": pd.to_datetime(future)}))["yhat"].to_numpy(dtype=float)


def unobserved_components_forecast(panel: DemandPanel, horizon: int) -> np.ndarray:
    """statsmodels' structural model on log1p, [series, horizon]: local linear trend and, from two cycles on, a season.

    Raises `InvalidInput` for a series with fewer than 4 known periods.

    References
    ----------
    Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, ISBN 9780521405737.
    """
    cycle = panel.period.per_year

    def fit(_row: int, log_history: np.ndarray) -> np.ndarray:
        history = log_history[np.isfinite(log_history).argmax() :]
        return _unobserved_components(history, horizon, cycle if len(history) >= 2 * cycle else None)

    return _one_by_one(panel, horizon, fit)


def _unobserved_components(log_history: np.ndarray, horizon: int, cycle: int | None) -> np.ndarray:
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    frequency = None if cycle is None else [{"period": cycle, "harmonics": min(cycle // 2, 4)}]
    model = UnobservedComponents(log_history, level="lltrend", freq_seasonal=frequency)
    with warnings.catch_warnings():
        # a likelihood that is flat in one variance is no failure of the forecast
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(disp=False, maxiter=100).forecast(horizon))


def sarimax_forecast(panel: DemandPanel, horizon: int) -> np.ndarray:
    """statsmodels' SARIMAX on log1p, [series, horizon]: the airline model (0,1,1)(0,1,1) where the season is short
    enough for it and three cycles are known, else (0,1,1) with drift.

    Raises `InvalidInput` for a series with fewer than 4 known periods.

    References
    ----------
    Box & Jenkins (1976), Time Series Analysis: Forecasting and Control, ISBN 9780816211043.
    """
    cycle = panel.period.per_year

    def fit(_row: int, log_history: np.ndarray) -> np.ndarray:
        history = log_history[np.isfinite(log_history).argmax() :]
        return _sarimax(history, horizon, cycle if cycle <= LONGEST_ARIMA_CYCLE and len(history) >= 3 * cycle else None)

    return _one_by_one(panel, horizon, fit)


def _sarimax(log_history: np.ndarray, horizon: int, cycle: int | None) -> np.ndarray:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    season = (0, 0, 0, 0) if cycle is None else (0, 1, 1, cycle)
    model = SARIMAX(log_history, order=(0, 1, 1), seasonal_order=season, trend="t" if cycle is None else None)
    with warnings.catch_warnings():
        # starting values that are not invertible are no failure of the forecast
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(disp=False, maxiter=100).forecast(horizon))


def _one_by_one(panel: DemandPanel, horizon: int, fit: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
    short = np.isfinite(panel.values).sum(axis=1) < MINIMUM_PERIODS
    if short.any():
        row = int(np.argmax(short))
        raise InvalidInput(
            f"facility_id {panel.facility_ids[row]}, product_id {panel.product_ids[row]} "
            f"has fewer than {MINIMUM_PERIODS} known periods"
        )
    cycle = panel.period.per_year
    logs = np.log1p(fill_gaps(panel.values, cycle))
    forecasts = np.array([fit(row, history) for row, history in enumerate(logs)]).reshape(len(logs), horizon)
    return cap(np.expm1(np.minimum(forecasts, 700.0)), panel.values, cycle)
