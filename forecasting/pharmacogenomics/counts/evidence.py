"""A site's genotype counts, read as observations of the alleles that its assay can tell apart."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Floats, Indices
from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.genes.alleles import allele_pair
from forecasting.pharmacogenomics.genes.carriers import carriers_as_copies
from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.genes.traits import Counting
from forecasting.pharmacogenomics.prevalence.ancestry import GROUPS, WHOLE_SITE
from forecasting.terms import ALL_GROUPS, ResultType

Problems = list[tuple[str, str]]

SINGLE = -1
"""In place of the second allele of somebody with one copy of the gene."""

PREFERENCE = (ResultType.DIPLOTYPE, ResultType.ALLELE, ResultType.LOOKUP_KEY, ResultType.PHENOTYPE)
"""Of several descriptions of the same people only the one that says most is used."""

COUNT_COLUMNS = ("facility_id", "result_type", "result", "count", "tested", "group")
PANEL = ["facility_id", "group"]
NO_LIST = "no assay list: only alleles that its results name count as tested"
TOO_MANY = "counts left out: they add up to more than the people tested, or are negative"


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """Counts of one gene over sites, one entry per row R; rows of the same people make one of B panels.

    `kind` [R] a `ResultType`; `first`, `second` [R] indices of alleles (allele rows: the same twice; somebody with one
    copy: the second is `SINGLE`) or, in `first`, of the lookup key or phenotype; `count` [R] people, or copies for
    allele rows, NaN if suppressed; `trials` [R] people or copies looked at; `panel` [R] index of the panel.
    `panel_site` [B] index of the site, `panel_group` [B] of the biogeographic group, `WHOLE_SITE` where people of all
    groups were counted together. `called` [S, A] index of the allele that the site's assay reports for each allele;
    `assayed` [S] whether it was said or seen what a site tests.
    """

    facility_ids: tuple[str, ...]
    kind: NDArray[np.str_]
    first: Indices
    second: Indices
    count: Floats
    trials: Floats
    panel: Indices
    panel_site: Indices
    panel_group: Indices
    called: Indices
    assayed: NDArray[np.bool_]
    problems: Problems

    @property
    def site(self) -> Indices:
        """Index of the site of each row, [R]."""
        return self.panel_site[self.panel]

    def of(self, *kinds: ResultType) -> NDArray[np.bool_]:
        """Which rows are of these kinds, shape [R]."""
        return np.isin(self.kind, [kind.value for kind in kinds])

    def keep(self, rows: NDArray[np.bool_]) -> "Evidence":
        """The evidence of some of the rows [R]."""
        fields = {name: getattr(self, name)[rows] for name in ("kind", "first", "second", "count", "trials", "panel")}
        return dataclasses.replace(self, **fields)


def collect_evidence(
    model: GeneModel,
    facility_ids: Sequence[str],
    genotype_counts: pd.DataFrame | None,
    assays: pd.DataFrame | None,
    threshold: int,
    shares: Floats,
) -> Evidence:
    """The usable counts of one gene, with what had to be left out or assumed as (facility_id, problem).

    Per site the latest `as_of` and the most telling result type are used. Counts given by biogeographic group inform
    that group; a site whose ancestry `shares` [S, 9] are not known has no groups, and they are taken together. A site
    without an assay list is taken to test the alleles that its own results name (all of them when it reports phenotypes
    only), and the problem says so.
    """
    problems: Problems = []
    site_of = {facility: i for i, facility in enumerate(facility_ids)}
    rows = _rows_of(model.gene, site_of, genotype_counts)
    rows = carriers_as_copies(model, rows) if model.traits.counting is Counting.CARRIERS else rows
    rows = _of_best_type(rows, problems)
    rows = _of_groups(rows, shares, problems)
    rows = _with_indices(model, rows, problems)
    rows = _with_reference(model, _not_too_many(rows, problems), threshold)
    called, assayed = _called(model, site_of, rows, assays, problems)
    panel = np.asarray(rows.groupby(PANEL, sort=False).ngroup(), dtype=np.intp)
    _, start = np.unique(panel, return_index=True)
    return Evidence(
        facility_ids=tuple(facility_ids),
        kind=rows["result_type"].to_numpy(dtype=str),
        first=rows["first"].to_numpy(dtype=np.intp),
        second=rows["second"].to_numpy(dtype=np.intp),
        count=rows["count"].to_numpy(dtype=float),
        trials=rows["trials"].to_numpy(dtype=float),
        panel=panel,
        panel_site=rows["site"].to_numpy(dtype=np.intp)[start],
        panel_group=rows["group"].to_numpy(dtype=np.intp)[start],
        called=called,
        assayed=assayed,
        problems=problems,
    )


def _rows_of(gene: str, site_of: dict[str, int], genotype_counts: pd.DataFrame | None) -> pd.DataFrame:
    if genotype_counts is None or not len(genotype_counts):
        return pd.DataFrame(columns=[*COUNT_COLUMNS, "site"])
    rows = genotype_counts[(genotype_counts["gene"] == gene) & genotype_counts["facility_id"].isin(list(site_of))]
    rows = rows.assign(count=pd.to_numeric(rows["count"]), tested=pd.to_numeric(rows["tested"]))
    if rows["tested"].isna().any():
        raise InvalidInput(f"genotype counts of {gene} need the number of people tested in every row")
    if "as_of" in rows and rows["as_of"].notna().any():
        latest = rows.groupby("facility_id")["as_of"].transform("max")
        rows = rows[rows["as_of"].isna() | (rows["as_of"] == latest)]
    group = rows["biogeographic_group"].fillna(ALL_GROUPS) if "biogeographic_group" in rows else ALL_GROUPS
    rows = rows.assign(group=group, site=rows["facility_id"].map(site_of).astype(np.intp))
    return rows[[*COUNT_COLUMNS, "site"]].reset_index(drop=True)


def _of_best_type(rows: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    rank = rows["result_type"].map({kind.value: place for place, kind in enumerate(PREFERENCE)}).astype(float)
    best = rank.groupby(rows["facility_id"]).transform("min")
    for facility, kinds in rows[best.isna()].groupby("facility_id")["result_type"]:
        problems.append((str(facility), f"unknown result types: {', '.join(sorted(set(kinds)))}"))
    for site, place in best[rank > best].groupby(rows["facility_id"]).first().items():
        used = PREFERENCE[int(place)].value
        problems.append((str(site), f"several result types: only {used} counts are used"))
    return rows[rank == best]


def _of_groups(rows: pd.DataFrame, shares: Floats, problems: Problems) -> pd.DataFrame:
    """Rows with `group` as an index. Of a whole site and its groups, the groups are used."""
    rows = rows.reset_index(drop=True)
    group_index = rows["group"].map(
        {**{name: g for g, name in enumerate(GROUPS)}, ALL_GROUPS: WHOLE_SITE, "": WHOLE_SITE}
    )
    site = rows["site"].to_numpy(dtype=np.intp)
    group = group_index.fillna(WHOLE_SITE).to_numpy(dtype=np.intp)
    has_ancestry = shares[site].sum(axis=1) > 0
    is_unserved = group_index.isna() | (has_ancestry & (group != WHOLE_SITE) & (shares[site, group] <= 0))
    for facility, groups in rows[is_unserved].groupby("facility_id")["group"]:
        names = ", ".join(sorted(set(groups)))
        problems.append((str(facility), f"counts left out: {names} is not among the groups that the site serves"))
    rows = rows.assign(group=np.where(has_ancestry, group, WHOLE_SITE))
    by_group = ((rows["group"] != WHOLE_SITE) & ~is_unserved).groupby(rows["facility_id"]).transform("any").astype(bool)
    is_repeated = by_group & (rows["group"] == WHOLE_SITE) & ~is_unserved
    for facility in rows.loc[is_repeated, "facility_id"].unique():
        problems.append((str(facility), "counts of the whole site left out: they are given by group too"))
    rows = rows[~is_unserved & ~is_repeated]
    # groups of a site without ancestry are taken together: the people tested are those of all of them
    pooled = ~has_ancestry[rows.index]
    tested = rows.assign(name=group_index[rows.index]).drop_duplicates(["facility_id", "name"])
    total = rows["facility_id"].map(tested.groupby("facility_id")["tested"].sum())
    return rows.assign(tested=rows["tested"].where(~pooled, total))


def _with_indices(model: GeneModel, rows: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Rows with the indices of their results and the people or copies looked at; unknown results are left out."""
    code, distinct = pd.MultiIndex.from_frame(rows[["result_type", "result"]]).factorize()
    indices = [_indices(model, ResultType(kind), str(result)) for kind, result in distinct]
    pairs = np.array(indices, dtype=np.intp).reshape(-1, 2)
    is_known = pairs[code, 0] >= 0
    for facility, results in rows[~is_known].groupby("facility_id")["result"]:
        names = ", ".join(sorted({str(result) for result in results}))
        problems.append((str(facility), f"results left out, not in the reference content: {names}"))
    pairs_of_rows, rows = pairs[code[is_known]], rows[is_known]
    copies = np.where(rows["result_type"] == ResultType.ALLELE.value, model.copies_per_person, 1.0)
    return rows.assign(first=pairs_of_rows[:, 0], second=pairs_of_rows[:, 1], trials=rows["tested"] * copies)


UNKNOWN = (-1, -1)


def _indices(model: GeneModel, kind: ResultType, result: str) -> tuple[int, int]:
    """Indices of a result's alleles, or of the key or phenotype; `UNKNOWN` if the model does not have it."""
    if kind is ResultType.LOOKUP_KEY:
        return (model.keys.index(result), 0) if result in model.keys else UNKNOWN
    if kind is ResultType.PHENOTYPE:
        return (model.phenotypes.index(result), 0) if result in model.phenotypes else UNKNOWN
    one_copy = model.share_with_one_copy > 0
    names = allele_pair(result, model.alleles, one_copy=one_copy) if kind is ResultType.DIPLOTYPE else (result.strip(),)
    if not set(names) <= set(model.alleles):
        return UNKNOWN
    first = model.index_of(names[0])
    if len(names) == 2:
        return first, model.index_of(names[1])
    return first, SINGLE if kind is ResultType.DIPLOTYPE else first


def _not_too_many(rows: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Rows without the sites that count more results than people, or a negative number."""
    least = rows["count"].fillna(1.0).groupby([rows[name] for name in PANEL]).transform("sum")
    most = rows.groupby(PANEL)["trials"].transform("max")
    refused = rows.loc[(least > most) | (rows["count"] < 0), "facility_id"].unique()
    problems.extend((str(facility), TOO_MANY) for facility in refused)
    return rows[~rows["facility_id"].isin(refused)]


def _with_reference(model: GeneModel, rows: pd.DataFrame, threshold: int) -> pd.DataFrame:
    """Allele counts with the copies that carry none of the listed alleles as reference, where no row states them.

    Copies behind a suppressed row count as half the threshold here.
    """
    reference = model.index_of(model.reference)
    alleles = rows[rows["result_type"] == ResultType.ALLELE.value]
    stated = (alleles["first"] == reference).groupby([alleles[name] for name in PANEL]).transform("any").astype(bool)
    lacking = alleles[~stated]
    counted = lacking["count"].fillna(threshold / 2).groupby([lacking[name] for name in PANEL]).transform("sum")
    remainder = (lacking.groupby(PANEL)["trials"].transform("max") - counted).clip(lower=0.0)
    added = lacking.assign(first=reference, second=reference, result=model.reference, count=remainder)
    return pd.concat([rows, added.drop_duplicates(PANEL)], ignore_index=True)


def _called(
    model: GeneModel, site_of: dict[str, int], rows: pd.DataFrame, assays: pd.DataFrame | None, problems: Problems
) -> tuple[Indices, NDArray[np.bool_]]:
    """Index of the allele that each site's assay reports for each allele, [S, A], and whether an assay is known [S]."""
    tested = np.zeros((len(site_of), len(model.alleles)), dtype=bool)
    listed = _listed(model, site_of, assays, tested, problems)
    by_allele = rows["result_type"].isin([ResultType.ALLELE.value, ResultType.DIPLOTYPE.value])
    for column in ("first", "second"):
        named = rows[by_allele & (rows[column] != SINGLE)]
        tested[named["site"].astype(np.intp), named[column].astype(np.intp)] = True
    counted = np.zeros(len(site_of), dtype=bool)
    counted[rows["site"].astype(np.intp)] = True
    facilities = list(site_of)
    problems.extend((facilities[int(i)], NO_LIST) for i in np.flatnonzero(counted & ~listed))
    by_name = np.zeros(len(site_of), dtype=bool)
    by_name[rows.loc[by_allele, "site"].astype(np.intp)] = True
    tested[~listed & ~by_name] = True
    return np.where(tested, np.arange(len(model.alleles)), model.index_of(model.reference)), listed | by_name


def _listed(
    model: GeneModel,
    site_of: dict[str, int],
    assays: pd.DataFrame | None,
    tested: NDArray[np.bool_],
    problems: Problems,
) -> NDArray[np.bool_]:
    """Marks the alleles of the assay lists in `tested`; which sites have a list, [S]."""
    listed = np.zeros(len(site_of), dtype=bool)
    if assays is None:
        return listed
    of_gene = assays[(assays["gene"] == model.gene) & assays["facility_id"].isin(list(site_of))]
    for text, sites in of_gene.groupby("alleles_tested")["facility_id"]:
        names = {name.strip() for name in str(text).split(";")} - {""}
        unknown = sorted(names - set(model.alleles))
        rows = np.array([site_of[str(facility)] for facility in sites])
        listed[rows] = True
        columns = np.array([model.index_of(name) for name in sorted(names.difference(unknown))], dtype=np.intp)
        tested[rows[:, None], columns] = True
        if unknown:
            problem = f"the assay lists unknown alleles: {', '.join(unknown)}"
            problems.extend((str(facility), problem) for facility in sites)
    return listed
