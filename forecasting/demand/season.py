"""What a drug's sites share, taken off and put back: the yearly pattern of weeks and days, months' working days.

A season is found earlier in the noise of eight sites than of one.
"""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.demand.forecast import PanelForecast, forecast_panel
from forecasting.demand.pool.models import first_known
from forecasting.demand.pool.yearly import HARMONICS, MINIMUM_YEARS, yearly_fit
from forecasting.demand.series import DemandPanel, reliable_series
from forecasting.demand.working_days import remove_working_days
from forecasting.terms import DAYS_A_YEAR, Period

LEAST_SITES = 2


def remove_shared_season(
    panel: DemandPanel, horizon: int, *, dispensed: DemandPanel | None = None
) -> tuple[DemandPanel, np.ndarray]:
    """The panel without the season its drugs' sites share, and the factor [series, horizon] that brings it back.

    For weeks and days; drugs with fewer than `LEAST_SITES` sites of two years or more come back as they are with factor
    1, and so do quarters; months come back without their working days (`working_days`). The pattern is the
    precision-weighted mean of the harmonics of all its strengths and sites on the log scale, shrunk by the share of its
    power that noise would show as well; what a site's season has of its own stays in. Sites whose history is not
    reliable follow the pattern and do not inform it; a history that never changes has no season.
    `dispensed`: the same series as they were dispensed, to learn the pattern from; otherwise a site whose history was
    moved to another exposure would change the season of sites that nothing moved.

    >>> import datetime as dt
    >>> wave = 100 * np.exp(0.3 * np.sin(2 * np.pi * np.arange(208) / 52.18))
    >>> panel = DemandPanel(("a", "b"), ("x", "x"), np.tile(wave[:156], (2, 1)), dt.date(2024, 1, 1), Period.WEEK)
    >>> flat, factor = remove_shared_season(panel, 52)
    >>> bool(np.ptp(flat.values) < 5), factor[0].round(1).min().item(), factor[0].round(1).max().item()
    (True, 0.7, 1.3)
    """
    factor = np.ones((len(panel.values), horizon))
    if panel.period not in (Period.WEEK, Period.DAY):
        return remove_working_days(panel, horizon, dispensed=dispensed)
    learning_panel = panel if dispensed is None else dispensed
    columns, per_year = learning_panel.values.shape[1], DAYS_A_YEAR / panel.period.mean_days
    years = (columns - first_known(learning_panel.values)) / per_year
    is_variable = np.fmax.reduce(learning_panel.values, axis=1) > np.fmin.reduce(learning_panel.values, axis=1)
    usable = np.flatnonzero((years >= MINIMUM_YEARS) & is_variable)
    if len(usable) < LEAST_SITES:
        return panel, factor
    pattern, is_shared = _shared_pattern(learning_panel, usable, horizon, per_year)
    values = panel.values.copy()
    values[usable] *= np.exp(-pattern[:, :columns])
    factor[usable] = np.exp(pattern[:, columns:])
    shared = np.zeros(len(values), dtype=bool)
    shared[usable] = is_shared
    return dataclasses.replace(panel, values=values, season_shared=shared), factor


def _shared_pattern(
    panel: DemandPanel, usable: np.ndarray, horizon: int, per_year: float
) -> tuple[np.ndarray, np.ndarray]:
    """Effect [usable series, period + horizon] on the log scale, the same for all strengths and sites of a drug, and
    whether it had enough sites."""
    coefficients, variance, waves = yearly_fit(np.log1p(panel.values[usable]), horizon, per_year)
    drug = pd.factorize(np.array(panel.drugs or panel.product_ids, dtype=object)[usable])[0]
    is_informative = reliable_series(panel)[usable]
    weight = np.where(is_informative, 1 / np.maximum(variance, 1e-9), 0.0)
    sites = _informative_sites(drug, np.array(panel.facility_ids, dtype=object)[usable], is_informative)
    total = np.maximum(np.bincount(drug, weight), 1e-300)
    mean = np.stack([np.bincount(drug, weight * wave) for wave in coefficients.T], axis=1) / total[:, None]
    # a mean of estimates with these variances would have this power without any season
    noise = 2 * HARMONICS / total
    signal = np.clip(1 - noise / np.maximum((mean**2).sum(axis=1), 1e-300), 0.0, 1.0)
    shrunk = np.where(sites >= LEAST_SITES, signal, 0.0)[:, None] * mean
    # one small product a series: a large one would round differently in another panel
    return (shrunk[drug][:, None, :] @ waves)[:, 0], (sites >= LEAST_SITES)[drug]


def _informative_sites(drug: np.ndarray, facility: np.ndarray, is_informative: np.ndarray) -> np.ndarray:
    """Number of sites that inform each drug's season, [drug]."""
    pairs = pd.DataFrame({"drug": drug, "facility": facility})[is_informative].drop_duplicates()
    return np.bincount(pairs["drug"], minlength=drug.max(initial=-1) + 1)


def forecast_with_shared_season(
    panel: DemandPanel, horizon: int, *, origins: int = 12, dispensed: DemandPanel | None = None
) -> PanelForecast:
    """`forecast_panel` of the panel without the season that its sites share (`remove_shared_season`), then with it.

    `actual` and `predicted` of the result are without that season.
    """
    flat, factor = remove_shared_season(panel, horizon, dispensed=dispensed)
    return restore_season(forecast_panel(flat, horizon, origins=origins), factor)


def restore_season(forecast: PanelForecast, factor: np.ndarray) -> PanelForecast:
    """The forecast of a panel that `remove_shared_season` gave, with its `factor` put back."""
    return dataclasses.replace(forecast, mean=forecast.mean * factor, quantiles=forecast.quantiles * factor[:, :, None])
