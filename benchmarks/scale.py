"""Time and memory of the engine over its size, each size in a process of its own.

    OMP_NUM_THREADS=1 uv run python benchmarks/scale.py [--weekly 50000] [--monthly 10000]

Invented panels (levels from a few to thousands a period, a season, noise, a fifth of the series sparse). Monthly: 120
months, 12 ahead; weekly: 156 weeks, 26 ahead; 24 backtest origins, conformal quantiles; for weeks 200 sample paths
besides, made site by site and let go. Printed are processor seconds, milliseconds a series and the largest memory.
"""

import argparse
import datetime as dt
import multiprocessing
import resource
import time

import click
import numpy as np
import pandas as pd

from assets.stages.baseline import forecast_groups
from forecasting.arrays import joined
from forecasting.demand.forecast import add_quantiles, forecast_points
from forecasting.demand.paths import sample_paths
from forecasting.demand.series import DemandPanel
from forecasting.terms import Period

SERIES_A_SITE = 500
DRAWS, SEED = 200, 7
LENGTHS = {Period.MONTH: (120, 12), Period.WEEK: (156, 26)}


def invented(series: int, period: Period) -> DemandPanel:
    """A panel of sites with `SERIES_A_SITE` products each."""
    random = np.random.default_rng(series)
    columns, _ = LENGTHS[period]
    level = np.exp(random.uniform(0, 7, (series, 1)))
    season = 1 + 0.2 * np.sin(2 * np.pi * (np.arange(columns) / period.per_year + random.random((series, 1))))
    values = random.negative_binomial(8, 8 / (8 + level * season)).astype(float)
    values[::5] *= random.random((len(values[::5]), columns)) < 0.4
    sites = tuple(f"site-{row // SERIES_A_SITE:04d}" for row in range(series))
    products = tuple(f"product-{row % SERIES_A_SITE:04d}" for row in range(series))
    return DemandPanel(sites, products, values, dt.date(2016, 1, 4 if period is Period.WEEK else 1), period)


def measured(series: int, period: Period, paths: bool) -> dict[str, float]:
    """Seconds of forecasts and of paths, and the memory of this process beyond the panel's own."""
    panel = invented(series, period)
    groups = forecast_groups(panel, max(series // SERIES_A_SITE, 1))
    began = time.process_time()
    forecast = add_quantiles(panel, joined([forecast_points(one, LENGTHS[period][1]) for one in groups]))
    made = time.process_time()
    total = 0.0
    for first in range(0, series, SERIES_A_SITE) if paths else ():
        site = forecast.select(np.arange(first, min(first + SERIES_A_SITE, series)))
        total += float(sample_paths(site, draws=DRAWS, seed=SEED).sum())
    done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    figures = {"series": series, "forecast_s": made - began, "ms_a_series": 1000 * (made - began) / series}
    return figures | {"paths_s": done - made, "peak_GiB": peak, "mean_path": total / max(series, 1)}


def main() -> None:
    """Measure each size in a process of its own, so that one's memory is not another's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weekly", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--monthly", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    asked = parser.parse_args()
    cases = [(size, Period.MONTH, False) for size in asked.monthly] + [
        (size, Period.WEEK, True) for size in asked.weekly
    ]
    rows = []
    for case in cases:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append({"period": case[1].value, **pool.apply(measured, case)})
        click.echo(pd.DataFrame(rows[-1:]).round(3).to_string(index=False, header=len(rows) == 1))


if __name__ == "__main__":
    main()
