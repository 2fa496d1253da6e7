"""The yearly pattern of weekly and daily series: a few harmonics, shrunk towards none where noise explains them."""

import numpy as np

from forecasting.demand.pool.models import first_known

HARMONICS = 2
MINIMUM_YEARS = 2.0
RIDGE = 1e-6


def yearly_pattern(log_values: np.ndarray, horizon: int, periods_per_year: float) -> np.ndarray:
    """Yearly effect on the log scale, [series, period + horizon]: past first, then the future; mean about zero.

    Level, slope and bend are fitted beside the harmonics. The pattern is shrunk by the share of its power that noise
    (autocorrelated as the residuals are) would show as well, after James & Stein; less than two years give none.

    References
    ----------
    Efron & Morris (1973), Journal of the American Statistical Association 68:117-130, doi:10.2307/2284155.

    >>> wave = np.sin(2 * np.pi * np.arange(208) / 52)
    >>> bool(np.allclose(yearly_pattern(3 + wave[None, :156], 52, 52.0)[0], wave, atol=0.02))
    True
    """
    columns = log_values.shape[1]
    basis = _basis(columns + horizon, columns, periods_per_year)
    coefficients, residuals, known = _fit(log_values, basis[:, :columns])
    pattern = coefficients[:, None, 3:] @ basis[3:]
    shrunk = _signal_share(pattern[:, 0, :columns], residuals, known)
    years = (columns - first_known(log_values)) / periods_per_year
    return pattern[:, 0] * np.where(years >= MINIMUM_YEARS, shrunk, 0.0)[:, None]


def _basis(length: int, columns: int, periods_per_year: float) -> np.ndarray:
    """Rows: one, slope, bend (over the past), then sine and cosine pairs; time 0 is the end of the past."""
    time = np.arange(length) - (columns - 1)
    scaled = time / max(columns - 1, 1)
    angle = 2 * np.pi * time / periods_per_year
    waves = [wave(order * angle) for order in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)]
    return np.stack([np.ones(length), scaled, scaled**2, *waves])


def _fit(log_values: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares coefficients [series, term], residuals (0 where unknown) and what is known [series, period]."""
    known = np.isfinite(log_values)
    terms = len(basis)
    products = (basis[:, None, :] * basis[None, :, :]).reshape(terms * terms, -1)
    # stacked products (one small one a series): one large product would round differently in another panel
    gram = (known.astype(float)[:, None, :] @ products.T)[:, 0].reshape(-1, terms, terms)
    gram += RIDGE * np.eye(terms)
    moments = (np.nan_to_num(log_values)[:, None, :] @ basis.T)[:, 0]
    coefficients = np.linalg.solve(gram, moments[:, :, None])[:, :, 0]
    fitted = (coefficients[:, None, :] @ basis)[:, 0]
    return coefficients, np.where(known, log_values - fitted, 0.0), known


def yearly_fit(
    log_values: np.ndarray, horizon: int, periods_per_year: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each series' harmonics [series, wave], the variance of one of them [series], and the waves over past and future.

    The variance is that of autocorrelated residuals. Waves are [wave, period + horizon].

    >>> wave = np.sin(2 * np.pi * np.arange(-155, 1) / 52)
    >>> yearly_fit(3 + wave[None], 4, 52.0)[0].round(2) + 0.0
    array([[1., 0., 0., 0.]])
    """
    columns = log_values.shape[1]
    basis = _basis(columns + horizon, columns, periods_per_year)
    coefficients, residuals, known = _fit(log_values, basis[:, :columns])
    # a wave has half the power of a constant
    return coefficients[:, 3:], 2 * _variance_of_mean(residuals, known), basis[3:]


def _variance_of_mean(residuals: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Variance [series] of the mean of residuals that are autocorrelated as these are."""
    count = known.sum(axis=1)
    variance = (residuals**2).sum(axis=1) / np.maximum(count - 3 - 2 * HARMONICS, 1)
    lagged = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1) / np.maximum((residuals**2).sum(axis=1), 1e-300)
    persistence = np.clip(lagged, 0.0, 0.9)
    return variance * (1 + persistence) / (1 - persistence) / np.maximum(count, 1)


def _signal_share(pattern: np.ndarray, residuals: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Share of the pattern's power beyond what noise alone would give, between 0 and 1, [series]."""
    count = known.sum(axis=1)
    noise = 2 * HARMONICS * _variance_of_mean(residuals, known)
    power = (pattern**2 * known).sum(axis=1) / np.maximum(count, 1)
    return np.clip(1 - noise / np.maximum(power, 1e-300), 0.0, 1.0)


def split_yearly(values: np.ndarray, horizon: int, periods_per_year: float) -> tuple[np.ndarray, np.ndarray]:
    """Values without their yearly pattern [series, period], and the factor on 1 + demand to come [series, horizon]."""
    pattern = yearly_pattern(np.log1p(values), horizon, periods_per_year)
    adjusted = np.maximum(np.expm1(np.log1p(values) - pattern[:, : values.shape[1]]), 0.0)
    return adjusted, np.exp(pattern[:, values.shape[1] :])
