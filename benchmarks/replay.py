"""The replay: its cost on a large panel, and what it shows on invented hospital networks whose truth is known.

    python benchmarks/replay.py cost --items 5000
    python benchmarks/replay.py networks --seeds 3 4 --work build/replay
    python benchmarks/replay.py lead-times --database sqlite:///pgx-supply.db [--truth-of 3]

`cost` makes the forecasts of every week, with and without a genetic step on a fifth of the items, and walks all rules.
`networks` takes the hospitals of `simulated_hospitals`, gives them suppliers, prices and the testing plans of their
past, plans them by the user's road and replays their last year. `lead-times` sets the plan (blind to genotype) of a
database's newest run against par levels that know each item's own lead time and how its demand varies, which the usual
practice does not; with `--truth-of SEED` (the seed of the database's network) also a plan that is told the expected
demand itself, which no forecast can beat. `docs/benchmarks.md` reads all three.
"""

import argparse
import dataclasses
import datetime as dt
import resource
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd

from assets.dagster_io.resources import Warehouse
from assets.execute import run_replay
from assets.sites.reference_demand import known_panel
from benchmarks.genetics import planned
from benchmarks.simulated_hospitals import SimulatedHospitals, simulated_hospitals
from forecasting.arrays import Floats
from forecasting.demand.intervals import quantiles_of
from forecasting.demand.season import forecast_with_shared_season
from forecasting.demand.series import DemandPanel
from forecasting.procurement.packs import THOUSANDTHS
from forecasting.procurement.policy.policy_rows import with_policies
from forecasting.procurement.replay.rules import DRAWS, plan_rule_from_draws
from forecasting.procurement.replay.scores import burden_at_fill_rate, measures, replay
from forecasting.procurement.replay.setup import ReplaySetup, known_before_replay, replay_setup
from forecasting.procurement.replay.simulation import Rule
from forecasting.terms import Period, ReplayRule
from warehouse.engine import create_engine
from warehouse.queries.exports import export_frame
from warehouse.schema import Base

WEEKS, SITE_ITEMS, HORIZON = 156, 50, 4
SUPPLIERS = pd.DataFrame(
    {
        "supplier_id": ["FAST", "USUAL", "SLOW", "DIRECT"],
        "name": ["Fast", "Usual", "Slow", "Direct"],
        "lead_time_days": [2, 5, 9, 14],
        "lead_time_sd_days": [0.6, 1.5, 3.0, 4.0],
    }
)
SHARES = [0.35, 0.35, 0.2, 0.1]
"""Invented, of the size of hospital wholesalers' lead times; the share of products that each delivers."""

PLAN_WEEKS = 60


def cost(items: int) -> None:
    """Print processor time and memory of a year's replay."""
    random = np.random.default_rng(1)
    values = random.negative_binomial(5, 0.1, (items, WEEKS)).astype(float)
    sites = tuple(f"s{row // SITE_ITEMS:04d}" for row in range(items))
    products = tuple(f"p{row % SITE_ITEMS:03d}" for row in range(items))
    panel = DemandPanel(sites, products, values, dt.date(2023, 11, 27), Period.WEEK)
    frame = pd.DataFrame({"facility_id": sites, "product_id": products, "pack_size": 28, "pack_price": 3.0})
    frame = frame.assign(supplier_id="S", shelf_life_days=120.0)
    lead = pd.DataFrame({"product_id": sorted(set(products)), "mean_days": 5.0, "sd_days": 1.5})
    setup = replay_setup(frame, panel, lead.assign(observations=9, source="receipts"), draws_seed=1)
    moved = np.arange(0, items, 5)
    began = time.process_time(), time.monotonic()
    cuts = [setup.periods_ended(week) for week in range(setup.weeks)]
    blind = {cut: forecast_with_shared_season(panel.until(cut), HORIZON) for cut in cuts}
    part = setup.take(moved).panel
    informed = {cut: forecast_with_shared_season(part.until(cut), HORIZON) for cut in cuts}
    forecast = time.process_time() - began[0]
    replay(setup, blind, informed, moved, seed=1)
    took, clock = time.process_time() - began[0], time.monotonic() - began[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    click.echo(
        f"{items} items x {setup.weeks} weeks: {took:.1f} s of processor time (forecasts {forecast:.1f} s), "
        f"{clock:.1f} s by the clock, at most {memory:.2f} GiB"
    )


def supplied(network: SimulatedHospitals, seed: int) -> SimulatedHospitals:
    """The network with suppliers, prices, shelf lives, and the testing plans that its sites had in the past."""
    random = np.random.default_rng([seed, 17])
    products = network.files["products"]
    products = products.assign(
        supplier_id=random.choice(SUPPLIERS["supplier_id"].to_numpy(dtype=object), len(products), p=SHARES),
        pack_price=np.round(random.lognormal(2.0, 1.0, len(products)), 2),
        shelf_life_days=random.choice([180, 365, 730], len(products)),
    )
    coverage = network.files["testing_coverage"]
    since = pd.Timestamp(network.as_of) - pd.Timedelta(weeks=PLAN_WEEKS)
    past = coverage[~coverage["planned"] & (coverage["period_start"] >= since)]
    sites = sorted(set(past["facility_id"]))
    came_true = pd.Series(random.normal(1, 0.08, len(sites)), index=sites)
    share = (past["share_tested"] * past["facility_id"].map(came_true)).clip(0, 1).round(4)
    plans = past.assign(planned=True, share_tested=share)
    files = network.files | {
        "products": products,
        "suppliers": SUPPLIERS,
        "testing_coverage": pd.concat([coverage, plans], ignore_index=True),
    }
    return dataclasses.replace(network, files=files)


def replayed(seed: int, folder: Path) -> pd.DataFrame:
    """Scores of the replay of one network, planned in `folder`."""
    planned(supplied(simulated_hospitals(seed), seed), folder)
    url = f"sqlite:///{folder / 'pgx.db'}"
    run_replay(url, folder)
    engine = create_engine(url)
    with engine.connect() as connection:
        scores = export_frame(connection, "replay")
    engine.dispose()
    return scores


def compared(scores: pd.DataFrame) -> pd.DataFrame:
    """By segment and rule as it is: demand met, stock and waste, and what it would take to serve as the plan does.

    `ratio` is the plan's stock and waste over what the rule needs for the same share of demand met.
    """
    shown = scores[scores["level_factor"] == 1].set_index(["segment", "rule"])
    needed = shown["same_service_value"].astype(float)
    plan = needed.xs("plan", level="rule").reindex(shown.index.get_level_values("segment")).to_numpy()
    burden = shown["mean_stock_value"] + shown["expired_value"]
    return pd.DataFrame(
        {"fill_rate": shown["fill_rate"], "burden": burden, "same_service": needed, "ratio": plan / needed}
    )


PAR_QUANTILE = 0.95


def told_the_truth(setup: ReplaySetup, network: SimulatedHospitals, seed: int) -> Rule:
    """The plan, from draws about the demand that was expected, spread as demand was about it in the last two years."""
    keys = pd.MultiIndex.from_frame(setup.items[["facility_id", "product_id"]])
    wide = network.expected.pivot_table(
        index=["facility_id", "product_id"], columns="period_start", values="expected", observed=True
    )
    expected = wide.reindex(keys).to_numpy()
    column = {pd.Timestamp(start).date(): place for place, start in enumerate(wide.columns)}
    of_panel = [column[start] for start in setup.panel.period_starts()]
    ratio = (setup.panel.values / expected[:, of_panel])[:, -2 * PLAN_WEEKS :]
    ratio = np.where(np.isfinite(ratio), ratio, 1.0)

    def drawn(cut: int) -> tuple[list[dt.date], Floats]:
        first = setup.panel.period.step(setup.panel.first_start, cut)
        starts = [setup.panel.period.step(first, ahead) for ahead in range(HORIZON)]
        chosen = np.random.default_rng([seed, 23]).integers(0, ratio.shape[1], (len(keys), HORIZON, DRAWS))
        noise = ratio[np.arange(len(keys))[:, None, None], chosen]
        return starts, expected[:, [column[start] for start in starts]][:, :, None] * noise

    return plan_rule_from_draws(setup, drawn, seed=seed)


def against_own_lead_times(database_url: str, truth_of: int | None) -> None:
    """Print stock and waste of the plan, and of par levels over each item's own days to bridge that serve as well."""
    warehouse = Warehouse(database_url=database_url)
    run = warehouse.latest_run()
    read = {name: warehouse.read(Base.metadata.tables[name]) for name in ("products", "suppliers", "policies")}
    of_run = [Base.metadata.tables[name] for name in ("clean_demand", "lead_times")]
    clean, lead = (warehouse.read(table, table.c.as_of == run.as_of) for table in of_run)
    whole = known_panel(clean, run)
    panel = whole.select(known_before_replay(whole))
    keys = pd.DataFrame({"facility_id": panel.facility_ids, "product_id": panel.product_ids}, dtype=object)
    items = with_policies(keys.merge(read["products"], on="product_id", how="left"), read["policies"])
    setup = replay_setup(items, panel, lead, draws_seed=run.seed)
    forecasts = {
        cut: forecast_with_shared_season(panel.until(cut), HORIZON)
        for cut in {setup.periods_ended(week) for week in range(setup.weeks)}
    }
    before = panel.values[:, : panel.values.shape[1] // 2]
    use = quantiles_of(before, np.array([PAR_QUANTILE]))[:, 0] / panel.period.mean_days
    par = np.nan_to_num(use) * setup.bridged_days
    informed = dataclasses.replace(setup, par_level=np.rint(par * THOUSANDTHS).astype(np.int64))
    scores = replay(informed, forecasts, {}, np.array([], dtype=np.int64), seed=run.seed)
    click.echo(compared(scores).round(3).to_string())
    if truth_of is not None:
        rule = told_the_truth(setup, simulated_hospitals(truth_of), run.seed)
        told = measures(setup, setup.simulate(rule))
        burden = told["mean_stock_value"] + told["expired_value"]
        pars = burden_at_fill_rate(scores, "all", ReplayRule.PAR.value, told["fill_rate"])
        click.echo(
            f"told the truth: {told['fill_rate']:.4f} met with {burden:.0f}, pars {pars:.0f}: {burden / pars:.3f}"
        )


def main() -> None:
    """Do what is asked and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["cost", "networks", "lead-times"])
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--database", default="sqlite:///pgx-supply.db")
    parser.add_argument("--truth-of", type=int)
    parser.add_argument("--work", type=Path, default=Path("build/replay"))
    asked = parser.parse_args()
    if asked.what == "cost":
        cost(asked.items)
        return
    if asked.what == "lead-times":
        against_own_lead_times(asked.database, asked.truth_of)
        return
    for seed in asked.seeds:
        scores = replayed(seed, asked.work / f"{seed}-{dt.datetime.now(dt.UTC):%H%M%S}")
        click.echo(f"seed {seed}\n{compared(scores).round(3).to_string()}")


if __name__ == "__main__":
    main()
