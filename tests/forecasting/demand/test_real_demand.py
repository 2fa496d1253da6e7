"""Loose gates on published data; skipped where the shared data folder is absent."""

import datetime as dt
import functools
import pathlib

import numpy as np
import pandas as pd
import pytest

from forecasting.demand.backtest import accuracy, naive_scales, seasonal_naive
from forecasting.demand.cleaning import clean
from forecasting.demand.forecast import forecast_panel
from forecasting.demand.series import DemandPanel, panel_from_frame
from forecasting.terms import Period

DATA = pathlib.Path(__file__).parents[4] / "shared" / "data" / "rx"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"shared data folder {DATA} is not here")


def read(name: str, facility: str, product: list[str], start: str, quantity: str) -> pd.DataFrame:
    source = pd.read_csv(DATA / name, dtype=dict.fromkeys([facility, *product], str))
    columns = {
        "facility_id": source[facility],
        "product_id": source[product[0]].str.cat([source[name] for name in product[1:]], sep="/"),
        "period_start": pd.to_datetime(source[start]),
        "quantity": source[quantity],
    }
    return pd.DataFrame(columns)


@functools.cache
def hospital_rows() -> pd.DataFrame:
    name = "scmd_adhd_narcolepsy_trust_month.csv.gz"
    return read(name, "ods_code", ["vmp_snomed_code"], "year_month", "total_quantity")


def score(panel: DemandPanel, horizon: int, *, origins: int, step: int, smallest_scale: float = 0.0) -> pd.DataFrame:
    """`accuracy` of every series and origin whose naive error is large enough to be a scale."""
    frames = []
    for back in range(origins):
        cut = panel.values.shape[1] - horizon - step * back
        scale, root_scale = naive_scales(panel.values[:, :cut], panel.period.per_year)
        future = panel.values[:, cut : cut + horizon]
        scored = (scale > 0) & (scale >= smallest_scale) & np.isfinite(future).any(axis=1)
        past, future = panel.until(cut).select(scored), future[scored]
        made = forecast_panel(past, horizon)
        naive = seasonal_naive(past.values, horizon, panel.period.per_year)
        measures = accuracy(future, made.mean, made.quantiles, scale=scale[scored], root_scale=root_scale[scored])
        frames.append(measures.assign(naive=np.nanmean(np.abs(naive - future), axis=1) / scale[scored]))
    return pd.concat(frames)


@needs_data
def test_pbs__reaches_the_accuracy_and_coverage_of_the_recipe():
    rows = read("pbs_atc2_month_1991_2008.csv.gz", "Concession", ["Type", "ATC2"], "Month", "Scripts")
    # a naive error below one script a month is no scale: 12 of the 336 series are stubs
    scored = score(panel_from_frame(rows, Period.MONTH), 12, origins=3, step=6, smallest_scale=1)
    assert scored["naive"].mean() == pytest.approx(0.962, abs=0.002)
    assert scored["mase"].mean() < 0.79
    assert 0.78 < scored["coverage_80"].mean() < 0.84
    assert 0.92 < scored["coverage_95"].mean() < 0.97
    assert 2 * scored["pinball_loss"].sum() / scored["total"].sum() < 0.041


@needs_data
@pytest.mark.parametrize(
    ("name", "columns", "horizon", "step", "share"),
    [
        ("epd_gabapentinoids_ccg_month_ddd.csv.gz", ("pct", ["drug"], "month", "gaba_ddd"), 12, 6, 0.62),
        ("epd_sertraline_ccg_month.csv.gz", ("ccg_id", ["bnf_code"], "month", "quantity"), 6, 3, 0.75),
    ],
)
def test_primary_care__beats_the_seasonal_naive_by_far(name, columns, horizon, step, share):
    rows = read(name, *columns)
    panel = panel_from_frame(rows[rows["facility_id"] != "UNK"], Period.MONTH)
    scored = score(panel, horizon, origins=3, step=step)
    assert scored["mase"].mean() < share * scored["naive"].mean()
    assert 0.76 < scored["coverage_80"].mean() < 0.84
    assert 0.90 < scored["coverage_95"].mean() < 0.97


@needs_data
def test_hospital__the_gross_negative_is_an_outlier_and_does_not_wipe_out_the_history():
    cleaned = clean(hospital_rows(), period=Period.MONTH, as_of=dt.date(2021, 11, 1))
    outliers = cleaned.changes[cleaned.changes["rule"] == "outlier"]
    keys = outliers[["facility_id", "product_id", "period_start", "quantity_raw"]].to_numpy().tolist()
    assert keys == [["RM3", "395522003", pd.Timestamp("2020-03-01"), -314280.0]]
    series = cleaned.frame[(cleaned.frame["facility_id"] == "RM3") & (cleaned.frame["product_id"] == "395522003")]
    assert (series["quantity"].dropna() == series["quantity_raw"][series["quantity"].notna()]).all()
    assert not (cleaned.frame["quantity"] < 0).any()


@needs_data
def test_hospital__intermittent_issues_are_covered():
    cleaned = clean(hospital_rows(), period=Period.MONTH, as_of=dt.date(2021, 11, 1))
    scored = score(panel_from_frame(cleaned.frame, Period.MONTH), 6, origins=1, step=1)
    assert 0.76 < scored["coverage_80"].mean() < 0.90
    assert scored["mase"].mean() < scored["naive"].mean()


def simulated_weeks(series: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and drawn demand [series, 208 weeks]: 5 to 500 a week, Poisson or overdispersed, mild season, slow trend."""
    generator = np.random.default_rng(seed)
    time = np.arange(208)
    level = np.exp(generator.uniform(np.log(5), np.log(500), (series, 1)))
    phase, height = generator.uniform(size=(series, 1)), generator.uniform(0, 0.15, (series, 1))
    trend = generator.normal(0, 0.1, (series, 1)) * (time - 182) / 52
    mean = level * np.exp(height * np.sin(2 * np.pi * (time / 52.18 + phase)) + trend)
    size = generator.choice([10, 50, 10_000], (series, 1))
    return mean, generator.poisson(generator.gamma(size, mean / size)).astype(float)


def test_weeks__half_a_year_ahead_no_worse_than_the_last_month_or_last_year():
    mean, demand = simulated_weeks(300, seed=12)
    past, future = demand[:, :182], demand[:, 182:]
    names = tuple(str(row) for row in range(300))
    forecast = forecast_panel(DemandPanel(names, names, past, dt.date(2023, 1, 2), Period.WEEK), 26)
    size = mean.mean(axis=1)
    ours, month, year = (
        (np.abs(guess - future).mean(axis=1) / size).mean()
        for guess in (forecast.mean, past[:, -4:].mean(axis=1, keepdims=True), past[:, -52:-26])
    )
    assert ours < 0.95 * month
    assert ours < 0.80 * year
    assert forecast.mean.sum() == pytest.approx(mean[:, 182:].sum(), rel=0.03)
    inside = (future >= forecast.quantiles[:, :, 2]) & (future <= forecast.quantiles[:, :, 6])
    assert 0.76 < inside.mean() < 0.88
