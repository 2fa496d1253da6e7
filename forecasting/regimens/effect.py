"""How strongly the guideline's moves are seen in history: learned from the mix shift, per drug's advice and per site.

A therapy's demand at exposure e is z (I + sum over groups of beta_k e D_k): beta 1 is the guideline's move in full. On
the log scale a product's usual-care demand is a level, a growth, a season and a random walk, and what is left of
history, un-mixed at beta 1, is regressed on what each group's move would add (generalised least squares). Groups of
advice of one kind share a part of their prior; sites share a part of their strength.

References
----------
Lindley & Smith (1972), Journal of the Royal Statistical Society B 34:1-41, doi:10.1111/j.2517-6161.1972.tb00885.x.
"""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.regimens.therapy import TherapyAtSite
from forecasting.terms import DAYS_A_YEAR

BLOCK_DAYS = 14.0
SMOOTH_DAYS = 182.0
LEAST_BLOCKS = 13
LEAST_KNOWN_SHARE = 0.8
RANDOM_WALK_RATIOS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Variance of a block's step of the random walk over that of the noise, tried together."""

GROWTH_RATIO = 8e-4
"""Variance of the growth from block to block, about none, over that of the noise: that of `local_trend`, 1e-4 a
week, in blocks of two weeks (growth 2^2 times as variable, noise half)."""

ANNUAL_HARMONICS = 2

OWN_SD = 0.2
DRUG_SD = 0.15
CLASS_SD = {"Strong": 0.25, "Moderate": 0.35, "Optional": 0.8}
OTHER_CLASS_SD = 0.4
SITE_SD = 0.12
"""How far one site departs from the network in a group's strength."""

DELAY_SD = 0.2
DELAY_DAYS = 56.0
"""A group may follow the measured exposure so much later (or, negative, earlier), times its learned delay."""

GROUP_SEPARATOR = "|"
INDEPENDENT_SHARE = 0.6
"""Products and sites share accidents: their evidence counts for so much of what independent ones' would."""

FADE_BEGINS, FADED_OUT = 1.1, 1.25
"""Backtest error with the step over that without it, at which the step begins to fade and is gone."""

STRENGTH_RANGE = (0.0, 1.5)
DELAY_RANGE = (-1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class SiteHistory:
    """One therapy at one site, its rows split `split_by_target`, and its history `quantity` [period, product]."""

    facility_id: str
    therapy: TherapyAtSite
    quantity: np.ndarray


def split_by_target(
    therapy: TherapyAtSite, drugs: tuple[str, ...], days_per_unit: np.ndarray, kinds: list[tuple[str, str, str]]
) -> TherapyAtSite:
    """The therapy with each row split by the drug its patients go to, and its `groups` named.

    `drugs` and `days_per_unit` are by product, `kinds` (drug, action, strength of recommendation) by row. A part takes
    from the source the share of its patients, by treatment-days (units where these are unknown), that its drug
    receives: together the parts are the row.
    """
    names = np.array(drugs, dtype=object)
    days = np.where(np.isfinite(days_per_unit), days_per_unit, 1.0)
    is_other_drug = names[:, None] != names[None, :]
    arrivals = np.maximum(therapy.mean_delta, 0.0) * is_other_drug * days
    total = arrivals.sum(axis=2, keepdims=True)
    low, high, row_numbers, groups = [], [], [], []
    for row in range(len(therapy.row_ids)):
        reached_drugs = sorted(set(names[arrivals[row].any(axis=0)]))
        for drug in reached_drugs or [""]:
            to_drug = is_other_drug & (names == drug)[None, :]
            share = arrivals[row][:, names == drug].sum(axis=1, keepdims=True)
            share = (
                np.divide(share, total[row], out=np.zeros_like(share), where=total[row] > 0) if reached_drugs else 1.0
            )
            low.append(
                np.where(to_drug, therapy.delta_low[row], np.where(is_other_drug, 0.0, therapy.delta_low[row] * share))
            )
            high.append(
                np.where(
                    to_drug, therapy.delta_high[row], np.where(is_other_drug, 0.0, therapy.delta_high[row] * share)
                )
            )
            row_numbers.append(row)
            groups.append(GROUP_SEPARATOR.join((*kinds[row], drug)))
    rows = np.array(row_numbers)
    return dataclasses.replace(
        therapy,
        row_ids=tuple(therapy.row_ids[row] for row in rows),
        delta_low=np.stack(low),
        delta_high=np.stack(high),
        probability=therapy.probability[:, rows],
        mean_probability=therapy.mean_probability[rows],
        exposure_history=therapy.exposure_history[:, rows],
        exposure_at_origin=therapy.exposure_at_origin[rows],
        exposure_planned=therapy.exposure_planned[:, rows],
        groups=tuple(groups),
    )


@dataclasses.dataclass(frozen=True)
class LearnedEffects:
    """Strength and delay per site and group: `mean` and `sd` [site, group] of the strength, `delay` [site, group].

    `information` [site, group] is what the site's own history adds, as a share of the posterior precision.
    """

    facility_ids: tuple[str, ...]
    groups: tuple[str, ...]
    mean: np.ndarray
    sd: np.ndarray
    delay: np.ndarray
    information: np.ndarray


def learn_effects(histories: list[SiteHistory], classes: dict[str, str], period_days: float) -> LearnedEffects:
    """The posterior of every group's strength, at each site and at sites whose own history says nothing.

    `classes` gives each group's strength of recommendation. Without any evidence the mean is 1, the sd the prior's.
    """
    sites = tuple(sorted({history.facility_id for history in histories}))
    groups = tuple(sorted(classes))
    size = 2 * len(groups)
    precision, moment = np.zeros((len(sites), size, size)), np.zeros((len(sites), size))
    evidence = [_evidence(history, groups, period_days) for history in histories]
    for history, equations in zip(histories, _normal_equations(evidence, period_days), strict=True):
        site = sites.index(history.facility_id)
        precision[site] += equations[0]
        moment[site] += equations[1]
    return _posterior(sites, groups, classes, precision * INDEPENDENT_SHARE, moment * INDEPENDENT_SHARE)


def _posterior(
    sites: tuple[str, ...], groups: tuple[str, ...], classes: dict[str, str], precision: np.ndarray, moment: np.ndarray
) -> LearnedEffects:
    """Network and site effects from each site's precision [site, parameter, parameter] and moment [site, parameter]."""
    count, size = len(groups), 2 * len(groups)
    prior = np.linalg.inv(_prior_covariance(groups, classes))
    spread = np.diag(np.repeat([SITE_SD**2, (SITE_SD * DELAY_SD) ** 2], count))
    # a site's own evidence about the network is blurred by how far sites differ
    blur = np.linalg.inv(np.eye(size) + precision @ spread)
    shared, shared_moment = blur @ precision, (blur @ moment[:, :, None])[:, :, 0]
    network = prior + shared.sum(axis=0)
    mean, sd, own_share = (np.zeros((len(sites), size)) for _ in range(3))
    for site in range(len(sites)):
        other_sites = np.linalg.inv(network - shared[site])
        prior_mean = other_sites @ (shared_moment.sum(axis=0) - shared_moment[site])
        prior_precision = np.linalg.inv(other_sites + spread)
        covariance = np.linalg.inv(prior_precision + precision[site])
        mean[site] = covariance @ (prior_precision @ prior_mean + moment[site])
        sd[site] = np.sqrt(np.diag(covariance))
        own_share[site] = 1 - np.diag(covariance) / np.diag(other_sites + spread)
    return LearnedEffects(
        sites,
        groups,
        np.clip(1 + mean[:, :count], *STRENGTH_RANGE),
        sd[:, :count],
        np.clip(mean[:, count:], *DELAY_RANGE),
        np.clip(own_share[:, :count], 0.0, 1.0),
    )


def _prior_covariance(groups: tuple[str, ...], classes: dict[str, str]) -> np.ndarray:
    """Of strengths, then delays: an own part, and a part that all groups of one strength of recommendation share."""
    kind = np.array([classes[group] for group in groups], dtype=object)
    shared = np.array([CLASS_SD.get(name, OTHER_CLASS_SD) ** 2 for name in kind])
    same = (kind[:, None] == kind[None, :]) * shared[:, None]
    count = len(groups)
    covariance = np.zeros((2 * count, 2 * count))
    drug = np.array([group.split(GROUP_SEPARATOR)[0] for group in groups], dtype=object)
    same = same + DRUG_SD**2 * (drug[:, None] == drug[None, :])
    covariance[:count, :count] = OWN_SD**2 * np.eye(count) + same
    covariance[count:, count:] = DELAY_SD**2 / 2 * (np.eye(count) + np.ones((count, count)))
    return covariance


@dataclasses.dataclass(frozen=True)
class _Evidence:
    """Log demand un-mixed at strength 1 [series, block], what each parameter would add to it [series, block,
    parameter], and the product of each series."""

    residual: np.ndarray
    effects: np.ndarray
    product: tuple[str, ...]


def _evidence(history: SiteHistory, groups: tuple[str, ...], period_days: float) -> _Evidence:
    periods, products = history.quantity.shape
    length = max(round(BLOCK_DAYS / period_days), 1)
    blocks = periods // length
    empty = _Evidence(np.zeros((0, blocks)), np.zeros((0, blocks, 2 * len(groups))), ())
    therapy = history.therapy
    is_short = blocks < LEAST_BLOCKS or periods * period_days < DAYS_A_YEAR
    if is_short or not (therapy.exposure_history != therapy.exposure_history[-1]).any():
        return empty
    group_of_row = np.array([groups.index(name) for name in history.therapy.groups])
    weight = therapy.exposure_history * therapy.mean_probability
    delayed_weight = delayed_exposure(therapy.exposure_history, period_days) * therapy.mean_probability
    delta = therapy.mean_delta
    usual = _smooth_usual_care(history.quantity, weight, delta, max(round(SMOOTH_DAYS / period_days) | 1, 1))
    effects = np.zeros((products, periods, 2 * len(groups)))
    for row in np.flatnonzero(weight.any(axis=0) | delayed_weight.any(axis=0)):
        moved = usual @ delta[row]
        effects[:, :, group_of_row[row]] += (weight[:, [row]] * moved).T
        effects[:, :, len(groups) + group_of_row[row]] += ((delayed_weight - weight)[:, [row]] * moved).T
    demand = usual.T + effects[:, :, : len(groups)].sum(axis=2)
    clipped = np.maximum(demand, 0.2 * usual.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = effects / clipped[:, :, None]
        factor = clipped / usual.T
    cut = slice(periods - blocks * length, None)
    share = _blocks(share[:, cut], blocks)
    quantity = _blocks(history.quantity.T[:, cut], blocks)
    residual = np.log(np.where(quantity > 0, quantity, np.nan)) - np.log(_blocks(factor[:, cut], blocks))
    usable = (np.isfinite(residual).mean(axis=1) >= LEAST_KNOWN_SHARE) & np.isfinite(share).all(axis=(1, 2))
    usable &= (share != 0).any(axis=(1, 2)) & (np.nanmedian(np.nan_to_num(quantity), axis=1) > 0)
    chosen = np.flatnonzero(usable)
    return _Evidence(
        _filled(residual[chosen]), share[chosen], tuple(therapy.product_ids[product] for product in chosen)
    )


def delayed_exposure(exposure: np.ndarray, period_days: float) -> np.ndarray:
    """Exposure [period, row] as it was `DELAY_DAYS` before; the first value holds backwards."""
    lag = max(round(DELAY_DAYS / period_days), 1)
    return np.concatenate([np.repeat(exposure[:1], min(lag, len(exposure)), axis=0), exposure[:-lag]])


def _smooth_usual_care(quantity: np.ndarray, weight: np.ndarray, delta: np.ndarray, window: int) -> np.ndarray:
    """Usual-care demand [period, product] at strength 1, a moving mean: the proportions that moves start from."""
    filled = np.nan_to_num(quantity)
    mixing = np.eye(quantity.shape[1]) + np.einsum("tr,rpq->tpq", weight, delta)
    usual = np.maximum(np.linalg.solve(np.swapaxes(mixing, 1, 2), filled[:, :, None])[:, :, 0], 0.0)
    usual = np.where(np.isfinite(quantity), usual, np.nan)
    return pd.DataFrame(usual).rolling(window, center=True, min_periods=1).mean().bfill().ffill().fillna(0.0).to_numpy()


def _blocks(values: np.ndarray, blocks: int) -> np.ndarray:
    """Means over blocks of periods (axis 1), unknown periods left out."""
    shaped = values.reshape(len(values), blocks, -1, *values.shape[2:])
    known = np.isfinite(shaped)
    count = known.sum(axis=2)
    mean = np.where(known, shaped, 0.0).sum(axis=2) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _filled(values: np.ndarray) -> np.ndarray:
    return pd.DataFrame(values.T).interpolate(limit_direction="both").to_numpy().T if len(values) else values


def _normal_equations(evidence: list[_Evidence], period_days: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(precision, moment) of each piece of evidence, by generalised least squares."""
    informative = [item for item in evidence if len(item.residual)]
    size = evidence[0].effects.shape[2] if evidence else 0
    if not informative:
        return [(np.zeros((size, size)), np.zeros(size)) for _ in evidence]
    blocks = informative[0].residual.shape[1]
    filters = [_residual_maker(blocks, ratio, period_days) for ratio in RANDOM_WALK_RATIOS]
    residuals = np.concatenate([item.residual for item in informative])
    product = pd.factorize(np.array([name for item in informative for name in item.product], dtype=object))[0]
    chosen, variance = _noise(residuals, product, filters)
    equations, offset = [], 0
    for item in evidence:
        precision, moment = np.zeros((size, size)), np.zeros(size)
        for series in range(len(item.residual)):
            weight = filters[chosen[offset + series]][0] / variance[offset + series]
            effects = item.effects[series]
            precision += effects.T @ weight @ effects
            moment += effects.T @ weight @ item.residual[series]
        offset += len(item.residual)
        equations.append((precision, moment))
    return equations


def _residual_maker(blocks: int, ratio: float, period_days: float) -> tuple[np.ndarray, float]:
    """(P [block, block], log-determinants): x'Px is the squared error about level and season, in noise units."""
    time = np.arange(blocks)
    since = time - time.mean()
    covariance = np.eye(blocks) + ratio * np.minimum.outer(time, time) + GROWTH_RATIO * np.outer(since, since)
    length = max(round(BLOCK_DAYS / period_days), 1) * period_days
    angle = 2 * np.pi * time * length / DAYS_A_YEAR
    waves = [wave(order * angle) for order in range(1, ANNUAL_HARMONICS + 1) for wave in (np.sin, np.cos)]
    nuisance = np.stack([np.ones(blocks), *waves], axis=1)
    inverse = np.linalg.inv(covariance)
    inner = nuisance.T @ inverse @ nuisance
    projection = inverse - inverse @ nuisance @ np.linalg.solve(inner, nuisance.T @ inverse)
    return projection, float(np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(inner)[1])


def _noise(
    residuals: np.ndarray, product: np.ndarray, filters: list[tuple[np.ndarray, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the likeliest random walk (`RANDOM_WALK_RATIOS`) of each series' product, and each series' variance."""
    degrees = residuals.shape[1] - (1 + 2 * ANNUAL_HARMONICS)
    squared = (
        np.stack([np.einsum("sb,bc,sc->s", residuals, residual_maker, residuals) for residual_maker, _ in filters])
        / degrees
    )
    squared = np.maximum(squared, 1e-8)
    likelihood = np.stack(
        [-degrees / 2 * np.log(value) - logs / 2 for value, (_, logs) in zip(squared, filters, strict=True)]
    )
    of_product = np.stack([np.bincount(product, value)[product] for value in likelihood])
    ratio_number = of_product.argmax(axis=0)
    return ratio_number, squared[ratio_number, np.arange(len(residuals))]


def apply_effect(therapy: TherapyAtSite, strength: np.ndarray, delay: np.ndarray, period_days: float) -> TherapyAtSite:
    """The therapy with its exposure as it acts: `strength` and `delay` [row] times what coverage says.

    Where exposure never changes it keeps not changing, to the last bit.
    """
    path = np.concatenate([therapy.exposure_history, therapy.exposure_planned])
    acting_exposure = np.clip(strength * (path + delay * (delayed_exposure(path, period_days) - path)), 0.0, 1.0)
    history = len(therapy.exposure_history)
    continues = therapy.exposure_at_origin == therapy.exposure_history[-1]
    origin = np.where(continues, acting_exposure[history - 1], np.clip(strength * therapy.exposure_at_origin, 0.0, 1.0))
    return dataclasses.replace(
        therapy,
        exposure_history=acting_exposure[:history],
        exposure_at_origin=origin,
        exposure_planned=acting_exposure[history:],
    )


def retained_share(error_without: np.ndarray, error_with: np.ndarray) -> np.ndarray:
    """Share of the step that stays, from backtest errors without and with it; 1 where it made nothing clearly worse.

    >>> retained_share(np.array([10.0, 10.0, 10.0]), np.array([9.0, 11.75, 13.0])).round(2).tolist()
    [1.0, 0.5, 0.0]
    """
    ratio = np.divide(error_with, error_without, out=np.ones_like(error_with), where=error_without > 0)
    return np.clip((FADED_OUT - ratio) / (FADED_OUT - FADE_BEGINS), 0.0, 1.0)
