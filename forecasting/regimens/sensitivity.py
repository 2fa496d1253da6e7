"""Sensitivity of demand to the shares of genotypes, and the interval of a quantity over draws."""

import numpy as np

from forecasting.regimens.mixing import mixing_matrices
from forecasting.regimens.therapy import TherapyAtSite

INTERVAL = (0.05, 0.95)


def units_per_share(therapy: TherapyAtSite, baseline: np.ndarray) -> np.ndarray:
    """Change of demand at the mean planned exposure per unit of each row's share of patients, [row, product].

    `baseline` [product] is the mean demand at the origin's exposure, in dose units per period. Demand is y M0^-1 M1
    with M = I + sum of e_r pi_r delta_r; this is its derivative at the mean shares: one solve serves all draws.
    Where the exposure does not change, demand does not depend on genotypes.
    """
    origin, planned = therapy.exposure_at_origin, therapy.exposure_planned.mean(axis=0)
    delta = therapy.mean_delta
    at, to = (mixing_matrices(exposure * therapy.mean_probability, delta) for exposure in (origin, planned))
    moved = np.einsum("p,rpq->rq", np.linalg.solve(at.T, baseline), delta)
    return np.asarray(planned[:, None] * moved - (origin[:, None] * moved) @ np.linalg.solve(at, to))


def interval_ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 90 % interval over the second last axis, NaN where a draw is unknown."""
    draws = values.shape[-2]
    positions = [level * (draws - 1) for level in INTERVAL]
    below = [int(position) for position in positions]
    above = [min(index + 1, draws - 1) for index in below]
    ordered = np.partition(np.swapaxes(values, -1, -2), sorted({*below, *above}), axis=-1)
    unknown = np.isnan(values).any(axis=-2)
    ends = [
        ordered[..., low] + (position - low) * (ordered[..., high] - ordered[..., low])
        for position, low, high in zip(positions, below, above, strict=True)
    ]
    return np.where(unknown, np.nan, ends[0]), np.where(unknown, np.nan, ends[1])
