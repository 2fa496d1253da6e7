"""The genotypes of the invented sites: what is true of the people served, and what a laboratory counted of it.

Allele frequencies of the groups are published ones (`tables/alleles.csv`); how far a site departs from its groups is
invented. Only common alleles are simulated, each with an assigned function, so nobody is indeterminate. The phenotype
rules here are plain counts of functions on purpose: they are a second implementation that tests can hold against
`forecasting.pharmacogenomics`.
"""

import dataclasses
import datetime as dt
from functools import cache

import numpy as np
import pandas as pd

from forecasting.demo.tables import stream, table
from forecasting.terms import SMALL_CELL_THRESHOLD, ResultType

ACTIVITY_SCORED = ("CYP2D6", "CYP2C9", "DPYD")
COUNTED_AS = {"CYP2D6": ResultType.PHENOTYPE, "VKORC1": ResultType.ALLELE}
STRATIFIED = ("H01", "CYP2C19")
"""The one site and gene whose counts are given per biogeographic group."""
SITE_CONCENTRATION = 800.0
"""Alleles that a group's published frequency is worth at one site: how much the invented sites vary."""


@dataclasses.dataclass(frozen=True)
class Gene:
    """The simulated alleles of a gene: names, and the lookup key and phenotype of each pair."""

    name: str
    alleles: tuple[str, ...]
    reference: int
    keys: np.ndarray
    phenotypes: np.ndarray

    @property
    def key_names(self) -> list[str]:
        """Lookup keys that some pair of alleles leads to, sorted."""
        return sorted(set(self.keys.ravel()))


@cache
def genes() -> dict[str, Gene]:
    """The simulated genes by name.

    >>> gene = genes()["CYP2C19"]
    >>> str(gene.keys[gene.alleles.index("*2"), gene.alleles.index("*17")])
    'Intermediate Metabolizer'
    """
    return {str(name): _gene(str(name), rows) for name, rows in table("alleles").groupby("gene", sort=False)}


def _gene(name: str, rows: pd.DataFrame) -> Gene:
    function = rows["allele_function"].to_numpy()
    activity = rows["activity_value"].to_numpy(dtype=float)
    pairs = [(a, b) for a in range(len(rows)) for b in range(len(rows))]
    if name in ACTIVITY_SCORED:
        keys = [str(float(activity[a] + activity[b])) for a, b in pairs]
        phenotypes = [_scored_phenotype(float(key)) for key in keys] if name == "CYP2D6" else keys
    else:
        keys = [_counted_key(name, [function[a], function[b]]) for a, b in pairs]
        phenotypes = keys
    shape = (len(rows), len(rows))
    reference = int(np.flatnonzero(rows["is_reference"])[0])
    return Gene(name, tuple(rows["allele"]), reference, np.reshape(keys, shape), np.reshape(phenotypes, shape))


def _counted_key(gene: str, functions: list[str]) -> str:
    low = sum(function in ("no", "decreased") for function in functions)
    high = functions.count("increased")
    if gene == "VKORC1":
        return f"-1639 {('GG', 'AG', 'AA')[low]}"
    if gene == "SLCO1B1":
        return f"{('Normal', 'Decreased', 'Poor')[low]} Function"
    word = ("", "Intermediate", "Poor")[low] or ("Normal", "Rapid", "Ultrarapid")[high]
    return f"{word} Metabolizer"


def _scored_phenotype(score: float) -> str:
    """CYP2D6 phenotype of an activity score (Caudle et al. 2020, doi:10.1111/cts.12692)."""
    bounds = [(0.0, "Poor"), (1.0, "Intermediate"), (2.25, "Normal")]
    return f"{next((word for bound, word in bounds if score <= bound), 'Ultrarapid')} Metabolizer"


@dataclasses.dataclass(frozen=True)
class SiteGenotypes:
    """True allele frequencies per gene, shape (sites, groups, alleles), and the groups' shares (sites, groups)."""

    facility_ids: tuple[str, ...]
    groups: tuple[str, ...]
    shares: np.ndarray
    frequencies: dict[str, np.ndarray]

    def key_shares(self, gene: str) -> np.ndarray:
        """Share of the people of each site and group by lookup key, shape (sites, groups, keys), Hardy-Weinberg."""
        frequency = self.frequencies[gene]
        pairs = frequency[..., :, None] * frequency[..., None, :]
        keys = genes()[gene].keys
        return np.stack([(pairs * (keys == name)).sum(axis=(-2, -1)) for name in genes()[gene].key_names], axis=-1)


def site_genotypes(facility_ids: list[str], seed: int) -> SiteGenotypes:
    """The genotypes of the people served by each site: published group frequencies with site variation."""
    ancestry = table("ancestry").set_index(["facility_id", "biogeographic_group"])["share"].unstack()  # noqa: PD010
    groups = tuple(column for column in table("alleles").columns if column in ancestry.columns)
    shares = ancestry.reindex(index=facility_ids, columns=list(groups)).fillna(0.0).to_numpy()
    rng = stream(seed, 1)
    frequencies = {}
    for name, rows in table("alleles").groupby("gene", sort=False):
        draws = rng.gamma(
            SITE_CONCENTRATION * _published(rows, groups), size=(len(facility_ids), len(groups), len(rows))
        )
        frequencies[str(name)] = draws / draws.sum(axis=-1, keepdims=True)
    return SiteGenotypes(tuple(facility_ids), groups, shares, frequencies)


def _published(rows: pd.DataFrame, groups: tuple[str, ...]) -> np.ndarray:
    """Frequencies (groups, alleles). Where a group has no published value the simulation assumes the European one."""
    values = rows[list(groups)].apply(lambda column: column.fillna(rows["European"]))
    reference = rows["is_reference"].to_numpy(dtype=bool)
    frequency = values.to_numpy(dtype=float).T.copy()
    frequency[:, reference] = 1.0 - np.nansum(frequency[:, ~reference], axis=1, keepdims=True)
    return frequency


def prevalence(sites: SiteGenotypes) -> pd.DataFrame:
    """True share of the people served by lookup key: `facility_id, gene, lookup_key, share`."""
    frames = []
    for name, gene in genes().items():
        share = np.einsum("sg,sgk->sk", sites.shares, sites.key_shares(name))
        wide = pd.DataFrame(share, index=list(sites.facility_ids), columns=gene.key_names)
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
        for name in genes():
            people = int(tested[facility_id] * rng.uniform(0.55, 1.0))
            frames.append(_site_counts(sites, site, name, people, rng))
    if not frames:
        return _empty_counts()
    counted = pd.concat(frames, ignore_index=True)
    counted["as_of"] = pd.Timestamp(as_of) - pd.Timedelta(days=14)
    return counted


def _site_counts(sites: SiteGenotypes, site: int, name: str, people: int, rng: np.random.Generator) -> pd.DataFrame:
    """Counts of one site and gene, over all groups or per group."""
    facility_id, gene = sites.facility_ids[site], genes()[name]
    per_group = rng.multinomial(people, sites.shares[site])
    read_as = _read_as(facility_id, gene)
    people_of = zip(per_group, sites.frequencies[name][site], strict=True)
    pairs = np.stack([_tested_pairs(rng, int(number), frequency, read_as) for number, frequency in people_of])
    strata = [("*", pairs.sum(axis=0), people)]
    if (facility_id, name) == STRATIFIED:
        strata = [(group, pairs[g], int(per_group[g])) for g, group in enumerate(sites.groups) if per_group[g]]
    return pd.concat([_stratum(facility_id, gene, *stratum) for stratum in strata], ignore_index=True)


def _read_as(facility_id: str, gene: Gene) -> np.ndarray:
    """Position of the allele that each allele is reported as by the site's assay."""
    untested = table("untested").query("facility_id == @facility_id and gene == @gene.name")["allele"].tolist()
    return np.array([gene.reference if allele in untested else i for i, allele in enumerate(gene.alleles)])


def _tested_pairs(rng: np.random.Generator, people: int, frequency: np.ndarray, read_as: np.ndarray) -> np.ndarray:
    """Counts of people by (lower, upper) position of their two reported alleles."""
    carried = read_as[rng.choice(len(frequency), size=(people, 2), p=frequency)]
    table_of_pairs = np.zeros((len(frequency), len(frequency)), dtype=int)
    np.add.at(table_of_pairs, (carried.min(axis=1), carried.max(axis=1)), 1)
    return table_of_pairs


def _stratum(facility_id: str, gene: Gene, group: str, pairs: np.ndarray, tested: int) -> pd.DataFrame:
    kind = COUNTED_AS.get(gene.name, ResultType.DIPLOTYPE)
    if kind is ResultType.ALLELE:
        results = dict(zip(gene.alleles, pairs.sum(axis=0) + pairs.sum(axis=1), strict=True))
    elif kind is ResultType.PHENOTYPE:
        results = {name: pairs[gene.phenotypes == name].sum() for name in sorted(set(gene.phenotypes.ravel()))}
    else:
        low, high = np.nonzero(pairs)
        results = {f"{gene.alleles[a]}/{gene.alleles[b]}": pairs[a, b] for a, b in zip(low, high, strict=True)}
    seen = {result: float(count) for result, count in results.items() if count}
    frame = pd.DataFrame({"result": list(seen), "count": list(seen.values())})
    return frame.assign(
        facility_id=facility_id, gene=gene.name, result_type=kind.value, tested=tested, biogeographic_group=group
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
    untested = set(table("untested").itertuples(index=False, name=None))
    testing = table("facilities").set_index("facility_id")["tested_per_1000_people"].dropna().index
    rows = []
    for facility_id in [one for one in facility_ids if one in testing]:
        for name, gene in genes().items():
            tested = [allele for allele in gene.alleles if (facility_id, name, allele) not in untested]
            rows.append((facility_id, name, ";".join(tested)))
    return pd.DataFrame(rows, columns=["facility_id", "gene", "alleles_tested"])
