"""Stage 4, demand: whose genotypes each drug's forecast rests on, and the packs that depend on what is not known."""

import dataclasses

import pandas as pd

from assets.dagster_io.asset_result import AssetResult, problems_frame
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import DEMAND, table_asset
from assets.sites.content import knowledge
from assets.sites.reference_demand import GENETIC_INPUTS, known_panel, site_genetics
from assets.sites.representation_audit import AUDIT_INPUTS, COLUMNS, audit_rows
from forecasting.terms import ALL_GROUPS
from warehouse.schema.representation import Representation

LEAST_PACKS_PER_WEEK = 1.0
"""Thin evidence on which fewer packs a week depend is in the table alone, for it changes no order."""


@table_asset(Representation, group=DEMAND, inputs=(*GENETIC_INPUTS, *AUDIT_INPUTS, "reference_demand"))
def representation(tables: RunTables) -> AssetResult:
    """Per site, drug, gene and ancestry group: effective sample size, untested alleles, interval, uncertain packs."""
    if tables["regimen_moves"].empty or tables["prevalence"].empty:
        return AssetResult(pd.DataFrame(columns=COLUMNS))
    with tables.warehouse.engine.connect() as connection:
        content = knowledge(connection, tables["site_releases"])
    panel = known_panel(tables["reference_demand"], tables.run)
    # the audit draws by itself, and takes the therapies' means alone
    genetics = site_genetics(tables, panel, run=dataclasses.replace(tables.run, draws=1))
    frame = audit_rows(content, genetics, tables)
    return AssetResult(frame, _thin_evidence(frame))


def _thin_evidence(frame: pd.DataFrame) -> pd.DataFrame:
    """One problem a site, drug and gene whose thin evidence moves packs."""
    rows = frame[(frame["biogeographic_group"] == ALL_GROUPS) & frame["thin"].astype(bool)]
    rows = rows[rows["packs_per_week"].fillna(0.0) >= LEAST_PACKS_PER_WEEK]
    problems = []
    for row in rows.to_dict("records"):
        missing = row["alleles_not_tested"]
        untested = f"; its assay does not look for {missing}" if isinstance(missing, str) and missing else ""
        text = (
            f"{row['drug']} at {row['facility_id']}: {row['packs_per_week']:.0f} packs a week hang on how common "
            f"results of {row['gene']} are, and the evidence is thin{untested}; see the table representation"
        )
        problems.append((row["facility_id"], row["drug"], "thin_evidence", text))
    return problems_frame(problems)
