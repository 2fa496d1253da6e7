"""How much demand hangs on what is not known about genotypes."""

import numpy as np

from forecasting.population import TherapyAtSite
from forecasting.regimens.mixing import mixing_matrices, move_exposure

INTERVAL = (0.05, 0.95)


def packs_at_stake(
    therapy: TherapyAtSite, probability: np.ndarray, baseline: np.ndarray, pack_size: np.ndarray
) -> np.ndarray:
    """Packs per period that hang on the spread of `probability`, [variant].

    `probability` [variant, draw, row] is the share of patients that each guidance row speaks of, `baseline` [product]
    the mean demand per period at the origin's exposure in dose units, `pack_size` [product] dose units a pack. Demand
    at the mean planned exposure is computed for every draw; the widths of the products' 90 % intervals are added up.
    Where exposure is to stay as it is, demand does not hang on genotypes.
    """
    planned = therapy.exposure_planned.mean(axis=0)
    at = mixing_matrices(therapy.exposure_at_origin * probability, therapy.mean_delta)
    to = mixing_matrices(planned * probability, therapy.mean_delta)
    moved = move_exposure(np.broadcast_to(baseline, at.shape[:-1]), at, to)
    low, high = np.quantile(moved / pack_size, INTERVAL, axis=1)
    return np.asarray((high - low).sum(axis=-1))
