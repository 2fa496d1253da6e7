"""What the pool knows about one forecaster, and what its rule may look at to decide which series it gets."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np

from forecasting.demand.intervals import Scale
from forecasting.errors import InvalidInput
from forecasting.terms import Period

MINIMUM_ORIGINS = 6
"""Origins that two forecasters must both have forecast from, for their errors to be compared."""

RollingForecast = Callable[[np.ndarray, int, Sequence[int], Period], np.ndarray]
"""(values [series, period], horizon, ends, period) -> the forecasts [end, series, horizon] from the first so many
periods, for each of `ends`; NaN where the history is too short."""


@dataclasses.dataclass(frozen=True)
class SelectionEvidence:
    """History `values` [series, period], and what each forecaster made of it at earlier origins.

    `actual` and each of `backtest`, by name, are [series, origin, horizon]. `season_shared` (bool, [series]): a season
    that a drug's sites share was taken off.
    """

    values: np.ndarray
    period: Period
    actual: np.ndarray
    backtest: Mapping[str, np.ndarray]
    season_shared: np.ndarray

    @property
    def recent(self) -> np.ndarray:
        """Quantities of the last year, at least 24 periods, [series, period]."""
        return self.values[:, -max(24, self.period.per_year) :]

    def beats(self, name: str, rival: str, *, ratio: float | np.ndarray, power: int = 1) -> np.ndarray:
        """Whether the sum of absolute errors to this `power` is below `ratio` times the rival's, bool [series].

        Over the periods that both forecast; false with fewer than `MINIMUM_ORIGINS` origins.
        """
        forecast, rival_forecast = self.backtest[name], self.backtest[rival]
        both = np.isfinite(self.actual) & np.isfinite(forecast) & np.isfinite(rival_forecast)
        own_error, rival_error = (
            (np.where(both, np.abs(self.actual - values), 0.0) ** power).sum(axis=(1, 2))
            for values in (forecast, rival_forecast)
        )
        return np.asarray((both.any(axis=2).sum(axis=1) >= MINIMUM_ORIGINS) & (own_error < ratio * rival_error))


@dataclasses.dataclass(frozen=True)
class Forecaster:
    """One entry of the pool.

    `name` is stored with each forecast as its model. `forecast` makes it, or it is the mean of the forecasters named in
    `mean_of`. It is for the histories of `periods`, and there for the series that `suits` (bool, [series]) picks.
    A fallback, one for each period, gets the series that suit no other, and stands in where the one that was picked has
    no forecast; it needs one known period.

    `interval_scales`: on which its backtest errors are turned into intervals, averaged; without any, intervals are
    those of a count distribution about its forecast. `noise_share`: share of the noise by which the mean of demand lies
    above its median that the forecast does not hold yet (1 for a forecast on the log scale, 0 for a rate).
    `aims_at_mean`: the forecast is the mean already, and its median lies below it by the noise.

    >>> Forecaster("both", mean_of=("level", "rate"), is_fallback=True).interval_scales
    (<Scale.ROOT: 'root'>,)
    """

    name: str
    forecast: RollingForecast | None = None
    mean_of: tuple[str, ...] = ()
    periods: tuple[Period, ...] = tuple(Period)
    suits: Callable[[SelectionEvidence], np.ndarray] | None = None
    is_fallback: bool = False
    interval_scales: tuple[Scale, ...] = (Scale.ROOT,)
    noise_share: float = 1.0
    aims_at_mean: bool = False

    def __post_init__(self) -> None:
        if (self.forecast is None) == (not self.mean_of):
            raise InvalidInput(f"forecaster {self.name} needs either a forecast or the names that it is the mean of")
        if (self.suits is None) != self.is_fallback:
            raise InvalidInput(f"forecaster {self.name} must either say which series it suits or be the fallback")


def at_each_end(forecast: Callable[[np.ndarray, int, Period], np.ndarray]) -> RollingForecast:
    """A rolling forecast from one without such a form, (values, horizon, period) -> [series, horizon]: once an end.

    >>> rolling = at_each_end(lambda values, horizon, period: np.repeat(values[:, -1:], horizon, axis=1))
    >>> rolling(np.array([[1.0, 2.0, 3.0]]), 1, [2, 3], Period.MONTH).tolist()
    [[[2.0]], [[3.0]]]
    """
    return lambda values, horizon, ends, period: np.stack([forecast(values[:, :end], horizon, period) for end in ends])


def mean_of(forecasts: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of forecasts of one shape, added up in their order."""
    return reduce(np.add, forecasts) / len(forecasts)
