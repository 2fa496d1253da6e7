"""Which forecaster of the pool a series gets, from what each made of it at rolling origins.

A gate between fixed forecasters, not the best of many: picking the winner of a backtest loses to a fixed combination.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from forecasting.demand.pool.forecaster import Forecaster, SelectionEvidence, mean_of
from forecasting.errors import InvalidInput
from forecasting.terms import Period

MINIMUM_HISTORY = 4
"""Known periods before an origin, for its errors to say something about the forecaster."""

CHUNK_ROWS = 2048
"""Series smoothed together: small enough for the processor's cache. Rows do not influence each other."""


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The forecasters of one period, by name, in the order of the table. Exactly one is the fallback."""

    by_name: Mapping[str, Forecaster]
    fallback: str

    @classmethod
    def of(cls, pool: Sequence[Forecaster], period: Period) -> "Candidates":
        """The pool's entries for a period. Raises `InvalidInput` unless names differ and one entry is the fallback."""
        entries = [entry for entry in pool if period in entry.periods]
        by_name = {entry.name: entry for entry in entries}
        fallbacks = [entry.name for entry in entries if entry.is_fallback]
        unknown = {part for entry in entries for part in entry.mean_of} - {
            entry.name for entry in entries if entry.forecast
        }
        if len(by_name) < len(entries) or len(fallbacks) != 1 or unknown:
            names = ", ".join(entry.name for entry in entries)
            rule = "need different names, one fallback, and the parts of each mean"
            raise InvalidInput(f"forecasters for a {period.value} ({names}) {rule}")
        return cls(by_name, fallbacks[0])

    def forecasts(self, values: np.ndarray, horizon: int, period: Period, ends: Sequence[int]) -> dict[str, np.ndarray]:
        """Point forecasts [series, end, horizon] from the first so many periods, for each of `ends`, by name.

        `values` are [series, period]. Forecasters that are the mean of others are left out.
        """
        chunks = [values[row : row + CHUNK_ROWS] for row in range(0, len(values), CHUNK_ROWS)]
        return {
            name: np.concatenate([entry.forecast(rows, horizon, ends, period) for rows in chunks], axis=1).swapaxes(
                0, 1
            )
            for name, entry in self.by_name.items()
            if entry.forecast
        }

    def select(self, evidence: SelectionEvidence) -> np.ndarray:
        """Name of each series' forecaster, [series]: the first that suits it, else the fallback."""
        rules = {name: entry.suits(evidence) for name, entry in self.by_name.items() if entry.suits}
        return np.select(list(rules.values()), list(rules), self.fallback)

    def chosen(self, forecasts: Mapping[str, np.ndarray], names: np.ndarray) -> np.ndarray:
        """Each series' forecast [series, ...] by the forecaster `names` [series]; the fallback's for unknown ones."""
        fallback = forecasts[self.fallback]
        chosen = np.empty_like(fallback)
        for name, entry in self.by_name.items():
            rows = names == name
            chosen[rows] = mean_of([forecasts[part][rows] for part in entry.mean_of or (name,)])
        return np.where(np.isfinite(chosen), chosen, fallback)


@dataclasses.dataclass(frozen=True)
class RollingForecasts:
    """The candidates' forecasts, by name, from the end of the history and from earlier origins.

    Each of `future` is [series, horizon], each of `backtest` [series, origin, horizon], as is `actual`, what was then
    observed. `cuts` [origin] is how many of the last periods an origin hides.
    """

    future: Mapping[str, np.ndarray]
    backtest: Mapping[str, np.ndarray]
    actual: np.ndarray
    cuts: np.ndarray


def rolling_forecasts(
    candidates: Candidates, values: np.ndarray, horizon: int, origins: int, period: Period
) -> RollingForecasts:
    """The candidates' forecasts of values [series, period]; `actual` is unknown where fewer than `MINIMUM_HISTORY`
    periods were known at the origin.
    """
    cuts = origin_cuts(horizon, origins)
    columns = values.shape[1]
    cuts = cuts[cuts < columns]
    actual = np.full((len(values), len(cuts), horizon), np.nan)
    for origin, cut in enumerate(cuts):
        observed = min(cut, horizon)
        actual[:, origin, :observed] = values[:, columns - cut : columns - cut + observed]
    known = np.cumsum(np.isfinite(values), axis=1)[:, columns - cuts - 1]
    actual[known < MINIMUM_HISTORY] = np.nan
    forecasts = candidates.forecasts(values, horizon, period, [columns, *(columns - cuts).tolist()])
    return RollingForecasts(
        future={name: forecast[:, 0] for name, forecast in forecasts.items()},
        backtest={name: forecast[:, 1:] for name, forecast in forecasts.items()},
        actual=actual,
        cuts=cuts,
    )


def origin_cuts(horizon: int, origins: int) -> np.ndarray:
    """How many of the last periods each rolling origin hides, the youngest origin first.

    A quarter of the origins lie inside the last horizon (their later errors are not known yet), so that short histories
    have some; the others are spread over one more horizon. Fixed by the arguments alone, whatever the panel.

    >>> origin_cuts(12, 8)
    array([ 4,  8, 12, 14, 16, 18, 20, 22])
    """
    partial = origins // 4
    inside = np.unique(np.round(np.arange(1, partial + 1) * horizon / (partial + 1)).astype(int))
    full = origins - partial
    step = max(1, round(horizon / full))
    return np.concatenate([inside[(inside >= 1) & (inside < horizon)], horizon + step * np.arange(full)])
