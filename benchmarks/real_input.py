"""The main job on real public data, through the command line: NHS hospital drugs, and sertraline with CPIC genetics.

    python benchmarks/real_input.py --data ../shared/data --work build/real_input

Writes two databases and the exported tables to the working folder and prints a report; `docs/real_input.md` reads it.
"""

import argparse
import dataclasses
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
SMALLEST_SHOWN_COUNT = 11
NEWEST_RUN = "select * from runs order by started_at desc limit 1"
GENES = ("CYP2C19", "CYP2B6")
EXAMPLE_GROUPS = {
    "EUR": "European",
    "EAS": "East Asian",
    "SAS": "Central/South Asian",
    "AFR": "Sub-Saharan African",
    "AMR": "Latino",
}
"""Superpopulation of the 1000 Genomes Project -> the nearest of CPIC's groups; the two are not the same thing."""

ROLL_OUT = ("EUR", "EAS", "SAS")
"""Example areas that plan to test; at the others testing does not come."""

PLAN = [("2022-01-01", 0.0, 0.0, False), ("2025-04-01", 0.3, 0.7, True)]
"""First day, share tested, share followed, whether it is a plan: an example, not a programme of the NHS."""


@dataclasses.dataclass
class Journey:
    """One database in the working folder, and the commands that are run on it."""

    name: str
    work: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.work / f"{self.name}.db"

    def call(self, *arguments: object) -> str:
        """What the command wrote, with its seconds printed; a command that fails ends the script."""
        command = [sys.executable, "-c", "from api.cli.main import main; main()", *map(str, arguments)]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--database", f"sqlite:///{self.database}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"pgx-supply {arguments[0]} failed: {done.stderr.strip()}")
        click.echo(f"  {time.perf_counter() - began:6.1f} s  pgx-supply {arguments[0]} {_short(arguments[1:])}")
        return done.stdout + done.stderr

    def export(self, what: str) -> pd.DataFrame:
        """The exported table, also kept as a file."""
        out = self.work / f"{self.name}_{what}.csv"
        self.call("export", what, "--out", out)
        return pd.read_csv(out, dtype={"facility_id": str, "product_id": str})

    def rows(self, query: str) -> pd.DataFrame:
        """Rows of the database."""
        with sqlite3.connect(self.database) as connection:
            return pd.read_sql_query(query, connection)


def hospital(data: Path, work: Path) -> Journey:
    """Hospital trusts: load, run, export, and what became of the difficult rows."""
    journey = Journey("hospital", work)
    rx = data / "rx"
    click.echo("\nHospital: ADHD, narcolepsy and methotrexate by trust, strength and month")
    names = ["scmd_adhd_narcolepsy_trust_month.csv.gz", "scmd_methotrexate_trust_month.csv.gz"]
    side = ["scmd_adhd_narcolepsy_vmp_info.csv", "nhs_trust_lookup_etr.csv"]
    told = journey.call("load", *(rx / name for name in (*names, *side)), "--format", "scmd")
    click.echo(_indented(told))
    journey.call("run")
    forecasts = journey.export("forecasts")
    report(journey, forecasts)
    click.echo(
        "  what cleaning did: " + _counts(journey.rows("select rule from clean_demand where rule <> ''")["rule"])
    )
    click.echo("  rows found impossible:")
    absurd = journey.rows("select * from clean_demand where rule = 'outlier' order by quantity_raw")
    click.echo(_table(absurd[["facility_id", "product_id", "period_start", "quantity_raw"]]))
    closed = journey.rows("select facility_id, closed_on, successor_id from facilities where closed_on is not null")
    click.echo(f"  {len(closed)} trusts closed, with a known successor: {closed['successor_id'].notna().sum()}")
    planned = forecasts[forecasts["facility_id"].isin(closed["facility_id"])]
    click.echo(f"  forecast rows for closed trusts: {len(planned)}")
    return journey


def community(data: Path, work: Path) -> Journey:
    """Sertraline by area and strength, with CPIC's tables and the example areas' genotype counts."""
    journey = Journey("community", work)
    click.echo("\nCommunity: sertraline by area, strength and month")
    epd = [data / "rx" / name for name in ("epd_sertraline_ccg_month.csv.gz", "epd_sertraline_bnf_names.csv")]
    click.echo(_indented(journey.call("load", *epd, "--format", "epd")))
    areas = example_areas(journey)
    pgx = data / "pgx"
    cpic = ["frequencies/allele_frequency_by_group.csv", "alleles/allele_function.csv", "alleles/diplotype_phenotype"]
    told = journey.call(
        "load", *(pgx / name for name in (*cpic, "guidance/cpic_recommendation.csv")), "--format", "cpic"
    )
    click.echo(_indented("\n".join(line for line in told.splitlines() if "release" in line or "rejected" not in line)))
    activate(journey)
    bundle = write_example_bundle(areas, pgx / "cohorts" / "1kgp_pypgx_phenotype_counts.csv", work / "example_bundle")
    click.echo("  example areas: " + ", ".join(f"{area} = {group}" for group, area in areas.items()))
    click.echo(_indented(journey.call("load", bundle)))
    journey.call("run")
    forecasts = journey.export("forecasts")
    report(journey, forecasts)
    genetic_report(journey, forecasts, areas)
    return journey


def activate(journey: Journey) -> None:
    """Put CPIC's releases in force everywhere from the first day of the history on, as an invented person."""
    journey.call("user", "add", "example", "--role", "pharmacist", "--password", "an example, not a secret")
    releases = journey.rows("select release_id from content_releases where publisher = 'CPIC'")["release_id"]
    decided = ("--by", "example", "--password", "an example, not a secret", "--effective", PLAN[0][0])
    journey.call("release", "activate", *releases, *decided)


def example_areas(journey: Journey) -> dict[str, str]:
    """Superpopulation -> one of the five areas that dispense most."""
    query = "select facility_id from dispensing group by facility_id order by sum(quantity) desc limit 5"
    return dict(zip(EXAMPLE_GROUPS, journey.rows(query)["facility_id"], strict=True))


def write_example_bundle(areas: dict[str, str], counts: Path, folder: Path) -> Path:
    """A bundle of ancestry, genotype counts and testing plans; who is where is invented."""
    folder.mkdir(parents=True, exist_ok=True)
    ancestry = [(area, EXAMPLE_GROUPS[group], 1.0) for group, area in areas.items()]
    _write(folder / "ancestry.csv", ["facility_id", "biogeographic_group", "share"], ancestry)
    observed = pd.read_csv(counts)
    observed = observed[observed["gene"].isin(GENES) & observed["superpopulation"].isin(list(areas))]
    small = (observed["n_individuals"] > 0) & (observed["n_individuals"] < SMALLEST_SHOWN_COUNT)
    pd.DataFrame(
        {
            "facility_id": observed["superpopulation"].map(areas),
            "gene": observed["gene"],
            "result_type": "phenotype",
            "result": observed["phenotype"],
            "count": observed["n_individuals"].mask(small),
            "tested": observed["n_total"],
        }
    ).to_csv(folder / "genotype_counts.csv", index=False)
    plans = [
        (areas[group], gene, start, tested, followed, planned)
        for group in areas
        for gene in GENES
        for start, tested, followed, planned in (PLAN if group in ROLL_OUT else PLAN[:1])
    ]
    columns = ["facility_id", "gene", "period_start", "share_tested", "share_followed", "planned"]
    _write(folder / "testing_coverage.csv", columns, plans)
    return folder


def report(journey: Journey, forecasts: pd.DataFrame) -> None:
    """Rows in and out, whether any forecast is absurd, and the backtest."""
    history = journey.rows("select facility_id, product_id, period_start, quantity from dispensing")
    sites = forecasts[forecasts["facility_id"] != "*"]
    click.echo(f"  rows in: {len(history)}; forecast rows out: {len(forecasts)} ({len(sites)} by site)")
    click.echo(f"  problems told: {_counts(journey.rows('select rule from problems')['rule'])}")
    newest = journey.rows(NEWEST_RUN)
    click.echo(f"  period and origin: {newest[['period', 'as_of', 'horizon']].to_numpy().tolist()}")
    levels = [name for name in forecasts.columns if name[0] == "p" and name[1:].isdigit()]
    ordered = (forecasts[levels].diff(axis=1).iloc[:, 1:] >= -1e-6).all(axis=None)
    click.echo(f"  lowest quantile {forecasts[levels].min(axis=None):g}; quantiles in order: {ordered}")
    click.echo("  network a month, last three of history against the first three forecast, the largest products:")
    click.echo(_table(levels_against_history(history, forecasts)))
    scores = journey.export("backtest")
    shown = scores[(scores["horizon"] == "all") & scores["metric"].isin(["mase", "wape", "coverage_80", "coverage_95"])]
    wide = shown.pivot_table(index=["segment", "metric"], columns="stage", values="value").round(3).reset_index()
    click.echo(_table(wide))


def levels_against_history(history: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Mean quantity a month of each product, before and after the origin, and their ratio."""
    recent = history[history["period_start"].isin(sorted(history["period_start"].unique())[-3:])]
    first = forecasts[forecasts["period_start"].isin(sorted(forecasts["period_start"].unique())[:3])]
    first = first[first["facility_id"] == "*"]
    both = pd.DataFrame(
        {
            "history": recent.groupby("product_id")["quantity"].sum() / 3,
            "forecast": first.groupby("product_id")["mean"].mean(),
            "p025": first.groupby("product_id")["p025"].mean(),
            "p975": first.groupby("product_id")["p975"].mean(),
        }
    ).fillna(0.0)
    both["ratio"] = (both["forecast"] / both["history"]).round(2)
    return (
        both.sort_values("history", ascending=False)
        .round({"history": 0, "forecast": 0, "p025": 0, "p975": 0})
        .head(12)
        .reset_index()
    )


def genetic_report(journey: Journey, forecasts: pd.DataFrame, areas: dict[str, str]) -> None:
    """Prevalence per example area, the shift by strength, and the releases behind both."""
    prevalence = journey.export("prevalence")
    keys = prevalence[(prevalence["result_type"] == "lookup_key") & prevalence["gene"].isin(GENES)]
    poor = keys[keys["result"] == "Poor Metabolizer"].pivot_table(index="facility_id", columns="gene", values="mean")
    click.echo("  Poor Metabolizer share:")
    click.echo(_table(poor.loc[list(areas.values())].assign(group=list(areas)).round(4).reset_index()))
    names = journey.rows("select product_id, strength_value, dose_form from products")
    shift = forecasts[forecasts["facility_id"].isin(areas.values())].merge(names, on="product_id")
    shift = shift[shift["dose_form"] == "tablet"]
    last = shift[shift["period_start"] == shift["period_start"].max()]
    table = last.pivot_table(index="facility_id", columns="strength_value", values="genetic_shift", aggfunc="sum")
    click.echo("  genetic shift in the last month, tablets by strength (mg):")
    click.echo(_table(table.loc[list(areas.values())].assign(group=list(areas)).round(0).reset_index()))
    baseline = last.pivot_table(index="facility_id", columns="strength_value", values="baseline_mean", aggfunc="sum")
    click.echo("  the baseline of that month:")
    click.echo(_table(baseline.loc[list(areas.values())].round(0).reset_index()))
    others = forecasts[~forecasts["facility_id"].isin([*areas.values(), "*"])]["genetic_shift"].abs().max()
    click.echo(f"  largest shift at an area that is no example: {others:g}")
    click.echo(f"  releases of the run: {journey.rows(NEWEST_RUN)['releases'].iloc[0]}")
    mapped = journey.rows("select mapping from published_recommendations")
    click.echo(f"  published recommendations: {_counts(mapped['mapping'])}")


def _write(path: Path, columns: list[str], rows: Sequence[tuple[object, ...]]) -> None:
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


def _short(arguments: Sequence[object]) -> str:
    return " ".join(one.name if isinstance(one, Path) else str(one) for one in arguments)


def _counts(values: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in values.value_counts().sort_index().items()) or "none"


def _indented(text: str) -> str:
    return "\n".join(f"      {line}" for line in text.strip().splitlines())


def _table(frame: pd.DataFrame) -> str:
    return _indented(frame.to_string(index=False))


def main() -> None:
    """Run both journeys."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder with rx/ and pgx/")
    parser.add_argument("--work", type=Path, default=Path("build/real_input"), help="emptied, then written")
    asked = parser.parse_args()
    if not (asked.data / "rx").is_dir():
        raise SystemExit(f"{asked.data} has no folder rx")
    work = asked.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.perf_counter()
    hospital(asked.data.resolve(), work)
    community(asked.data.resolve(), work)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    click.echo(f"\n{time.perf_counter() - began:.0f} s in all; the largest command took {peak:.0f} MB")


if __name__ == "__main__":
    main()
