import datetime as dt

import numpy as np
import pytest

from forecasting.demand.forecast import forecast_panel
from forecasting.demand.model_comparison import compare_models, total_of
from forecasting.demand.series import DemandPanel
from forecasting.terms import ComparedModel, Period


def quarters(values: np.ndarray) -> DemandPanel:
    names = tuple(f"d{row}" for row in range(len(values)))
    return DemandPanel(("*",) * len(values), names, values, dt.date(2012, 1, 1), Period.QUARTER)


def test_contest__scores_each_on_what_was_held_out_and_takes_the_least_error():
    generator = np.random.default_rng(3)
    values = 1000 * np.exp(0.2 * np.sin(np.pi * np.arange(44) / 2) + generator.normal(0, 0.05, (2, 44)))
    comparison = compare_models(quarters(values), 4, origins=2)
    engine = comparison.models.index(ComparedModel.ENGINE)
    wrong = sum(
        np.abs(forecast_panel(quarters(values[:, :cut]), 4).mean - values[:, cut : cut + 4]).sum(axis=1)
        for cut in (40, 36)
    )
    assert comparison.error[engine] == pytest.approx(wrong / values[:, 36:].sum(axis=1))
    assert comparison.best.tolist() == comparison.error.argmin(axis=0).tolist()
    assert comparison.mean.shape == (4, 2, 4)
    assert np.abs(comparison.mean / 1000 - 1).max() < 0.5


def test_contest__a_trend_that_only_one_follows_is_won_by_it():
    values = 10_000 - 100.0 * np.arange(48)[None] + np.random.default_rng(4).normal(0, 5, (1, 48))
    comparison = compare_models(quarters(values), 8, models=[ComparedModel.ENGINE, ComparedModel.UNOBSERVED_COMPONENTS])
    assert comparison.models[comparison.best[0]] is ComparedModel.UNOBSERVED_COMPONENTS


def test_contest__without_a_year_before_any_span_the_engine_speaks_unscored():
    comparison = compare_models(quarters(np.full((1, 6), 5.0)), 4, models=[ComparedModel.PROPHET, ComparedModel.ENGINE])
    assert comparison.origins == 0
    assert np.isnan(comparison.error).all()


def test_total__an_unknown_period_is_not_a_fall():
    values = np.array([[10.0, np.nan, 10.0], [np.nan, 4.0, 4.0], [1.0, 1.0, 1.0]])
    total = total_of(quarters(values), np.array([5.0, 1.0, 1.0]), ["x", "x", "y"])
    assert total.product_ids == ("x", "y")
    assert total.values.tolist() == [[50, 54, 54], [1, 1, 1]]
