"""Forecast mixes against fixed 12-month shares and direct forecasts, on real prescriptions; and a large reconciliation.

    python benchmarks/mix.py --data ../shared/data

Gabapentinoids by drug and sertraline by presentation, per CCG and month, 3 origins. The error is the total variation
between forecast and actual shares, weighted by the group's volume, in per cent. `docs/benchmarks.md` reads it.
"""

import argparse
import datetime as dt
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks.hierarchy import reconcile, summing_matrix
from forecasting.demand.forecast import forecast_panel
from forecasting.demand.mix import forecast_shares
from forecasting.demand.series import DemandPanel
from forecasting.terms import Period

ORIGINS = 3
PANELS = {
    "gabapentinoids": ("epd_gabapentinoids_ccg_month_ddd.csv.gz", "pct", "drug", "gaba_ddd", 12),
    "sertraline": ("epd_sertraline_ccg_month.csv.gz", "ccg_id", "bnf_code", "quantity", 6),
}


def share_errors(data: Path, name: str) -> dict[str, float]:
    """Share error of the fixed 12-month shares, of direct forecasts and of the mix, over all origins, per cent."""
    file, site, part, quantity, horizon = PANELS[name]
    wide = pd.read_csv(data / "rx" / file).pivot_table(index=[site, part], columns="month", values=quantity)
    wide = wide.fillna(0.0)
    values, group = wide.to_numpy(), pd.factorize(wide.index.get_level_values(0))[0]
    wrong, volume = dict.fromkeys(("fixed", "direct", "mix"), 0.0), 0.0
    for back in range(1, ORIGINS + 1):
        cut = values.shape[1] - horizon * back
        past, actual = values[:, :cut], values[:, cut : cut + horizon]
        sites = tuple(wide.index.get_level_values(0).astype(str))
        parts = tuple(wide.index.get_level_values(1).astype(str))
        direct = forecast_panel(DemandPanel(sites, parts, past, dt.date(2010, 1, 1), Period.MONTH), horizon).mean
        fixed = np.repeat(past[:, -12:].sum(axis=1)[:, None], horizon, axis=1)
        found = {"fixed": fixed, "direct": direct, "mix": forecast_shares(past, group, direct, Period.MONTH)}
        total = _sum_by(actual, group)
        volume += total.sum()
        for method, made in found.items():
            off = abs(_shares(made, group) - _shares(actual, group))
            wrong[method] += (_sum_by(off, group) / 2 * total).sum()
    return {method: 100 * sum_ / volume for method, sum_ in wrong.items()}


def _sum_by(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    total = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(total, group, values)
    return total


def _shares(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    total = _sum_by(values, group)[group]
    return np.divide(values, total, out=np.zeros_like(values, dtype=float), where=total > 0)


def large_reconciliation(bottoms: int = 30_000, horizon: int = 12) -> tuple[float, float]:
    """(seconds of processor time, largest incoherence) of a hierarchy of six levels over so many bottom series."""
    random = np.random.default_rng(1)
    site, product = np.divmod(np.arange(bottoms), 150)
    drug, therapy = product // 3, product // 12
    began = time.process_time()
    matrix, _ = summing_matrix([site * 1000 + drug, product, drug, therapy, site, np.zeros(bottoms, dtype=int)])
    bottom = random.gamma(2, 50, (bottoms, horizon))
    noise = random.lognormal(0, 0.1, (matrix.shape[0], horizon))
    aggregate = matrix @ bottom * noise
    variance = bottom.mean(axis=1)
    found = reconcile(bottom, aggregate, matrix, variance, matrix @ variance / 2)
    seconds = time.process_time() - began
    by_drug = matrix[: matrix.shape[0] - 1] @ found
    return seconds, float(abs(by_drug[-len(set(site)) :].sum(axis=0) - found.sum(axis=0)).max() / found.sum())


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args()
    for name in PANELS:
        found = share_errors(asked.data, name)
        told = ", ".join(f"{method} {value:.3f} %" for method, value in found.items())
        click.echo(f"{name}: {told}; mix / fixed {found['mix'] / found['fixed']:.3f}")
    seconds, incoherence = large_reconciliation()
    click.echo(f"reconciliation of 30,000 bottoms: {seconds:.2f} s of processor time, incoherence {incoherence:.1e}")


if __name__ == "__main__":
    main()
