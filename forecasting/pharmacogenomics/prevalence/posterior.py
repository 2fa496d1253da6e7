"""How common each result is at each site: the posterior of all genes, its table, and the posterior from its table."""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput, MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.counts.evidence import Problems, collect_evidence
from forecasting.pharmacogenomics.genes.gene_model import SHARE_MALE, GeneModel, gene_model
from forecasting.pharmacogenomics.genes.hardy_weinberg import hardy_weinberg_departures
from forecasting.pharmacogenomics.genes.monomorphic import monomorphic_panels
from forecasting.pharmacogenomics.genes.traits import Counting, Inheritance
from forecasting.pharmacogenomics.prevalence.ancestry import site_shares
from forecasting.pharmacogenomics.prevalence.gene_posterior import GenePosterior
from forecasting.pharmacogenomics.prevalence.network_size import COUNTS_OF_COPIES, LEAST_SITES, network_people
from forecasting.pharmacogenomics.prevalence.prior import build_prior, group_table
from forecasting.pharmacogenomics.prevalence.table import COLUMNS, group_rows, site_rows, state_of_rows
from forecasting.pharmacogenomics.prevalence.update import joined_by_site, update_posterior
from forecasting.terms import ALL_FACILITIES, SMALL_CELL_THRESHOLD, ResultType

PROBLEM_COLUMNS = ("facility_id", "gene", "problem")


@dataclasses.dataclass(frozen=True, eq=False)
class PrevalencePosterior:
    """Posteriors of all genes asked for, and what could not be used: `problems` (facility_id, gene, problem)."""

    facility_ids: tuple[str, ...]
    by_gene: dict[str, GenePosterior]
    problems: pd.DataFrame

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """One row per site, gene, and result (allele | phenotype | lookup_key), with a 90 % equal-tailed interval.

        The rows are about all people served (group `*`). `effective_n` is in people; alleles that the site's assay
        calls reference carry the smaller, published weight of how they share that call.
        """
        return _joined([site_rows(gene) for gene in self.by_gene.values()])

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """The rows of `frame`, and one row per site, gene, group and allele: the whole posterior, see `from_frame`.

        Rows of a biogeographic group are about its people at the site, whose share is `ancestry_share`.
        """
        return _joined([self.frame, *(group_rows(gene) for gene in self.by_gene.values())])

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, content: ReferenceContent, share_male: pd.Series | None = None
    ) -> "PrevalencePosterior":
        """The posterior again from the stored rows of `table` (the allele rows are enough) and the same shares."""
        rows = frame[frame["result_type"] == ResultType.ALLELE.value]
        by_gene = {}
        for gene, of_gene in rows.groupby("gene", sort=False):
            model = gene_model(content, str(gene))
            sites, state = state_of_rows(model, of_gene)
            by_gene[str(gene)] = GenePosterior(model, sites, state, shares_male(sites, share_male))
        facilities = tuple(dict.fromkeys(frame["facility_id"]))
        return cls(facilities, by_gene, pd.DataFrame(columns=list(PROBLEM_COLUMNS)))


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


@dataclasses.dataclass(frozen=True, eq=False)
class SiteRecords:
    """What the sites hand in, frames as in the site bundle.

    `ancestry` (facility_id, biogeographic_group, share), `genotype_counts` (facility_id, gene, result_type, result,
    count, tested, optional biogeographic_group and as_of), `assays` (facility_id, gene, alleles_tested). `share_male`
    by facility_id is the share of males among the people served (unknown: one half), to the nearest hundredth; of
    X-linked genes males have one copy.
    """

    ancestry: pd.DataFrame | None
    genotype_counts: pd.DataFrame | None = None
    assays: pd.DataFrame | None = None
    share_male: pd.Series | None = None


def prevalence_posterior(
    content: ReferenceContent,
    facility_ids: Sequence[str],
    genes: Iterable[str],
    records: SiteRecords,
    *,
    threshold: int = SMALL_CELL_THRESHOLD,
) -> PrevalencePosterior:
    """Allele, phenotype and lookup key frequencies per site and gene, from published and local knowledge.

    A blank count in the `records` is one of 1 to `threshold` - 1. A site whose groups have no published frequency of a
    gene, or without ancestry rows, and without counts, is left out of that gene and listed in `problems`: no proxy is
    used silently. Genotypes are taken to be in Hardy-Weinberg proportions within each group of a site; counts that say
    otherwise are a problem. An unknown gene raises `MissingContent`.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> ancestry = pd.DataFrame({"facility_id": ["A"], "biogeographic_group": ["East Asian"], "share": [1.0]})
    >>> rows = prevalence_posterior(builtin_content(), ["A"], ["CYP2C19"], SiteRecords(ancestry)).frame
    >>> float(rows.set_index("result").loc["Poor Metabolizer", "mean"].iloc[0].round(2))
    0.14
    """
    facility_ids = tuple(facility_ids)
    shares, ancestry_problems = site_shares(facility_ids, records.ancestry)
    males = shares_male(facility_ids, records.share_male)
    by_gene: dict[str, GenePosterior] = {}
    problems: list[tuple[str, str, str]] = []
    for gene in genes:
        by_gene[gene], gene_problems = _gene_posterior(content, gene, facility_ids, shares, males, records, threshold)
        texts = dict.fromkeys([*ancestry_problems, *gene_problems])
        problems.extend((facility, gene, text) for facility, text in texts)
    return PrevalencePosterior(facility_ids, by_gene, pd.DataFrame(problems, columns=list(PROBLEM_COLUMNS)))


def _gene_posterior(
    content: ReferenceContent,
    gene: str,
    facility_ids: tuple[str, ...],
    shares: Floats,
    males: Floats,
    records: SiteRecords,
    threshold: int,
) -> tuple[GenePosterior, Problems]:
    """One gene's posterior at the sites with ancestry `shares` [S, 9] and shares of `males` [S], and its problems."""
    model = gene_model(content, gene)
    problems = [(ALL_FACILITIES, text) for text in model.function_problems]
    people = people_at_sites(content, model, records, threshold)
    male_shares = males if model.traits.inheritance is Inheritance.X_LINKED else np.full(len(males), SHARE_MALE)
    parts = []
    # sites where as many people have a single copy are computed together
    for male in dict.fromkeys(male_shares.tolist() or [SHARE_MALE]):
        positions = np.flatnonzero(male_shares == male)
        model_at_share, sites = gene_model(content, gene, male), [facility_ids[i] for i in positions]
        evidence = collect_evidence(
            model_at_share, sites, records.genotype_counts, records.assays, threshold, shares[positions]
        )
        gene_prior = build_prior(content, model_at_share, sites, shares[positions], evidence, people)
        state, used = update_posterior(model_at_share, gene_prior, evidence, threshold)
        problems += [*gene_prior.problems, *evidence.problems, *monomorphic_panels(gene_prior, evidence)]
        problems += hardy_weinberg_departures(model_at_share, gene_prior, state, used, threshold)
        parts.append(dataclasses.replace(state, site=positions[state.site]))
    state = joined_by_site(parts)
    known_sites, site = np.unique(state.site, return_inverse=True)
    state = dataclasses.replace(state, site=site)
    return GenePosterior(model, tuple(facility_ids[i] for i in known_sites), state, males[known_sites]), problems


def people_at_sites(content: ReferenceContent, model: GeneModel, records: SiteRecords, threshold: int) -> Floats:
    """People that each group's published frequencies of a gene are worth at a site, [9], as far as the counts tell.

    All sites with genotype counts inform it, whichever are asked for: a site's numbers do not depend on that.
    """
    table, people, _, _ = group_table(content, model)
    counts = records.genotype_counts
    if counts is None or not len(counts):
        return people
    counts_copies = (counts["gene"] == model.gene) & counts["result_type"].isin(COUNTS_OF_COPIES)
    sites = sorted(set(counts.loc[counts_copies, "facility_id"]))
    if len(sites) < LEAST_SITES or model.traits.counting is Counting.CARRIERS:
        return people
    shares, _ = site_shares(tuple(sites), records.ancestry)
    evidence = collect_evidence(model, sites, counts, records.assays, threshold, shares)
    return network_people(table, people, evidence, shares, threshold)


def shares_male(facility_ids: Sequence[str], share_male: pd.Series | None) -> Floats:
    """Share of males at each site to the nearest hundredth, [S]; `SHARE_MALE` where it is not known.

    >>> shares_male(["A", "B"], pd.Series({"B": 0.304})).tolist()
    [0.5, 0.3]
    """
    stated_share = pd.Series(dtype=float) if share_male is None else share_male.astype(float)
    share = stated_share.reindex(list(facility_ids)).fillna(SHARE_MALE).to_numpy()
    if ((share < 0) | (share > 1)).any():
        raise InvalidInput(f"shares of males must lie between 0 and 1, not {share.min()} to {share.max()}")
    return np.asarray(share.round(2))


def draw_lookup_keys(
    posterior: PrevalencePosterior, gene: str, draws: int, seed: int
) -> tuple[Floats, tuple[str, ...]]:
    """Draws of lookup key frequencies, [S, draws, K] over `posterior.facility_ids`, and the names of the K keys.

    NaN for sites without a posterior of the gene. The same seed gives the same numbers for a site, whichever other
    sites are asked for. A gene that the posterior does not hold raises `MissingContent`.
    """
    if gene not in posterior.by_gene:
        raise MissingContent(f"the posterior holds no {gene}")
    of_gene = posterior.by_gene[gene]
    if of_gene.facility_ids == posterior.facility_ids:
        return of_gene.draw(draws, seed), of_gene.model.keys
    frequencies = np.full((len(posterior.facility_ids), draws, len(of_gene.model.keys)), np.nan)
    position = {facility: i for i, facility in enumerate(posterior.facility_ids)}
    frequencies[[position[facility] for facility in of_gene.facility_ids]] = of_gene.draw(draws, seed)
    return frequencies, of_gene.model.keys
