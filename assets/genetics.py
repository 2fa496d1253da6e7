"""The genetic side of every site, put together from the stored prevalence, exposure and moves."""

import dataclasses

import numpy as np
import pandas as pd

from assets.run import PlanningRun
from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.guidance import joint_lookup_keys
from forecasting.pharmacogenomics.prevalence import PrevalencePosterior, draw_lookup_keys
from forecasting.population import TherapyAtSite
from forecasting.regimens.exposure import NO_RESULT, row_exposure

Keys = dict[str, tuple[np.ndarray, tuple[str, ...]]]


@dataclasses.dataclass(frozen=True)
class Genetics:
    """Therapies of every site, `rows` (guidance rows by recommendation_id), and why some drugs stand aside."""

    by_site: dict[str, list[TherapyAtSite]]
    rows: pd.DataFrame
    problems: list[tuple[str, str, str, str]]

    def at(self, facility_id: str) -> list[TherapyAtSite]:
        """The therapies of a site that testing moves, in the past or in the plan."""
        return [one for one in self.by_site.get(facility_id, []) if one.changes]


def no_genetics(content: ReferenceContent) -> Genetics:
    """The genetic side of a run without genetics."""
    return Genetics({}, content.guidance.set_index("recommendation_id"), [])


def assemble(
    run: PlanningRun,
    content: ReferenceContent,
    prevalence: pd.DataFrame,
    exposure: pd.DataFrame,
    moves: pd.DataFrame,
    starts: pd.DatetimeIndex,
) -> Genetics:
    """The genetics of all sites of a run; `starts` are the periods of the history, the horizon follows them."""
    if not run.with_genetics or prevalence.empty or exposure.empty or moves.empty:
        return no_genetics(content)
    guidance = content.guidance.set_index("recommendation_id")
    posterior = PrevalencePosterior.from_frame(prevalence, content)
    drawn = {gene: _mean_and_draws(posterior, gene, run) for gene in posterior.by_gene}
    place = {facility: number for number, facility in enumerate(posterior.facility_ids)}
    paths = _exposure_paths(exposure, starts, run.horizon)
    by_site: dict[str, list[TherapyAtSite]] = {}
    problems: list[tuple[str, str, str, str]] = []
    for facility_id, of_site in moves.groupby("facility_id"):
        site = str(facility_id)
        if site not in paths:
            continue
        keys = _keys_of_site(drawn, place[site]) if site in place else {}
        by_site[site] = []
        for _, rows in of_site.groupby("therapy"):
            usable, unknown = _usable(site, rows, guidance, content, keys)
            problems += unknown
            if len(usable):
                by_site[site].append(_therapy(usable, guidance, content, keys, paths[site], len(starts)))
    return Genetics(by_site, guidance, problems)


def _exposure_paths(exposure: pd.DataFrame, starts: pd.DatetimeIndex, horizon: int) -> dict[str, dict[str, np.ndarray]]:
    """Exposure [history + horizon] by site and gene."""
    first = starts[0]
    paths: dict[str, dict[str, np.ndarray]] = {}
    here = exposure[exposure["period_start"] >= first].sort_values("period_start")
    for (facility_id, gene), rows in here.groupby(["facility_id", "gene"]):
        paths.setdefault(str(facility_id), {})[str(gene)] = rows["exposure"].to_numpy()[: len(starts) + horizon]
    return paths


def _mean_and_draws(posterior: PrevalencePosterior, gene: str, run: PlanningRun) -> tuple[np.ndarray, tuple[str, ...]]:
    """Key frequencies [site, 1 + draw, key]: the posterior mean, then draws; NaN where a site has no posterior."""
    draws, keys = draw_lookup_keys(posterior, gene, run.draws, run.seed)
    of_gene = posterior.by_gene[gene]
    known = [posterior.facility_ids.index(facility) for facility in of_gene.facility_ids]
    mean = np.full((len(draws), 1, len(keys)), np.nan)
    mean[known, 0] = of_gene.mean_keys()
    return np.concatenate([mean, draws], axis=1), keys


def _keys_of_site(drawn: Keys, place: int) -> Keys:
    """Key frequencies [1, 1 + draw, key] of one site; genes without a posterior there are left out.

    Each gene also gets the key "No Result" with frequency 1: such a row speaks of everybody who lacks that test.
    """
    keys: Keys = {}
    for gene, (frequencies, names) in drawn.items():
        own = frequencies[place]
        if not np.isnan(own).any():
            keys[gene] = (np.concatenate([own, np.ones((len(own), 1))], axis=1)[None], (*names, NO_RESULT))
    return keys


def _usable(
    site: str, moves: pd.DataFrame, guidance: pd.DataFrame, content: ReferenceContent, keys: Keys
) -> tuple[pd.DataFrame, list[tuple[str, str, str, str]]]:
    """The moves of drugs whose genes are known at the site, and the others as problems."""
    drugs = moves["recommendation_id"].map(guidance["drug"])
    unknown = []
    for drug in sorted(set(drugs)):
        rows = guidance[guidance["drug"] == drug]
        missing = sorted((set(rows["gene_1"]) | set(rows["gene_2"])) - {""} - set(keys))
        if missing:
            text = f"{drug}: the prevalence of {', '.join(missing)} is unknown at {site}; planned without genetics"
            unknown.append((site, drug, "prevalence_unknown", text))
    blocked = {drug for _, drug, _, _ in unknown}
    return moves[~drugs.isin(blocked)], unknown


def _therapy(
    moves: pd.DataFrame,
    guidance: pd.DataFrame,
    content: ReferenceContent,
    keys: Keys,
    exposure: dict[str, np.ndarray],
    history: int,
) -> TherapyAtSite:
    row_ids = sorted(set(moves["recommendation_id"]))
    product_ids = sorted(set(moves["product_id"]) | set(moves["to_product_id"]))
    low = np.zeros((len(row_ids), len(product_ids), len(product_ids)))
    high = np.zeros_like(low)
    at = (
        pd.Categorical(moves["recommendation_id"], row_ids).codes,
        pd.Categorical(moves["product_id"], product_ids).codes,
        pd.Categorical(moves["to_product_id"], product_ids).codes,
    )
    low[at], high[at] = moves["units_low"].to_numpy(), moves["units_high"].to_numpy()
    rows = guidance.loc[row_ids]
    share = moves.drop_duplicates("recommendation_id").set_index("recommendation_id")["population_share"]
    probability = _row_probability(rows, content, keys) * share.loc[row_ids].to_numpy()
    path = row_exposure(rows, exposure)
    return TherapyAtSite(
        therapy=str(moves["therapy"].iloc[0]),
        product_ids=tuple(product_ids),
        row_ids=tuple(row_ids),
        delta_low=low,
        delta_high=high,
        probability=probability[1:],
        mean_probability=probability[0],
        exposure_history=path[:history],
        exposure_at_origin=path[history - 1],
        exposure_planned=path[history:],
    )


def _row_probability(rows: pd.DataFrame, content: ReferenceContent, keys: Keys) -> np.ndarray:
    """Share of the patients of each row's population that the row speaks of, [1 + draw, row]: the mean, then draws."""
    found: dict[str, np.ndarray] = {}
    for (drug, population), _ in rows.groupby(["drug", "population"]):
        joint = joint_lookup_keys(content, str(drug), str(population), keys)
        found |= dict(zip(joint.rows["recommendation_id"], np.moveaxis(joint.probability[0], 1, 0), strict=True))
    if not found:
        raise MissingContent("no guidance rows to put together")
    return np.stack([found[row_id] for row_id in rows.index], axis=1)
