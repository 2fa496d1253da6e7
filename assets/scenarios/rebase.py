"""The baseline of a site whose guidance changes at the origin, brought from the old guidance to the new one."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from assets.sites.release_impact import at_guidance_change, with_therapy
from forecasting.regimens.therapy import TherapyAtSite

LEVELS = ["mean", "p025", "p05", "p10", "p25", "p50", "p75", "p90", "p95", "p975"]


def rebased_baseline(
    baseline: pd.DataFrame, therapies: Sequence[TherapyAtSite]
) -> tuple[pd.DataFrame, list[TherapyAtSite]]:
    """Rows of `baseline_forecasts` of one site and the therapies to come; past guidance has ended.

    The mean goes from what was followed to usual care and on to the new guidance at the origin's testing, as a run's
    history would; quantiles keep their ratio to it. Where the new guidance brings a product that has no baseline, its
    therapy begins at usual care instead.
    """
    before = baseline.pivot_table(index="product_id", columns="period_start", values="mean")
    products = sorted({product for therapy in therapies for product in therapy.product_ids} | set(before.index))
    mean = before.reindex(products).fillna(0.0)
    to_come: list[TherapyAtSite] = []
    # therapies of past guidance come first
    for therapy in therapies:
        changing = at_guidance_change(therapy)
        if not therapy.exposure_planned.any():
            mean = with_therapy(mean, changing)
            continue
        at_origin = np.broadcast_to(therapy.exposure_at_origin, therapy.exposure_planned.shape)
        rebased = with_therapy(mean, dataclasses.replace(changing, exposure_planned=at_origin))
        if rebased.drop(index=before.index).to_numpy().any():
            to_come.append(changing)
        else:
            mean = rebased
            to_come.append(therapy)
    ratio = (mean.reindex(before.index) / before.where(before > 0)).reset_index()
    long = ratio.melt("product_id", var_name="period_start", value_name="ratio")
    long["period_start"] = pd.to_datetime(long["period_start"])
    factor = baseline.merge(long, on=["product_id", "period_start"], how="left")["ratio"].fillna(1.0).to_numpy()
    return baseline.assign(**{name: baseline[name] * factor for name in LEVELS}), to_come
