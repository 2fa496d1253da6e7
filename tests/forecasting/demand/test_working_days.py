"""Months have 20 to 23 working days, and demand that follows them is forecast with those of the months ahead."""

import dataclasses
import datetime as dt

import numpy as np
import pandas as pd
import pytest

from forecasting.demand.forecast import forecast_panel
from forecasting.demand.season import forecast_with_shared_season, remove_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.demand.working_days import MEAN_WEEKDAYS, remove_working_days, weekdays_of
from forecasting.terms import Period

START, MONTHS, HORIZON = dt.date(2022, 1, 1), 48, 6


def panel(values: np.ndarray, products: int = 3) -> DemandPanel:
    sites = tuple(f"s{row // products}" for row in range(len(values)))
    names = tuple(f"p{row % products}" for row in range(len(values)))
    return DemandPanel(sites, names, values, START, Period.MONTH)


def followed(strength: float, seed: int, *, sites: int = 8, products: int = 3, noise: float = 0.03) -> np.ndarray:
    """Demand [series, month] that follows working days, with growth, a season and noise of its own."""
    random = np.random.default_rng(seed)
    months = MONTHS + HORIZON
    length = (weekdays_of(START, months) / MEAN_WEEKDAYS) ** strength
    level = np.exp(random.uniform(6, 9, (sites * products, 1)) + 0.004 * np.arange(months))
    season = 1 + 0.05 * np.sin(2 * np.pi * np.arange(months) / 12 + random.uniform(0, 6))
    return random.poisson(level * length * season * np.exp(random.normal(0, noise, (sites * products, months)))) * 1.0


def learned(values: np.ndarray, products: int = 3) -> np.ndarray:
    """Strength [series] that the factor of the months ahead speaks of."""
    _, factor = remove_working_days(panel(values[:, :MONTHS], products), HORIZON)
    length = np.log(weekdays_of(START, MONTHS + HORIZON)[MONTHS:] / MEAN_WEEKDAYS)
    return np.log(factor) @ length / (length @ length)


@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
def test_the_strength_is_found(strength: float) -> None:
    found = np.mean([learned(followed(strength, seed)).mean() for seed in range(6)])
    assert found == pytest.approx(strength, abs=0.1)


def test_products_that_differ_are_told_apart() -> None:
    apart = np.concatenate([followed(0.0, 1, products=1), followed(1.0, 2, products=1)])
    mixed = apart.reshape(2, 8, -1).swapaxes(0, 1).reshape(16, -1)
    found = learned(mixed, products=2).reshape(8, 2).mean(axis=0)
    assert found[0] < 0.3
    assert found[1] > 0.7


def test_months_ahead_are_forecast_with_their_own_working_days() -> None:
    error = dict.fromkeys(("with", "without"), 0.0)
    for seed in range(4):
        values = followed(0.8, seed)
        past, future = panel(values[:, :MONTHS]), values[:, MONTHS:]
        error["with"] += abs(forecast_with_shared_season(past, HORIZON).mean - future).sum()
        error["without"] += abs(forecast_panel(past, HORIZON, origins=12).mean - future).sum()
    assert error["with"] < 0.9 * error["without"]


def test_demand_that_does_not_care_is_forecast_no_worse() -> None:
    error = dict.fromkeys(("with", "without"), 0.0)
    for seed in range(6):
        values = followed(0.0, seed)
        past, future = panel(values[:, :MONTHS]), values[:, MONTHS:]
        error["with"] += abs(forecast_with_shared_season(past, HORIZON).mean - future).sum()
        error["without"] += abs(forecast_panel(past, HORIZON, origins=12).mean - future).sum()
    assert error["with"] < 1.02 * error["without"]


@pytest.mark.parametrize(
    "line",
    [np.full(MONTHS, 1e12), np.full(MONTHS, 7.0), np.zeros(MONTHS), np.where(np.arange(MONTHS) == 40, 5.0, np.nan)],
    ids=["1e12 always", "a constant", "nothing", "one point"],
)
def test_a_bad_series_leaves_its_neighbours_to_the_last_bit_and_has_no_working_days(line: np.ndarray) -> None:
    values = followed(0.7, 3)[:, :MONTHS]
    alone, factor = remove_shared_season(panel(values), HORIZON)
    beside, other = remove_shared_season(panel(np.vstack([values, line])), HORIZON)
    assert beside.values[:-1].tobytes() == alone.values.tobytes()
    assert other[:-1].tobytes() == factor.tobytes()
    np.testing.assert_array_equal(beside.values[-1], line)
    assert (other[-1] == 1).all()


@pytest.mark.parametrize("period", [Period.QUARTER, Period.WEEK])
def test_other_periods_stay_as_they_are(period: Period) -> None:
    one = dataclasses.replace(panel(followed(0.7, 4)[:1, :MONTHS]), period=period)
    flat, factor = remove_working_days(one, HORIZON)
    assert flat is one
    assert (factor == 1).all()


def test_weekdays_are_those_of_the_calendar() -> None:
    months = pd.period_range("2023-01", periods=30, freq="M")
    counted = [sum(day.weekday() < 5 for day in pd.date_range(one.start_time, one.end_time)) for one in months]
    assert weekdays_of(dt.date(2023, 1, 1), 30).tolist() == counted
