"""The genetic step against forecasters that are blind to genotype, on invented hospital networks, by the user's road.

    python benchmarks/genetics.py --seeds 1 2 3 --work build/genetics

Each network is written as a site bundle, loaded, planned and exported; the error is that of the exported means against
the expected demand over the products that advice moves, 26 weeks ahead, as a ratio to the best of four blind
forecasters on the same raw history. `docs/benchmarks.md` reads it.
"""

import argparse
import datetime as dt
from pathlib import Path

import click
import numpy as np
import pandas as pd

from assets.execute import run_plan
from benchmarks.blind_peers import blind_forecasts
from benchmarks.simulated_hospitals import GO_LIVE, GREW, STEADY, SimulatedHospitals, simulated_hospitals
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.demand.strengths import with_strengths
from forecasting.terms import Period
from warehouse import importers, migrations
from warehouse.engine import create_engine
from warehouse.queries.exports import export_frame

HORIZON = 26
LISTED_DRUGS = 8
TARGETS = {GO_LIVE: 0.60, GREW: 0.80, STEADY: 1.02}


def planned(network: SimulatedHospitals, folder: Path) -> pd.DataFrame:
    """The forecasts a user gets from the network's bundle: loaded, run and exported in `folder`."""
    bundle = folder / "bundle"
    bundle.mkdir(parents=True, exist_ok=True)
    for name, frame in network.files.items():
        frame.to_csv(bundle / f"{name}.csv", index=False)
    url = f"sqlite:///{folder / 'pgx.db'}"
    engine = create_engine(url)
    migrations.upgrade(engine)
    report = importers.load(engine, bundle)
    if report.rejected_rows or report.refused:
        raise SystemExit(f"the bundle was not taken as it is: {report.rejected_rows[:1]} {report.refused[:1]}")
    run_plan(url, folder, as_of=network.as_of, horizon=HORIZON)
    with engine.connect() as connection:
        forecasts = export_frame(connection, "forecasts", network.as_of)
    engine.dispose()
    return forecasts[forecasts["facility_id"] != "*"].assign(
        period_start=lambda frame: pd.to_datetime(frame["period_start"])
    )


def errors(network: SimulatedHospitals, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Absolute error and expected demand by site, product and forecaster, over the horizon; only moved products.

    `ours` is the planner's mean, `baseline` its forecast without the re-mix, `told` the same forecaster when it is told
    what advice did and will do (no planner can be); the others are the blind peers.
    """
    history = _wide(network.files["dispensing"], "quantity")
    ahead = network.expected[network.expected["period_start"] >= pd.Timestamp(network.as_of)]
    expected = _wide(ahead, "expected").loc[history.index]
    made = {name: _wide(forecasts, name).reindex(history.index).to_numpy() for name in ("mean", "baseline_mean")}
    found = {"ours": made["mean"], "baseline": made["baseline_mean"]}
    found["told"] = _told_the_truth(network, history)
    found |= blind_forecasts(history.to_numpy(), HORIZON)
    frame = pd.DataFrame({name: abs(values - expected.to_numpy()).sum(axis=1) for name, values in found.items()})
    frame = frame.assign(demand=expected.to_numpy().sum(axis=1)).set_index(history.index).reset_index()
    frame["kind"] = frame["facility_id"].map(network.kind)
    return frame[frame["product_id"].isin(network.moved)]


def _told_the_truth(network: SimulatedHospitals, history: pd.DataFrame) -> np.ndarray:
    """The baseline forecaster on history as usual care would have made it, times what advice really does ahead."""
    expected, usual = (
        _wide(network.expected, name).loc[history.index].to_numpy() for name in ("expected", "usual_care")
    )
    acts = np.divide(expected, usual, out=np.ones(usual.shape), where=usual > 0)
    past = history.shape[1]
    facility_ids, product_ids = (tuple(history.index.get_level_values(level)) for level in (0, 1))
    first = pd.Timestamp(history.columns[0]).date()
    panel = DemandPanel(facility_ids, product_ids, history.to_numpy() / acts[:, :past], first, Period.WEEK)
    return forecast_with_shared_season(with_strengths(panel, network.files["products"]), HORIZON).mean * acts[:, past:]


def _wide(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame.pivot_table(index=["facility_id", "product_id"], columns="period_start", values=name)


BLIND = ["ets", "theta", "ets_theta", "last_four_weeks"]


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """By kind of site: our error over the best blind one's, the baseline's and the told one's, and which that was."""
    sums = frame.groupby("kind")[["ours", "baseline", "told", *BLIND, "demand"]].sum()
    best = sums[BLIND].min(axis=1)
    return pd.DataFrame(
        {
            "ratio": sums["ours"] / best,
            "baseline": sums["baseline"] / best,
            "told": sums["told"] / best,
            "best_blind": sums[BLIND].idxmin(axis=1),
            "best_blind_wape": best / sums["demand"],
        }
    )


def missing(frame: pd.DataFrame) -> pd.Series:
    """By drug, what separates our error from the told one where testing goes live, over the best blind error there."""
    here = frame[frame["kind"] == GO_LIVE]
    drug = here["product_id"].str.rsplit("-", n=1).str[0]
    best = here[BLIND].sum().min()
    return ((here["ours"] - here["told"]) / best).groupby(drug).sum().sort_values(ascending=False)


def main() -> None:
    """Plan the networks of the seeds asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--work", type=Path, default=Path("build/genetics"))
    parser.add_argument("--split-doses", action="store_true", help="changed doses are made as the plan makes them")
    asked = parser.parse_args()
    parts = []
    for seed in asked.seeds:
        folder = asked.work / f"{seed}-{dt.datetime.now(dt.UTC):%H%M%S}"
        network = simulated_hospitals(seed, horizon_weeks=HORIZON, split_doses=asked.split_doses)
        parts.append(errors(network, planned(network, folder)).assign(seed=seed))
        click.echo(f"seed {seed}\n{ratios(parts[-1]).round(3).to_string()}")
    together = ratios(pd.concat(parts))
    click.echo(f"all seeds\n{together.assign(target=pd.Series(TARGETS)).round(3).to_string()}")
    click.echo(f"missing, by drug\n{missing(pd.concat(parts)).head(LISTED_DRUGS).round(3).to_string()}")


if __name__ == "__main__":
    main()
