"""Sample paths of demand drawn from stored forecasts: the same quantiles, joined over time and across sites.

A Gaussian copula: each series' score is an AR(1) over the future periods, its innovations share a part per product and
a part per drug and site, and the score is turned into a quantity by the forecast's own quantiles.
"""

import functools
import hashlib
import math

import numpy as np
from scipy import special

from forecasting.demand.forecast import PanelForecast
from forecasting.demand.intervals import LEVELS
from forecasting.errors import InvalidInput

CHUNK_SERIES = 256
MOST_SHARED = 0.95
KNOTS = special.ndtri(LEVELS)
DENSITY = np.exp(-(KNOTS**2) / 2) / np.sqrt(2 * np.pi)
UPPER_TAIL = 1 - LEVELS[-1]
UPPER_TAIL_MEAN = DENSITY[-1] - KNOTS[-1] * UPPER_TAIL
"""Mean of the score's excess over the last knot: what one unit of slope in the upper tail adds to the mean."""

TAIL_SLOPE_RANGE = (0.25, 4.0)
"""The upper tail may be so many times as steep as the quantiles from the middle up before the whole is scaled."""

LOWER_REACH = 3.0
"""The lower tail reaches zero no earlier than so many scores below the first knot."""


FEW_NUMBERS, MOST_KEPT = 256, 16_384
"""Normal numbers of a series are kept if they are so few, for so many series: at most 32 MB."""


def sample_paths(forecast: PanelForecast, *, draws: int, seed: int) -> np.ndarray:
    """Draws of demand, float64 [series, horizon, draw]; never negative, mean and quantiles those of the forecast.

    Random numbers are keyed by `seed`, facility and product: a series' paths are the same whichever others are asked
    for. Draws come in pairs of opposite sign (the second half mirrors the first), which cuts the noise of means.
    Raises `InvalidInput` for fewer than 2 draws or a negative seed.
    """
    if draws < 2 or seed < 0:
        raise InvalidInput(f"draws ({draws}) must be 2 or more and seed ({seed}) 0 or more")
    series, horizon = forecast.mean.shape
    paths = np.empty((series, horizon, draws))
    for first in range(0, series, CHUNK_SERIES):
        rows = np.arange(first, min(first + CHUNK_SERIES, series))
        scores = _scores(forecast, rows, draws, seed)
        paths[rows] = _quantities(scores, forecast.quantiles[rows], forecast.mean[rows])
    return paths


def _scores(forecast: PanelForecast, rows: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Standard normal scores [series, horizon, draw] of the given rows."""
    shape = (forecast.mean.shape[1], -(-draws // 2))
    common, strength = _shared_parts(forecast, rows)
    innovations = np.sqrt(1 - common - strength)[:, None, None] * np.stack(
        [_normals(seed, shape, "series", forecast.facility_ids[row], forecast.product_ids[row]) for row in rows]
    )
    of_product = [("product", forecast.product_ids[row]) for row in rows]
    of_drug = [("drug", forecast.facility_ids[row], forecast.drugs[row]) for row in rows]
    for share, keys in ((common, of_product), (strength, of_drug)):
        shared = np.flatnonzero(share > 0)
        factors = {keys[row]: _normals(seed, shape, *keys[row]) for row in shared}
        for row in shared:
            innovations[row] += np.sqrt(share[row]) * factors[keys[row]]
    half = _autoregressive(innovations, forecast.autocorrelation[rows])
    return np.concatenate([half, -half], axis=2)[:, :, :draws]


def _shared_parts(forecast: PanelForecast, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the innovations' variance that sites and that strengths have in common, at most `MOST_SHARED`."""
    common, strength = forecast.common_correlation[rows], forecast.strength_correlation[rows]
    scale = np.minimum(MOST_SHARED / np.maximum(common + strength, 1e-12), 1.0)
    return common * scale, strength * scale


def _normals(seed: int, shape: tuple[int, int], *key: str) -> np.ndarray:
    """Standard normal numbers that depend on seed and key alone, on every machine; not to be written to."""
    # a replay asks for the same few numbers week after week
    return (_kept_normals if math.prod(shape) <= FEW_NUMBERS else _new_normals)(seed, shape, *key)


def _new_normals(seed: int, shape: tuple[int, int], *key: str) -> np.ndarray:
    digest = hashlib.blake2b("\x1f".join(key).encode(), digest_size=16).digest()
    key_numbers = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *key_numbers])).standard_normal(shape)


_kept_normals = functools.lru_cache(maxsize=MOST_KEPT)(_new_normals)


def _autoregressive(innovations: np.ndarray, autocorrelation: np.ndarray) -> np.ndarray:
    """AR(1) over axis 1 with unit variance throughout."""
    scores = innovations.copy()
    coefficient = autocorrelation[:, None]
    for ahead in range(1, innovations.shape[1]):
        scores[:, ahead] = coefficient * scores[:, ahead - 1] + np.sqrt(1 - coefficient**2) * innovations[:, ahead]
    return scores


def _quantities(scores: np.ndarray, quantiles: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Quantities whose distribution is linear in the score between the quantiles, scaled to the mean."""
    slopes = tail_slopes(quantiles, mean)
    expected = _piecewise_mean(quantiles, slopes)
    ratio = np.where(expected > 0, mean / np.maximum(expected, 1e-300), 0.0)
    quantities = np.empty(scores.shape)
    segment = np.searchsorted(KNOTS, scores)
    for index in range(len(KNOTS) + 1):
        knot = max(index - 1, 0)
        line = quantiles[..., [knot]] + slopes[..., [index]] * (scores - KNOTS[knot])
        np.copyto(quantities, line, where=segment == index)
    return np.maximum(quantities * ratio[..., None], 0.0)


def tail_slopes(quantiles: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Slope against the score in each segment, [..., level + 1]: below the first knot, between knots, above the last.

    The upper tail's is the one with which the whole has the wanted `mean`, within `TAIL_SLOPE_RANGE`. Where all
    quantiles are 0 the mean lies in the upper tail alone: rare demand.
    """
    inner = np.diff(quantiles, axis=-1) / np.diff(KNOTS)
    lower = np.minimum(inner[..., 0], quantiles[..., 0] / LOWER_REACH)
    natural = (quantiles[..., -1] - quantiles[..., len(KNOTS) // 2]) / KNOTS[-1]
    slopes = np.concatenate([lower[..., None], inner, np.zeros((*mean.shape, 1))], axis=-1)
    wanted = (mean - _piecewise_mean(quantiles, slopes)) / UPPER_TAIL_MEAN
    low, high = (share * natural for share in TAIL_SLOPE_RANGE)
    slopes[..., -1] = np.where(quantiles[..., -1] > 0, np.clip(wanted, low, high), np.maximum(wanted, 0.0))
    return slopes


def _piecewise_mean(quantiles: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Mean of a quantity that is piecewise linear in a standard normal score."""
    at_zero = quantiles - slopes[..., 1:] * KNOTS
    mass = np.diff(np.append(LEVELS, 1.0))
    density_drop = -np.diff(np.append(DENSITY, 0.0))
    above = (at_zero * mass + slopes[..., 1:] * density_drop).sum(axis=-1)
    lower = slopes[..., 0]
    return above + (quantiles[..., 0] - lower * KNOTS[0]) * LEVELS[0] - lower * DENSITY[0]
