"""Do sums of sample paths vary as sums of demand did? Orders rest on demand over weeks, network figures on all sites.

    OMP_NUM_THREADS=1 uv run python benchmarks/sums.py --data ../shared/data

For each public panel and origin: how often 80 and 95 % intervals of the paths hold single periods, sums over half the
horizon and over all of it, and a product's total over its sites.
"""

import argparse
from pathlib import Path

import click
import numpy as np
import pandas as pd
from panels import PANELS, load
from peers import origins

from forecasting.demand.paths import sample_paths
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel

DRAWS, SEED = 400, 1
ENDS = {80: (0.1, 0.9), 95: (0.025, 0.975)}


def sums(panel: DemandPanel, actual: np.ndarray, paths: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What happened [n] and its draws [n, draw] for each kind of sum."""
    half = actual.shape[1] // 2
    product = pd.factorize(np.array(panel.product_ids, dtype=object))[0]
    found = {
        "period": (actual.ravel(), paths.reshape(-1, DRAWS)),
        "half the horizon": (actual[:, :half].sum(axis=1), paths[:, :half].sum(axis=1)),
        "horizon": (actual.sum(axis=1), paths.sum(axis=1)),
    }
    if product.max() + 1 < len(product):
        total, drawn = np.zeros((product.max() + 1, actual.shape[1])), np.zeros((product.max() + 1, *paths.shape[1:]))
        np.add.at(total, product, actual)
        np.add.at(drawn, product, paths)
        found["product over sites"] = (total.ravel(), drawn.reshape(-1, DRAWS))
    return found


def held(actual: np.ndarray, drawn: np.ndarray) -> pd.DataFrame:
    """Whether each interval holds what happened; a hair's breadth counts as inside."""
    ends = {width: np.quantile(drawn, levels, axis=1) for width, levels in ENDS.items()}
    return pd.DataFrame(
        {f"{width} %": (actual >= low - 1e-9) & (actual <= high + 1e-9) for width, (low, high) in ends.items()}
    )


def main() -> None:
    """Print one line a panel and kind of sum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    rows = []
    for name in PANELS:
        panel, protocol = load(name, asked.data)
        for past, future, _ in origins(panel, protocol):
            paths = sample_paths(
                forecast_with_shared_season(past, protocol.horizon, origins=24), draws=DRAWS, seed=SEED
            )
            rows += [held(*pair).assign(panel=name, of=kind) for kind, pair in sums(past, future, paths).items()]
    table = pd.concat(rows).groupby(["panel", "of"], sort=False).agg(["mean"])
    table.columns = table.columns.droplevel(1)
    click.echo(table.round(2).to_string())


if __name__ == "__main__":
    main()
