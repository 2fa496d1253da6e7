"""Stage 2, pharmacogenomics: who has which genotype, per site and gene."""

import pandas as pd

from assets.dagster_io.asset_result import AssetResult, problems_frame, skipped
from assets.dagster_io.run_tables import RunTables
from assets.dagster_io.table_asset import PHARMACOGENOMICS, table_asset
from assets.sites.content import knowledge
from assets.sites.posterior import group_posterior
from forecasting.pharmacogenomics.prevalence.table import COLUMNS
from forecasting.terms import ALL_FACILITIES
from warehouse.schema.results import Prevalence

MOST_NAMED = 5


@table_asset(
    Prevalence,
    group=PHARMACOGENOMICS,
    inputs=("runs", "site_releases", "facilities", "ancestry", "genotype_counts", "assays"),
)
def prevalence(tables: RunTables) -> AssetResult:
    """Posterior of every gene that guidance for stocked drugs asks about, for every open site."""
    columns = ["as_of", *COLUMNS]
    if tables["ancestry"].empty and tables["genotype_counts"].empty:
        message = "ancestry and genotype_counts are missing: no prevalence, the genetic step is skipped"
        return skipped(columns, "input_missing", message)
    with tables.warehouse.engine.connect() as connection:
        groups = knowledge(connection, tables["site_releases"]).groups
    posteriors = [group_posterior(group, tables) for group in groups]
    if not posteriors:
        return AssetResult(pd.DataFrame(columns=columns))
    frame = pd.concat([posterior.table for posterior in posteriors], ignore_index=True)
    problems = pd.concat([posterior.problems for posterior in posteriors], ignore_index=True)
    return AssetResult(frame.assign(as_of=tables.run.as_of), grouped_problems(problems.drop_duplicates()))


def grouped_problems(problems: pd.DataFrame) -> pd.DataFrame:
    """One row a problem: the sites that have it for the same genes, and those genes, are named in it together."""
    rows = []
    genes_of = problems.groupby(["problem", "facility_id"])["gene"].agg(lambda genes: ", ".join(sorted(genes)))
    for (text, genes), same in genes_of.reset_index().groupby(["problem", "gene"]):
        sites = sorted(same["facility_id"])
        more = f" and {len(sites) - MOST_NAMED} more" if len(sites) > MOST_NAMED else ""
        where = f" ({', '.join(sites[:MOST_NAMED])}{more})" if sites != [ALL_FACILITIES] else ""
        rows.append((sites[0] if len(sites) == 1 else None, genes, "prevalence", f"{genes}: {text}{where}"))
    return problems_frame(rows)
