import dataclasses
import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.demand.backtest import (
    Step,
    accuracy,
    backtest,
    demand_class,
    demand_segments,
    held_out,
    horizon_bands,
    naive_scales,
    origin_scores,
    scores,
    seasonal_naive_step,
)
from forecasting.demand.forecast import forecast_panel
from forecasting.demand.intervals import LEVELS
from forecasting.demand.library_models import prophet_forecast, sarimax_forecast, unobserved_components_forecast
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


def whole(scores):
    return scores[(scores["segment"] == "all") & (scores["horizon"] == "all")].pivot_table(
        index="metric", columns="stage", values="value"
    )


def test_backtest__counts_every_origin_and_beats_the_seasonal_naive():
    scores = backtest(seasonal_panel(20, 84), 6, origins=3)
    everything = whole(scores)
    assert set(scores.loc[scores["segment"] == "all", ["series", "origins"]].itertuples(index=False)) == {(20, 3)}
    assert everything.at["mase", "baseline"] < 0.9 * everything.at["mase", "seasonal_naive"]
    assert 0.7 < everything.at["coverage_80", "baseline"] < 0.9
    assert 0.6 < everything.at["coverage_80", "seasonal_naive"] < 0.95


def test_backtest__does_not_see_past_its_origin():
    panel = seasonal_panel(3, 60)
    tampered = dataclasses.replace(panel, values=np.concatenate([panel.values[:, :-6], panel.values[:, -6:] * 10], 1))
    sums = []
    for each in (panel, tampered):
        past, actual = held_out(each, 54, 6)
        assert np.array_equal(past.values, panel.values[:, :54])
        made = forecast_panel(past, 6)
        scores = origin_scores(past, actual, {"baseline": Step(made.mean, made.quantiles)}, demand_segments(past))
        one = scores[(scores["segment"] == "all") & (scores["horizon"] == "all")]
        sums.append((one["error"] + one["total"]).iloc[0])
    assert sums[0] == pytest.approx(sums[1])


def slow_scores(panels, actuals, steps, inside, span):
    """MASE and WAPE of one segment and band, series by series and period by period."""
    mase, absolute, total = [], 0.0, 0.0
    for past, actual, mean in zip(panels, actuals, steps, strict=True):
        for row in np.flatnonzero(inside):
            errors = [abs(mean[row, h] - actual[row, h]) for h in span if not np.isnan(actual[row, h])]
            if errors:
                change = [abs(past[row, t] - past[row, t - 4]) for t in range(4, past.shape[1])]
                mase.append(np.mean(errors) / np.nanmean(change))
                absolute += sum(errors)
                total += sum(actual[row, h] for h in span if not np.isnan(actual[row, h]))
    return np.mean(mase), absolute / total


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_scores__add_origins_up_by_segment_and_horizon_and_tell_what_a_step_adds(seed):
    random = np.random.default_rng(seed)
    panels = [random.poisson(9, (4, 12)).astype(float) for _ in range(2)]
    actuals = [random.poisson(9, (4, 6)).astype(float) for _ in range(2)]
    actuals[1][2] = np.nan
    means = {step: [random.uniform(4, 14, (4, 6)) for _ in range(2)] for step in ("seasonal_naive", "baseline")}
    inside = np.array([True, False, True, True])
    parts = [
        origin_scores(
            DemandPanel(("s",) * 4, tuple("abcd"), past, dt.date(2020, 1, 1), Period.QUARTER),
            actual,
            {step: Step(made[number], np.repeat(made[number][:, :, None], 9, axis=2)) for step, made in means.items()},
            {"all": np.full(4, True), "some": inside},
        )
        for number, (past, actual) in enumerate(zip(panels, actuals, strict=True))
    ]
    found = scores(parts).set_index(["stage", "segment", "horizon", "metric"]).sort_index()
    slow = {step: slow_scores(panels, actuals, made, inside, range(1, 3)) for step, made in means.items()}
    for step, (mase, wape) in slow.items():
        assert found.at[(step, "some", "2-3", "mase"), "value"] == pytest.approx(mase)
        assert found.at[(step, "some", "2-3", "wape"), "value"] == pytest.approx(wape)
    gain = 1 - slow["baseline"][0] / slow["seasonal_naive"][0]
    assert found.at[("baseline", "some", "2-3", "mase"), "value_added"] == pytest.approx(gain)
    assert found.loc["seasonal_naive", "value_added"].isna().all()
    assert found.at[("baseline", "some", "2-3", "mase"), "series"] == 3
    assert ("baseline", "some", "2", "mase") not in found.index


@given(st.integers(1, 60))
def test_horizon_bands__cut_the_horizon_without_gap_or_overlap(horizon):
    bands = horizon_bands(horizon)
    assert bands.pop("all") == slice(0, horizon)
    assert [bands[str(ahead + 1)] for ahead in range(horizon)] == [slice(a, a + 1) for a in range(horizon)]
    wide = [place for name, band in bands.items() if "-" in name for place in range(band.start, band.stop)]
    assert wide == list(range(wide[0], horizon)) if wide else horizon <= 3


def test_seasonal_naive_step__covers_what_it_says_where_seasons_are_noise():
    values = np.random.default_rng(2).poisson(200, (200, 60)).astype(float)
    step = seasonal_naive_step(values[:, :48], 12, 12)
    inside = (values[:, 48:] >= step.quantiles[:, :, 2]) & (values[:, 48:] <= step.quantiles[:, :, 6])
    assert 0.75 < inside.mean() < 0.85


def test_backtest__refuses_more_origins_than_fit():
    with pytest.raises(InvalidInput, match="do not fit"):
        backtest(seasonal_panel(1, 20), 6, origins=4)


@pytest.mark.parametrize("model", [prophet_forecast, unobserved_components_forecast, sarimax_forecast])
def test_library_models__follow_trend_and_season_of_an_aggregate(model):
    panel = seasonal_panel(1, 28, Period.QUARTER)
    forecast = model(panel.until(24), 4)
    assert forecast.shape == (1, 4)
    assert np.abs(forecast / panel.values[:, 24:] - 1).mean() < 0.12


def test_library_models__refuse_a_series_that_is_too_short():
    with pytest.raises(InvalidInput, match="fewer than 4"):
        unobserved_components_forecast(seasonal_panel(1, 3), 2)
