"""Genotype posteriors of a group of sites from their newest counts."""

import dataclasses

import pandas as pd

from assets.sites.content import SiteGroup
from assets.sites.genetics import share_male
from forecasting.pharmacogenomics.prevalence.posterior import PrevalencePosterior
from forecasting.pharmacogenomics.prevalence.posterior import posterior as posterior_of
from warehouse.schema.inputs import NOT_STATED
from warehouse.settings import small_cell_threshold


def group_posterior(
    group: SiteGroup, open_sites: pd.DataFrame, ancestry: pd.DataFrame, counts: pd.DataFrame, assays: pd.DataFrame
) -> PrevalencePosterior:
    """Posterior of the open sites of a group (rows of `facilities`), from the content they rest on."""
    sites = [site for site in open_sites["facility_id"] if site in set(group.facility_ids)]
    posterior = posterior_of(
        group.content,
        sites,
        group.genes,
        ancestry=ancestry,
        genotype_counts=counts,
        assays=assays,
        share_male=share_male(open_sites),
        threshold=small_cell_threshold(),
    )
    # a gene that no site has frequencies of is told in the problems and has no rows
    by_gene = {gene: one for gene, one in posterior.by_gene.items() if one.facility_ids}
    return dataclasses.replace(posterior, by_gene=by_gene)


def newest_counts(counts: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """The last count of each site, gene and kind of result that was made before the origin."""
    known = counts[(counts["as_of"] <= as_of) | (counts["as_of"] == pd.Timestamp(NOT_STATED))]
    newest = known.groupby(["facility_id", "gene", "result_type", "biogeographic_group"])["as_of"].transform("max")
    return known[known["as_of"] == newest]
