"""The engine compared with Prophet and statsmodels on held-out periods of a few series.

For totals, where a series may take seconds: a drug over the whole network, or a series that somebody asks for.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forecasting.arrays import sum_by_index
from forecasting.demand.forecast import forecast_panel
from forecasting.demand.library_models import prophet_forecast, sarimax_forecast, unobserved_components_forecast
from forecasting.demand.pool.models import fill_gaps
from forecasting.demand.series import DemandPanel
from forecasting.terms import ComparedModel

LEAST_CYCLES = 1.0
"""Years of history before an origin, for its errors to say something about a season."""


MODELS: Mapping[ComparedModel, Callable[[DemandPanel, int], np.ndarray]] = {
    ComparedModel.ENGINE: lambda panel, horizon: forecast_panel(panel, horizon).mean,
    ComparedModel.PROPHET: prophet_forecast,
    ComparedModel.UNOBSERVED_COMPONENTS: unobserved_components_forecast,
    ComparedModel.SARIMAX: sarimax_forecast,
}


@dataclasses.dataclass(frozen=True)
class ModelComparison:
    """Forecasts and errors by model.

    `mean` [model, series, horizon] after the history's end; `error` [model, series], the sum of absolute errors over
    the sum of demand in the `origins` held-out spans (NaN without any); `best` [series], the position of the least
    error (the engine where none is known).
    """

    models: tuple[ComparedModel, ...]
    mean: np.ndarray
    error: np.ndarray
    best: np.ndarray
    origins: int


def compare_models(
    panel: DemandPanel, horizon: int, *, origins: int = 2, models: Sequence[ComparedModel] = tuple(ComparedModel)
) -> ModelComparison:
    """Every model's forecast of each series, and its error on the last `origins` spans of `horizon`.

    A span is left out where less than a year of history would be before it. Raises `InvalidInput` for a series with
    fewer than four known periods.

    >>> import datetime as dt
    >>> from forecasting.terms import Period
    >>> values = 100 + np.arange(40.0)[None]
    >>> panel = DemandPanel(("*",), ("x",), values, dt.date(2020, 1, 1), Period.QUARTER)
    >>> comparison = compare_models(panel, 4, models=[ComparedModel.ENGINE, ComparedModel.UNOBSERVED_COMPONENTS])
    >>> comparison.mean.shape, comparison.origins
    ((2, 1, 4), 2)
    """
    columns = panel.values.shape[1]
    least = max(int(panel.period.per_year * LEAST_CYCLES), 4)
    cuts = [columns - horizon * number for number in range(1, origins + 1) if columns - horizon * number >= least]
    names = tuple(models)
    absolute = np.zeros((len(names), len(panel.values)))
    total = np.zeros(len(panel.values))
    for cut in cuts:
        actual = panel.values[:, cut : cut + horizon]
        total += np.nansum(actual, axis=1)
        for number, name in enumerate(names):
            forecast = MODELS[name](panel.until(cut), horizon)
            absolute[number] += np.nansum(np.abs(forecast - actual), axis=1)
    error = np.divide(absolute, total, out=np.full(absolute.shape, np.nan), where=total > 0)
    best = np.where(np.isnan(error).all(axis=0), 0, np.nan_to_num(error, nan=np.inf).argmin(axis=0))
    mean = np.stack([MODELS[name](panel, horizon) for name in names])
    return ModelComparison(names, mean, error, best, len(cuts))


def total_of(panel: DemandPanel, weight: np.ndarray, group: Sequence[str]) -> DemandPanel:
    """The sum of each group's series over the network (site `*`), in the panel's unit times `weight` [series].

    A period that is unknown in one series counts as the one before it: left out, it would look like a fall.

    >>> import datetime as dt
    >>> from forecasting.terms import Period
    >>> values = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 5.0]])
    >>> panel = DemandPanel(("a", "b"), ("x", "y"), values, dt.date(2020, 1, 1), Period.MONTH)
    >>> total_of(panel, np.array([1.0, 2.0]), ["drug", "drug"]).values
    array([[ 1., 11., 13.]])
    """
    names = tuple(sorted(set(group)))
    row_of_series = np.searchsorted(names, np.array(group))
    total = sum_by_index(row_of_series, np.nan_to_num(fill_gaps(panel.values, 1)) * weight[:, None], len(names))
    return dataclasses.replace(panel, facility_ids=("*",) * len(names), product_ids=names, values=total)
