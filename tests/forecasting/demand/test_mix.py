"""A drug's strengths at a site, forecast as one amount and a mix."""

import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from forecasting.demand.forecast import forecast_panel
from forecasting.demand.mix import FACTOR_RANGE, strength_factor
from forecasting.demand.series import DemandPanel
from forecasting.terms import Period

PERIODS, HORIZON = 130, 13
AMOUNTS = np.array([10.0, 25.0])


def strengths(values: np.ndarray, *, drugs: tuple[str, ...], amounts: np.ndarray, site: str = "a") -> DemandPanel:
    names = tuple(f"p{row}" for row in range(len(values)))
    start = dt.date(2024, 1, 1)
    return DemandPanel((site,) * len(values), names, values, start, Period.WEEK, drugs, amounts)


def switching(seed: int) -> np.ndarray:
    """Two strengths [2, period] of one steady drug between which patients drift back and forth."""
    random = np.random.default_rng(seed)
    columns = PERIODS + HORIZON
    share = 0.5 + 0.12 * np.sin(np.arange(columns) / 9 + random.uniform(0, 6)) + random.normal(0, 0.05, columns)
    amount = 9000 * np.exp(random.normal(0, 0.02, columns))
    return np.stack([amount * share / AMOUNTS[0], amount * (1 - share) / AMOUNTS[1]])


def test_strengths_between_which_patients_switch_are_forecast_closer_together_than_apart() -> None:
    apart, together = 0.0, 0.0
    for seed in range(12):
        whole = switching(seed)
        panel = strengths(whole[:, :PERIODS], drugs=("x", "x"), amounts=AMOUNTS)
        alone = forecast_panel(dataclasses.replace(panel, drugs=None, amount_per_unit=None), HORIZON).mean
        apart += abs(alone - whole[:, PERIODS:]).sum()
        together += abs(forecast_panel(panel, HORIZON).mean - whole[:, PERIODS:]).sum()
    assert together < 0.97 * apart


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.9, 1.1))
def test_the_parts_add_up_to_the_mean_of_their_sum_and_the_total(seed: int, off: float) -> None:
    panel = strengths(switching(seed)[:, :PERIODS], drugs=("x", "x"), amounts=AMOUNTS)
    mean = np.repeat(panel.values[:, -20:].mean(axis=1, keepdims=True), HORIZON, axis=1)
    summed = AMOUNTS @ mean
    factor = strength_factor(panel, mean, lambda totals: np.repeat(off * summed[:1], HORIZON)[None])
    inside = (factor > FACTOR_RANGE[0]) & (factor < FACTOR_RANGE[1])
    assume(inside.all())
    np.testing.assert_allclose(AMOUNTS @ (mean * factor), (summed + off * summed) / 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("drugs", "amounts", "spoil"),
    [
        (("x", "y"), AMOUNTS, 1.0),
        (("x", "x"), np.array([10.0, np.nan]), 1.0),
        (("x", "x"), AMOUNTS, 0.0),
    ],
    ids=["drugs of their own", "an amount that is not known", "a strength that is not dense"],
)
def test_what_stands_alone_keeps_its_own_forecast(drugs: tuple[str, ...], amounts: np.ndarray, spoil: float) -> None:
    values = switching(1)[:, :PERIODS]
    values[1, ::3] *= spoil
    panel = strengths(values, drugs=drugs, amounts=amounts)
    alone = dataclasses.replace(panel, drugs=None, amount_per_unit=None)
    assert forecast_panel(panel, HORIZON).mean.tobytes() == forecast_panel(alone, HORIZON).mean.tobytes()


def test_a_strength_new_on_the_shelf_does_not_make_its_drug_grow() -> None:
    random = np.random.default_rng(3)
    values = random.poisson(100, (2, PERIODS)).astype(float)
    values[1, : PERIODS - 40] = np.nan
    panel = strengths(values, drugs=("x", "x"), amounts=np.ones(2))
    assert forecast_panel(panel, HORIZON).mean == pytest.approx(np.full((2, HORIZON), 100.0), rel=0.06)
