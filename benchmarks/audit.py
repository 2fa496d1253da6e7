"""Processor time of the representation audit on a planned database whose sites are repeated up to a wanted number.

    python benchmarks/audit.py --database sqlite:///pgx-supply.db --sites 1000

The numbers measured with it are in `docs/benchmarks.md`.
"""

import argparse
import dataclasses
import time

import pandas as pd

from assets.dagster_io.resources import Warehouse
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import knowledge
from assets.sites.reference_demand import known_panel, site_genetics
from assets.sites.representation_audit import audit_rows

NEEDED = (
    *("facilities", "site_releases", "ancestry", "assays", "products", "prevalence", "exposure", "regimen_moves"),
    *("reference_demand", "baseline_forecasts", "genetic_effects"),
)


def repeated(frame: pd.DataFrame, sites: list[str], wanted: int) -> pd.DataFrame:
    """The rows of the sites once per copy, under names of their own."""
    copies = [
        frame[frame["facility_id"].isin(sites)].assign(facility_id=lambda one, n=n: one["facility_id"] + f"-{n:04d}")
        for n in range(-(-wanted // len(sites)))
    ]
    return pd.concat(copies, ignore_index=True)


def main() -> None:
    """Print questions, rows and seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--sites", type=int, default=1000)
    asked = parser.parse_args()
    warehouse = Warehouse(database_url=asked.database)
    tables = RunTables(warehouse, dataclasses.replace(warehouse.latest_run(), draws=1))
    moved = sorted(set(tables["regimen_moves"]["facility_id"]) & set(tables["exposure"]["facility_id"]))
    for name in NEEDED:
        if "facility_id" in tables[name].columns:
            tables[name] = repeated(tables[name], moved, asked.sites)
    began = time.process_time()
    with warehouse.engine.connect() as connection:
        known = knowledge(connection, tables["site_releases"])
    genetics = site_genetics(tables, known_panel(tables["reference_demand"], tables.run))
    prepared = time.process_time() - began
    began = time.process_time()
    frame = audit_rows(known, genetics, tables)
    took = time.process_time() - began
    drugs = frame["drug"].nunique()
    questions = len(frame.drop_duplicates(["facility_id", "drug", "gene"]))
    print(  # noqa: T201
        f"{frame['facility_id'].nunique()} sites, {drugs} drugs, {questions} questions, {len(frame)} rows: "
        f"audit {took:.1f} s CPU (its inputs {prepared:.1f} s)"
    )


if __name__ == "__main__":
    main()
