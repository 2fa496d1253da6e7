"""Shortages: demand that cannot be served moves to approved alternatives, as far as patients may take them.

A move conserves treatment-days, or strength units times the dose ratio that a site approved. Patients whose guidance
asks for another drug than the alternative (a poor metabolizer of CYP2C19 and clopidogrel) cannot be moved to it.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Floats
from forecasting.errors import InvalidInput
from forecasting.procurement.protection_demand import DemandDraws
from forecasting.terms import Action


@dataclasses.dataclass(frozen=True)
class ShortageMove:
    """So much of an item's demand goes to another: `share` of the source's dose units, each as `units` of the target.

    `inside` [period] is the share of each period that lies in the shortage.
    """

    source: int
    target: int
    share: float
    units: float
    inside: Floats
    reason: str


def shortage_at(shortages: pd.DataFrame, product_id: str, drug: str, day: dt.date) -> pd.Series | None:
    """The shortage that holds for a product on a day: of several the one that delivers least; none is None."""
    moment = pd.Timestamp(day)
    named = (shortages["product_id"] == product_id) | ((shortages["product_id"] == "*") & (shortages["drug"] == drug))
    running = (shortages["starts_on"] <= moment) & (shortages["ends_on"].isna() | (shortages["ends_on"] >= moment))
    rows = shortages[named & running]
    if rows.empty:
        return None
    least = rows["allocation_share"].astype(float).fillna(0.0)
    return rows.assign(allocation_share=least).sort_values("allocation_share", kind="stable").iloc[0]


def share_inside(starts: Sequence[dt.date], end_of_last: dt.date, ends_on: dt.date | None) -> Floats:
    """Share of each period [period] before a shortage's last day is over; all of it where the end is not known.

    >>> share_inside([dt.date(2026, 11, 23), dt.date(2026, 11, 30)], dt.date(2026, 12, 7), dt.date(2026, 11, 30))
    array([1.        , 0.14285714])
    """
    edges = np.array([(day - starts[0]).days for day in [*starts, end_of_last]], dtype=float)
    if ends_on is None:
        return np.ones(len(starts))
    over = (ends_on - starts[0]).days + 1
    return np.clip((over - edges[:-1]) / np.diff(edges), 0.0, 1.0)


def blocked_share(guidance: pd.DataFrame, prevalence: pd.DataFrame, drug: str) -> float:
    """Share of patients whose guidance row for `drug` asks for another drug: they cannot be moved to it.

    `guidance` has drug, population, action, gene_1, lookup_key_1, gene_2, lookup_key_2; `prevalence` the mean of each
    gene and result (lookup key). Of several populations the largest share counts; two genes of a row are not
    multiplied, the rarer result bounds them. A result of unknown frequency blocks everybody: unknown is not zero.
    """
    rows = guidance[(guidance["drug"] == drug) & (guidance["action"] == Action.ALTERNATIVE.value)]
    frequency = prevalence.set_index(["gene", "result"])["mean"].to_dict()
    largest = 0.0
    for _, of_population in rows.groupby("population"):
        keys = ["gene_1", "lookup_key_1", "gene_2", "lookup_key_2"]
        total = 0.0
        for gene_1, key_1, gene_2, key_2 in of_population[keys].fillna("").drop_duplicates().to_numpy().tolist():
            named = [(gene, key) for gene, key in ((gene_1, key_1), (gene_2, key_2)) if gene]
            total += min(frequency.get(pair, 1.0) for pair in named) if named else 1.0
        largest = max(largest, min(total, 1.0))
    return largest


def units_per_unit(source: pd.Series, target: pd.Series, dose_ratio: float | None) -> float | None:
    """Dose units of the target for one of the source; None where treatment-days and dose ratio are both unknown.

    Rows have strength_value, strength_unit, usual_daily_dose. A ratio (not 1) speaks of strength units of one kind.
    """
    if (
        dose_ratio is not None
        and dose_ratio > 0
        and dose_ratio != 1
        and source["strength_unit"] == target["strength_unit"]
    ):
        return float(source["strength_value"]) * dose_ratio / float(target["strength_value"])
    days = [float(row["strength_value"]) / float(row["usual_daily_dose"] or np.nan) for row in (source, target)]
    return days[0] / days[1] if np.all(np.isfinite(days)) else None


def moved_by_shortage(demand: DemandDraws, rows: np.ndarray) -> np.ndarray:
    """Whether a shortage moves demand onto or off each of some items [row]."""
    if demand.shortage_quantity is None:
        return np.zeros(len(rows), dtype=bool)
    return np.asarray((demand.shortage_quantity[rows] != 0).any(axis=1))


def move_demand(demand: DemandDraws, moves: Sequence[ShortageMove]) -> DemandDraws:
    """The draws and means with the moves made, all from the demand before any; what moved is kept beside them.

    Raises `InvalidInput` if an item would give away more than it has.
    """
    given = np.zeros_like(demand.baseline_mean)
    reasons: list[list[str]] = [[] for _ in given]
    for move in moves:
        given[move.source] += move.share * move.inside
        for item in (move.source, move.target):
            reasons[item].append(move.reason)
    if np.any(given > 1 + 1e-9):
        raise InvalidInput("shortage moves give away more than an item's demand")

    def moved(demanded: Floats) -> Floats:
        return np.maximum(_after_moves(demanded, demanded, moves), 0.0)

    return dataclasses.replace(
        demand,
        final=moved(demand.final),
        baseline_mean=moved(demand.baseline_mean),
        final_mean=moved(demand.final_mean),
        shortage_quantity=_after_moves(np.zeros_like(given), demand.baseline_mean, moves),
        shortage_reasons=["; ".join(filter(None, of_item)) for of_item in reasons],
        without_genetics=None if demand.without_genetics is None else moved(demand.without_genetics),
        **_moved_overrides(demand, moves),
    )


def _after_moves(start: Floats, demanded: Floats, moves: Sequence[ShortageMove]) -> Floats:
    """`start` [item, period, ...] after every move of what is `demanded` [item, period, ...] before any."""
    after = start.copy()
    for move in moves:
        part = move.share * move.inside
        quantity = demanded[move.source] * (part[:, None] if demanded.ndim == 3 else part)
        after[move.source] -= quantity
        after[move.target] += quantity * move.units
    return after


def _moved_overrides(demand: DemandDraws, moves: Sequence[ShortageMove]) -> dict[str, Any]:
    """Override steps with the moves made: what people set of a short item's demand moves with that demand."""
    steps, quantity = demand.override_steps, demand.override_quantity
    if steps is None or quantity is None or steps.empty:
        return {}
    rows, amounts = [steps], [quantity.copy()]
    for move in moves:
        part = move.share * move.inside
        of_source = np.flatnonzero(steps["item"] == move.source)
        amounts[0][of_source] -= quantity[of_source] * part
        rows.append(steps.iloc[of_source].assign(item=move.target))
        amounts.append(quantity[of_source] * part * move.units)
    return {"override_steps": pd.concat(rows, ignore_index=True), "override_quantity": np.concatenate(amounts)}
