"""Demand over any number of days from demand per period, draw by draw."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.arrays import Floats, Integers
from forecasting.errors import InvalidInput
from forecasting.procurement.packs import THOUSANDTHS
from forecasting.terms import Period

GENETIC_STEP_COLUMNS = [
    "item",
    "gene",
    "lookup_key",
    "drug",
    "recommendation_id",
    "action",
    "exposure_at_origin",
    "exposure_planned",
    "prevalence",
]
OVERRIDE_COLUMNS = ["item", "override_id", "decided_by", "kind", "set_to", "reason_code", "starts_on", "ends_on"]


@dataclasses.dataclass(frozen=True)
class DemandDraws:
    """Demand in dose units per item and future period, as sample paths and as the means that explain them.

    `final` [item, period, draw]; `baseline_mean` and `final_mean` [item, period]; `history_mean_per_day` [item].
    `genetic_steps` has `GENETIC_STEP_COLUMNS`, `item` being the row number in the items; its row s moves
    `genetic_quantity[s]` [period] dose units onto (or, negative, off) that item. Over an item the steps should add up
    to `final_mean - baseline_mean`; what they leave is shown as "interaction". `history_rules` (empty, or one an item)
    are the cleaning rules that touched the item's history, with the number of periods. `shortage_quantity` [item,
    period] is what shortages moved onto (negative: off) an item, already part of all three; `shortage_reasons` say why.
    `override_steps` (`OVERRIDE_COLUMNS`) and `override_quantity` [step, period] are what people's overrides moved, part
    of `final_mean` beside the genetic steps; `without_genetics` [item, period] is the baseline with the same overrides.

    Raises `InvalidInput` for shapes that do not fit, and for demand that is negative or not a number.
    """

    final: Floats
    baseline_mean: Floats
    final_mean: Floats
    history_mean_per_day: Floats
    genetic_steps: pd.DataFrame
    genetic_quantity: Floats
    history_rules: Sequence[Mapping[str, int]] = ()
    shortage_quantity: Floats | None = None
    shortage_reasons: Sequence[str] = ()
    override_steps: pd.DataFrame | None = None
    override_quantity: Floats | None = None
    without_genetics: Floats | None = None

    def __post_init__(self) -> None:
        items, periods, draws = self.final.shape
        shapes = {
            "baseline_mean": (items, periods),
            "final_mean": (items, periods),
            "history_mean_per_day": (items,),
            "genetic_quantity": (len(self.genetic_steps), periods),
            "override_quantity": (0 if self.override_steps is None else len(self.override_steps), periods),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            given = (0, periods) if array is None else array.shape
            if given != shape:
                raise InvalidInput(f"{name} has shape {given}, not {shape}")
        if len(self.history_rules) not in (0, items):
            raise InvalidInput(f"history_rules are of {len(self.history_rules)} items, not {items}")
        if not draws or not np.all(self.final >= 0):
            raise InvalidInput("demand draws must be there and be 0 or more dose units")


def period_edges(period: Period, period_starts: Sequence[dt.date], as_of: dt.date) -> Floats:
    """Days from `as_of` to each period start and to the end of the last one [period + 1].

    Raises `InvalidInput` if the starts have gaps, or if `as_of` lies more than one period before the first or not
    before the end of the last: such a forecast says nothing of today.

    >>> period_edges(Period.WEEK, [dt.date(2026, 11, 23), dt.date(2026, 11, 30)], dt.date(2026, 11, 25))
    array([-2.,  5., 12.])
    """
    days = [*period_starts, period.step(period_starts[-1])]
    if any(period.step(start) != after for start, after in zip(days, days[1:], strict=False)):
        raise InvalidInput(f"period_starts {days[0]} to {days[-2]} are not consecutive periods of one {period.value}")
    if not period.step(days[0], -1) <= as_of < days[-1]:
        raise InvalidInput(f"as_of {as_of} lies outside the forecast, which runs from {days[0]} to {days[-1]}")
    return np.array([(day - as_of).days for day in days], dtype=float)


class CumulativeDemand:
    """Demand of each draw from today up to any day.

    Within a period demand is spread evenly. After the last period each draw goes on at its own average rate; a few days
    between today and the first period take that period's rate.
    """

    def __init__(self, per_period: Floats, edges: Floats) -> None:
        """`per_period` [item, period, draw] in dose units, `edges` [period + 1] in days from today."""
        self._per_period = per_period
        self._edges = edges
        items, periods, draws = per_period.shape
        self._total = np.zeros((items, periods + 1, draws))
        np.cumsum(per_period, axis=1, out=self._total[:, 1:])
        self._rate = self._total[:, -1] / (edges[-1] - edges[0])
        self._today = np.zeros((items, draws))
        self._today = self.over(np.zeros((items, draws)))

    def over(self, days: Floats) -> Floats:
        """Demand of the next `days` [item, draw], in dose units [item, draw]."""
        last = len(self._edges) - 2
        period = np.clip(np.searchsorted(self._edges, days, side="right") - 1, 0, last)
        start, length = self._edges[period], np.diff(self._edges)[period]
        share = np.minimum((days - start) / length, 1.0)
        total = _pick(self._total, period) + share * _pick(self._per_period, period)
        return total + np.maximum(days - self._edges[-1], 0.0) * self._rate - self._today

    def thousandths_over(self, days: Floats) -> Integers:
        """`over`, rounded to whole thousandths of a dose unit: what order arithmetic uses."""
        return np.rint(self.over(days) * THOUSANDTHS).astype(np.int64)

    def days_until(self, quantity: Floats) -> Floats:
        """Days until each draw's demand exceeds `quantity` [item, draw]; infinite where it never does."""
        target = quantity + self._today
        period = np.sum(self._total[:, 1:] <= target[:, None, :], axis=1)
        inside = period < len(self._edges) - 1
        period = np.minimum(period, len(self._edges) - 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (target - _pick(self._total, period)) / _pick(self._per_period, period)
            later = self._edges[-1] + (target - self._total[:, -1]) / self._rate
        days = self._edges[period] + share * np.diff(self._edges)[period]
        return np.maximum(np.where(inside, days, np.where(self._rate > 0, later, np.inf)), 0.0)


def _pick(per_period: Floats, period: npt.NDArray[np.intp]) -> Floats:
    return np.take_along_axis(per_period, period[:, None, :], axis=1)[:, 0]


def shares_of_periods(days: Floats, edges: Floats) -> Floats:
    """How much of each period the next `days` [item, draw] take, on average over the draws [item, period].

    The product with demand per period is the mean demand that `CumulativeDemand.over` gives, for any demand that does
    not depend on the draw.

    >>> shares_of_periods(np.array([[7.0, 14.0]]), np.array([0.0, 7.0, 14.0]))
    array([[1. , 0.5]])
    """
    lengths = np.diff(edges)
    from_today = np.maximum(edges[:-1], 0.0)
    shares = np.empty((len(days), len(lengths)))
    for period, length in enumerate(lengths):
        taken = np.clip(np.minimum(days, edges[period + 1]) - from_today[period], 0.0, None)
        shares[:, period] = taken.mean(axis=1) / length
    shares[:, 0] += np.minimum(days, max(edges[0], 0.0)).mean(axis=1) / lengths[0]
    beyond = np.maximum(days - edges[-1], 0.0).mean(axis=1)
    return shares + (beyond / (edges[-1] - edges[0]))[:, None]
