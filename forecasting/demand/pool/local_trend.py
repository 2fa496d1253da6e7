"""A level that wanders about a straight line, on the raw scale: the weighted mean of a few state-space models.

    quantity[t]   = level[t] + noise               noise of variance v
    level[t + 1]  = level[t] + growth[t] + move    moves of variance v * level ratio
    growth[t + 1] = growth[t] + change             changes of variance v * change ratio
    growth[0]                                      about none, with variance v * growth ratio

Each set of ratios is one model, whose exact estimates (the Kalman filter's) are sums with gains that depend on the age
of the series alone; v is estimated. Models are weighted by their likelihood, so that a series of mostly noise keeps the
mean of its whole history and one that moves follows its last weeks, without choosing.
"""

import dataclasses
from collections.abc import Sequence
from functools import cache, reduce
from itertools import product

import numpy as np

LEVEL_RATIOS = (1e-5, 1e-3, 1e-1, 10.0)
GROWTH_AND_CHANGE_RATIOS = ((1e-4, 0.0), (1e-2, 1e-2))
"""One growth about none, as most series have, or one that changes, as of drugs being launched or on their way out."""

PRIOR_POWER = -0.5
"""Prior weight of a model is this power of its level and growth ratios: weeks mostly are noise about a steady level."""

UNSCORED = 2
"""First periods that do not count in the weights: level and growth start from them."""

STARTS_FROM = 4
"""No forecast from fewer known periods."""


@dataclasses.dataclass(frozen=True)
class _Gains:
    """What the models do with a surprise, [model, age]; age is how many periods were known before.

    `precision` is one over the surprise's variance (0 where it has no say), `log_variance` the sum up to this age of
    the logarithms of those that have; variances in units of the noise's. `log_prior` is [model, 1].
    """

    level: np.ndarray
    growth: np.ndarray
    precision: np.ndarray
    log_variance: np.ndarray
    log_prior: np.ndarray

    @classmethod
    @cache
    def of(cls, periods: int) -> "_Gains":
        """The gains of ages 0 to `periods`: the filter's covariance, which no quantity enters."""
        ratios = [(level, *growth) for level, growth in product(LEVEL_RATIOS, GROWTH_AND_CHANGE_RATIOS)]
        level_ratio, growth_ratio, change_ratio = np.array(ratios).T
        shape = (len(level_ratio), periods + 1)
        gain, growth_gain, variance = np.ones(shape), np.zeros(shape), np.ones(shape)
        of_level, of_both, of_growth = np.ones(shape[0]), np.zeros(shape[0]), growth_ratio
        for age in range(1, periods + 1):
            of_level, of_both = of_level + 2 * of_both + of_growth + level_ratio, of_both + of_growth
            variance[:, age] = of_level + 1
            gain[:, age], growth_gain[:, age] = of_level / variance[:, age], of_both / variance[:, age]
            of_growth = of_growth + change_ratio - growth_gain[:, age] * of_both
            of_both = of_both - growth_gain[:, age] * of_level
            of_level = of_level - gain[:, age] * of_level
        scored = np.arange(periods + 1) >= UNSCORED
        log_prior = PRIOR_POWER * np.log(level_ratio * growth_ratio)
        log_variance = np.cumsum(np.where(scored, np.log(variance), 0.0), axis=1)
        return cls(gain, growth_gain, np.where(scored, 1 / variance, 0.0), log_variance, log_prior[:, None])


def rolling_local_trend(values: np.ndarray, horizon: int, ends: Sequence[int]) -> np.ndarray:
    """Forecast [end, series, horizon] of the models' weighted mean, never negative, from values [series, period].

    One pass serves the first so many periods for each of `ends`. An unknown period (NaN) moves the level by its growth
    and says nothing else. Fewer than `STARTS_FROM` known periods give NaN.

    References
    ----------
    Durbin & Koopman (2012), Time Series Analysis by State Space Methods, 2nd edition, section 3.2.1,
    doi:10.1093/acprof:oso/9780199641178.001.0001; weights as in Raftery, Karny & Ettler (2010), Technometrics 52:52-66,
    doi:10.1198/TECH.2009.08104, without forgetting.

    >>> rolling_local_trend(np.tile([2.0, 4.0], (1, 40)), 2, [3, 80]).round(1)[:, 0]
    array([[nan, nan],
           [ 3.,  3.]])
    """
    # an age's gains are the same in a longer table: few lengths, so that origins and panels find theirs made
    gains = _Gains.of(1 << max(ends).bit_length())
    shape = (len(gains.log_prior), len(values))
    level, growth, squared = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    age = np.zeros(len(values), dtype=int)
    forecast_at: dict[int, np.ndarray] = {}
    for column, observed in enumerate(np.ascontiguousarray(values[:, : max(ends)].T), start=1):
        level += growth
        surprise = observed - level
        surprise[:, np.isnan(observed)] = 0.0
        # one column serves series that are of one age
        age_of_series = age[:1] if age.size and (age == age[0]).all() else age
        level += gains.level[:, age_of_series] * surprise
        growth += gains.growth[:, age_of_series] * surprise
        squared += gains.precision[:, age_of_series] * np.square(surprise, out=surprise)
        age += np.isfinite(observed)
        if column in ends:
            forecast_at[column] = _forecast(gains, level, growth, squared, age, horizon)
    return np.stack([forecast_at[end] for end in ends])


def _forecast(
    gains: _Gains, level: np.ndarray, growth: np.ndarray, squared: np.ndarray, age: np.ndarray, horizon: int
) -> np.ndarray:
    """Weighted mean over the models of each series' line, [series, horizon]."""
    scored = np.maximum(age - UNSCORED, 1)
    log_noise = np.log(np.maximum(squared / scored, 1e-300))
    score = gains.log_prior - (scored * log_noise + gains.log_variance[:, np.maximum(age - 1, 0)]) / 2
    weight = np.exp(score - score.max(axis=0))
    weight /= _total(weight)
    start, slope = _total(weight * level), _total(weight * growth)
    line = np.maximum(start[:, None] + slope[:, None] * np.arange(1, horizon + 1), 0.0)
    return np.where(age[:, None] < STARTS_FROM, np.nan, line)


def _total(of_models: np.ndarray) -> np.ndarray:
    """Sum over the models in their order, [series]: numpy's own order depends on how many series there are."""
    return reduce(np.add, of_models)
