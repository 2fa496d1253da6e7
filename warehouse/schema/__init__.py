"""Every table, declared once: inputs (loaders write), reference (releases), results (assets), ledger (people)."""

from warehouse.schema import (
    explanations,
    indexes,
    inputs,
    ledger,
    overrides,
    previews,
    problem_states,
    reference,
    replay,
    representation,
    results,
    scenarios,
    worklist,
)
from warehouse.schema.base import Base

__all__ = [
    "Base",
    "explanations",
    "indexes",
    "inputs",
    "ledger",
    "overrides",
    "previews",
    "problem_states",
    "reference",
    "replay",
    "representation",
    "results",
    "scenarios",
    "worklist",
]
