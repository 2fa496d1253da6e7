"""The engine beside other forecasters: same series, same origins, same run.

    uv run python benchmarks/peers.py --data ../shared/data [--panel pbs ...] [--work FOLDER]

The peers (`benchmarks/peers.txt`) are installed into an environment of their own in the work folder, made where it is
missing. Prints a table for each panel: errors of every forecaster over the same series and origins, and its
milliseconds a series beside the engine's, each on one core. What a peer has forecast in the folder is not made again.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from panels import PANELS, Protocol, load

from forecasting.demand.backtest import accuracy, naive_scales
from forecasting.demand.pool.selection import Candidates
from forecasting.demand.pool.table import FORECASTERS
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel

HERE = Path(__file__).parent
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
REPEATS = 3


def origins(panel: DemandPanel, protocol: Protocol) -> list[tuple[DemandPanel, np.ndarray, dict[str, np.ndarray]]]:
    """(past, future, scales) of each origin, over the series that can be scored there; the last origin comes last."""
    found = []
    for back in reversed(range(protocol.origins)):
        cut = panel.values.shape[1] - protocol.horizon - protocol.step * back
        past = panel.until(cut)
        scale, root_scale = naive_scales(past.values, panel.period.per_year)
        scored = (scale > 0) & (scale >= protocol.smallest_scale)
        scales = {"scale": scale[scored], "root_scale": root_scale[scored]}
        found.append((past.select(scored), panel.values[scored, cut : cut + protocol.horizon], scales))
    return found


def environment(work: Path) -> Path:
    """The peers' Python."""
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", str(work / "venv")], check=True)
        subprocess.run(
            ["uv", "pip", "install", "-q", "--python", str(python), "-r", str(HERE / "peers.txt")], check=True
        )
    return python


def measure(name: str, data: Path, work: Path) -> pd.DataFrame:
    """One row a forecaster: errors over every origin, the last origin's milliseconds a series, and the ratios."""
    panel, protocol = load(name, data)
    cut = origins(panel, protocol)
    for number, (past, _, _) in enumerate(cut):
        np.savez(
            work / f"{name}_{number}.npz", values=past.values, horizon=protocol.horizon, season=past.period.per_year
        )
    command = [str(environment(work)), str(HERE / "peer_forecasts.py"), str(work), name, str(len(cut))]
    subprocess.run(command, check=True, env={**os.environ, **ONE_CORE})
    rows = {"engine": _engine(cut, protocol)}
    for peer in sorted({file.stem.split("__")[1] for file in work.glob(f"{name}_0__*.npz")}):
        answers = [np.load(work / f"{name}_{number}__{peer}.npz") for number in range(len(cut))]
        rows[peer] = _score(cut, [(one["mean"], one["quantiles"]) for one in answers])
        rows[peer]["ms_a_series"] = 1000 * float(answers[-1]["seconds"]) / len(cut[-1][0].values)
    table = pd.DataFrame(rows).T
    table["cost_over_engine"] = table["ms_a_series"] / table.loc["engine", "ms_a_series"]
    table["cost_over_engine_points"] = table["ms_a_series"] / table.loc["engine", "ms_points"]
    return table.sort_values("mase").round(3)


def _engine(cut: list[tuple[DemandPanel, np.ndarray, dict[str, np.ndarray]]], protocol: Protocol) -> dict[str, float]:
    answers = []
    for past, _, _ in cut:
        began = time.perf_counter()
        made = forecast_with_shared_season(past, protocol.horizon, origins=24)
        seconds = time.perf_counter() - began
        answers.append((made.mean, made.quantiles))
    past = cut[-1][0]
    copies = max(1, 10_000 // len(past.values))
    many = np.tile(past.values, (copies, 1))
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        Candidates.of(FORECASTERS, past.period).forecasts(many, protocol.horizon, past.period, [many.shape[1]])
        times.append(time.perf_counter() - began)
    cost = {"ms_a_series": 1000 * seconds / len(past.values), "ms_points": 1000 * float(np.median(times)) / len(many)}
    return _score(cut, answers) | cost


def _score(
    cut: list[tuple[DemandPanel, np.ndarray, dict[str, np.ndarray]]], answers: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    frames = [
        accuracy(future, mean, quantiles, **scales)
        for (_, future, scales), (mean, quantiles) in zip(cut, answers, strict=True)
    ]
    frame = pd.concat(frames)
    names = ["mase", "rmsse", "scaled_crps", "coverage_80", "coverage_95"]
    loss = 200 * frame["pinball_loss"].sum() / frame["total"].sum()
    return {**{name: float(frame[name].mean()) for name in names}, "wql_%": float(loss)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--panel", nargs="*", choices=list(PANELS), default=list(PANELS))
    parser.add_argument("--work", type=Path, default=Path("peers"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name in arguments.panel:
        print(f"\n{name}\n{measure(name, arguments.data, arguments.work).to_string()}")  # noqa: T201
        sys.stdout.flush()


if __name__ == "__main__":
    main()
