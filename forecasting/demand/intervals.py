"""Quantiles of demand around a point forecast, from errors that rolling origins have really made.

Dense series: split-conformal, the average of a series' own error quantiles and of the panel's scaled ones, on the log
and on the root scale. Intermittent series: count distributions, the average of a recency-weighted empirical one and a
negative binomial.
"""

import dataclasses
from enum import StrEnum

import numpy as np
from scipy import special

from forecasting.demand.pool.models import INTERMITTENT_DECAY, recency_weights
from forecasting.terms import QUANTILE_LEVELS

LEVELS = np.array(list(QUANTILE_LEVELS.values()))

UNKNOWN_SPREAD = 0.5
"""Relative error taken where no origin of the whole panel can be scored: an 80 % interval of about half to double."""

PRIOR_WINDOWS = 2.0
"""Origins that the panel's typical spread counts for, beside a series' own."""

SLOPE_RANGE = (-0.5, 0.0)
"""How relative errors fall with a series' size, on log scales: as counts' do at most, never rise."""

PRIOR_SERIES, SIZE_SPREAD = 10, 1.0
"""Series of usual differences in size that are taken to have shown no fall besides."""

NEIGHBOURS = 1
"""A series' own errors one horizon either side are used as well: a single horizon has too few."""

INDEPENDENT_SHARE = 0.5
"""Share of the overlapping origins that count as independent."""

RATE_DRIFT = 0.02
"""A discount of 0.9 is best for a rate whose own variance grows by a^2 / (1 - a) = 0.011 of a period's, a = 0.1, each
period; hospital trusts' rare items drift faster (0.04 would cover 80 % at all horizons)."""

ZERO_SHARE_TRUSTED = 0.2
"""Quantiles at up to so much of the share of silent periods are 0: a mean of two quantiles has no mass there."""

RESOLUTION = 1e-6
CHUNK_ROWS = 2048


class Scale(StrEnum):
    """Scale of the errors: LOG, for effects that multiply (season, growth), or ROOT, whose errors are even for counts.

    On the root scale a single period of zero is no outlier. Both give relative errors at a series' usual size.
    """

    LOG = "log"
    ROOT = "root"

    def transform(self, quantity: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Quantities [series, ...] on this scale; `size` [series] is each series' usual quantity.

        >>> Scale.ROOT.transform(np.array([[100.0, 121.0]]), np.array([99.0]))
        array([[2. , 2.2]])
        """
        return (
            np.log1p(quantity)
            if self is Scale.LOG
            else 2 * np.sqrt(quantity) / _per_series_like(np.sqrt(1 + size), quantity)
        )

    def inverse(self, measure: np.ndarray, size: np.ndarray) -> np.ndarray:
        """The quantities that `transform` measured; below the scale's end they are zero."""
        if self is Scale.LOG:
            return np.maximum(np.expm1(np.minimum(measure, 700.0)), 0.0)
        return (np.maximum(measure, 0.0) * _per_series_like(np.sqrt(1 + size), measure) / 2) ** 2


def _per_series_like(per_series: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    return per_series.reshape((-1,) + (1,) * (quantity.ndim - 1))


@dataclasses.dataclass(frozen=True)
class OriginErrors:
    """Errors of rolling origins on a scale, actual less predicted, [series, origin, horizon], NaN where unknown.

    `eligible` [series] are the series that others may learn from (default all).
    """

    errors: np.ndarray
    eligible: np.ndarray | None = None

    @property
    def windows(self) -> np.ndarray:
        """Scored origins of each series."""
        return np.isfinite(self.errors).any(axis=2).sum(axis=1)

    @property
    def own_spread(self) -> np.ndarray:
        """Root mean square of each series' own errors; 0 where it has none."""
        known = np.isfinite(self.errors)
        squares = np.where(known, self.errors, 0.0) ** 2
        return np.sqrt(squares.sum(axis=(1, 2)) / np.maximum(known.sum(axis=(1, 2)), 1))

    @property
    def informative(self) -> np.ndarray:
        """Series whose errors others learn from, bool [series]: eligible, and not exact constants."""
        varied = self.own_spread > RESOLUTION
        return varied if self.eligible is None else varied & self.eligible

    def spread(self, size: np.ndarray) -> np.ndarray:
        """Typical size of each series' errors, [series], drawn to that of the panel's series of its usual quantity
        `size` [series] where its own origins are few.

        A series without origins gets at least `UNKNOWN_SPREAD`.
        """
        panel = self._panel_spread(np.log1p(size))
        prior = np.where(self.windows == 0, np.maximum(panel, UNKNOWN_SPREAD), panel)
        weight = self.windows / (self.windows + PRIOR_WINDOWS)
        return np.sqrt(weight * self.own_spread**2 + (1 - weight) * prior**2)

    def _panel_spread(self, log_size: np.ndarray) -> np.ndarray:
        """Typical spread in the panel at each series' size, [series]: it falls with the size, by the root at most."""
        if not self.informative.any():
            return np.full(len(log_size), UNKNOWN_SPREAD)
        # in an order of their own: sums must not depend on how the panel is sorted
        order = np.lexsort((self.own_spread[self.informative], log_size[self.informative]))
        spread, size = np.log(self.own_spread[self.informative][order]), log_size[self.informative][order]
        centred = size - size.mean()
        slope = (centred @ spread) / (centred @ centred + PRIOR_SERIES * SIZE_SPREAD**2)
        slope = float(np.clip(slope, *SLOPE_RANGE))
        level = np.median(spread - slope * size)
        return np.asarray(np.exp(level + slope * log_size))


def quantiles_of(samples: np.ndarray, levels: np.ndarray = LEVELS) -> np.ndarray:
    """Finite-sample quantiles over the last axis, NaN left out: level p at rank p (n + 1) of n, ends held.

    Shape [..., level]; NaN where nothing is known.

    >>> quantiles_of(np.array([3.0, 1.0, np.nan, 2.0]), np.array([0.25, 0.5]))
    array([1., 2.])
    """
    if samples.shape[-1] == 0:
        return np.full((*samples.shape[:-1], len(levels)), np.nan)
    ordered = np.sort(samples, axis=-1)
    count = np.isfinite(samples).sum(axis=-1)[..., None]
    rank = np.clip(levels * (count + 1) - 1, 0, np.maximum(count - 1, 0))
    lower = np.floor(rank).astype(int)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    low, high = (np.take_along_axis(ordered, index, axis=-1) for index in (lower, upper))
    return low + (high - low) * (rank - lower)


def conformal_quantiles(predicted: np.ndarray, scale: Scale, size: np.ndarray, errors: OriginErrors) -> np.ndarray:
    """Quantiles [series, horizon, level] around `predicted` [series, horizon] of dense series.

    `errors` are measured on `scale` at the series' usual `size` [series].

    Each is the average of the series' own error quantile and the panel's (errors over their series' spread), both about
    their medians: a dozen overlapping origins share one accident, and moving the middle by it makes the middle worse.
    Widened as Student's t is against the normal with `INDEPENDENT_SHARE` of the scored origins as degrees of
    freedom.
    Monotone in level, never negative.

    References
    ----------
    Lei et al. (2018), Journal of the American Statistical Association 113:1094-1111,
    doi:10.1080/01621459.2017.1307116.
    """
    spread = errors.spread(size)[:, None, None]
    # some series at a time: each origin's errors are needed three times over
    chunks = [slice(first, first + CHUNK_ROWS) for first in range(0, len(predicted), CHUNK_ROWS)]
    own = np.concatenate([quantiles_of(_with_neighbours(errors.errors[rows])) for rows in chunks])
    pooled = _panel_quantiles((errors.errors / spread)[errors.informative]) * spread
    own, pooled = (quantiles - quantiles[..., [len(LEVELS) // 2]] for quantiles in (own, pooled))
    average = np.where(np.isfinite(own), (own + pooled) / 2, pooled)
    widened = average * widening(errors.windows)[:, None, :]
    return np.maximum.accumulate(scale.inverse(scale.transform(predicted, size)[..., None] + widened, size), axis=-1)


def _with_neighbours(errors: np.ndarray) -> np.ndarray:
    """Errors [series, horizon, sample]: all origins of a horizon and of its neighbours."""
    series, origins, horizon = errors.shape
    padded = np.full((series, origins, horizon + 2 * NEIGHBOURS), np.nan)
    padded[:, :, NEIGHBOURS : NEIGHBOURS + horizon] = errors
    shifted = [padded[:, :, shift : shift + horizon] for shift in range(2 * NEIGHBOURS + 1)]
    return np.concatenate(shifted, axis=1).transpose(0, 2, 1)


def _panel_quantiles(scaled: np.ndarray) -> np.ndarray:
    """Quantiles [horizon, level] of scaled errors over all series and origins; normal where a horizon has none."""
    horizon = scaled.shape[2]
    by_horizon = scaled.transpose(2, 0, 1).reshape(horizon, -1)
    normal = np.broadcast_to(special.ndtri(LEVELS), (horizon, len(LEVELS)))
    if by_horizon.shape[1] == 0:
        return normal
    quantiles = quantiles_of(by_horizon)
    return np.where(np.isfinite(quantiles), quantiles, normal)


def widening(windows: np.ndarray) -> np.ndarray:
    """Factor [series, level] by which Student's t lies further out than the normal; 1 in the middle.

    >>> widening(np.array([8, 1000])).round(2)[:, -1]
    array([1.42, 1.  ])
    """
    degrees = np.maximum(windows * INDEPENDENT_SHARE, 2)[:, None]
    upper = np.maximum(LEVELS, 1 - LEVELS)
    with np.errstate(invalid="ignore"):
        ratio = special.stdtrit(degrees, upper) / special.ndtri(upper)
    return np.where(upper == 0.5, 1.0, ratio)


def count_quantiles(values: np.ndarray, mean: np.ndarray, horizon: int) -> np.ndarray:
    """Quantiles [series, horizon, level] of an intermittent series' demand in one period so far ahead.

    The average of the recency-weighted empirical distribution of `values` [series, period] and a negative binomial of
    the given `mean` [series] and the weighted variance (Poisson where that is not above the mean). A rate that is
    followed by discounting is one that drifts: the variance grows with every period ahead by `RATE_DRIFT` of it.

    References
    ----------
    Muth (1960), Journal of the American Statistical Association 55:299-306, doi:10.1080/01621459.1960.10482064.
    """
    weight = recency_weights(values, INTERMITTENT_DECAY)
    variance = _weighted_variance(values, weight, mean)
    stretch = np.sqrt(1 + RATE_DRIFT * np.arange(1, horizon + 1))
    first, last = (_negative_binomial_quantiles(mean, variance * stretch[index] ** 2) for index in (0, -1))
    # a count's quantiles move evenly with its spread, near enough, and are slow to compute
    drift_share = (stretch - stretch[0]) / max(stretch[-1] - stretch[0], 1e-12)
    counted = first[:, None] + (last - first)[:, None] * drift_share[:, None]
    empirical = _weighted_quantiles(np.nan_to_num(values), weight)
    stretched = np.maximum(mean[:, None, None] + (empirical - mean[:, None])[:, None] * stretch[:, None], 0.0)
    zero_share = (weight * (values == 0)).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-300)
    is_zero = (LEVELS <= zero_share[:, None] * ZERO_SHARE_TRUSTED) & (empirical == 0)
    return np.where(is_zero[:, None], 0.0, (stretched + counted) / 2)


def _weighted_variance(values: np.ndarray, weight: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Weighted variance about `mean`, enlarged for the few periods that the weights leave."""
    total = np.maximum(weight.sum(axis=1), 1e-300)
    spread = (weight * (np.nan_to_num(values) - mean[:, None]) ** 2).sum(axis=1) / total
    effective = total**2 / np.maximum((weight**2).sum(axis=1), 1e-300)
    return spread * (1 + 1 / np.maximum(effective, 1))


def _weighted_quantiles(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Smallest value [series, level] with at least the level's share of the weight at or below it."""
    order = np.argsort(values, axis=1, kind="stable")
    share = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    share /= np.maximum(share[:, -1:], 1e-300)
    ordered = np.take_along_axis(values, order, axis=1)
    columns = [(share < level - 1e-12).sum(axis=1) for level in LEVELS]
    return np.take_along_axis(ordered, np.minimum(np.stack(columns, axis=1), values.shape[1] - 1), axis=1)


def _negative_binomial_quantiles(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Quantiles [series, level] of the negative binomial with these moments."""
    mean = np.maximum(mean, 1e-9)[:, None]
    variance = np.maximum(variance[:, None], mean * (1 + 1e-6))
    size = mean**2 / (variance - mean)
    share = mean / variance
    zero_probability = np.exp(size * np.log(share))
    with np.errstate(all="ignore"):
        count = np.ceil(special.nbdtrik(LEVELS, size, share) - 1e-9)
    large = special.gammaincinv(size, LEVELS) * (variance / mean)
    count = np.where(np.isfinite(count), count, large)
    return np.where(zero_probability >= LEVELS, 0.0, np.maximum(count, 0.0))
