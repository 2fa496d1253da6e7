"""Stage 2, pharmacogenomics: who has which genotype, per site and gene."""

import pandas as pd

from assets.dagster_io.asset_result import Staged, problems_frame
from assets.dagster_io.resources import Warehouse
from assets.dagster_io.table_asset import PHARMACOGENOMICS, table_asset
from assets.sites.content import knowledge
from assets.sites.posterior import group_posterior, newest_counts
from forecasting.pharmacogenomics.prevalence.posterior import PROBLEM_COLUMNS
from forecasting.pharmacogenomics.prevalence.table import COLUMNS
from forecasting.terms import ALL_FACILITIES
from warehouse.schema.results import Prevalence


@table_asset(Prevalence, group=PHARMACOGENOMICS)
def prevalence(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    facilities: pd.DataFrame,
    ancestry: pd.DataFrame,
    genotype_counts: pd.DataFrame,
    assays: pd.DataFrame,
) -> Staged:
    """Posterior of every gene that guidance for stocked drugs asks about, for every open site."""
    as_of = runs["as_of"].iloc[0]
    if ancestry.empty and genotype_counts.empty:
        message = "ancestry and genotype_counts are missing: no prevalence, the genetic step is skipped"
        return Staged(_empty(), problems_frame([(None, None, "input_missing", message)]))
    with warehouse.engine.connect() as connection:
        groups = knowledge(connection, site_releases).groups
    open_sites = facilities[facilities["closed_on"].isna() | (facilities["closed_on"] > as_of)]
    counts = newest_counts(genotype_counts, as_of)
    found = [group_posterior(group, open_sites, ancestry, counts, assays) for group in groups]
    frame = pd.concat([one.table for one in found], ignore_index=True) if found else _empty()
    problems = [one.problems for one in found]
    told = pd.concat(problems, ignore_index=True) if problems else pd.DataFrame(columns=list(PROBLEM_COLUMNS))
    return Staged(frame.assign(as_of=as_of), _grouped(told.drop_duplicates()))


MOST_NAMED = 5


def _grouped(problems: pd.DataFrame) -> pd.DataFrame:
    """One line a problem: the sites that have it for the same genes, and those genes, stand in it together."""
    rows = []
    genes_of = problems.groupby(["problem", "facility_id"])["gene"].agg(lambda genes: ", ".join(sorted(genes)))
    for (text, genes), same in genes_of.reset_index().groupby(["problem", "gene"]):
        sites = sorted(same["facility_id"])
        more = f" and {len(sites) - MOST_NAMED} more" if len(sites) > MOST_NAMED else ""
        where = f" ({', '.join(sites[:MOST_NAMED])}{more})" if sites != [ALL_FACILITIES] else ""
        rows.append((sites[0] if len(sites) == 1 else None, genes, "prevalence", f"{genes}: {text}{where}"))
    return problems_frame(rows)


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=["as_of", *COLUMNS])
