"""The fifth part of an order's calculation: its days, its reasons, and what it does to risk, cover and waste."""

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np

from forecasting.procurement.explanation.calculation import DOSE_UNITS
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.order.ordered_items import OrderedItems
from forecasting.procurement.packs import as_decimal

_UNITS = {
    "stockout_probability_before": "probability",
    "stockout_probability_after": "probability",
    "days_on_hand_before": "days",
    "days_on_hand_after": "days",
    "expected_waste": DOSE_UNITS,
    "urgency": "treatment-days, weighted",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutlookPart:
    """Days of one line, `values` of the outlook by name (None where not known), and reasons, the primary one first."""

    days: dict[str, dt.date | None]
    values: dict[str, Decimal | None]
    reasons: list[str]

    @classmethod
    def of(cls, prepared: PreparedInputs, line: OrderedItems) -> "OutlookPart":
        """The part of one line; stock is needed by the day on which that at hand is used up."""
        days = prepared.order_days[int(line.rows)]
        values = {name: _rounded(float(getattr(line.outlook, name))) for name in _UNITS}
        left = values["days_on_hand_before"]
        need_by = None if left is None else prepared.as_of + dt.timedelta(days=int(left))
        return cls(
            days={"order_by": days.order_by, "next_order": days.next_order, "need_by": need_by},
            values=values,
            reasons=line.reasons,
        )

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The outlook as documents hold it."""
        return [
            {"name": name, "value": None if value is None else str(value), "unit": _UNITS[name]}
            for name, value in self.values.items()
        ]


def _rounded(value: float) -> Decimal | None:
    return None if np.isnan(value) else as_decimal(round(value, 3))
