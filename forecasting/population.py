"""The generative model of a site: baseline demand, who has which genotype, how far testing comes, drawn together.

Belongs here: how the draws of the parts make coherent sample paths per product. The parts themselves are elsewhere
(`demand` draws baseline paths, `pharmacogenomics` draws lookup keys, `regimens` knows the moves). Scenarios are other
inputs to the same draws, so that two of them differ only by their cause.
"""

import dataclasses
import hashlib

import numpy as np
import pandas as pd

from forecasting.regimens.mixing import mixing_matrices, move_exposure

PLAN_REALISATION_SD = 0.2
"""Standard deviation of the share of a planned rise in exposure that comes true: a planning assumption."""


@dataclasses.dataclass(frozen=True)
class TherapyAtSite:
    """One therapy at one site: where patients move, who they are and how far results are acted on.

    `row_ids` are guidance rows (several parts of one bear the same), `product_ids` every product that a move touches.
    `delta_low`, `delta_high` [row, product, product] are the moves at the ends of the dose range; `probability`
    [draw, row] and `mean_probability` [row] the share of the drug's patients that each guidance row speaks of (times
    the share of its population); `exposure_history` [period, row], `exposure_at_origin` [row] and `exposure_planned`
    [horizon, row] the share of them whose prescribing follows it. `groups` [row] names the advice whose strength is
    learned together.
    """

    therapy: str
    product_ids: tuple[str, ...]
    row_ids: tuple[str, ...]
    delta_low: np.ndarray
    delta_high: np.ndarray
    probability: np.ndarray
    mean_probability: np.ndarray
    exposure_history: np.ndarray
    exposure_at_origin: np.ndarray
    exposure_planned: np.ndarray
    groups: tuple[str, ...] = ()

    @property
    def mean_delta(self) -> np.ndarray:
        """Moves at the middle of the guideline's dose range, [row, product, product]."""
        return (self.delta_low + self.delta_high) / 2

    @property
    def changes(self) -> bool:
        """Whether exposure ever differs from the origin's, in the past or in the plan."""
        past = self.exposure_history != self.exposure_at_origin
        return bool(past.any() or (self.exposure_planned != self.exposure_at_origin).any())

    def moved(self, exposure: np.ndarray) -> np.ndarray:
        """Which products [product] rows reach whose `exposure` [period, row] ever differs from the origin's."""
        rows = (exposure != self.exposure_at_origin).any(axis=0)
        return np.asarray(((self.delta_low[rows] != 0) | (self.delta_high[rows] != 0)).any(axis=(0, 1)))

    def seen_from(self, cut: int, horizon: int) -> "TherapyAtSite":
        """The therapy as it stood after `cut` periods; the coverage that then came stands for the plan."""
        path = np.concatenate([self.exposure_history, self.exposure_planned])
        return dataclasses.replace(
            self,
            exposure_history=path[:cut],
            exposure_at_origin=path[cut - 1],
            exposure_planned=path[cut : cut + horizon],
        )

    def reference_history(self, quantity: np.ndarray) -> np.ndarray:
        """History [period, product] as it would have been at the origin's exposure.

        Products that no change of exposure reaches come back as they are.
        """
        moved = self.moved(self.exposure_history)
        if not moved.any():
            return quantity
        at = mixing_matrices(self.exposure_history * self.mean_probability, self.mean_delta)
        to = mixing_matrices(self.exposure_at_origin * self.mean_probability, self.mean_delta)
        return np.where(moved, move_exposure(quantity, at, np.broadcast_to(to, at.shape)), quantity)


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


def stable_seed(*parts: object) -> np.random.SeedSequence:
    """A seed that depends on the parts alone, the same in every process.

    >>> stable_seed(1, "a").entropy == stable_seed(1, "a").entropy
    True
    """
    text = "\x1f".join(str(part) for part in parts)
    return np.random.SeedSequence(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


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
