"""The generative model of a site: baseline demand, who has which genotype, how far testing comes, drawn together.

Belongs here: how the draws of the parts make coherent sample paths per product. The parts themselves are elsewhere
(`demand` draws baseline paths, `pharmacogenomics` draws lookup keys, `regimens` knows the moves). Scenarios are other
inputs to the same draws, so that two of them differ only by their cause.
"""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.regimens.mixing import mixing_matrices, move_exposure
from forecasting.regimens.therapy import TherapyAtSite
from forecasting.seeds import stable_seed

PLAN_REALISATION_SD = 0.2
"""Standard deviation of the share of a planned rise in exposure that comes true: a planning assumption."""


@dataclasses.dataclass(frozen=True)
class SitePaths:
    """Demand to come at a site: `paths` [product, horizon, draw], `mean` and `baseline_mean` [product, horizon].

    `steps` says what each guidance row adds: one row a therapy, guidance row and target product, with `quantity`
    [step, horizon] beside it; the steps of a product sum to mean - baseline_mean.
    """

    paths: np.ndarray
    mean: np.ndarray
    baseline_mean: np.ndarray
    steps: pd.DataFrame
    quantity: np.ndarray


def simulate_site(
    product_ids: tuple[str, ...],
    baseline_paths: np.ndarray,
    baseline_mean: np.ndarray,
    therapies: list[TherapyAtSite],
    *,
    facility_id: str,
    seed: int,
) -> SitePaths:
    """Baseline paths at the origin's exposure moved to the planned exposure, with everything uncertain drawn together.

    Products that no change of exposure reaches keep their baseline exactly. Draws
    are keyed by `seed` and `facility_id`: they do not depend on which other sites are simulated.
    """
    paths, mean = baseline_paths.copy(), baseline_mean.copy()
    place = {product_id: number for number, product_id in enumerate(product_ids)}
    position, realised = _site_draws(facility_id, seed, baseline_paths.shape[2])
    steps, quantities = [], []
    for therapy in therapies:
        reached = therapy.moved(therapy.exposure_planned)
        if not reached.any():
            continue
        here = np.array([place[product_id] for product_id in therapy.product_ids])
        there = here[reached]
        mean[here] = planned_mean(baseline_mean[here], therapy)
        drawn = _planned_paths(baseline_paths[here], therapy, position, realised)[reached]
        # the plug-in mean is what the explanation adds up to; the draws keep their shape around it
        average = drawn.mean(axis=2)
        paths[there] = drawn * np.divide(mean[there], average, out=np.ones_like(average), where=average > 0)[:, :, None]
        frame, quantity = _steps(baseline_mean[here], mean[here], therapy)
        steps.append(frame)
        quantities.append(quantity)
    return SitePaths(
        paths,
        mean,
        baseline_mean,
        pd.concat(steps, ignore_index=True) if steps else pd.DataFrame(columns=STEP_COLUMNS),
        np.concatenate(quantities) if quantities else np.zeros((0, baseline_mean.shape[1])),
    )


STEP_COLUMNS = ["product_id", "therapy", "recommendation_id", "prevalence", "exposure_at_origin", "exposure_planned"]
INTERACTION = "interaction"
"""`recommendation_id` of the step that balances what single rows leave: demand that would have been negative."""


def _site_draws(facility_id: str, seed: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Per draw: place in the guidelines' dose ranges (0 to 1), and share of the planned rise that comes true."""
    random = np.random.default_rng(stable_seed(seed, "site", facility_id))
    position = (random.permutation(draws) + random.random(draws)) / draws
    return position, np.maximum(random.normal(1.0, PLAN_REALISATION_SD, draws), 0.0)


def planned_mean(baseline_mean: np.ndarray, therapy: TherapyAtSite) -> np.ndarray:
    """Expected demand [product, horizon] at the planned exposure, from that at the origin's."""
    origin = mixing_matrices(therapy.exposure_at_origin * therapy.mean_probability, therapy.mean_delta)
    planned = mixing_matrices(therapy.exposure_planned * therapy.mean_probability, therapy.mean_delta)
    moved = move_exposure(baseline_mean.T, np.broadcast_to(origin, planned.shape), planned).T
    return np.where(therapy.moved(therapy.exposure_planned)[:, None], moved, baseline_mean)


def _planned_paths(paths: np.ndarray, therapy: TherapyAtSite, position: np.ndarray, realised: np.ndarray) -> np.ndarray:
    """Paths [product, horizon, draw] at the exposure that each draw's plan reaches."""
    rise = therapy.exposure_planned - therapy.exposure_at_origin
    reached = np.clip(therapy.exposure_at_origin + rise[:, None, :] * realised[:, None], 0.0, 1.0)
    at_origin = _mixing(therapy, therapy.exposure_at_origin * therapy.probability, position)
    planned = _mixing(therapy, reached * therapy.probability, position)
    demand = np.moveaxis(paths, 0, -1)
    return np.moveaxis(move_exposure(demand, np.broadcast_to(at_origin, planned.shape), planned), -1, 0)


def _mixing(therapy: TherapyAtSite, weights: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Mixing matrices [..., draw, product, product] for row weights [..., draw, row], at each draw's dose position."""
    at_low = mixing_matrices(weights * (1 - position)[:, None], therapy.delta_low)
    at_high = mixing_matrices(weights * position[:, None], therapy.delta_high)
    return at_low + at_high - np.eye(at_low.shape[-1])


def _steps(baseline_mean: np.ndarray, mean: np.ndarray, therapy: TherapyAtSite) -> tuple[pd.DataFrame, np.ndarray]:
    """What each guidance row adds to each product [step, horizon], and what is left over where demand met zero."""
    origin = mixing_matrices(therapy.exposure_at_origin * therapy.mean_probability, therapy.mean_delta)
    usual_care = np.linalg.solve(origin.T, baseline_mean).T
    rise = (therapy.exposure_planned - therapy.exposure_at_origin) * therapy.mean_probability
    parts = np.einsum("hr,hp,rpq->rqh", rise, usual_care, therapy.mean_delta)
    row_ids, place = np.unique(np.array(therapy.row_ids, dtype=object), return_inverse=True)
    added = _by_row(parts, place, len(row_ids))
    left = (mean - baseline_mean) - added.sum(axis=0)
    rows, products = np.nonzero(np.abs(added).max(axis=2) > 0)
    short = np.flatnonzero(np.abs(left).max(axis=1) > 1e-9 * np.maximum(np.abs(mean).max(axis=1), 1.0))
    number = np.concatenate([rows, np.full(len(short), -1)])
    # parts of one row act on a product with exposures of their own: their mean, by what each of them moves
    moved = np.abs(parts).sum(axis=2) + np.finfo(float).tiny
    exposures = [
        _by_row(moved * exposure[:, None], place, len(row_ids)) / _by_row(moved, place, len(row_ids))
        for exposure in (therapy.exposure_at_origin, therapy.exposure_planned.mean(axis=0))
    ]
    prevalence = _by_row(therapy.mean_probability, place, len(row_ids)) / np.bincount(place)
    frame = pd.DataFrame(
        {
            "product_id": np.array(therapy.product_ids)[np.concatenate([products, short])],
            "therapy": therapy.therapy,
            "recommendation_id": np.array([*row_ids, INTERACTION], dtype=object)[number],
            "prevalence": np.append(prevalence[rows], np.ones(len(short))),
            "exposure_at_origin": np.append(exposures[0][rows, products], np.zeros(len(short))),
            "exposure_planned": np.append(exposures[1][rows, products], np.zeros(len(short))),
        }
    )
    return frame, np.concatenate([added[rows, products], left[short]])


def _by_row(parts: np.ndarray, place: np.ndarray, rows: int) -> np.ndarray:
    """Sums [row, ...] over the parts [part, ...] of each guidance row."""
    total = np.zeros((rows, *parts.shape[1:]))
    np.add.at(total, place, parts)
    return total
