"""One therapy at one site: products that stand in for each other."""

import dataclasses

import numpy as np

from forecasting.regimens.mixing import mixing_matrices, move_exposure


@dataclasses.dataclass(frozen=True)
class TherapyAtSite:
    """One therapy at one site: where patients move, who they are and how far results are acted on.

    `row_ids` are guidance rows (several parts of one bear the same), `product_ids` every product that a move touches.
    `delta_low`, `delta_high` [row, product, product] are the moves at the ends of the dose range; `probability`
    [draw, row] and `mean_probability` [row] the share of the drug's patients that each guidance row is about (times
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
    def exposure_changes(self) -> bool:
        """Whether exposure ever differs from the origin's, in the past or in the plan."""
        past = self.exposure_history != self.exposure_at_origin
        return bool(past.any() or (self.exposure_planned != self.exposure_at_origin).any())

    def moved_products(self, exposure: np.ndarray) -> np.ndarray:
        """Which products [product] rows reach whose `exposure` [period, row] ever differs from the origin's."""
        rows = (exposure != self.exposure_at_origin).any(axis=0)
        return np.asarray(((self.delta_low[rows] != 0) | (self.delta_high[rows] != 0)).any(axis=(0, 1)))

    def known_at(self, cut: int, horizon: int) -> "TherapyAtSite":
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
        is_moved = self.moved_products(self.exposure_history)
        if not is_moved.any():
            return quantity
        at = mixing_matrices(self.exposure_history * self.mean_probability, self.mean_delta)
        to = mixing_matrices(self.exposure_at_origin * self.mean_probability, self.mean_delta)
        return np.where(is_moved, move_exposure(quantity, at, np.broadcast_to(to, at.shape)), quantity)
