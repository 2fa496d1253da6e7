"""The table of prevalence: rows from one gene's posterior, and the posterior from its rows."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from forecasting.arrays import Floats, Indices
from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.prevalence.ancestry import GROUPS, WHOLE_SITE
from forecasting.pharmacogenomics.prevalence.gene_posterior import GenePosterior
from forecasting.pharmacogenomics.prevalence.update import StrataPosterior
from forecasting.terms import ALL_GROUPS, ResultType

COLUMNS = (
    *("facility_id", "gene", "biogeographic_group", "ancestry_share", "result_type", "result", "mean", "low", "high"),
    *("effective_n", "share_published", "share_counts"),
)
INTERVAL = (0.05, 0.95)
INTERVAL_DRAWS, INTERVAL_SEED = 1000, 0


def site_rows(gene: GenePosterior) -> pd.DataFrame:
    """What is true of all people served by each site: phenotypes, lookup keys, alleles."""
    return pd.concat([_site_allele_rows(gene), *_result_rows(gene)], ignore_index=True)[list(COLUMNS)]


def _result_rows(gene: GenePosterior) -> list[pd.DataFrame]:
    draws, means = gene.draw(INTERVAL_DRAWS, INTERVAL_SEED), gene.mean_keys()
    model, (people, counts) = gene.model, _site_people(gene)
    phenotype_of = np.array([[model.phenotype_of_key[key] == name for name in model.phenotypes] for key in model.keys])
    frames = []
    for kind, names, into in (
        (ResultType.PHENOTYPE, model.phenotypes, phenotype_of.astype(float)),
        (ResultType.LOOKUP_KEY, model.keys, None),
    ):
        values = draws if into is None else draws @ into
        low, high = np.quantile(values, INTERVAL, axis=1)
        site, result = np.nonzero(~np.isnan(low))
        mean = means if into is None else means @ into
        cells = {"mean": mean[site, result], "low": low[site, result], "high": high[site, result]}
        cells |= {"effective_n": people[site], "share_counts": counts[site]}
        frames.append(_rows(gene, kind, site, np.asarray(names, dtype=object)[result], cells))
    return frames


def _site_people(gene: GenePosterior) -> tuple[Floats, Floats]:
    """People that each site's estimate is worth, and the share of them that its own counts make, [S]."""
    people = gene.effective_people(gene.state.people)
    prior_people = gene.effective_people(np.maximum(gene.state.people - gene.state.counted, 1e-9))
    return people, np.clip(1 - prior_people / people, 0.0, 1.0)


def _site_allele_rows(gene: GenePosterior) -> pd.DataFrame:
    state, (_, counts) = gene.state, _site_people(gene)
    mean = gene.of_sites(state.mean)
    variance = gene.sums(_variance(state) * state.share[:, None] ** 2)
    block_people = np.where(state.inner, state.inner_people[:, None], state.people[:, None])
    effective_n = 1 / gene.sums(state.share[:, None] ** 2 / block_people)
    has_untested = gene.sums(state.inner.astype(float)) > 0
    low, high = _beta_interval(mean, variance)
    site, allele = np.nonzero(mean > 0)
    cells = {"mean": mean, "low": low, "high": high, "effective_n": effective_n}
    cells |= {"share_counts": np.where(has_untested, 0.0, counts[:, None])}
    names = np.asarray(gene.model.alleles, dtype=object)[allele]
    return _rows(gene, ResultType.ALLELE, site, names, {name: values[site, allele] for name, values in cells.items()})


def group_rows(gene: GenePosterior) -> pd.DataFrame:
    """Alleles among the people of each group of each site.

    A site whose ancestry is not known has none: the rows of the whole site say it already.
    """
    state = gene.state
    people = np.where(state.inner, state.inner_people[:, None], state.people[:, None])
    counts = np.where(state.inner, 0.0, (state.counted / state.people)[:, None])
    low, high = _beta_interval(state.mean, _variance(state))
    stratum, allele = np.nonzero((state.mean > 0) & (state.group != WHOLE_SITE)[:, None])
    cells = {"mean": state.mean, "low": low, "high": high, "effective_n": people, "share_counts": counts}
    names = np.asarray(gene.model.alleles, dtype=object)[allele]
    columns = {name: values[stratum, allele] for name, values in cells.items()}
    rows = _rows(gene, ResultType.ALLELE, state.site[stratum], names, columns)
    group = np.asarray(GROUPS, dtype=object)[state.group[stratum]]
    return rows.assign(biogeographic_group=group, ancestry_share=state.share[stratum])[list(COLUMNS)]


def _rows(
    gene: GenePosterior, kind: ResultType, site: Indices, names: NDArray, cells: dict[str, Floats]
) -> pd.DataFrame:
    facilities = np.asarray(gene.facility_ids, dtype=object)[site]
    labels = {"facility_id": facilities, "gene": gene.model.gene, "biogeographic_group": ALL_GROUPS}
    labels |= {"ancestry_share": 1.0, "result_type": kind.value, "result": names}
    return pd.DataFrame({**labels, **cells, "share_published": 1 - cells["share_counts"]})


def _variance(state: StrataPosterior) -> Floats:
    """Variance of each allele's frequency in each stratum, [N, A]."""
    block = np.where(state.inner, state.mean, 0.0).sum(axis=1, keepdims=True)
    base = np.where(state.inner, block, state.mean)
    second = _second_moment(base, 2 * state.people[:, None])
    within = np.divide(state.mean, base, out=np.ones_like(base), where=base > 0)
    second = second * np.where(state.inner, _second_moment(within, 2 * state.inner_people[:, None]), 1.0)
    return np.asarray(second - state.mean**2)


def _beta_interval(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Interval from the beta distribution of this mean and variance."""
    has_density = (mean > 0) & (mean < 1) & (variance > 0)
    centre, spread = np.where(has_density, mean, 0.5), np.where(has_density, variance, 0.01)
    copies = centre * (1 - centre) / spread - 1
    low, high = mean.copy(), mean.copy()
    for end, level in ((low, INTERVAL[0]), (high, INTERVAL[1])):
        end[has_density] = stats.beta.ppf(level, (centre * copies)[has_density], ((1 - centre) * copies)[has_density])
    return low, high


def _second_moment(mean: Floats, copies: Floats) -> Floats:
    return mean * (mean * copies + 1) / (copies + 1)


def state_of_rows(model: GeneModel, rows: pd.DataFrame) -> tuple[tuple[str, ...], StrataPosterior]:
    """The facilities and the posterior that allele rows of one gene were made from."""
    facilities = tuple(dict.fromkeys(rows["facility_id"]))
    by_group = rows["biogeographic_group"] != ALL_GROUPS
    rows = rows[by_group | ~rows["facility_id"].isin(rows.loc[by_group, "facility_id"].unique())]
    code = {**{name: g for g, name in enumerate(GROUPS)}, ALL_GROUPS: WHOLE_SITE}
    group = rows["biogeographic_group"].map(code).to_numpy(dtype=np.intp)
    site = pd.Categorical(rows["facility_id"], categories=list(facilities)).codes.astype(np.intp)
    keys, stratum = np.unique(np.column_stack([site, group]), axis=0, return_inverse=True)
    stratum = stratum.reshape(-1)
    allele = [model.index_of(name) for name in rows["result"]]
    shape = (len(keys), len(model.alleles))
    mean, people, counts, share = np.zeros(shape), np.full(shape, np.nan), np.full(shape, np.nan), np.ones(len(keys))
    mean[stratum, allele], people[stratum, allele] = rows["mean"], rows["effective_n"]
    counts[stratum, allele], share[stratum] = rows["share_counts"], rows["ancestry_share"]
    outer, smallest = np.nanmax(people, axis=1), np.nanmin(people, axis=1)
    inner = people < outer[:, None] * (1 - 1e-9)
    state = StrataPosterior(
        site=keys[:, 0],
        group=keys[:, 1],
        share=share,
        mean=mean,
        people=outer,
        counted=outer * np.nanmax(counts, axis=1),
        inner=inner,
        inner_people=np.where(inner.any(axis=1), smallest, np.nan),
    )
    return facilities, state
