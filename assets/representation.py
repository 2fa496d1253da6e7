"""Stage 4, demand: whose genotypes each drug's forecast rests on, and how many packs hang on what is not known."""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from assets.content import SiteGroup, knowledge
from assets.demand import known_panel, site_genetics
from assets.genetics import share_male
from assets.resources import Warehouse
from assets.run import PlanningRun
from assets.staged import Staged, problems_frame
from assets.table_asset import DEMAND, table_asset
from forecasting.pharmacogenomics import representation as science
from forecasting.pharmacogenomics.guidance import joint_lookup_keys
from forecasting.pharmacogenomics.prevalence import PrevalencePosterior
from forecasting.population import TherapyAtSite
from forecasting.stake import INTERVAL, packs_at_stake
from forecasting.terms import ALL_GROUPS, NO_RESULT
from warehouse.schema.representation import Representation

AUDIT_DRAWS = 200
DAYS_A_WEEK = 7
PACKS_WORTH_TELLING = 1.0
"""Thin evidence on which fewer packs a week hang is in the table alone."""

COLUMNS = [one.name for one in Representation.__table__.columns]


@table_asset(Representation, group=DEMAND)
def representation(
    warehouse: Warehouse,
    runs: pd.DataFrame,
    site_releases: pd.DataFrame,
    ancestry: pd.DataFrame,
    assays: pd.DataFrame,
    products: pd.DataFrame,
    facilities: pd.DataFrame,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    regimen_moves: pd.DataFrame,
    reference_demand: pd.DataFrame,
    baseline_forecasts: pd.DataFrame,
    genetic_effects: pd.DataFrame,
) -> Staged:
    """Per site, drug, gene and ancestry group: effective sample size, untested alleles, interval, packs at stake."""
    run = PlanningRun.from_frame(runs)
    if regimen_moves.empty or prevalence.empty:
        return Staged(pd.DataFrame(columns=COLUMNS))
    with warehouse.engine.connect() as connection:
        known = knowledge(connection, site_releases)
    panel = known_panel(reference_demand, run)
    genetics = site_genetics(warehouse, run, site_releases, prevalence, exposure, regimen_moves, panel, genetic_effects)
    weekly = _weekly_demand(baseline_forecasts, run)
    pack_size = products.set_index("product_id")["pack_size"].astype(float)
    parts = [
        _Audit(run, group, prevalence, ancestry, assays, facilities, regimen_moves, weekly, pack_size).rows(
            genetics.by_site
        )
        for group in known.groups
    ]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    frame = frame.assign(as_of=run.as_of)[COLUMNS]
    return Staged(frame, _thin(frame))


def _weekly_demand(baseline: pd.DataFrame, run: PlanningRun) -> pd.Series:
    """Mean demand a week over the horizon by site and product, in dose units."""
    days = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "quarter": 365.25 / 4}[run.period.value]
    return baseline.groupby(["facility_id", "product_id"])["mean"].mean() * DAYS_A_WEEK / days


def _thin(frame: pd.DataFrame) -> pd.DataFrame:
    """One problem a site, drug and gene whose thin evidence moves packs."""
    rows = frame[(frame["biogeographic_group"] == ALL_GROUPS) & frame["thin"].astype(bool)]
    rows = rows[rows["packs_per_week"].fillna(0.0) >= PACKS_WORTH_TELLING]
    found = []
    for row in rows.to_dict("records"):
        missing = row["alleles_not_tested"]
        untested = f"; its assay does not look for {missing}" if isinstance(missing, str) and missing else ""
        text = (
            f"{row['drug']} at {row['facility_id']}: {row['packs_per_week']:.0f} packs a week hang on how common "
            f"results of {row['gene']} are, and the evidence is thin{untested}; see the table representation"
        )
        found.append((row["facility_id"], row["drug"], "thin_evidence", text))
    return problems_frame(found)


@dataclasses.dataclass(frozen=True)
class _Audit:
    """The audit of sites that rest on the same releases."""

    run: PlanningRun
    group: SiteGroup
    prevalence: pd.DataFrame
    ancestry: pd.DataFrame
    assays: pd.DataFrame
    facilities: pd.DataFrame
    moves: pd.DataFrame
    weekly: pd.Series
    pack_size: pd.Series

    def rows(self, therapies: dict[str, list[TherapyAtSite]]) -> pd.DataFrame:
        """Rows of every site, drug, gene and ancestry group."""
        own = self.prevalence[self.prevalence["facility_id"].isin(self.group.facility_ids)]
        posterior = PrevalencePosterior.from_frame(own, self.group.content, share_male(self.facilities))
        about = [science.representation(one, self.ancestry, self.assays) for one in posterior.by_gene.values()]
        if not about:
            return pd.DataFrame(columns=COLUMNS)
        by_gene = pd.concat(about).groupby(["facility_id", "gene"])
        evidence = {(str(site), str(gene)): rows for (site, gene), rows in by_gene}
        drawn = _variants(posterior, self.run)
        found = [
            self._drug(site, therapy, drug, gene, drawn, evidence)
            for site in self.group.facility_ids
            for therapy, drug, gene in self._questions(therapies.get(site, []))
        ]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)

    def _questions(self, therapies: list[TherapyAtSite]) -> Iterator[tuple[TherapyAtSite, str, str]]:
        """Each drug and gene of the guidance in force at a site, with the drug's therapy."""
        guidance = self._guidance
        of_drug: dict[str, TherapyAtSite] = {}
        for therapy in therapies:
            in_force = [row for row in therapy.row_ids if row in guidance.index]
            of_drug |= dict.fromkeys(sorted(set(guidance.loc[in_force, "drug"])), therapy)
        for drug, therapy in of_drug.items():
            rows = guidance[guidance["drug"] == drug]
            for gene in sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""}):
                yield therapy, drug, gene

    def _drug(
        self,
        site: str,
        therapy: TherapyAtSite,
        drug: str,
        gene: str,
        drawn: "Drawn",
        evidence: dict[tuple[str, str], pd.DataFrame],
    ) -> pd.DataFrame:
        names, probability, moved = self._probability(site, therapy, drug, gene, drawn)
        share = moved.sum(axis=-1)
        low, high = np.quantile(share, INTERVAL, axis=1)
        baseline = self.weekly.reindex([(site, product) for product in therapy.product_ids]).fillna(0.0).to_numpy()
        size = self.pack_size.reindex(list(therapy.product_ids)).to_numpy()
        packs = packs_at_stake(therapy, probability, baseline, size)
        numbers = pd.DataFrame({"share_moved": share.mean(axis=1), "share_moved_low": low, "share_moved_high": high})
        numbers = numbers.assign(packs_per_week=packs).set_axis(list(names), axis=0)
        rows = evidence[site, gene].drop(columns="gene").join(numbers, on="biogeographic_group")
        return rows.assign(drug=drug, gene=gene)

    def _probability(
        self, site: str, therapy: TherapyAtSite, drug: str, gene: str, drawn: "Drawn"
    ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """Names of what varies; share of patients per row of the therapy [variant, draw, row]; and of the drug's rows
        that move anything, in the same shape."""
        rows = self._guidance.reindex(list(therapy.row_ids))
        own = (rows["drug"] == drug).to_numpy()
        varied = drawn[site][gene][1]
        here = (len(varied), AUDIT_DRAWS)
        keys = {}
        for other, (keys_of_gene, frequencies) in drawn[site].items():
            middle = frequencies[ALL_GROUPS].mean(axis=0)
            keys[other] = (np.broadcast_to(middle, (*here, len(middle))), keys_of_gene)
        keys[gene] = (np.stack(list(varied.values())), drawn[site][gene][0])
        found: dict[str, np.ndarray] = {}
        for population in sorted(set(rows.loc[own, "population"])):
            joint = joint_lookup_keys(self.group.content, drug, population, keys)
            found |= dict(zip(joint.rows["recommendation_id"], np.moveaxis(joint.probability, 2, 0), strict=True))
        probability = np.broadcast_to(therapy.mean_probability, (*here, len(own))).copy()
        for number, row_id in enumerate(therapy.row_ids):
            if own[number]:
                probability[..., number] = found[row_id] * self._population_share[site, row_id]
        moving = (therapy.mean_delta != 0).any(axis=(1, 2)) & own
        # parts of one row are of the same patients
        _, once = np.unique(np.where(moving, np.array(therapy.row_ids), ""), return_index=True)
        counted = moving & np.isin(np.arange(len(own)), once)
        return tuple(varied), probability, probability * counted

    @functools.cached_property
    def _guidance(self) -> pd.DataFrame:
        return self.group.content.guidance.set_index("recommendation_id")

    @functools.cached_property
    def _population_share(self) -> dict[tuple[str, str], float]:
        rows = self.moves.drop_duplicates(["facility_id", "recommendation_id"])
        keys = zip(rows["facility_id"], rows["recommendation_id"], strict=True)
        return dict(zip(keys, rows["population_share"], strict=True))


Drawn = dict[str, dict[str, tuple[tuple[str, ...], dict[str, np.ndarray]]]]
"""Site -> gene -> names of its keys, and key frequencies [draw, key] as each source of uncertainty varies."""


def _variants(posterior: PrevalencePosterior, run: PlanningRun) -> Drawn:
    """Draws of every gene at every site; the key "No Result" speaks of everybody who lacks that test."""
    found: Drawn = {}
    for gene, one in posterior.by_gene.items():
        of_sites = science.variants(one, range(len(one.facility_ids)), AUDIT_DRAWS, run.seed)
        for facility, varied in zip(one.facility_ids, of_sites, strict=True):
            with_none = {name: np.pad(keys, ((0, 0), (0, 1)), constant_values=1.0) for name, keys in varied.items()}
            found.setdefault(facility, {})[gene] = ((*one.model.keys, NO_RESULT), with_none)
    return found
