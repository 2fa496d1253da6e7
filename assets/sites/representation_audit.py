"""Whose genotypes a site's forecasts are built on, audited on draws."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.content import Knowledge, SiteGroup
from assets.sites.genetics import Genetics, share_male
from forecasting.pharmacogenomics.guidance.probabilities import joint_lookup_keys
from forecasting.pharmacogenomics.prevalence import representation as science
from forecasting.pharmacogenomics.prevalence.gene_posterior import GenePosterior
from forecasting.pharmacogenomics.prevalence.posterior import PrevalencePosterior
from forecasting.regimens.sensitivity import quantiles, units_per_share
from forecasting.regimens.therapy import TherapyAtSite
from forecasting.terms import NO_RESULT
from warehouse.schema.representation import Representation

AUDIT_DRAWS = 200

DAYS_A_WEEK = 7

SITES_AT_ONCE = 200
"""Bounds the memory of the draws."""

COLUMNS = [one.name for one in Representation.__table__.columns]

NUMBERS = ("share_moved", "share_moved_low", "share_moved_high", "packs_per_week")


def audit_rows(
    run: PlanningRun, known: Knowledge, genetics: Genetics, tables: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The table's rows, from the tables that the asset takes, by name."""
    weekly = _weekly_demand(tables["baseline_forecasts"], run)
    pack_size = tables["products"].set_index("product_id")["pack_size"].astype(float)
    parts = []
    for group in known.groups:
        for first in range(0, len(group.facility_ids), SITES_AT_ONCE):
            some = group.facility_ids[first : first + SITES_AT_ONCE]
            part = _Audit(run, group, some, tables, weekly, pack_size).rows(genetics.by_site)
            parts += [part] if len(part) else []
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    order = ["facility_id", "drug", "gene", "biogeographic_group"]
    return frame.assign(as_of=run.as_of)[COLUMNS].sort_values(order, ignore_index=True)


def _weekly_demand(baseline: pd.DataFrame, run: PlanningRun) -> pd.Series:
    """Mean demand a week over the horizon by site and product, in dose units."""
    return baseline.groupby(["facility_id", "product_id"])["mean"].mean() * DAYS_A_WEEK / run.period.mean_days


@dataclasses.dataclass(frozen=True)
class _Audit:
    """The audit of sites that rest on the same releases: gene by gene and drug by drug, over all the sites at once."""

    run: PlanningRun
    group: SiteGroup
    facility_ids: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    weekly: pd.Series
    pack_size: pd.Series

    def rows(self, therapies: dict[str, list[TherapyAtSite]]) -> pd.DataFrame:
        """Rows of every site, drug, gene and ancestry group."""
        prevalence = self.tables["prevalence"]
        own = prevalence[prevalence["facility_id"].isin(self.facility_ids)]
        posterior = PrevalencePosterior.from_frame(own, self.group.content, share_male(self.tables["facilities"]))
        asked = self._questions(therapies)
        if not posterior.by_gene or not asked:
            return pd.DataFrame(columns=COLUMNS)
        evidence = pd.concat(
            [
                science.representation(one, self.tables["ancestry"], self.tables["assays"])
                for one in posterior.by_gene.values()
            ]
        )
        middle = {gene: _with_none(one.mean_keys()) for gene, one in posterior.by_gene.items()}
        numbers = []
        for gene, drugs in _by_gene(self._guidance, asked).items():
            one = posterior.by_gene[gene]
            varied = science.varied_keys(one, AUDIT_DRAWS, self.run.seed)
            for drug in drugs:
                numbers += self._drug(drug, gene, asked[drug], posterior, middle, varied)
        about = ["facility_id", "drug", "gene", "biogeographic_group"]
        found = pd.DataFrame(numbers, columns=[*about, *NUMBERS])
        questions = found[about[:3]].drop_duplicates()
        return questions.merge(evidence, on=["facility_id", "gene"]).merge(found, on=about, how="left")

    def _questions(self, therapies: dict[str, list[TherapyAtSite]]) -> dict[str, dict[str, "_Therapy"]]:
        """Drug -> site -> its therapy, of the drugs of the guidance in force."""
        drug_of = self._guidance["drug"].to_dict()
        found: dict[str, dict[str, _Therapy]] = {}
        for site in self.facility_ids:
            for therapy in therapies.get(site, []):
                drugs = np.array([drug_of.get(row, "") for row in therapy.row_ids], dtype=object)
                of_site = self._therapy(site, therapy, drugs)
                for drug in sorted(set(drugs) - {""}):
                    # therapies of past guidance come first: the last is the one in force
                    found.setdefault(drug, {})[site] = of_site
        return found

    def _therapy(self, site: str, therapy: TherapyAtSite, drugs: np.ndarray) -> "_Therapy":
        places = [(site, product) for product in therapy.product_ids]
        baseline = np.array([self._weekly.get(place, 0.0) for place in places])
        size = np.array([self._pack_size[product] for product in therapy.product_ids])
        packs = units_per_share(therapy, baseline) / size
        share = np.array([self._population_share.get((site, row), 0.0) for row in therapy.row_ids])
        # parts of one row are of the same patients
        moving = (therapy.mean_delta != 0).any(axis=(1, 2))
        first = np.zeros(len(moving), dtype=bool)
        first[np.unique(np.where(moving, np.array(therapy.row_ids, dtype=object), ""), return_index=True)[1]] = True
        # rows of people who lack a test speak of everybody: who is moved is told of the fully tested
        asked = self._guidance.reindex(therapy.row_ids)[["lookup_key_1", "lookup_key_2"]]
        tested = (asked != NO_RESULT).all(axis=1).to_numpy()
        weights = np.column_stack([(moving & first & tested).astype(float), packs[:, (packs != 0).any(axis=0)]])
        return _Therapy(np.array(therapy.row_ids, dtype=object), drugs, weights * share[:, None])

    def _drug(
        self,
        drug: str,
        gene: str,
        sites: dict[str, "_Therapy"],
        posterior: PrevalencePosterior,
        middle: dict[str, np.ndarray],
        varied: science.Varied,
    ) -> list[tuple[object, ...]]:
        """(site, drug, gene, group, then `NUMBERS`) of every site and source of uncertainty."""
        place = {facility: number for number, facility in enumerate(posterior.by_gene[gene].facility_ids)}
        here = [site for site in sites if site in place]
        position = {place[site]: number for number, site in enumerate(here)}
        taken = np.flatnonzero(np.isin(varied.site, list(position)))
        taken = taken[np.argsort([position[number] for number in varied.site[taken]], kind="stable")]
        probability, column = self._probability(drug, gene, posterior, middle, varied, taken)
        ends = np.searchsorted([position[number] for number in varied.site[taken]], np.arange(len(here) + 1))
        found: list[tuple[object, ...]] = []
        for number, site in enumerate(here):
            own = sites[site].drugs == drug
            rows = [column[row] for row in sites[site].row_ids[own]]
            drawn = probability[ends[number] : ends[number + 1]][..., rows] @ sites[site].weights[own]
            low, high = quantiles(drawn)
            numbers = zip(
                drawn[..., 0].mean(axis=1), low[:, 0], high[:, 0], (high - low)[:, 1:].sum(axis=1), strict=True
            )
            groups = varied.group[taken[ends[number] : ends[number + 1]]]
            found += [(site, drug, gene, group, *told) for group, told in zip(groups, numbers, strict=True)]
        return found

    def _probability(
        self,
        drug: str,
        gene: str,
        posterior: PrevalencePosterior,
        middle: dict[str, np.ndarray],
        varied: science.Varied,
        taken: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, int]]:
        """Share of the patients of each row's population that it speaks of, [variant, draw, row], with this gene
        varied and the others at their means; and each row's place."""
        facilities = np.array(posterior.by_gene[gene].facility_ids, dtype=object)[varied.site[taken]]
        rows = self._guidance[self._guidance["drug"] == drug]
        keys = {}
        for other in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {"", gene}):
            one = posterior.by_gene[other]
            at = pd.Index(one.facility_ids).get_indexer(facilities)
            keys[other] = (np.where((at >= 0)[:, None], middle[other][at], np.nan)[:, None, :], _names(one))
        keys[gene] = (_with_none(varied.keys[taken]), _names(posterior.by_gene[gene]))
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

    @functools.cached_property
    def _weekly(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = self.weekly.to_dict()  # type: ignore[assignment]
        return found

    @functools.cached_property
    def _pack_size(self) -> dict[str, float]:
        found: dict[str, float] = self.pack_size.to_dict()  # type: ignore[assignment]
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class _Therapy:
    """Guidance rows of a therapy with their drugs, and what a unit of each row's probability moves [row, 1 + product]:
    the share of patients first, then packs per week."""

    row_ids: np.ndarray
    drugs: np.ndarray
    weights: np.ndarray


def _by_gene(guidance: pd.DataFrame, drugs: Iterable[str]) -> dict[str, list[str]]:
    """Gene -> the drugs whose guidance asks about it."""
    found: dict[str, list[str]] = {}
    for drug in sorted(drugs):
        rows = guidance[guidance["drug"] == drug]
        for gene in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""}):
            found.setdefault(gene, []).append(drug)
    return found


def _with_none(keys: np.ndarray) -> np.ndarray:
    """Frequencies [..., key] with those of "No Result" behind them, which speaks of everybody who lacks that test."""
    return np.concatenate([keys, np.ones((*keys.shape[:-1], 1))], axis=-1)


def _names(gene: GenePosterior) -> tuple[str, ...]:
    return (*gene.model.keys, NO_RESULT)
