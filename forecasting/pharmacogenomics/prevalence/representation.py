"""Whose genotypes an estimate rests on, against the people a site serves."""

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Floats
from forecasting.pharmacogenomics.prevalence.ancestry import GROUPS, WHOLE_SITE, site_shares
from forecasting.pharmacogenomics.prevalence.gene_posterior import GenePosterior
from forecasting.terms import ALL_GROUPS, Basis

THIN_PEOPLE = 30.0
"""Evidence worth fewer people is thin: a 90 % interval of a frequency of 0.2 is then wider than plus or minus 0.08."""

THIN_STAND_IN, THIN_UNTESTED = 0.10, 0.02
"""So is that of a site where others stand in for a tenth of the people served, or where alleles that change the
phenotype and make up a fiftieth of all copies are not looked for."""

NOTICEABLE = 0.0005
"""Alleles expected to be rarer are not listed as untested."""

ROUNDED_TO = 10.0
"""Effective sizes are rounded to ten people, so that no small count can be computed from them."""

COLUMNS = (
    *("facility_id", "gene", "biogeographic_group", "share_served", "effective_n", "basis"),
    *("alleles_not_tested", "untested_share", "thin"),
)


def representation(gene: GenePosterior, ancestry: pd.DataFrame | None, assays: pd.DataFrame | None) -> pd.DataFrame:
    """One row per site and group served, and one for the whole site (group `*`), with the columns `COLUMNS`.

    `share_served` is the group's share of the people served, NaN where the ancestry is not known; `effective_n` the
    people that the estimate of its frequencies is worth, to the nearest ten; `basis` what it rests on: the site's own
    `counts` beside what is published, what is `published` alone, other groups that `stand_in`. `alleles_not_tested`
    (`;`-separated, commonest first) are those that change the phenotype and that the site's assay does not look for,
    `untested_share` their share of all copies; None and NaN where no assay list is known.

    >>> from forecasting.pharmacogenomics.content import builtin_content
    >>> from forecasting.pharmacogenomics.prevalence.posterior import SiteRecords, prevalence_posterior
    >>> ancestry = pd.DataFrame({"facility_id": "A", "biogeographic_group": ["European"], "share": [1.0]})
    >>> state = prevalence_posterior(builtin_content(), ["A"], ["CYP2C19"], SiteRecords(ancestry))
    >>> representation(state.by_gene["CYP2C19"], ancestry, None)[["biogeographic_group", "basis"]].values.tolist()
    [['*', 'published'], ['European', 'published']]
    """
    shares, _ = site_shares(gene.facility_ids, ancestry)
    rows = pd.concat([_sites(gene, shares), _groups(gene, shares)], ignore_index=True)
    untested = _untested(gene, assays)
    rows = rows.join(untested, on="facility_id")
    thin = (rows["effective_n"] < THIN_PEOPLE) | (rows["stand_in"] >= THIN_STAND_IN)
    rows["thin"] = thin | (rows["untested_share"] >= THIN_UNTESTED)
    rows["effective_n"] = (rows["effective_n"] / ROUNDED_TO).round() * ROUNDED_TO
    order = ["facility_id", "biogeographic_group"]
    return rows.assign(gene=gene.model.gene).sort_values(order, ignore_index=True)[list(COLUMNS)]


def _sites(gene: GenePosterior, shares: Floats) -> pd.DataFrame:
    state = gene.state
    counted = gene.sums(state.counted) > 0
    has_group = np.zeros_like(shares)
    named = state.group != WHOLE_SITE
    has_group[state.site[named], state.group[named]] = 1.0
    stand_in = (shares * (1 - has_group)).sum(axis=1)
    unknown = shares.sum(axis=1) <= 0
    return pd.DataFrame(
        {
            "facility_id": np.asarray(gene.facility_ids, dtype=object),
            "biogeographic_group": ALL_GROUPS,
            "share_served": np.where(unknown, np.nan, 1.0),
            "effective_n": gene.effective_people(state.people),
            "basis": _basis(counted),
            "stand_in": stand_in,
        }
    )


def _groups(gene: GenePosterior, shares: Floats) -> pd.DataFrame:
    """Rows of the groups served; groups without frequencies of their own have nobody, others stand in for them."""
    state = gene.state
    people, counted = np.zeros_like(shares), np.zeros(shares.shape, dtype=bool)
    named = state.group != WHOLE_SITE
    people[state.site[named], state.group[named]] = state.people[named]
    counted[state.site[named], state.group[named]] = state.counted[named] > 0
    site, group = np.nonzero(shares > 0)
    has_people = people[site, group] > 0
    return pd.DataFrame(
        {
            "facility_id": np.asarray(gene.facility_ids, dtype=object)[site],
            "biogeographic_group": np.asarray(GROUPS, dtype=object)[group],
            "share_served": shares[site, group],
            "effective_n": people[site, group],
            "basis": np.where(has_people, _basis(counted[site, group]), Basis.STAND_IN.value),
            "stand_in": 0.0,
        }
    )


def _basis(counted: NDArray[np.bool_]) -> NDArray:
    return np.where(counted, Basis.COUNTS.value, Basis.PUBLISHED.value)


def _untested(gene: GenePosterior, assays: pd.DataFrame | None) -> pd.DataFrame:
    """`alleles_not_tested` and `untested_share` by facility_id, of sites whose assay list is known."""
    model, mean = gene.model, gene.of_sites(gene.state.mean)
    changes_phenotype = model.class_of_allele != model.class_of_allele[model.index_of(model.reference)]
    lists = {} if assays is None else _lists(assays, model.gene)
    untested: dict[str, tuple[str | None, float]] = {}
    for i, facility in enumerate(gene.facility_ids):
        if facility not in lists:
            continue
        missing = changes_phenotype & ~np.isin(np.asarray(model.alleles), lists[facility])
        listed = np.flatnonzero(missing & (mean[i] >= NOTICEABLE))
        names = [model.alleles[a] for a in listed[np.argsort(-mean[i][listed], kind="stable")]]
        untested[facility] = (";".join(names) or None, float(mean[i][missing].sum()))
    columns = ["alleles_not_tested", "untested_share"]
    frame = pd.DataFrame.from_dict(untested, orient="index", columns=columns)
    return frame.astype({"alleles_not_tested": object, "untested_share": float})


def _lists(assays: pd.DataFrame, gene: str) -> dict[str, list[str]]:
    rows = assays[assays["gene"] == gene]
    return {
        str(facility): [name.strip() for name in str(text).split(";")]
        for facility, text in zip(rows["facility_id"], rows["alleles_tested"], strict=True)
    }


@dataclasses.dataclass(frozen=True, eq=False)
class VariedKeys:
    """Lookup key frequencies `keys` [N, draws, K] as one source of uncertainty at a time varies: at the site number
    `site` [N] the frequencies of the group `group` [N] alone, or those of all its groups (`*`)."""

    site: NDArray[np.intp]
    group: NDArray[np.object_]
    keys: Floats


def varied_keys(gene: GenePosterior, draws: int, seed: int) -> VariedKeys:
    """The frequencies of all sites: all groups drawn together, and each named group with the others at their means."""
    state = gene.state
    deviation = state.share[:, None, None] * (gene.draw_groups(draws, seed) - gene.group_mean_keys()[:, None, :])
    mean = gene.mean_keys()
    named_strata = np.flatnonzero(state.group != WHOLE_SITE)
    all_groups = mean[:, None, :] + gene.sums(deviation)
    single_groups = mean[state.site[named_strata]][:, None, :] + deviation[named_strata]
    return VariedKeys(
        site=np.concatenate([np.arange(len(mean)), state.site[named_strata]]),
        group=np.concatenate(
            [
                np.full(len(mean), ALL_GROUPS, dtype=object),
                np.asarray(GROUPS, dtype=object)[state.group[named_strata]],
            ]
        ),
        keys=np.concatenate([all_groups, single_groups]),
    )
