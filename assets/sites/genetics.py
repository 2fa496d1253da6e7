"""The genetic side of every site, put together from the stored prevalence, exposure and moves."""

import dataclasses

import numpy as np
import pandas as pd

from assets.dagster_io.planning_run import PlanningRun
from assets.sites.content import Era, Knowledge, SiteGroup
from forecasting.errors import MissingContent
from forecasting.pharmacogenomics.content import ReferenceContent
from forecasting.pharmacogenomics.genes.gene_model import gene_model
from forecasting.pharmacogenomics.guidance.probabilities import joint_lookup_keys, linked_genes
from forecasting.pharmacogenomics.prevalence.posterior import PrevalencePosterior, draw_lookup_keys
from forecasting.regimens.effect import DELAY_DAYS, GROUP_SEPARATOR, apply_effect, split_by_target
from forecasting.regimens.exposure import row_exposure
from forecasting.regimens.strengths import describe_products
from forecasting.regimens.therapy import TherapyAtSite
from forecasting.seeds import stable_seed
from forecasting.terms import NO_RESULT

INTERVAL_SCORE = 1.645
"""A learned effect's interval is 90 %."""

LEAST_LEARNED = 0.1
"""A learned strength below it is divided by no less: the relative spread of next to nothing is without limit."""

Keys = dict[str, tuple[np.ndarray, tuple[str, ...]]]
"""Gene -> frequencies of its lookup keys [site, 1 + draw, key] (the mean first), and the keys."""

SiteProblem = tuple[str, str, str, str]
"""facility_id, drug, rule and message."""


@dataclasses.dataclass(frozen=True)
class Genetics:
    """Therapies of every site, its guidance rows by recommendation_id (`rows_at`), and why some drugs stand aside.

    The rows of a therapy are split by the drug that patients go to; `drug_of` has the drug of each product. A site
    whose guidance changed has the therapies of past guidance first: they move its history alone.
    """

    by_site: dict[str, list[TherapyAtSite]]
    rows: dict[str, pd.DataFrame]
    problems: list[SiteProblem]
    drug_of: dict[str, str]

    def at(self, facility_id: str) -> list[TherapyAtSite]:
        """The therapies of a site that testing moves, in the past or in the plan."""
        return [therapy for therapy in self.by_site.get(facility_id, []) if therapy.exposure_changes]

    def rows_at(self, facility_id: str) -> pd.DataFrame:
        """The guidance rows in force at a site."""
        return self.rows[facility_id]

    def known_at(self, cut: int, horizon: int) -> dict[str, list[TherapyAtSite]]:
        """The moving therapies of every site as they stood after `cut` periods of the history."""
        return {site: [therapy.known_at(cut, horizon) for therapy in self.at(site)] for site in self.by_site}


@dataclasses.dataclass(frozen=True)
class GeneticTables:
    """Tables that the therapies of all sites are put together from; `moves` are rows of `regimen_moves`."""

    prevalence: pd.DataFrame
    exposure: pd.DataFrame
    moves: pd.DataFrame
    products: pd.DataFrame
    facilities: pd.DataFrame

    @property
    def is_complete(self) -> bool:
        """False where one of the three computed tables has no row: then there is no genetic step."""
        return not (self.prevalence.empty or self.exposure.empty or self.moves.empty)


@dataclasses.dataclass(frozen=True)
class _Site:
    """Facts of one site that each of its therapies needs.

    `keys` has the frequencies of lookup keys by gene, `linkage` [1 + draw] the place between the bounds of linked
    carriers' overlap, `products` the described products by product_id, `history` the number of known periods.
    """

    facility_id: str
    keys: Keys
    linkage: np.ndarray
    products: pd.DataFrame
    history: int


def build_genetics(run: PlanningRun, knowledge: Knowledge, tables: GeneticTables, starts: pd.DatetimeIndex) -> Genetics:
    """The genetics of all sites of a run; `starts` are the periods of the history, the horizon follows them."""
    products = tables.products
    genetics = Genetics({}, {}, [], dict(zip(products["product_id"], products["drug"], strict=True)))
    for group in knowledge.groups:
        genetics.rows.update(dict.fromkeys(group.facility_ids, group.content.guidance.set_index("recommendation_id")))
    if not run.with_genetics or not tables.is_complete:
        return genetics
    exposure = _exposure_paths(tables.exposure, starts, run.horizon)
    for group in knowledge.groups:
        _add_group(genetics, group, run, tables, exposure, starts)
    return genetics


def _add_group(
    genetics: Genetics,
    group: SiteGroup,
    run: PlanningRun,
    tables: GeneticTables,
    exposure: dict[str, dict[str, np.ndarray]],
    starts: pd.DatetimeIndex,
) -> None:
    """Put the therapies of a group of sites, era by era, and their problems into `genetics`."""
    prevalence = tables.prevalence[tables.prevalence["facility_id"].isin(group.facility_ids)]
    posterior = PrevalencePosterior.from_frame(prevalence, group.content, share_male(tables.facilities))
    products = describe_products(tables.products, group.content.usual_daily_dose).set_index("product_id")
    drawn = {gene: _mean_and_draws(posterior, gene, run) for gene in posterior.by_gene}
    place = {facility: number for number, facility in enumerate(posterior.facility_ids)}
    sites = [facility for facility in group.facility_ids if facility in exposure]
    for facility_id, moves in tables.moves[tables.moves["facility_id"].isin(sites)].groupby("facility_id"):
        name = str(facility_id)
        keys = _keys_of_site(drawn, place[name]) if name in place else {}
        site = _Site(name, keys, _linkage(name, run), products, len(starts))
        genetics.by_site[name] = []
        for era in group.eras:
            followed = moves[moves["followed_from"] == pd.Timestamp(era.since)]
            therapies, unknown = _therapies(site, followed, era.content, _in_era(exposure[name], starts, era))
            genetics.by_site[name].extend(therapies)
            genetics.problems.extend(unknown if era is group.eras[-1] else [])


def with_exposure(genetics: Genetics, exposure: pd.DataFrame, starts: pd.DatetimeIndex, horizon: int) -> Genetics:
    """The genetics with other exposures over other `starts`, where guidance never changed; without learned effects.

    The expensive part, the frequencies of results, is kept.
    """
    paths, history = _exposure_paths(exposure, starts, horizon), len(starts)

    def exposed(therapy: TherapyAtSite, site: str) -> TherapyAtSite:
        path = row_exposure(genetics.rows_at(site).loc[list(therapy.row_ids)], paths[site])
        past, planned = path[:history], path[history:]
        return dataclasses.replace(
            therapy, exposure_history=past, exposure_at_origin=past[-1], exposure_planned=planned
        )

    by_site = {
        site: [exposed(therapy, site) for therapy in therapies if site in paths]
        for site, therapies in genetics.by_site.items()
    }
    return dataclasses.replace(genetics, by_site=by_site)


def with_learned(genetics: Genetics, effects: pd.DataFrame, run: PlanningRun) -> Genetics:
    """The genetics with each advice's exposure as it acts, and its doubt in the draws."""
    keys = ["facility_id", "drug", "action", "recommendation", "to_drug"]
    spread = (effects["high"] - effects["low"]) / (2 * INTERVAL_SCORE * effects["learned"].clip(lower=LEAST_LEARNED))
    learned = effects.assign(spread=spread).set_index(keys)[["strength", "delay_days", "spread"]]
    by_site = {
        site: [_acting_therapy(therapy, site, learned, run) for therapy in therapies]
        for site, therapies in genetics.by_site.items()
    }
    return dataclasses.replace(genetics, by_site=by_site)


def _acting_therapy(therapy: TherapyAtSite, site: str, learned: pd.DataFrame, run: PlanningRun) -> TherapyAtSite:
    labels = [label.split(GROUP_SEPARATOR) for label in therapy.groups]
    index = pd.MultiIndex.from_tuples([(site, *first, to or first[0]) for *first, to in labels])
    effects = learned.reindex(index).fillna({"strength": 1.0, "delay_days": 0.0, "spread": 0.0})
    # guidance that ended has no tail in what is to come, and what takes its place at the origin acts at once
    ended = (therapy.exposure_planned == 0).all(axis=0) & (therapy.exposure_at_origin == 0)
    begins = therapy.exposure_at_origin != therapy.exposure_history[-1]
    delay = np.where(ended | begins, 0.0, effects["delay_days"].to_numpy() / DELAY_DAYS)
    acting = apply_effect(therapy, effects["strength"].to_numpy(), delay, run.period.mean_days)
    by_group = {name: _strength_scores(name, len(therapy.probability), run.seed) for name in set(therapy.groups)}
    scores = np.stack([by_group[name] for name in therapy.groups], axis=1)
    factor = np.maximum(1 + effects["spread"].to_numpy() * scores, 0.0)
    return dataclasses.replace(acting, probability=np.minimum(therapy.probability * factor, 1.0))


def _strength_scores(group: str, draws: int, seed: int) -> np.ndarray:
    """Standard normal scores [draw] of one advice's strength, the same at every site: it is learned of all of them."""
    return np.random.default_rng(stable_seed(seed, "strength", group)).standard_normal(draws)


def _therapies(
    site: _Site, moves: pd.DataFrame, content: ReferenceContent, exposure: dict[str, np.ndarray]
) -> tuple[list[TherapyAtSite], list[SiteProblem]]:
    """The site's therapies under one era's guidance, and the drugs that have none."""
    guidance = content.guidance.set_index("recommendation_id")
    therapies, problems = [], []
    for _, rows in moves.groupby("therapy"):
        usable, unknown = _usable(site, rows, guidance, content)
        problems += unknown
        if len(usable):
            unsplit = _therapy(site, usable, guidance, content, exposure)
            therapies.append(_split_by_drug(unsplit, guidance, site.products))
    return therapies, problems


def _split_by_drug(therapy: TherapyAtSite, guidance: pd.DataFrame, described: pd.DataFrame) -> TherapyAtSite:
    """The therapy with its rows by the drug that patients go to; `described` products are by product_id."""
    rows, products = guidance.loc[list(therapy.row_ids)], described.loc[list(therapy.product_ids)]
    # by what moves: a row whose alternative is not possible changes a dose
    is_other_drug = products["drug"].to_numpy() != rows["drug"].to_numpy()[:, None]
    switches = ((therapy.mean_delta != 0).any(axis=1) & is_other_drug).any(axis=1)
    action = np.where(switches, "alternative", "dose")
    kinds = list(zip(rows["drug"], action, rows["strength"].replace("", "Not graded"), strict=True))
    return split_by_target(therapy, tuple(products["drug"]), products["days_per_unit"].to_numpy(), kinds)


def _in_era(paths: dict[str, np.ndarray], starts: pd.DatetimeIndex, era: Era) -> dict[str, np.ndarray]:
    """Exposure [history + 1 + horizon] as far as it followed this era's guidance; the one in between is the origin's.

    Testing at the origin is that of the last period, and all that is to come follows the last era.
    """
    history = len(starts)
    since = np.asarray(starts >= pd.Timestamp(era.since))
    until = np.full(history, True) if era.until is None else np.asarray(starts < pd.Timestamp(era.until))
    horizon = len(next(iter(paths.values()))) - history
    inside = np.concatenate([since & until, np.full(1 + horizon, era.until is None)])
    return {gene: np.where(inside, np.insert(path, history, path[history - 1]), 0.0) for gene, path in paths.items()}


def share_male(facilities: pd.DataFrame) -> pd.Series:
    """Share of males among the people whom each site serves, by facility_id; NaN where it is not stated."""
    return facilities.set_index("facility_id")["share_male"].astype(float)


def _exposure_paths(exposure: pd.DataFrame, starts: pd.DatetimeIndex, horizon: int) -> dict[str, dict[str, np.ndarray]]:
    """Exposure [history + horizon] by site and gene."""
    first = starts[0]
    paths: dict[str, dict[str, np.ndarray]] = {}
    from_first = exposure[exposure["period_start"] >= first].sort_values("period_start")
    for (facility_id, gene), rows in from_first.groupby(["facility_id", "gene"]):
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


def _linkage(site: str, run: PlanningRun) -> np.ndarray:
    """Where between its bounds the overlap of linked carriers lies at a site, [1 + draw]: the middle, then draws."""
    random = np.random.default_rng(stable_seed(run.seed, "linkage", site))
    return np.append(0.5, (random.permutation(run.draws) + random.random(run.draws)) / run.draws)


def _keys_of_site(drawn: Keys, place: int) -> Keys:
    """Key frequencies [1, 1 + draw, key] of one site; genes and keys without a posterior there are left out.

    Each gene also gets the key "No Result" with frequency 1: such a row is for everybody who lacks that test.
    """
    keys: Keys = {}
    for gene, (frequencies, names) in drawn.items():
        known = ~np.isnan(frequencies[place]).any(axis=0)
        if known.any():
            with_no_result = np.concatenate(
                [frequencies[place][:, known], np.ones((len(frequencies[place]), 1))], axis=1
            )
            keys[gene] = (
                with_no_result[None],
                (*(name for name, yes in zip(names, known, strict=True) if yes), NO_RESULT),
            )
    return keys


def _usable(
    site: _Site, moves: pd.DataFrame, guidance: pd.DataFrame, content: ReferenceContent
) -> tuple[pd.DataFrame, list[SiteProblem]]:
    """The moves of drugs whose genes are known at the site, and problems of the other drugs."""
    drugs = moves["recommendation_id"].map(guidance["drug"])
    problems = []
    for drug in sorted(set(drugs)):
        rows = guidance[guidance["drug"] == drug]
        linked, missing = linked_genes(content, rows), unknown_genes(content, rows, site.keys)
        if linked:
            message = f"{drug}: {' and '.join(linked)} are linked and cannot be multiplied; planned without genetics"
            problems.append((site.facility_id, drug, "linked_genes", message))
        elif missing:
            genes, where = ", ".join(missing), site.facility_id
            message = f"{drug}: the prevalence of {genes} is unknown at {where}; planned without genetics"
            problems.append((where, drug, "prevalence_unknown", message))
    return moves[~drugs.isin({drug for _, drug, _, _ in problems})], problems


def unknown_genes(content: ReferenceContent, rows: pd.DataFrame, keys: Keys) -> list[str]:
    """Genes of the rows without frequencies at the site; of a gene of carriers, alleles that the rows name."""
    missing = set()
    for number in (1, 2):
        for gene, of_gene in rows[~rows[f"gene_{number}"].isin(["", None])].groupby(f"gene_{number}"):
            test_of = gene_model(content, str(gene)).test_of_key
            names = keys[str(gene)][1] if gene in keys else ()
            wanted = {test_of[key] for key in of_gene[f"lookup_key_{number}"] if key in test_of} or {""}
            missing |= {f"{gene}{allele}" for allele in wanted - {test_of.get(name) for name in names}}
    return sorted(missing)


def _therapy(
    site: _Site,
    moves: pd.DataFrame,
    guidance: pd.DataFrame,
    content: ReferenceContent,
    exposure: dict[str, np.ndarray],
) -> TherapyAtSite:
    """One therapy from its moves; `exposure` [history + 1 + horizon] by gene."""
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
    probability = _row_probability(rows, content, site) * share.loc[row_ids].to_numpy()
    path = row_exposure(rows, exposure)
    return TherapyAtSite(
        therapy=str(moves["therapy"].iloc[0]),
        product_ids=tuple(product_ids),
        row_ids=tuple(row_ids),
        delta_low=low,
        delta_high=high,
        probability=probability[1:],
        mean_probability=probability[0],
        exposure_history=path[: site.history],
        exposure_at_origin=path[site.history],
        exposure_planned=path[site.history + 1 :],
    )


def _row_probability(rows: pd.DataFrame, content: ReferenceContent, site: _Site) -> np.ndarray:
    """Share of each row's population that has its result, [1 + draw, row]: the mean, then draws."""
    by_row: dict[str, np.ndarray] = {}
    for (drug, population), _ in rows.groupby(["drug", "population"]):
        joint = joint_lookup_keys(content, str(drug), str(population), site.keys, site.linkage)
        by_row |= dict(zip(joint.rows["recommendation_id"], np.moveaxis(joint.probability[0], 1, 0), strict=True))
    if not by_row:
        raise MissingContent("no guidance rows to put together")
    return np.stack([by_row[row_id] for row_id in rows.index], axis=1)
