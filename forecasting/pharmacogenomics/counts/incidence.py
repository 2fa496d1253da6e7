"""Which counted people can belong to which group of their site."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from forecasting.pharmacogenomics.counts.evidence import Evidence
from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.prevalence.ancestry import WHOLE_SITE
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclasses.dataclass(frozen=True, eq=False)
class Incidence:
    """Every count row with every stratum that its people can belong to: `row`, `stratum`, `weight` [L].

    `weight` is the stratum's share of the row's people: its share of the people served, or 1 where the row is of that
    group alone. `panel`, `panel_stratum`, `panel_weight` [M] say the same of panels.
    """

    row: Ints
    stratum: Ints
    weight: Floats
    panel: Ints
    panel_stratum: Ints
    panel_weight: Floats

    def of_rows(self, values: Floats, rows: int) -> Floats:
        """Weighted sum over the groups of each row: [L] -> [rows]."""
        return sum_by_index(self.row, self.weight * values, rows)


def sum_by_index(index: Ints, values: Floats, size: int) -> Floats:
    """Sums of values [L, ...] by position `index` [L]: [size, ...]."""
    out = np.zeros((size, *values.shape[1:]))
    np.add.at(out, index, values)
    return out


def group_incidence(prior: Prior, evidence: Evidence) -> Incidence:
    """Links of the rows and panels of `evidence` to the strata of `prior`; rows of a site without strata have none."""
    panel, stratum = _matches(evidence.panel_site, prior.site, len(evidence.facility_ids))
    group = evidence.panel_group[panel]
    is_whole_site = group == WHOLE_SITE
    may_belong = is_whole_site | (group == prior.group[stratum])
    panel, stratum, is_whole_site = panel[may_belong], stratum[may_belong], is_whole_site[may_belong]
    weight = np.where(is_whole_site, prior.share[stratum], 1.0)
    row, pair = _matches(evidence.panel, panel, len(evidence.panel_site))
    return Incidence(row, stratum[pair], weight[pair], panel, stratum, weight)


def _matches(left: Ints, right: Ints, size: int) -> tuple[Ints, Ints]:
    """All pairs of positions with equal values below `size`, in the order of `left`."""
    order = np.argsort(right, kind="stable")
    count = np.bincount(right, minlength=size)
    start = np.concatenate([[0], np.cumsum(count)])
    matches = count[left]
    left_position = np.repeat(np.arange(len(left)), matches)
    offset = np.arange(len(left_position)) - np.repeat(np.cumsum(matches) - matches, matches)
    return left_position, order[start[left][left_position] + offset]


def outcome_weights(model: GeneModel, kind: ResultType) -> Floats:
    """Share of the people with each pair of classes who have each key or phenotype, [C, C, N]."""
    return model.key_weights if kind is ResultType.LOOKUP_KEY else model.phenotype_weights
