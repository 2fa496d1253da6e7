"""How common each result is at each site: posterior, its table, and reproducible draws from it."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.evidence import collect
from forecasting.pharmacogenomics.genes import GeneModel, gene_model, sum_pairs
from forecasting.pharmacogenomics.prior import prior, site_shares
from forecasting.pharmacogenomics.update import Update, update
from forecasting.terms import SMALL_CELL_THRESHOLD, ResultType

COLUMNS = (
    *("facility_id", "gene", "result_type", "result", "mean", "low", "high"),
    *("effective_n", "share_published", "share_counts"),
)
PROBLEM_COLUMNS = ("facility_id", "gene", "problem")
INTERVAL = (0.05, 0.95)
INTERVAL_DRAWS, INTERVAL_SEED = 1000, 0

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class GenePosterior:
    """One gene's posterior over the sites in `facility_ids` (sites without usable knowledge are absent)."""

    model: GeneModel
    facility_ids: tuple[str, ...]
    state: Update

    @functools.cached_property
    def class_weights(self) -> tuple[Floats, Floats]:
        """Dirichlet parameters in allele copies: outer [S, C + 1], whose last is the called-reference block; inner
        [S, C], zeros where there is no such block."""
        state = self.state
        outside = self.model.class_frequencies(np.where(state.inner, 0.0, state.mean))
        inside = self.model.class_frequencies(np.where(state.inner, state.mean, 0.0))
        block = inside.sum(axis=1, keepdims=True)
        outer = 2 * state.people[:, None] * np.concatenate([outside, block], axis=1)
        split = np.divide(inside, block, out=np.zeros_like(inside), where=block > 0)
        return outer, 2 * np.nan_to_num(state.inner_people)[:, None] * split

    def draw(self, draws: int, seed: int) -> Floats:
        """Lookup key frequencies, [S, draws, K]; a site's numbers depend on seed, site and gene alone."""
        outer, inner = self.class_weights
        classes = np.empty((len(outer), draws, inner.shape[1]))
        for i, facility in enumerate(self.facility_ids):
            generator = np.random.default_rng(np.random.SeedSequence([seed, _stable_hash(facility, self.model.gene)]))
            top = _dirichlet(generator, outer[i], draws)
            split = _dirichlet(generator, inner[i], draws)
            classes[i] = top[:, :-1] + top[:, -1:] * split
        return sum_pairs(classes[..., :, None] * classes[..., None, :], self.model.key_weights)

    def mean_keys(self) -> Floats:
        """Posterior mean of the lookup key frequencies, [S, K], from the exact second moments of the classes."""
        outer, inner = self.class_weights
        top, within = _second_moments(outer), _second_moments(inner)
        split = _mean(inner)
        cross = top[:, :-1, -1:] * split[:, None, :]
        pairs = top[:, :-1, :-1] + cross + cross.transpose(0, 2, 1) + top[:, -1:, -1:] * within
        return sum_pairs(pairs, self.model.key_weights)


@dataclasses.dataclass(frozen=True, eq=False)
class PrevalencePosterior:
    """Posteriors of all genes asked for, and what could not be used: `problems` (facility_id, gene, problem)."""

    facility_ids: tuple[str, ...]
    by_gene: dict[str, GenePosterior]
    problems: pd.DataFrame

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """One row per site, gene, and result (allele | phenotype | lookup_key), with a 90 % equal-tailed interval.

        `effective_n` is in people. Lookup key and phenotype rows and the alleles that the assay tells apart carry the
        weight of the outer Dirichlet; alleles that the site's assay calls reference carry the smaller, published weight
        of how they share that call. These means and weights are the whole posterior: see `from_frame`.
        """
        parts = [part for gene in self.by_gene.values() for part in (_allele_rows(gene), *_result_rows(gene))]
        if not parts:
            return pd.DataFrame(columns=list(COLUMNS))
        return pd.concat(parts, ignore_index=True)[list(COLUMNS)]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, content: ReferenceContent) -> "PrevalencePosterior":
        """The posterior again from the stored rows of `frame` (the allele rows are enough)."""
        rows = frame[frame["result_type"] == ResultType.ALLELE.value]
        by_gene = {
            str(gene): _from_rows(gene_model(content, str(gene)), of_gene)
            for gene, of_gene in rows.groupby("gene", sort=False)
        }
        facilities = tuple(dict.fromkeys(frame["facility_id"]))
        return cls(facilities, by_gene, pd.DataFrame(columns=list(PROBLEM_COLUMNS)))


def posterior(
    content: ReferenceContent,
    facility_ids: Sequence[str],
    genes: Iterable[str],
    *,
    ancestry: pd.DataFrame | None,
    genotype_counts: pd.DataFrame | None = None,
    assays: pd.DataFrame | None = None,
    threshold: int = SMALL_CELL_THRESHOLD,
) -> PrevalencePosterior:
    """Allele, phenotype and lookup key frequencies per site and gene, from published and local knowledge.

    Frames as in the site bundle: `ancestry` (facility_id, biogeographic_group, share), `genotype_counts` (facility_id,
    gene, result_type, result, count, tested, optional biogeographic_group and as_of; blank count: 1 to `threshold` - 1)
    and `assays` (facility_id, gene, alleles_tested). A site whose groups have no published frequency of a gene, or
    without ancestry rows and counts, is left out of that gene and listed in `problems`: no proxy is used silently.
    Genotypes are taken to be in Hardy-Weinberg proportions within a site. An unknown gene raises `MissingContent`.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> ancestry = pd.DataFrame({"facility_id": ["A"], "biogeographic_group": ["East Asian"], "share": [1.0]})
    >>> rows = posterior(builtin_content(), ["A"], ["CYP2C19"], ancestry=ancestry).frame
    >>> float(rows.set_index("result").loc["Poor Metabolizer", "mean"].iloc[0].round(2))
    0.14
    """
    facility_ids = tuple(facility_ids)
    shares, ancestry_problems = site_shares(facility_ids, ancestry)
    by_gene: dict[str, GenePosterior] = {}
    problems: list[tuple[str, str, str]] = []
    for gene in genes:
        model = gene_model(content, gene)
        before = prior(content, model, facility_ids, shares, _counted(genotype_counts, gene, facility_ids))
        evidence = collect(model, facility_ids, genotype_counts, assays, threshold)
        after = update(model, before, evidence, threshold)
        known = np.flatnonzero(before.people > 0)
        by_gene[gene] = GenePosterior(model, tuple(facility_ids[i] for i in known), _rows_of(after, known))
        found = [*ancestry_problems, *before.problems, *evidence.problems]
        problems.extend((facility, gene, text) for facility, text in found)
    return PrevalencePosterior(facility_ids, by_gene, pd.DataFrame(problems, columns=list(PROBLEM_COLUMNS)))


def _counted(counts: pd.DataFrame | None, gene: str, facility_ids: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each site has counts of the gene, [S]."""
    sites = set() if counts is None else set(counts.loc[counts["gene"] == gene, "facility_id"])
    return np.array([facility in sites for facility in facility_ids], dtype=bool)


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
    out = np.full((len(posterior.facility_ids), draws, len(of_gene.model.keys)), np.nan)
    position = {facility: i for i, facility in enumerate(posterior.facility_ids)}
    out[[position[facility] for facility in of_gene.facility_ids]] = of_gene.draw(draws, seed)
    return out, of_gene.model.keys


def _rows_of(state: Update, sites: NDArray[np.intp]) -> Update:
    return Update(**{field.name: getattr(state, field.name)[sites] for field in dataclasses.fields(Update)})


def _allele_rows(gene: GenePosterior) -> pd.DataFrame:
    state = gene.state
    people = np.where(state.inner, state.inner_people[:, None], state.people[:, None])
    low, high = _allele_interval(state)
    counts = np.where(state.inner, 0.0, state.share_counts[:, None])
    site, allele = np.nonzero(state.mean > 0)
    cells = {"mean": state.mean, "low": low, "high": high, "effective_n": people, "share_counts": counts}
    names = np.asarray(gene.model.alleles, dtype=object)[allele]
    return _rows(gene, ResultType.ALLELE, site, names, {name: values[site, allele] for name, values in cells.items()})


def _result_rows(gene: GenePosterior) -> list[pd.DataFrame]:
    draws, means = gene.draw(INTERVAL_DRAWS, INTERVAL_SEED), gene.mean_keys()
    model = gene.model
    phenotype_of = np.array([[model.phenotype_of_key[key] == name for name in model.phenotypes] for key in model.keys])
    frames = []
    for kind, names, into in (
        (ResultType.PHENOTYPE, model.phenotypes, phenotype_of.astype(float)),
        (ResultType.LOOKUP_KEY, model.keys, np.eye(len(model.keys))),
    ):
        low, high = np.quantile(draws @ into, INTERVAL, axis=1)
        site, result = (index.ravel() for index in np.indices(low.shape))
        cells = {"mean": (means @ into)[site, result], "low": low[site, result], "high": high[site, result]}
        cells |= {"effective_n": gene.state.people[site], "share_counts": gene.state.share_counts[site]}
        frames.append(_rows(gene, kind, site, np.asarray(names, dtype=object)[result], cells))
    return frames


def _rows(
    gene: GenePosterior, kind: ResultType, site: NDArray[np.intp], names: NDArray, cells: dict[str, Floats]
) -> pd.DataFrame:
    facilities = np.asarray(gene.facility_ids, dtype=object)[site]
    labels = {"facility_id": facilities, "gene": gene.model.gene, "result_type": kind.value, "result": names}
    return pd.DataFrame({**labels, **cells, "share_published": 1 - cells["share_counts"]})


def _allele_interval(state: Update) -> tuple[Floats, Floats]:
    """Interval of each allele from the beta distribution with its mean and second moment."""
    block = np.where(state.inner, state.mean, 0.0).sum(axis=1, keepdims=True)
    base = np.where(state.inner, block, state.mean)
    second = _second_moment(base, 2 * state.people[:, None])
    within = np.divide(state.mean, base, out=np.ones_like(base), where=base > 0)
    second = second * np.where(state.inner, _second_moment(within, 2 * state.inner_people[:, None]), 1.0)
    variance = second - state.mean**2
    sound = (state.mean > 0) & (state.mean < 1) & (variance > 0)
    mean, spread = np.where(sound, state.mean, 0.5), np.where(sound, variance, 0.01)
    copies = mean * (1 - mean) / spread - 1
    low, high = (stats.beta.ppf(level, mean * copies, (1 - mean) * copies) for level in INTERVAL)
    return np.where(sound, low, state.mean), np.where(sound, high, state.mean)


def _second_moment(mean: Floats, copies: Floats) -> Floats:
    return mean * (mean * copies + 1) / (copies + 1)


def _mean(alpha: Floats) -> Floats:
    total = alpha.sum(axis=1, keepdims=True)
    return np.divide(alpha, total, out=np.zeros_like(alpha), where=total > 0)


def _second_moments(alpha: Floats) -> Floats:
    """E[p_i p_j] of Dirichlet rows: [S, C] -> [S, C, C]; zeros for a row of zeros."""
    total, mean = alpha.sum(axis=1)[:, None, None], _mean(alpha)
    diagonal = np.eye(alpha.shape[1]) * mean[:, :, None]
    return (total * mean[:, :, None] * mean[:, None, :] + diagonal) / (total + 1)


def _dirichlet(generator: np.random.Generator, alpha: Floats, draws: int) -> Floats:
    """Dirichlet draws [draws, C] where parameters may be zero; all zeros stay zeros."""
    gammas = generator.standard_gamma(alpha, size=(draws, len(alpha)))
    total = gammas.sum(axis=1, keepdims=True)
    fallback = np.broadcast_to(alpha / max(alpha.sum(), 1e-300), gammas.shape)
    return np.divide(gammas, total, out=fallback.copy(), where=total > 0)


def _stable_hash(facility: str, gene: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{facility}\x1f{gene}".encode(), digest_size=8).digest())


def _from_rows(model: GeneModel, rows: pd.DataFrame) -> GenePosterior:
    facilities = tuple(dict.fromkeys(rows["facility_id"]))
    site = pd.Categorical(rows["facility_id"], categories=list(facilities)).codes
    allele = [model.index_of(name) for name in rows["result"]]
    shape = (len(facilities), len(model.alleles))
    mean, people, counts = np.zeros(shape), np.full(shape, np.nan), np.full(shape, np.nan)
    mean[site, allele], people[site, allele] = rows["mean"], rows["effective_n"]
    counts[site, allele] = rows["share_counts"]
    outer = np.nanmax(people, axis=1)
    inner = people < outer[:, None] * (1 - 1e-9)
    smallest = np.nanmin(people, axis=1)
    state = Update(
        mean=mean,
        people=outer,
        inner=inner,
        inner_people=np.where(inner.any(axis=1), smallest, np.nan),
        share_counts=np.nanmax(counts, axis=1),
    )
    return GenePosterior(model, facilities, state)
