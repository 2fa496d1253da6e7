"""Genotype posteriors of a group of sites from their newest counts."""

import dataclasses

import pandas as pd

from assets.dagster_io.run_tables import RunTables
from assets.sites.content import SiteGroup
from assets.sites.genetics import share_male
from forecasting.pharmacogenomics.prevalence.posterior import PrevalencePosterior, SiteRecords, prevalence_posterior
from warehouse.schema.inputs import NOT_STATED
from warehouse.settings import small_cell_threshold


def group_posterior(group: SiteGroup, tables: RunTables) -> PrevalencePosterior:
    """Posterior of the open sites of a group, from the content they rest on and their newest counts."""
    open_sites = _open_sites(tables["facilities"], pd.Timestamp(tables.run.as_of))
    sites = [site for site in open_sites["facility_id"] if site in set(group.facility_ids)]
    records = SiteRecords(
        ancestry=tables["ancestry"],
        genotype_counts=_newest_counts(tables["genotype_counts"], pd.Timestamp(tables.run.as_of)),
        assays=tables["assays"],
        share_male=share_male(open_sites),
    )
    posterior = prevalence_posterior(group.content, sites, group.genes, records, threshold=small_cell_threshold())
    # a gene that no site has frequencies of is named in the problems and has no rows
    by_gene = {gene: of_gene for gene, of_gene in posterior.by_gene.items() if of_gene.facility_ids}
    return dataclasses.replace(posterior, by_gene=by_gene)


def _open_sites(facilities: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Sites that are not closed on the origin day."""
    return facilities[~(facilities["closed_on"] <= as_of)]


def _newest_counts(counts: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """The last count of each site, gene and kind of result that was made before the origin."""
    known = counts[(counts["as_of"] <= as_of) | (counts["as_of"] == pd.Timestamp(NOT_STATED))]
    newest = known.groupby(["facility_id", "gene", "result_type", "biogeographic_group"])["as_of"].transform("max")
    return known[known["as_of"] == newest]
