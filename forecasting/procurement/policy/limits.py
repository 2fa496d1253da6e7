"""Limits that several items share: budget, storage, allocation."""

import dataclasses
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class LimitKind(StrEnum):
    """What is scarce."""

    BUDGET = "budget"
    STORAGE = "storage"


@dataclasses.dataclass(frozen=True)
class Limit:
    """So much of something for the items `rows` together: money (`amount`, of which `used` is gone) or packs."""

    kind: LimitKind
    name: str
    amount: float
    rows: npt.NDArray[np.intp]
    used: float = 0.0
