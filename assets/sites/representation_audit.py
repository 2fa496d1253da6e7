"""Whose genotypes a site's forecasts rest on, and what their uncertainty moves, measured on draws."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.dagster_io.run_tables import RunTables
from assets.sites.content import Knowledge, SiteGroup
from assets.sites.genetics import Genetics, share_male
from forecasting.pharmacogenomics.guidance.probabilities import joint_lookup_keys
from forecasting.pharmacogenomics.prevalence import representation as science
from forecasting.pharmacogenomics.prevalence.gene_posterior import GenePosterior
from forecasting.pharmacogenomics.prevalence.posterior import PrevalencePosterior
from forecasting.regimens.sensitivity import interval_ends, units_per_share
from forecasting.regimens.therapy import TherapyAtSite
from forecasting.terms import NO_RESULT
from warehouse.schema.representation import Representation
from warehouse.store import column_names

AUDIT_DRAWS = 200
"""As many as a plan has sample paths: 5 % quantiles of fewer draws would rest on too few."""

DAYS_A_WEEK = 7

SITES_AT_ONCE = 200
"""Bounds the memory of the draws."""

COLUMNS = column_names(Representation)

NUMBERS = ("share_moved", "share_moved_low", "share_moved_high", "packs_per_week")


AUDIT_INPUTS = ("ancestry", "assays", "baseline_forecasts")
"""Tables that the audit reads beside those of the genetics."""


def audit_rows(content: Knowledge, genetics: Genetics, tables: RunTables) -> pd.DataFrame:
    """Rows of `representation`, by site, drug, gene and ancestry group."""
    weekly = _weekly_demand(tables["baseline_forecasts"], tables.run)
    pack_size = tables["products"].set_index("product_id")["pack_size"].astype(float).to_dict()
    parts = []
    for group in content.groups:
        for first in range(0, len(group.facility_ids), SITES_AT_ONCE):
            sites = group.facility_ids[first : first + SITES_AT_ONCE]
            part = _Audit(group, sites, tables, weekly, pack_size).rows(genetics.by_site)
            parts += [part] if len(part) else []
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    order = ["facility_id", "drug", "gene", "biogeographic_group"]
    return frame.assign(as_of=tables.run.as_of)[COLUMNS].sort_values(order, ignore_index=True)


def _weekly_demand(baseline: pd.DataFrame, run: PlanningRun) -> Mapping[Any, float]:
    """Mean demand a week over the horizon by site and product, in dose units."""
    weekly = baseline.groupby(["facility_id", "product_id"])["mean"].mean() * DAYS_A_WEEK / run.period.mean_days
    return weekly.to_dict()


@dataclasses.dataclass(frozen=True)
class _Audit:
    """The audit of sites that rest on the same releases: gene by gene and drug by drug, over all the sites at once."""

    group: SiteGroup
    facility_ids: tuple[str, ...]
    tables: RunTables
    weekly: Mapping[Any, float]
    pack_size: Mapping[Any, float]

    def rows(self, therapies: dict[str, list[TherapyAtSite]]) -> pd.DataFrame:
        """Rows of every site, drug, gene and ancestry group."""
        prevalence = self.tables["prevalence"]
        of_sites = prevalence[prevalence["facility_id"].isin(self.facility_ids)]
        posterior = PrevalencePosterior.from_frame(of_sites, self.group.content, share_male(self.tables["facilities"]))
        by_drug = self._by_drug(therapies)
        if not posterior.by_gene or not by_drug:
            return pd.DataFrame(columns=COLUMNS)
        evidence = pd.concat(
            [
                science.representation(gene, self.tables["ancestry"], self.tables["assays"])
                for gene in posterior.by_gene.values()
            ]
        )
        estimates = _Estimates(
            posterior, {gene: _with_no_result(of_gene.mean_keys()) for gene, of_gene in posterior.by_gene.items()}
        )
        numbers = []
        for gene, drugs in _by_gene(self._guidance, by_drug).items():
            varied = science.varied_keys(posterior.by_gene[gene], AUDIT_DRAWS, self.tables.run.seed)
            for drug in drugs:
                numbers += self._drug(drug, gene, by_drug[drug], estimates, varied)
        about = ["facility_id", "drug", "gene", "biogeographic_group"]
        effects = pd.DataFrame(numbers, columns=[*about, *NUMBERS])
        drugs_and_genes = effects[about[:3]].drop_duplicates()
        return drugs_and_genes.merge(evidence, on=["facility_id", "gene"]).merge(effects, on=about, how="left")

    def _by_drug(self, therapies: dict[str, list[TherapyAtSite]]) -> dict[str, dict[str, "_Therapy"]]:
        """Drug -> site -> its therapy, of the drugs of the guidance in force."""
        drug_of = self._guidance["drug"].to_dict()
        by_drug: dict[str, dict[str, _Therapy]] = {}
        for site in self.facility_ids:
            for therapy in therapies.get(site, []):
                drugs = np.array([drug_of.get(row, "") for row in therapy.row_ids], dtype=object)
                of_site = self._therapy(site, therapy, drugs)
                for drug in sorted(set(drugs) - {""}):
                    # therapies of past guidance come first: the last is the one in force
                    by_drug.setdefault(drug, {})[site] = of_site
        return by_drug

    def _therapy(self, site: str, therapy: TherapyAtSite, drugs: np.ndarray) -> "_Therapy":
        places = [(site, product) for product in therapy.product_ids]
        baseline = np.array([self.weekly.get(place, 0.0) for place in places])
        size = np.array([self.pack_size[product] for product in therapy.product_ids])
        packs = units_per_share(therapy, baseline) / size
        share = np.array([self._population_share.get((site, row), 0.0) for row in therapy.row_ids])
        # parts of one row are of the same patients
        moving = (therapy.mean_delta != 0).any(axis=(1, 2))
        first = np.zeros(len(moving), dtype=bool)
        first[np.unique(np.where(moving, np.array(therapy.row_ids, dtype=object), ""), return_index=True)[1]] = True
        # rows of people who lack a test are for everybody: the share of people moved is that of the fully tested
        keys = self._guidance.reindex(therapy.row_ids)[["lookup_key_1", "lookup_key_2"]]
        tested = (keys != NO_RESULT).all(axis=1).to_numpy()
        weights = np.column_stack([(moving & first & tested).astype(float), packs[:, (packs != 0).any(axis=0)]])
        return _Therapy(np.array(therapy.row_ids, dtype=object), drugs, weights * share[:, None])

    def _drug(
        self,
        drug: str,
        gene: str,
        sites: dict[str, "_Therapy"],
        estimates: "_Estimates",
        varied: science.VariedKeys,
    ) -> list[tuple[object, ...]]:
        """(site, drug, gene, group, then `NUMBERS`) of every site and source of uncertainty."""
        place = {facility: number for number, facility in enumerate(estimates.posterior.by_gene[gene].facility_ids)}
        estimated = [site for site in sites if site in place]
        position = {place[site]: number for number, site in enumerate(estimated)}
        taken = np.flatnonzero(np.isin(varied.site, list(position)))
        taken = taken[np.argsort([position[number] for number in varied.site[taken]], kind="stable")]
        probability, column = self._probability(drug, gene, estimates, varied, taken)
        ends = np.searchsorted([position[number] for number in varied.site[taken]], np.arange(len(estimated) + 1))
        effects: list[tuple[object, ...]] = []
        for number, site in enumerate(estimated):
            of_drug = sites[site].drugs == drug
            rows = [column[row] for row in sites[site].row_ids[of_drug]]
            drawn = probability[ends[number] : ends[number + 1]][..., rows] @ sites[site].weights[of_drug]
            low, high = interval_ends(drawn)
            numbers = zip(
                drawn[..., 0].mean(axis=1), low[:, 0], high[:, 0], (high - low)[:, 1:].sum(axis=1), strict=True
            )
            groups = varied.group[taken[ends[number] : ends[number + 1]]]
            effects += [(site, drug, gene, group, *values) for group, values in zip(groups, numbers, strict=True)]
        return effects

    def _probability(
        self,
        drug: str,
        gene: str,
        estimates: "_Estimates",
        varied: science.VariedKeys,
        taken: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Share of each row's population that has its result, [variant, draw, row], with this gene varied and the other
        genes at their means; and each row's place."""
        posterior = estimates.posterior
        facilities = np.array(posterior.by_gene[gene].facility_ids, dtype=object)[varied.site[taken]]
        rows = self._guidance[self._guidance["drug"] == drug]
        keys = {}
        for other in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {"", gene}):
            of_gene = posterior.by_gene[other]
            at = pd.Index(of_gene.facility_ids).get_indexer(facilities)
            mean = np.where((at >= 0)[:, None], estimates.mean_keys[other][at], np.nan)
            keys[other] = (mean[:, None, :], _key_names(of_gene))
        keys[gene] = (_with_no_result(varied.keys[taken]), _key_names(posterior.by_gene[gene]))
        parts: list[np.ndarray] = []
        column: dict[str, int] = {}
        for population in sorted(set(rows["population"])):
            joint = joint_lookup_keys(self.group.content, drug, population, keys)
            for row_id in joint.rows["recommendation_id"]:
                column[row_id] = len(column)
            parts.append(np.broadcast_to(joint.probability, (len(taken), AUDIT_DRAWS, joint.probability.shape[-1])))
        return np.concatenate(parts, axis=-1), column

    @functools.cached_property
    def _guidance(self) -> pd.DataFrame:
        return self.group.content.guidance.set_index("recommendation_id")

    @functools.cached_property
    def _population_share(self) -> dict[tuple[str, str], float]:
        moves = self.tables["regimen_moves"]
        rows = moves[moves["facility_id"].isin(self.facility_ids)].drop_duplicates(["facility_id", "recommendation_id"])
        keys = zip(rows["facility_id"], rows["recommendation_id"], strict=True)
        return dict(zip(keys, rows["population_share"], strict=True))


@dataclasses.dataclass(frozen=True)
class _Estimates:
    """The posterior of every gene, and the mean frequencies of its keys [site, key] with "No Result" behind them."""

    posterior: PrevalencePosterior
    mean_keys: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class _Therapy:
    """Guidance rows of a therapy with their drugs, and what a unit of each row's probability moves [row, 1 + product]:
    the share of patients first, then packs per week."""

    row_ids: np.ndarray
    drugs: np.ndarray
    weights: np.ndarray


def _by_gene(guidance: pd.DataFrame, drugs: Iterable[str]) -> dict[str, list[str]]:
    """Gene -> the drugs whose guidance asks about it."""
    by_gene: dict[str, list[str]] = {}
    for drug in sorted(drugs):
        rows = guidance[guidance["drug"] == drug]
        for gene in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""}):
            by_gene.setdefault(gene, []).append(drug)
    return by_gene


def _with_no_result(keys: np.ndarray) -> np.ndarray:
    """Frequencies [..., key] with that of "No Result" behind them, which is 1: it is for all who lack that test."""
    return np.concatenate([keys, np.ones((*keys.shape[:-1], 1))], axis=-1)


def _key_names(gene: GenePosterior) -> tuple[str, ...]:
    return (*gene.model.keys, NO_RESULT)
