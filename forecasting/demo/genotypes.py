"""The genotypes of the invented sites: what is true of the people served, and what a laboratory counted of it.

The people of a group carry every allele that CPIC's tables give a frequency for; how far a site departs from its groups
is invented. Within a group genotypes are in Hardy-Weinberg proportions, over the groups of a site they are not. The
network's assay (`tables/assay_alleles.csv`) looks for common alleles only, and reads any other as the reference.
"""

import dataclasses
import datetime as dt
from functools import cache

import numpy as np
import pandas as pd

from forecasting.demo.tables import stream, table
from forecasting.pharmacogenomics.content import builtin_content
from forecasting.pharmacogenomics.genes.gene_model import GeneModel, gene_model
from forecasting.terms import SMALL_CELL_THRESHOLD, BiogeographicGroup, ResultType

COUNTED_AS = {"CYP2D6": ResultType.PHENOTYPE, "VKORC1": ResultType.ALLELE}
STRATIFIED = ("H01", "CYP2C19")
"""The one site and gene whose counts are given per biogeographic group."""
SITE_CONCENTRATION = 800.0
"""Alleles that a group's published frequency is worth at one site: how much the invented sites vary."""


@cache
def assayed_genes() -> dict[str, GeneModel]:
    """The tested genes by name, as the reference content has them.

    >>> assayed_genes()["CYP2C19"].key_of("*2/*17")
    'Intermediate Metabolizer'
    """
    return {str(name): gene_model(builtin_content(), str(name)) for name in table("assay_alleles")["gene"].unique()}


@dataclasses.dataclass(frozen=True)
class SiteGenotypes:
    """True allele frequencies per gene, shape (sites, groups, alleles), and the groups' shares (sites, groups)."""

    facility_ids: tuple[str, ...]
    groups: tuple[str, ...]
    shares: np.ndarray
    frequencies: dict[str, np.ndarray]

    def key_shares(self, gene: str) -> np.ndarray:
        """Share of the people of each site and group by lookup key, shape (sites, groups, keys), Hardy-Weinberg."""
        return assayed_genes()[gene].lookup_key_frequencies(self.frequencies[gene])


def site_genotypes(facility_ids: list[str], seed: int) -> SiteGenotypes:
    """The genotypes of the people served by each site: published group frequencies with site variation."""
    ancestry = table("ancestry").set_index(["facility_id", "biogeographic_group"])["share"].unstack()  # noqa: PD010
    groups = tuple(group.value for group in BiogeographicGroup if group in ancestry.columns)
    shares = ancestry.reindex(index=facility_ids, columns=list(groups)).fillna(0.0).to_numpy()
    rng = stream(seed, 1)
    frequencies = {}
    for name, gene in assayed_genes().items():
        shape = (len(facility_ids), len(groups), len(gene.alleles))
        draws = rng.gamma(SITE_CONCENTRATION * _published(gene, groups), size=shape)
        frequencies[name] = draws / draws.sum(axis=-1, keepdims=True)
    return SiteGenotypes(tuple(facility_ids), groups, shares, frequencies)


def _published(gene: GeneModel, groups: tuple[str, ...]) -> np.ndarray:
    """Frequencies (groups, alleles) that sum to 1, the reference allele taking what is left.

    For a group of which nothing is published the simulation assumes the European frequencies.
    """
    rows = builtin_content().allele_frequency.query("gene == @gene.gene and allele != @gene.reference")
    wide = rows.set_index(["biogeographic_group", "allele"])["frequency"].unstack()  # noqa: PD010
    known = wide.reindex([group if group in wide.index else BiogeographicGroup.EUROPEAN for group in groups])
    frequency = known.reindex(columns=list(gene.alleles)).fillna(0.0).to_numpy().copy()
    frequency[:, gene.index_of(gene.reference)] = np.clip(1.0 - frequency.sum(axis=1), 0.0, None)
    return frequency / frequency.sum(axis=1, keepdims=True)


def prevalence(sites: SiteGenotypes) -> pd.DataFrame:
    """True share of the people served by lookup key: `facility_id, gene, lookup_key, share`."""
    frames = []
    for name, gene in assayed_genes().items():
        share = np.einsum("sg,sgk->sk", sites.shares, sites.key_shares(name))
        wide = pd.DataFrame(share, index=list(sites.facility_ids), columns=list(gene.keys))
        frames.append(wide.rename_axis("facility_id").reset_index().melt("facility_id", None, "lookup_key", "share"))
        frames[-1].insert(1, "gene", name)
    return pd.concat(frames, ignore_index=True)


def counts(sites: SiteGenotypes, as_of: dt.date, seed: int) -> pd.DataFrame:
    """What the laboratories counted, not yet suppressed: the columns of the `genotype_counts` file.

    An allele that the site's assay does not look for is read as the reference allele.
    """
    rng = stream(seed, 2)
    facilities = table("facilities").set_index("facility_id")
    tested = (facilities["population"] * facilities["tested_per_1000_people"] / 1000).dropna().to_dict()
    frames = []
    for site, facility_id in enumerate(sites.facility_ids):
        if facility_id not in tested:
            continue
        for name in assayed_genes():
            people = int(tested[facility_id] * rng.uniform(0.55, 1.0))
            frames.append(_site_counts(sites, site, name, people, rng))
    if not frames:
        return _empty_counts()
    counted = pd.concat(frames, ignore_index=True)
    counted["as_of"] = pd.Timestamp(as_of) - pd.Timedelta(days=14)
    return counted


def _site_counts(sites: SiteGenotypes, site: int, name: str, people: int, rng: np.random.Generator) -> pd.DataFrame:
    """Counts of one site and gene, over all groups or per group."""
    facility_id, gene = sites.facility_ids[site], assayed_genes()[name]
    per_group = rng.multinomial(people, sites.shares[site])
    read_as = _read_as(facility_id, gene)
    people_of = zip(per_group, sites.frequencies[name][site], strict=True)
    pairs = np.stack([_tested_pairs(rng, int(number), frequency, read_as) for number, frequency in people_of])
    strata = [("*", pairs.sum(axis=0), people)]
    if (facility_id, name) == STRATIFIED:
        strata = [(group, pairs[g], int(per_group[g])) for g, group in enumerate(sites.groups) if per_group[g]]
    return pd.concat([_stratum(facility_id, gene, *stratum) for stratum in strata], ignore_index=True)


def _alleles_tested(facility_id: str, gene: GeneModel) -> list[str]:
    """Alleles that the site's assay looks for: the network's, less those that this site's lacks."""
    network, untested = table("assay_alleles"), table("untested")
    tested = network.loc[network["gene"] == gene.gene, "allele"]
    lacking = untested[(untested["facility_id"] == facility_id) & (untested["gene"] == gene.gene)]
    return tested[~tested.isin(lacking["allele"])].tolist()


def _read_as(facility_id: str, gene: GeneModel) -> np.ndarray:
    """Position of the allele that each allele is reported as by the site's assay."""
    tested, reference = _alleles_tested(facility_id, gene), gene.index_of(gene.reference)
    return np.array([i if allele in tested else reference for i, allele in enumerate(gene.alleles)])


def _tested_pairs(rng: np.random.Generator, people: int, frequency: np.ndarray, read_as: np.ndarray) -> np.ndarray:
    """Counts of people by (lower, upper) position of their two reported alleles."""
    carried = read_as[rng.choice(len(frequency), size=(people, 2), p=frequency)]
    table_of_pairs = np.zeros((len(frequency), len(frequency)), dtype=int)
    np.add.at(table_of_pairs, (carried.min(axis=1), carried.max(axis=1)), 1)
    return table_of_pairs


def _stratum(facility_id: str, gene: GeneModel, group: str, pairs: np.ndarray, tested: int) -> pd.DataFrame:
    kind = COUNTED_AS.get(gene.gene, ResultType.DIPLOTYPE)
    if kind is ResultType.ALLELE:
        results = dict(zip(gene.alleles, pairs.sum(axis=0) + pairs.sum(axis=1), strict=True))
    elif kind is ResultType.PHENOTYPE:
        phenotype = gene.phenotype_of_classes[np.ix_(gene.class_of_allele, gene.class_of_allele)]
        results = {name: pairs[phenotype == i].sum() for i, name in enumerate(gene.phenotypes)}
    else:
        low, high = np.nonzero(pairs)
        results = {f"{gene.alleles[a]}/{gene.alleles[b]}": pairs[a, b] for a, b in zip(low, high, strict=True)}
    counted = {result: float(count) for result, count in results.items() if count}
    frame = pd.DataFrame({"result": list(counted), "count": list(counted.values())})
    return frame.assign(
        facility_id=facility_id, gene=gene.gene, result_type=kind.value, tested=tested, biogeographic_group=group
    )[["facility_id", "gene", "result_type", "result", "count", "tested", "biogeographic_group"]]


def _empty_counts() -> pd.DataFrame:
    names = ["facility_id", "gene", "result_type", "result", "count", "tested", "biogeographic_group", "as_of"]
    return pd.DataFrame({name: pd.Series(dtype=object) for name in names})


def suppressed(counted: pd.DataFrame) -> pd.DataFrame:
    """The counts as a site gives them away: 1 to the threshold minus 1 is left blank.

    >>> suppressed(pd.DataFrame({"count": [3.0, 11.0]}))["count"].tolist()
    [nan, 11.0]
    """
    small = counted["count"].between(1, SMALL_CELL_THRESHOLD - 1)
    return counted.assign(count=counted["count"].mask(small))


def assays(facility_ids: list[str]) -> pd.DataFrame:
    """The `assays` file: alleles that each testing site's assay looks for, the reference allele included."""
    testing = table("facilities").set_index("facility_id")["tested_per_1000_people"].dropna().index
    rows = []
    for facility_id in [site for site in facility_ids if site in testing]:
        for name, gene in assayed_genes().items():
            rows.append((facility_id, name, ";".join(_alleles_tested(facility_id, gene))))
    return pd.DataFrame(rows, columns=["facility_id", "gene", "alleles_tested"])
