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
class Links:
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
        return summed(self.row, self.weight * values, rows)


def summed(at: Ints, values: Floats, size: int) -> Floats:
    """Sums of values [L, ...] by position `at` [L]: [size, ...]."""
    out = np.zeros((size, *values.shape[1:]))
    np.add.at(out, at, values)
    return out


def links(prior: Prior, evidence: Evidence) -> Links:
    """Links of the rows and panels of `evidence` to the strata of `prior`; rows of a site without strata have none."""
    panel, stratum = _matches(evidence.panel_site, prior.site, len(evidence.facility_ids))
    group = evidence.panel_group[panel]
    whole = group == WHOLE_SITE
    fits = whole | (group == prior.group[stratum])
    panel, stratum, whole = panel[fits], stratum[fits], whole[fits]
    weight = np.where(whole, prior.share[stratum], 1.0)
    row, link = _matches(evidence.panel, panel, len(evidence.panel_site))
    return Links(row, stratum[link], weight[link], panel, stratum, weight)


def _matches(left: Ints, right: Ints, size: int) -> tuple[Ints, Ints]:
    """All pairs of positions with equal values below `size`, in the order of `left`."""
    order = np.argsort(right, kind="stable")
    number = np.bincount(right, minlength=size)
    start = np.concatenate([[0], np.cumsum(number)])
    times = number[left]
    first = np.repeat(np.arange(len(left)), times)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(times) - times, times)
    return first, order[start[left][first] + offset]


def outcome_weights(model: GeneModel, kind: ResultType) -> Floats:
    """Share of the people with each pair of classes who have each key or phenotype, [C, C, N]."""
    return model.key_weights if kind is ResultType.LOOKUP_KEY else model.phenotype_weights
