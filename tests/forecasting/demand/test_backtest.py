import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.demand.backtest import accuracy, backtest, demand_class, naive_scales
from forecasting.demand.intervals import LEVELS
from forecasting.demand.library_models import prophet_forecast, unobserved_components_forecast
from forecasting.demand.series import DemandPanel
from forecasting.errors import InvalidInput
from forecasting.terms import Period


def pinball(y, q, p):
    return p * (y - q) if y >= q else (1 - p) * (q - y)


@given(st.integers(0, 2**32 - 1))
def test_accuracy__agrees_with_one_line_definitions(seed):
    generator = np.random.default_rng(seed)
    y, mean = generator.uniform(1, 9, (2, 5)), generator.uniform(1, 9, (2, 5))
    q = np.sort(generator.uniform(0, 10, (2, 5, 9)), axis=2)
    y[0, 2] = np.nan
    measures = accuracy(y, mean, q, scale=np.array([2.0, 3.0]), root_scale=np.array([2.5, 4.0]))
    for row, (scale, root) in enumerate([(2.0, 2.5), (3.0, 4.0)]):
        known = [h for h in range(5) if not np.isnan(y[row, h])]
        losses = [np.mean([pinball(y[row, h], q[row, h, k], p) for k, p in enumerate(LEVELS)]) for h in known]
        errors = np.array([mean[row, h] - y[row, h] for h in known])
        total = sum(y[row, h] for h in known)
        expected = {
            "mase": np.mean(np.abs(errors)) / scale,
            "rmsse": np.sqrt(np.mean(errors**2)) / root,
            "wape": sum(np.abs(errors)) / total,
            "bias": sum(errors) / total,
            "scaled_crps": 2 * np.mean(losses) / scale,
            "weighted_quantile_loss": 2 * sum(losses) / total,
            "coverage_80": np.mean([q[row, h, 2] <= y[row, h] <= q[row, h, 6] for h in known]),
        }
        assert measures.loc[row, list(expected)].tolist() == pytest.approx(list(expected.values()))


def test_accuracy__what_has_no_scale_or_no_demand_is_undefined():
    measures = accuracy(
        np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2, 9)), scale=np.zeros(1), root_scale=np.zeros(1)
    )
    assert measures[["mase", "rmsse", "wape", "bias"]].isna().all(axis=None)


def test_naive_scales__short_histories_take_neighbouring_periods():
    values = np.array([[1.0, 2, 4, 7], [np.nan, np.nan, 4, 7]])
    assert naive_scales(values, 3)[0].tolist() == [6, 3]


def test_demand_class__has_the_four_corners_of_syntetos_and_boylan():
    rows = [[5, 6, 5, 6], [0, 5, 0, 5], [1, 20, 1, 1], [0, 1, 0, 30]]
    assert demand_class(np.array(rows, dtype=float)).tolist() == ["smooth", "intermittent", "erratic", "lumpy"]


def seasonal_panel(series: int, columns: int, period: Period = Period.MONTH) -> DemandPanel:
    time = np.arange(columns)
    truth = 200 * np.exp(0.3 * np.sin(2 * np.pi * time / period.per_year) + 0.004 * time)
    values = np.random.default_rng(11).poisson(truth, (series, columns)).astype(float)
    names = tuple(str(row) for row in range(series))
    return DemandPanel(("s",) * series, names, values, dt.date(2019, 1, 1), period)


def test_backtest__counts_every_origin_and_beats_the_seasonal_naive():
    result = backtest(seasonal_panel(20, 84), 6, origins=3)
    assert result.frame["origin"].nunique() == 3
    assert len(result.frame) == 60
    everything = result.segments.set_index("segment").loc["all"]
    assert everything["rows"] == 60
    assert everything["mase"] < 0.9 * everything["mase_seasonal_naive"]
    assert everything["mase"] == pytest.approx(result.frame["mase"].mean())
    assert 0.7 < everything["coverage_80"] < 0.9


def test_backtest__does_not_see_past_its_origin():
    panel = seasonal_panel(3, 60)
    tampered = panel.values.copy()
    tampered[:, -6:] *= 10
    other = DemandPanel(panel.facility_ids, panel.product_ids, tampered, panel.first_start, panel.period)
    first, second = (backtest(each, 6, origins=1).frame for each in (panel, other))
    forecast_sums = [frame["error"] + frame["total"] for frame in (first, second)]
    assert forecast_sums[0].tolist() == pytest.approx(forecast_sums[1].tolist())


def test_backtest__refuses_more_origins_than_fit():
    with pytest.raises(InvalidInput, match="do not fit"):
        backtest(seasonal_panel(1, 20), 6, origins=4)


@pytest.mark.parametrize("model", [prophet_forecast, unobserved_components_forecast])
def test_library_models__follow_trend_and_season_of_an_aggregate(model):
    panel = seasonal_panel(1, 28, Period.QUARTER)
    forecast = model(panel.until(24), 4)
    assert forecast.shape == (1, 4)
    assert np.abs(forecast / panel.values[:, 24:] - 1).mean() < 0.12


def test_library_models__refuse_a_series_that_is_too_short():
    with pytest.raises(InvalidInput, match="fewer than 4"):
        unobserved_components_forecast(seasonal_panel(1, 3), 2)
