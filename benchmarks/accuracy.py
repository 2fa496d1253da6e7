"""Point and quantile accuracy, coverage and cost of the engine on the public panels.

    python benchmarks/accuracy.py --data ../shared/data [--panel pbs ...] [--origins 24]

Prints one line a panel: mase and rmsse (means over series and origins), scaled CRPS, weighted quantile loss %, coverage
of the 50, 80 and 95 % intervals, and milliseconds a series of the last origin, backtest and quantiles included.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from panels import PANELS, Protocol, load

from forecasting.demand.backtest import accuracy, naive_scales, seasonal_naive
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel

MEANS = ["mase", "rmsse", "scaled_crps", "coverage_50", "coverage_80", "coverage_95"]


def score(panel: DemandPanel, protocol: Protocol, origins: int) -> dict[str, float]:
    """Means over every series and origin of the protocol that has a scale."""
    frames, seconds, naive_error = [], 0.0, []
    for back in reversed(range(protocol.origins)):
        cut = panel.values.shape[1] - protocol.horizon - protocol.step * back
        past = panel.until(cut)
        scale, root_scale = naive_scales(past.values, panel.period.per_year)
        scored = (scale > 0) & (scale >= protocol.smallest_scale)
        past, future = past.select(scored), panel.values[scored, cut : cut + protocol.horizon]
        began = time.perf_counter()
        forecast = forecast_with_shared_season(past, protocol.horizon, origins=origins)
        seconds = time.perf_counter() - began
        scales = {"scale": scale[scored], "root_scale": root_scale[scored]}
        frames.append(accuracy(future, forecast.mean, forecast.quantiles, **scales).assign(model=forecast.model))
        naive = seasonal_naive(past.values, protocol.horizon, panel.period.per_year)
        naive_error.append(np.abs(naive - future).mean(axis=1) / scale[scored])
    frame = pd.concat(frames)
    means = {name: float(frame[name].mean()) for name in MEANS}
    loss = 200 * frame["pinball_loss"].sum() / frame["total"].sum()
    seasonal = float((frame["model"] == "seasonal").mean())
    naive = {"mase_snaive": float(np.concatenate(naive_error).mean())}
    return {**means, "wql_%": loss, **naive, "seasonal": seasonal, "ms_a_series": 1000 * seconds / len(frames[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--panel", nargs="*", choices=list(PANELS), default=list(PANELS))
    parser.add_argument("--origins", type=int, default=24)
    arguments = parser.parse_args()
    rows = {}
    for name in arguments.panel:
        panel, protocol = load(name, arguments.data)
        rows[name] = score(panel, protocol, arguments.origins)
    print(pd.DataFrame(rows).T.round(3).to_string())  # noqa: T201


if __name__ == "__main__":
    main()
