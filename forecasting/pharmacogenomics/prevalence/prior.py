"""What published frequencies say about a site before its own counts: a Dirichlet over alleles per site and group."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Floats, Indices
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.counts.evidence import Evidence
from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.prevalence.ancestry import GROUPS, WHOLE_SITE
from forecasting.terms import ALL_FACILITIES

EVERY_GROUP = "all"
"""In place of a group in the table of effective sizes: a group of the gene without a size of its own."""

LEAST_PEOPLE = 10.0
"""Effective size of a gene without any, the least that the table holds."""

UNINFORMED_PEOPLE = 1.0
"""Weight of the published frequencies of all groups where a site's own counts have to decide."""

ONLY_COUNTS = "only the site's own counts of the alleles that it tests say anything"
LEFT_OUT = "no ancestry shares, so no published frequencies apply: gene left out"
COUNTS_DECIDE = "no ancestry shares: all groups in equal parts weigh as one person, the site's own counts decide"


@dataclasses.dataclass(frozen=True, eq=False)
class Prior:
    """Dirichlet priors of one gene, one for each group of a site: N strata in the order of their sites.

    `site` [N]; `group` [N] index into `GROUPS`, `WHOLE_SITE` where the ancestry is not known; `share` [N] of the
    people served, summing to 1 within a site; `mean` [N, A]; weight in `people` [N]. A site without any stratum has
    no usable knowledge. `problems` are (facility_id, text).
    """

    site: Indices
    group: Indices
    share: Floats
    mean: Floats
    people: Floats
    problems: list[tuple[str, str]]


def build_prior(
    content: ReferenceContent,
    model: GeneModel,
    facility_ids: Sequence[str],
    shares: Floats,
    evidence: Evidence,
    people: Floats | None = None,
) -> Prior:
    """One stratum for each group that a site serves, with the group's published frequencies and their weight.

    Mean: the group's frequencies. An allele that a group does not report has no frequency of its own there: its mass
    already sits in the reference allele, which takes the remainder of the group (CPIC's own arithmetic).

    Weight: the variance is that of the group's effective size (how far sites of a group differ) and of the people it
    was measured on, `1 / people = 1 / effective size + 1 / n_subjects`.

    Groups without any frequency of the gene are left out, the site's other groups stand in, all weights shrink by the
    share left out, and a problem says so. Only where a site counted people of such a group by themselves, or where no
    group of a site has frequencies and the site counted, do all published groups in equal parts stand in, worth
    `UNINFORMED_PEOPLE`, so that the counts decide; that too is a problem. For a gene without any published frequencies
    the alleles that the site tests stand in, in equal parts, and of the others nothing is known.
    """
    table, sizes, reported, problems = group_table(content, model)
    sizes = sizes if people is None else people
    counted = _counted_groups(evidence, len(facility_ids))
    is_served = shares > 0
    is_informed = is_served & (reported | counted[:, :-1])
    covered = np.where(is_informed, shares, 0.0).sum(axis=1)
    counts_alone = (covered <= 0) & counted.any(axis=1)
    problems += _gaps(model, facility_ids, shares, is_informed, reported, counts_alone)
    site, group = np.nonzero(np.column_stack([is_informed, counts_alone]))
    fallback_mean = table[reported].mean(axis=0) if reported.any() else _tested_in_equal_parts(evidence.called)[site]
    is_whole_site = group == len(GROUPS)
    group_index = np.where(is_whole_site, 0, group)
    informed = ~is_whole_site & reported[group_index]
    share = np.where(is_whole_site, 1.0, shares[site, group_index] / np.where(covered > 0, covered, 1.0)[site])
    return Prior(
        site=site,
        group=np.where(is_whole_site, WHOLE_SITE, group),
        share=share,
        mean=np.where(informed[:, None], table[group_index], fallback_mean),
        people=np.where(informed, sizes[group_index] * covered[site], UNINFORMED_PEOPLE),
        problems=problems,
    )


def _tested_in_equal_parts(called: NDArray[np.intp]) -> Floats:
    tested = (called == np.arange(called.shape[1])).astype(float)
    return tested / tested.sum(axis=1, keepdims=True)


def _counted_groups(evidence: Evidence, sites: int) -> NDArray[np.bool_]:
    """Which groups each site counted by themselves, [S, 10]; the last column: without regard to groups."""
    counted = np.zeros((sites, len(GROUPS) + 1), dtype=bool)
    counted[evidence.panel_site, evidence.panel_group] = True
    return counted


def _gaps(
    model: GeneModel,
    facility_ids: Sequence[str],
    shares: Floats,
    is_informed: NDArray[np.bool_],
    reported: NDArray[np.bool_],
    counts_alone: NDArray[np.bool_],
) -> list[tuple[str, str]]:
    """What each site lacks in published frequencies, in words."""
    problems = []
    missing = (shares > 0) & ~reported
    for i in np.flatnonzero(missing.any(axis=1) | (shares.sum(axis=1) <= 0)):
        facility = facility_ids[int(i)]
        if not (shares[i] > 0).any():
            problems.append((facility, COUNTS_DECIDE if counts_alone[i] else LEFT_OUT))
            continue
        if not reported.any():
            reason = model.traits.no_frequency or "no frequencies are published"
            problems.append(
                (facility, f"{reason}: {ONLY_COUNTS if counts_alone[i] or is_informed[i].any() else 'gene left out'}")
            )
            continue
        absent = ", ".join(GROUPS[g] for g in np.flatnonzero(missing[i]))
        effect = "the other groups stand in at less weight"
        if not is_informed[i].any():
            effect = "the site's own counts decide" if counts_alone[i] else "gene left out"
        elif is_informed[i][missing[i]].all():
            effect = "the counts of these people decide"
        share = shares[i][missing[i]].sum()
        problems.append((facility, f"no published frequencies for {share:.0%} ({absent}): {effect}"))
    return problems


def group_table(
    content: ReferenceContent, model: GeneModel
) -> tuple[Floats, Floats, NDArray[np.bool_], list[tuple[str, str]]]:
    """Allele frequencies [9, A] with the remainder in the reference, people per group [9], which groups report."""
    rows = content.allele_frequency[content.allele_frequency["gene"] == model.gene]
    is_known = rows["allele"].isin(model.alleles)
    problems = []
    if not is_known.all():
        names = ", ".join(sorted(set(rows.loc[~is_known, "allele"])))
        problems.append((ALL_FACILITIES, f"alleles of unknown function count as reference: {names}"))
    rows = rows[is_known & rows["frequency"].notna()]
    rows = rows[rows["allele"].map(model.counts_beside_reference).astype(bool)]
    group = np.array([GROUPS.index(name) for name in rows["biogeographic_group"]], dtype=np.intp)
    allele = np.array([model.index_of(name) for name in rows["allele"]], dtype=np.intp)
    table = np.zeros((len(GROUPS), len(model.alleles)))
    table[group, allele] = rows["frequency"]
    reported = np.isin(np.arange(len(GROUPS)), group)
    reference = model.index_of(model.reference)
    table[reported, reference] = np.clip(1 - np.delete(table, reference, axis=1).sum(axis=1)[reported], 0, None)
    table[reported] /= table[reported].sum(axis=1, keepdims=True)
    return table, _group_people(content, model.gene, rows), reported, problems


def _group_people(content: ReferenceContent, gene: str, rows: pd.DataFrame) -> Floats:
    sizes = content.group_effective_size
    of_gene = sizes[sizes["gene"] == gene].set_index("biogeographic_group")["effective_size"]
    usual = float(of_gene.get(EVERY_GROUP, LEAST_PEOPLE))
    spread = of_gene.reindex(list(GROUPS)).fillna(usual).to_numpy(dtype=float)
    measured = rows.groupby("biogeographic_group")["n_subjects"].max().reindex(list(GROUPS)).to_numpy(dtype=float)
    return 1 / (1 / spread + np.nan_to_num(1 / measured))
