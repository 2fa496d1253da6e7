"""Stage 4, demand: whose genotypes each drug's forecast rests on, and how many packs hang on what is not known."""

import dataclasses

import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.sites.content import knowledge
from assets.sites.reference_demand import known_panel, site_genetics
from assets.sites.representation_audit import COLUMNS, audit_rows
from forecasting.terms import ALL_GROUPS
from warehouse.schema.representation import Representation

PACKS_WORTH_TELLING = 1.0
"""Thin evidence on which fewer packs a week hang is in the table alone."""


@table_asset(Representation, group=DEMAND)
def representation(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    ancestry: pd.DataFrame,
    assays: pd.DataFrame,
    products: pd.DataFrame,
    facilities: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    reference_demand: pd.DataFrame,
    baseline_forecasts: pd.DataFrame,
    genetic_effects: pd.DataFrame,
) -> Staged:
    """Per site, drug, gene and ancestry group: effective sample size, untested alleles, interval, packs at stake."""
    run = PlanningRun.from_frame(runs)
    if regimen_moves.empty or prevalence.empty:
        return Staged(pd.DataFrame(columns=COLUMNS))
    with warehouse.engine.connect() as connection:
        known = knowledge(connection, site_releases)
    panel = known_panel(reference_demand, run)
    # the audit draws for itself, and takes the therapies' means alone
    one_draw = dataclasses.replace(run, draws=1)
    genetics = site_genetics(
        warehouse, one_draw, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects
    )
    tables = {"ancestry": ancestry, "assays": assays, "products": products, "prevalence": prevalence}
    tables |= {"facilities": facilities, "regimen_moves": regimen_moves, "baseline_forecasts": baseline_forecasts}
    frame = audit_rows(run, known, genetics, tables)
    return Staged(frame, _thin(frame))


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    """One problem a site, drug and gene whose thin evidence moves packs."""
    rows = frame[(frame["biogeographic_group"] == ALL_GROUPS) & frame["thin"].astype(bool)]
    rows = rows[rows["packs_per_week"].fillna(0.0) >= PACKS_WORTH_TELLING]
    found = []
    for row in rows.to_dict("records"):
        missing = row["alleles_not_tested"]
        untested = f"; its assay does not look for {missing}" if isinstance(missing, str) and missing else ""
        text = (
            f"{row['drug']} at {row['facility_id']}: {row['packs_per_week']:.0f} packs a week hang on how common "
            f"results of {row['gene']} are, and the evidence is thin{untested}; see the table representation"
        )
        found.append((row["facility_id"], row["drug"], "thin_evidence", text))
    return problems_frame(found)
