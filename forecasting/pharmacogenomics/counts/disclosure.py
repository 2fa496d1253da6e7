"""Counts of people as they may be computed with: in steps of the threshold, so that nothing smaller can be worked out.

What is computed from rounded counts alone reveals no more than they do, however it is combined: sums, differences,
shares times totals, before and after. That is why the counts are rounded once, before the model, and not each output
after it.
"""

import numpy as np
import pandas as pd

from forecasting.errors import InvalidInput
from forecasting.terms import ResultType

PANEL = ["facility_id", "gene", "result_type", "biogeographic_group", "as_of"]
"""What was counted together: its rows share the people tested."""


def round_to_threshold(counts: pd.DataFrame, threshold: int) -> pd.DataFrame:
    """The genotype counts with `count` and `tested` as multiples of the threshold.

    A count from 1 to threshold - 1 becomes unknown (NaN); others go to the nearest step, none but zero to zero. A panel
    (`PANEL`) of fewer people tested than the threshold is left out. Where the people tested who are in no stated count
    may all be in unknown ones, they count as one step for each: what is not stated cannot be had by subtraction.

    >>> rows = pd.DataFrame({"facility_id": "H1", "gene": "CYP2C19", "result_type": "phenotype", "result": ["NM", "PM"],
    ...     "biogeographic_group": "*", "as_of": "2026-01-01", "count": [118.0, 9.0], "tested": 127.0})
    >>> round_to_threshold(rows, 11)[["count", "tested"]].values.tolist()
    [[121.0, 132.0], [nan, 132.0]]
    """
    if threshold < 1:
        raise InvalidInput(f"threshold {threshold}: must be 1 or more")
    large_panels = counts[~((counts["tested"] > 0) & (counts["tested"] < threshold))]
    count = _nearest(
        large_panels["count"].mask((large_panels["count"] > 0) & (large_panels["count"] < threshold)), threshold
    )
    if large_panels.empty:
        return large_panels
    panel = [large_panels[name] for name in PANEL]
    stated_count, cells, unknown = (
        values.groupby(panel).transform("sum") for values in (count.fillna(0.0), count > 0, count.isna())
    )
    copies = np.where(large_panels["result_type"] == ResultType.ALLELE.value, 2.0, 1.0)
    unstated = copies * _nearest(large_panels["tested"], threshold) - stated_count
    # rounding may hide up to half a step in every cell and in the people tested
    may_be_unknown = (unknown > 0) & (unstated <= threshold * (unknown + cells + 1))
    unstated = unstated.mask(may_be_unknown, threshold * unknown).clip(lower=0.0)
    tested = np.ceil((stated_count + unstated) / copies / threshold) * threshold
    return large_panels.assign(count=count, tested=tested.where(large_panels["tested"] > 0, large_panels["tested"]))


def _nearest(values: pd.Series, step: int) -> pd.Series:
    """The nearest multiple of the step; what is more than nothing becomes at least one step."""
    rounded = np.floor(values / step + 0.5) * step
    return rounded.where(~(values > 0), np.maximum(rounded, step))
