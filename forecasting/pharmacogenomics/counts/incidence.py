"""Which counted people can belong to which group of their site."""

import dataclasses

import numpy as np

from forecasting.arrays import Floats, Indices, sum_by_index
from forecasting.pharmacogenomics.counts.evidence import Evidence
from forecasting.pharmacogenomics.genes.gene_model import GeneModel
from forecasting.pharmacogenomics.prevalence.ancestry import WHOLE_SITE
from forecasting.pharmacogenomics.prevalence.prior import Prior
from forecasting.terms import ResultType


@dataclasses.dataclass(frozen=True, eq=False)
class Incidence:
    """Every count row with every stratum that its people can belong to: `row`, `stratum`, `weight` [L].

    `weight` is the stratum's share of the row's people: its share of the people served, or 1 where the row is of that
    group alone. `panel`, `panel_stratum`, `panel_weight` [M] say the same of panels.
    """

    row: Indices
    stratum: Indices
    weight: Floats
    panel: Indices
    panel_stratum: Indices
    panel_weight: Floats

    def of_rows(self, values: Floats, rows: int) -> Floats:
        """Weighted sum over the groups of each row: [L] -> [rows]."""
        return sum_by_index(self.row, self.weight * values, rows)


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


def _matches(first: Indices, second: Indices, size: int) -> tuple[Indices, Indices]:
    """All pairs of positions with equal values below `size`, in the order of `first`."""
    order = np.argsort(second, kind="stable")
    count = np.bincount(second, minlength=size)
    start = np.concatenate([[0], np.cumsum(count)])
    matches = count[first]
    first_position = np.repeat(np.arange(len(first)), matches)
    offset = np.arange(len(first_position)) - np.repeat(np.cumsum(matches) - matches, matches)
    return first_position, order[start[first][first_position] + offset]


def outcome_weights(model: GeneModel, kind: ResultType) -> Floats:
    """Share of the people with each pair of classes who have each key or phenotype, [C, C, N]."""
    return model.key_weights if kind is ResultType.LOOKUP_KEY else model.phenotype_weights
