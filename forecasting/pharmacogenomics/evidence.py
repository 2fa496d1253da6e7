"""A site's genotype counts, read as observations of the alleles that its assay can tell apart."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.alleles import called_as, parse_diplotype
from forecasting.pharmacogenomics.genes import GeneModel
from forecasting.terms import ResultType

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

PREFERENCE = (ResultType.DIPLOTYPE, ResultType.ALLELE, ResultType.LOOKUP_KEY, ResultType.PHENOTYPE)
"""Of several descriptions of the same people only the one that says most is used."""


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """Counts of one gene over sites, one entry per row R.

    `site` [R] index of the site; `kind` [R] a `ResultType`; `first`, `second` [R] indices of alleles (allele rows: the
    same twice) or, in `first`, of the lookup key or phenotype; `count` [R] people, or copies for allele rows, NaN if
    suppressed; `trials` [R] people or copies looked at; `panel` [R] numbers the site and group whose rows share them.
    `called` [S, A] index of the allele that the site's assay
    reports for each allele.
    """

    facility_ids: tuple[str, ...]
    site: Ints
    kind: NDArray[np.str_]
    first: Ints
    second: Ints
    count: Floats
    trials: Floats
    panel: Ints
    called: Ints
    problems: list[tuple[str, str]]

    def of(self, *kinds: ResultType) -> NDArray[np.bool_]:
        """Which rows are of these kinds, shape [R]."""
        return np.isin(self.kind, [kind.value for kind in kinds])


def collect(
    model: GeneModel,
    facility_ids: Sequence[str],
    genotype_counts: pd.DataFrame | None,
    assays: pd.DataFrame | None,
    threshold: int,
) -> Evidence:
    """The usable counts of one gene, with what had to be left out or assumed as (facility_id, problem).

    Per site the latest `as_of` and the most telling result type are used; rows of different biogeographic groups are
    summed. A site without an assay list is taken to test the alleles that its own results name (all of them when it
    reports phenotypes only), and the problem says so.
    """
    problems: list[tuple[str, str]] = []
    site_of = {facility: i for i, facility in enumerate(facility_ids)}
    rows = _rows_of(model.gene, site_of, genotype_counts)
    tested = _tested(model, assays, problems)
    called = np.tile(np.arange(len(model.alleles)), (len(facility_ids), 1))
    parts: list[pd.DataFrame] = []
    for facility, of_site in rows.groupby("facility_id", sort=False):
        usable = _usable(model, str(facility), of_site, threshold, problems)
        if not len(usable):
            continue
        named = _named(model, usable)
        listed = tested.get(str(facility))
        if listed is None:
            problems.append((str(facility), "no assay list: only alleles that its results name count as tested"))
            listed = named if named else set(model.alleles)
        called[site_of[str(facility)]] = called_as(model.alleles, model.reference, listed | named)
        parts.append(usable)
    used = pd.concat(parts, ignore_index=True) if parts else rows.assign(first=0, second=0).iloc[:0]
    return _as_evidence(used, site_of, called, problems)


def _rows_of(gene: str, site_of: dict[str, int], genotype_counts: pd.DataFrame | None) -> pd.DataFrame:
    columns = ["facility_id", "result_type", "result", "count", "tested", "group"]
    if genotype_counts is None or not len(genotype_counts):
        return pd.DataFrame(columns=columns)
    rows = genotype_counts[(genotype_counts["gene"] == gene) & genotype_counts["facility_id"].isin(list(site_of))]
    rows = rows.assign(count=pd.to_numeric(rows["count"]), tested=pd.to_numeric(rows["tested"]))
    if rows["tested"].isna().any():
        raise InvalidInput(f"genotype counts of {gene} need the number of people tested in every row")
    if "as_of" in rows and rows["as_of"].notna().any():
        latest = rows.groupby("facility_id")["as_of"].transform("max")
        rows = rows[rows["as_of"].isna() | (rows["as_of"] == latest)]
    group = rows["biogeographic_group"].fillna("") if "biogeographic_group" in rows else ""
    return rows.assign(group=group)[columns]


def _tested(model: GeneModel, assays: pd.DataFrame | None, problems: list[tuple[str, str]]) -> dict[str, set[str]]:
    if assays is None:
        return {}
    tested: dict[str, set[str]] = {}
    of_gene = assays[assays["gene"] == model.gene]
    for facility, text in zip(of_gene["facility_id"], of_gene["alleles_tested"], strict=True):
        names = {name.strip() for name in str(text).split(";")} - {""}
        unknown = sorted(names - set(model.alleles))
        if unknown:
            problems.append((str(facility), f"the assay lists unknown alleles: {', '.join(unknown)}"))
        tested[str(facility)] = names & set(model.alleles)
    return tested


def _usable(
    model: GeneModel, facility: str, rows: pd.DataFrame, threshold: int, problems: list[tuple[str, str]]
) -> pd.DataFrame:
    """Rows of the most telling type with the indices of their results; a site that over-counts is left out."""
    present = [kind for kind in PREFERENCE if (rows["result_type"] == kind.value).any()]
    if not present:
        problems.append((facility, f"unknown result types: {', '.join(sorted(set(rows['result_type'])))}"))
        return rows.iloc[:0]
    if len(present) > 1:
        problems.append((facility, f"several result types: only {present[0].value} counts are used"))
    rows = rows[rows["result_type"] == present[0].value]
    pairs = [_indices(model, present[0], str(result)) for result in rows["result"]]
    unknown = sorted({str(result) for result, pair in zip(rows["result"], pairs, strict=True) if pair is None})
    if unknown:
        problems.append((facility, f"results left out, not in the reference content: {', '.join(unknown)}"))
    known = [pair is not None for pair in pairs]
    rows = rows[known].assign(first=[p[0] for p in pairs if p], second=[p[1] for p in pairs if p])
    copies = 2.0 if present[0] is ResultType.ALLELE else 1.0
    rows = rows.assign(trials=rows["tested"] * copies)
    filled = rows["count"].fillna(1.0).groupby(rows["group"]).sum()
    if (filled > rows.groupby("group")["trials"].max()).any() or (rows["count"] < 0).any():
        problems.append((facility, "counts left out: they add up to more than the people tested, or are negative"))
        return rows.iloc[:0]
    return _with_reference(model, rows, threshold) if present[0] is ResultType.ALLELE else rows


def _indices(model: GeneModel, kind: ResultType, result: str) -> tuple[int, int] | None:
    if kind is ResultType.LOOKUP_KEY:
        return (model.keys.index(result), 0) if result in model.keys else None
    if kind is ResultType.PHENOTYPE:
        return (model.phenotypes.index(result), 0) if result in model.phenotypes else None
    names = parse_diplotype(result) if kind is ResultType.DIPLOTYPE else (result.strip(), result.strip())
    if not set(names) <= set(model.alleles):
        return None
    return model.index_of(names[0]), model.index_of(names[1])


def _with_reference(model: GeneModel, rows: pd.DataFrame, threshold: int) -> pd.DataFrame:
    """Allele counts with the copies that carry none of the listed alleles as reference, where no row states them.

    Copies behind a suppressed row count as half the threshold here.
    """
    reference = model.index_of(model.reference)
    added = []
    for group, of_group in rows.groupby("group"):
        if (of_group["first"] == reference).any():
            continue
        rest = of_group["trials"].max() - of_group["count"].fillna(threshold / 2).sum()
        row = of_group.iloc[[0]].assign(first=reference, second=reference, result=model.reference, group=group)
        added.append(row.assign(count=max(rest, 0.0)))
    return pd.concat([rows, *added], ignore_index=True)


def _named(model: GeneModel, rows: pd.DataFrame) -> set[str]:
    if not rows["result_type"].isin([ResultType.ALLELE.value, ResultType.DIPLOTYPE.value]).any():
        return set()
    return {model.alleles[i] for i in {*rows["first"], *rows["second"]}}


def _as_evidence(
    rows: pd.DataFrame, site_of: dict[str, int], called: Ints, problems: list[tuple[str, str]]
) -> Evidence:
    trials = rows["trials"] if "trials" in rows else rows["tested"]
    return Evidence(
        facility_ids=tuple(site_of),
        site=np.array([site_of[facility] for facility in rows["facility_id"]], dtype=np.intp),
        kind=rows["result_type"].to_numpy(dtype=str),
        first=rows["first"].to_numpy(dtype=np.intp),
        second=rows["second"].to_numpy(dtype=np.intp),
        count=rows["count"].to_numpy(dtype=float),
        trials=trials.to_numpy(dtype=float),
        panel=np.asarray(rows.groupby(["facility_id", "group"]).ngroup(), dtype=np.intp),
        called=called,
        problems=problems,
    )


def censored_mean(trials: Floats, probability: Floats, threshold: int) -> Floats:
    """Expected count behind a suppressed cell: a binomial count known to lie between 1 and `threshold` - 1.

    >>> censored_mean(np.array([1000.0]), np.array([0.5]), 11).round(2).tolist()
    [9.99]
    >>> censored_mean(np.array([1000.0]), np.array([0.0001]), 11).round(2).tolist()
    [1.05]
    """
    values = np.arange(1, threshold)
    chance = np.clip(probability, 1e-9, 1 - 1e-9)[:, None]
    log_mass = stats.binom.logpmf(values, np.maximum(trials, threshold)[:, None], chance)
    mass = np.exp(log_mass - log_mass.max(axis=1, keepdims=True))
    return (mass @ values) / mass.sum(axis=1)


def fill_suppressed(evidence: Evidence, chances: Floats, threshold: int) -> Floats:
    """Counts [R] with suppressed ones at their expectation, given the probability of each row's result [R].

    The people tested who are in no stated count are in the suppressed cells: where that number is possible (between 1
    and `threshold` - 1 for each), what the expectations hold above 1 is scaled to meet it; else part of them had no
    result, and the expectations stand.
    """
    count = evidence.count.copy()
    hidden = np.isnan(count)
    if not hidden.any():
        return count
    expected = censored_mean(evidence.trials[hidden], chances[hidden], threshold)
    panel = evidence.panel[hidden]
    size = int(evidence.panel.max()) + 1
    cells, above = np.bincount(panel, minlength=size), np.bincount(panel, expected - 1, size)
    stated = np.bincount(evidence.panel, np.nan_to_num(count), size)
    trials = np.zeros(size)
    np.maximum.at(trials, evidence.panel, evidence.trials)
    rest = trials - stated - cells
    possible = (rest >= 0) & (rest <= cells * (threshold - 2)) & (above > 0)
    scale = np.where(possible, rest / np.where(above > 0, above, 1.0), 1.0)
    count[hidden] = np.minimum(1 + (expected - 1) * scale[panel], threshold - 1)
    return count
