"""What published frequencies say about a site before its own counts: a Dirichlet over alleles per site."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.errors import InvalidInput
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.effective_size import EVERY_GROUP, LEAST_PEOPLE
from forecasting.pharmacogenomics.genes import GeneModel
from forecasting.terms import ALL_FACILITIES, BiogeographicGroup

Floats = NDArray[np.float64]
GROUPS = tuple(group.value for group in BiogeographicGroup)

UNINFORMED_PEOPLE = 1.0
"""Weight of the published frequencies at a site whose ancestry is not known."""

LEFT_OUT = "no ancestry shares, so no published frequencies apply: gene left out"
COUNTS_DECIDE = "no ancestry shares: all groups in equal parts weigh as one person, the site's own counts decide"


@dataclasses.dataclass(frozen=True, eq=False)
class Prior:
    """Dirichlet priors of one gene: `mean` [S, A], weight in `people` [S] (0: nothing known), problems per site."""

    mean: Floats
    people: Floats
    problems: list[tuple[str, str]]


def site_shares(facility_ids: Sequence[str], ancestry: pd.DataFrame | None) -> tuple[Floats, list[tuple[str, str]]]:
    """Ancestry shares [S, 9] in the order of `GROUPS`; a row of zeros for a site without any; problems per site.

    Shares that do not sum to 1 are scaled and reported; an unknown group or a negative share raises `InvalidInput`.
    """
    shares = np.zeros((len(facility_ids), len(GROUPS)))
    problems: list[tuple[str, str]] = []
    if ancestry is not None and len(ancestry):
        site_of = {facility: i for i, facility in enumerate(facility_ids)}
        rows = ancestry[ancestry["facility_id"].isin(list(site_of))]
        wrong = rows[~rows["biogeographic_group"].isin(GROUPS) | ~(rows["share"] >= 0)]
        if len(wrong):
            row = wrong.iloc[0]
            raise InvalidInput(
                f"ancestry of {row['facility_id']}: {row['biogeographic_group']} with share {row['share']} is not "
                "one of CPIC's groups with a share of 0 or more"
            )
        sites = [site_of[facility] for facility in rows["facility_id"]]
        np.add.at(shares, (sites, [GROUPS.index(group) for group in rows["biogeographic_group"]]), rows["share"])
    totals = shares.sum(axis=1)
    for facility, total in zip(facility_ids, totals, strict=True):
        if total > 0 and abs(total - 1) > 1e-6:
            problems.append((facility, f"ancestry shares sum to {total:.4g} and were scaled to 1"))
    return np.divide(shares, totals[:, None], out=np.zeros_like(shares), where=totals[:, None] > 0), problems


def prior(
    content: ReferenceContent,
    model: GeneModel,
    facility_ids: Sequence[str],
    shares: Floats,
    counted: NDArray[np.bool_],
) -> Prior:
    """Prior mean and weight per site from its ancestry shares [S, 9]; `counted` [S]: has counts of the gene itself.

    Mean: group frequencies weighted by the shares. An allele that a group does not report has no frequency of its own
    there: its mass already sits in the reference allele, which takes the remainder of the group (CPIC's own
    arithmetic). Groups without any frequency of the gene are left out, the others stand in, the weight shrinks by the
    share left out, and the site's problem says so.

    Weight: the variance of each group is that of its effective size and of the people it was measured on,
    `1 / n = 1 / effective size + 1 / n_subjects`; over groups variances are averaged by share (no credit for
    independent groups), `1 / n_site = sum share / n_group`.

    A site without ancestry shares has no published frequencies. If it counted the gene itself, all groups in equal
    parts weigh as much as `UNINFORMED_PEOPLE`, so that its own counts decide; that is one of its problems.
    """
    table, sizes, reported, problems = _group_table(content, model)
    unknown = shares.sum(axis=1) == 0
    shares = np.where((unknown & counted)[:, None], 1 / len(GROUPS), shares)
    for i in np.flatnonzero(unknown):
        problems.append((facility_ids[int(i)], COUNTS_DECIDE if counted[i] else LEFT_OUT))
    covered = shares @ reported
    weights = np.divide(shares * reported, covered[:, None], out=np.zeros_like(shares), where=covered[:, None] > 0)
    inverse = weights @ (1 / sizes)
    people = np.divide(covered, inverse, out=np.zeros_like(covered), where=inverse > 0)
    people = np.where(unknown, np.minimum(people, UNINFORMED_PEOPLE), people)
    for i in np.flatnonzero((shares.sum(axis=1) > 0) & ~unknown & (covered < 1 - 1e-9)):
        absent = ", ".join(name for g, name in enumerate(GROUPS) if shares[i, g] > 0 and not reported[g])
        effect = "gene left out" if covered[i] <= 0 else "the other groups stand in at less weight"
        problems.append(
            (facility_ids[int(i)], f"no published frequencies for {1 - covered[i]:.0%} ({absent}): {effect}")
        )
    return Prior(weights @ table, people, problems)


def _group_table(
    content: ReferenceContent, model: GeneModel
) -> tuple[Floats, Floats, NDArray[np.bool_], list[tuple[str, str]]]:
    """Allele frequencies [9, A] with the remainder in the reference, people per group [9], which groups report."""
    rows = content.allele_frequency[content.allele_frequency["gene"] == model.gene]
    known = rows["allele"].isin(model.alleles)
    problems = []
    if not known.all():
        names = ", ".join(sorted(set(rows.loc[~known, "allele"])))
        problems.append((ALL_FACILITIES, f"alleles of unknown function count as reference: {names}"))
    rows = rows[known & rows["frequency"].notna()]
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
