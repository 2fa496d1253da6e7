"""Recommendations: what to order of each item, why, and what to look at first."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.explanation.calculation import Document, recommendation_id
from forecasting.procurement.explanation.order_line import LINE_COLUMNS, order_lines
from forecasting.procurement.findings import find_problems
from forecasting.procurement.order.block_plan import BlockPlan, blocks_of, plan_items
from forecasting.procurement.order.inputs import OrderInputs, PreparedInputs, prepare
from forecasting.procurement.order.ordered_items import ordered_items
from forecasting.procurement.order.par_level import par_problems
from forecasting.procurement.order.shared_limits import SharedPlan, share_limits


@dataclasses.dataclass(frozen=True)
class Recommendations:
    """`lines` has `LINE_COLUMNS`, most urgent first; `explanations` are their documents, in the same order."""

    lines: pd.DataFrame
    explanations: list[Document]
    problems: pd.DataFrame


def recommend(inputs: OrderInputs) -> Recommendations:
    """Orders to place on each item's next order day, with their calculations, and findings.

    Raises `InvalidInput` with the item and rule named.
    """
    prepared = prepare(inputs)
    planned = plan_items(prepared)
    shared = share_limits(prepared, planned, inputs.limits)
    explained = explain(prepared, planned, shared)
    lines = pd.DataFrame([row for row, _ in explained], columns=LINE_COLUMNS)
    return Recommendations(lines, [document for _, document in explained], all_problems(prepared, planned, shared))


def explain(prepared: PreparedInputs, planned: BlockPlan, shared: SharedPlan) -> list[tuple[dict[str, Any], Document]]:
    """Row and document of every order, most urgent first."""
    explained: list[tuple[dict[str, Any], Document]] = []
    numbers = np.flatnonzero(shared.packs)
    for block in blocks_of(len(numbers)):
        ordered = ordered_items(prepared, planned, shared, numbers[block])
        for line in order_lines(prepared, shared, ordered):
            document = line.document()
            name = recommendation_id(document)
            explained.append((line.row(name), {"recommendation_id": name} | document))
    return sorted(explained, key=lambda pair: _by_urgency(pair[0]))


def _by_urgency(row: dict[str, Any]) -> tuple[Any, ...]:
    return -row["urgency"], -(row["cost"] or 0), row["facility_id"], row["product_id"]


def all_problems(prepared: PreparedInputs, planned: BlockPlan, shared: SharedPlan) -> pd.DataFrame:
    """Findings on items and open orders, then on limits that lines share, then on par levels."""
    packs = planned.packs.copy()
    packs[planned.rows] = shared.packs
    frames = [
        find_problems(prepared, planned.packs_needed, packs),
        shared.problems,
        par_problems(prepared.items, prepared.situation, planned.level),
    ]
    return pd.concat([frames[0], *(frame for frame in frames[1:] if len(frame))], ignore_index=True)
