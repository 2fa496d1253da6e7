"""The generative model of a site: baseline demand, who has which genotype, how far testing comes, drawn together.

Belongs here: how the draws of the parts make coherent sample paths per product. The parts themselves are elsewhere
(`demand` draws baseline paths, `pharmacogenomics` draws lookup keys, `regimens` knows the moves). Scenarios are other
inputs to the same draws, so that two of them differ only by their cause.
"""

import dataclasses

import numpy as np
import pandas as pd

from forecasting.arrays import sum_by_index
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
    row_of_product = {product_id: number for number, product_id in enumerate(product_ids)}
    dose_position, plan_share = _site_draws(facility_id, seed, baseline_paths.shape[2])
    step_frames, quantities = [], []
    for therapy in therapies:
        is_moved = therapy.moved_products(therapy.exposure_planned)
        if not is_moved.any():
            continue
        rows = np.array([row_of_product[product_id] for product_id in therapy.product_ids])
        moved_rows = rows[is_moved]
        mean[rows] = planned_mean(baseline_mean[rows], therapy)
        drawn = _planned_paths(baseline_paths[rows], therapy, dose_position, plan_share)[is_moved]
        # the plug-in mean is what the explanation adds up to; the draws keep their shape around it
        average = drawn.mean(axis=2)
        paths[moved_rows] = (
            drawn * np.divide(mean[moved_rows], average, out=np.ones_like(average), where=average > 0)[:, :, None]
        )
        frame, quantity = _steps(baseline_mean[rows], mean[rows], therapy)
        step_frames.append(frame)
        quantities.append(quantity)
    return SitePaths(
        paths,
        mean,
        baseline_mean,
        pd.concat(step_frames, ignore_index=True) if step_frames else pd.DataFrame(columns=STEP_COLUMNS),
        np.concatenate(quantities) if quantities else np.zeros((0, baseline_mean.shape[1])),
    )


STEP_COLUMNS = ["product_id", "therapy", "recommendation_id", "prevalence", "exposure_at_origin", "exposure_planned"]
INTERACTION = "interaction"
"""`recommendation_id` of the step that balances what single rows leave: demand that would have been negative."""


def _site_draws(facility_id: str, seed: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Per draw: place in the guidelines' dose ranges (0 to 1), and share of the planned rise that comes true."""
    random = np.random.default_rng(stable_seed(seed, "site", facility_id))
    dose_position = (random.permutation(draws) + random.random(draws)) / draws
    return dose_position, np.maximum(random.normal(1.0, PLAN_REALISATION_SD, draws), 0.0)


def planned_mean(baseline_mean: np.ndarray, therapy: TherapyAtSite) -> np.ndarray:
    """Expected demand [product, horizon] at the planned exposure, from that at the origin's."""
    origin = mixing_matrices(therapy.exposure_at_origin * therapy.mean_probability, therapy.mean_delta)
    planned = mixing_matrices(therapy.exposure_planned * therapy.mean_probability, therapy.mean_delta)
    moved = move_exposure(baseline_mean.T, np.broadcast_to(origin, planned.shape), planned).T
    return np.where(therapy.moved_products(therapy.exposure_planned)[:, None], moved, baseline_mean)


def _planned_paths(
    paths: np.ndarray, therapy: TherapyAtSite, dose_position: np.ndarray, plan_share: np.ndarray
) -> np.ndarray:
    """Paths [product, horizon, draw] at the exposure that each draw's plan reaches."""
    rise = therapy.exposure_planned - therapy.exposure_at_origin
    exposure = np.clip(therapy.exposure_at_origin + rise[:, None, :] * plan_share[:, None], 0.0, 1.0)
    at_origin = _mixing(therapy, therapy.exposure_at_origin * therapy.probability, dose_position)
    planned = _mixing(therapy, exposure * therapy.probability, dose_position)
    demand = np.moveaxis(paths, 0, -1)
    return np.moveaxis(move_exposure(demand, np.broadcast_to(at_origin, planned.shape), planned), -1, 0)


def _mixing(therapy: TherapyAtSite, weights: np.ndarray, dose_position: np.ndarray) -> np.ndarray:
    """Mixing matrices [..., draw, product, product] for row weights [..., draw, row], at each draw's dose position."""
    at_low = mixing_matrices(weights * (1 - dose_position)[:, None], therapy.delta_low)
    at_high = mixing_matrices(weights * dose_position[:, None], therapy.delta_high)
    return at_low + at_high - np.eye(at_low.shape[-1])


def _steps(baseline_mean: np.ndarray, mean: np.ndarray, therapy: TherapyAtSite) -> tuple[pd.DataFrame, np.ndarray]:
    """What each guidance row adds to each product [step, horizon], and what is left over where demand met zero."""
    origin = mixing_matrices(therapy.exposure_at_origin * therapy.mean_probability, therapy.mean_delta)
    usual_care = np.linalg.solve(origin.T, baseline_mean).T
    rise = (therapy.exposure_planned - therapy.exposure_at_origin) * therapy.mean_probability
    by_part = np.einsum("hr,hp,rpq->rqh", rise, usual_care, therapy.mean_delta)
    row_ids, row_of_part = np.unique(np.array(therapy.row_ids, dtype=object), return_inverse=True)

    def summed(parts: np.ndarray) -> np.ndarray:
        """Sums [row, ...] over the parts [part, ...] of each guidance row."""
        return sum_by_index(row_of_part, parts, len(row_ids))

    by_guidance_row = summed(by_part)
    remainder = (mean - baseline_mean) - by_guidance_row.sum(axis=0)
    rows, products = np.nonzero(np.abs(by_guidance_row).max(axis=2) > 0)
    with_remainder = np.flatnonzero(np.abs(remainder).max(axis=1) > 1e-9 * np.maximum(np.abs(mean).max(axis=1), 1.0))
    row_number = np.concatenate([rows, np.full(len(with_remainder), -1)])
    # parts of one row act on a product with exposures of their own: their mean, by what each of them moves
    moved = np.abs(by_part).sum(axis=2) + np.finfo(float).tiny
    exposures = [
        summed(moved * exposure[:, None]) / summed(moved)
        for exposure in (therapy.exposure_at_origin, therapy.exposure_planned.mean(axis=0))
    ]
    prevalence = summed(therapy.mean_probability) / np.bincount(row_of_part)
    frame = pd.DataFrame(
        {
            "product_id": np.array(therapy.product_ids)[np.concatenate([products, with_remainder])],
            "therapy": therapy.therapy,
            "recommendation_id": np.array([*row_ids, INTERACTION], dtype=object)[row_number],
            "prevalence": np.append(prevalence[rows], np.ones(len(with_remainder))),
            "exposure_at_origin": np.append(exposures[0][rows, products], np.zeros(len(with_remainder))),
            "exposure_planned": np.append(exposures[1][rows, products], np.zeros(len(with_remainder))),
        }
    )
    return frame, np.concatenate([by_guidance_row[rows, products], remainder[with_remainder]])
