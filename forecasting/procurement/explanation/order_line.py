"""One line of an order: five parts, the stored document that they write, and the row that a worklist shows."""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from forecasting.arrays import take
from forecasting.procurement.explanation.calculation import VERSION, Calculation, Document, json_record
from forecasting.procurement.explanation.demand_part import DemandPart
from forecasting.procurement.explanation.order_part import OrderPart
from forecasting.procurement.explanation.outlook_part import OutlookPart
from forecasting.procurement.explanation.policy_part import PolicyPart
from forecasting.procurement.explanation.stock_part import StockPart
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.order.ordered_items import OrderedItems
from forecasting.procurement.order.shared_limits import SharedPlan
from forecasting.procurement.packs import LIMIT_RULE, ROUNDING_RULE, ROUNDING_VERSION, from_thousandths
from forecasting.procurement.policy.stocking_policy import price_known, settings_with_sources
from forecasting.procurement.supply.open_orders import SUPPLY_RULE_VERSION

LINE_COLUMNS = [
    *("recommendation_id", "facility_id", "product_id", "supplier_id", "packs", "quantity", "cost"),
    *("order_by", "need_by", "reason", "stockout_probability_before", "stockout_probability_after"),
    *("expected_waste", "days_on_hand_before", "days_on_hand_after", "urgency", "other_reasons", "settings_from"),
]

STORED_ITEM_COLUMNS = [
    *("facility_id", "product_id", "drug", "strength_value", "strength_unit", "dose_form", "currency", "supplier_id"),
    *("minimum_order_packs", "order_multiple_packs", "target_kind", "max_on_hand_days", "order_weekdays"),
    *("order_cutoff", "closed_dates", "policy_source", "policy_kind", "par_level", "fixed_order_cost"),
    *("holding_rate_per_year", "shortage_cost", "criticality", "abc", "xyz", "target", "review_period_days"),
    *("usual_daily_dose", "shortage_ends_on", "source", "observations"),
]
_RENAMED = {"source": "lead_time_source", "observations": "lead_time_observations"}

RULES = {
    "rounding": f"{ROUNDING_RULE}/{ROUNDING_VERSION}",
    "rounding_of_limits": f"{LIMIT_RULE}/{ROUNDING_VERSION}",
    "open_orders": str(SUPPLY_RULE_VERSION),
}
"""Name and version of every rule that a document was made by."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrderLine:
    """Everything that one line's calculation rests on."""

    as_of: dt.date
    context: Mapping[str, Any]
    item: dict[str, Any]
    settings: list[dict[str, Any]]
    demand: DemandPart
    policy: PolicyPart
    stock: StockPart
    order: OrderPart
    outlook: OutlookPart

    def document(self) -> Document:
        """The stored document: from history over forecast, genetic shift, level, stock and open orders to packs."""
        calculation = Calculation()
        self.demand.add_steps(calculation)
        self.policy.add_steps(calculation)
        self.stock.add_steps(calculation, self.policy)
        self.order.add_steps(calculation, self.demand, self.policy)
        return {
            "version": VERSION,
            "as_of": self.as_of.isoformat(),
            "context": self.context,
            "rules": RULES,
            "item": self.item,
            "settings": self.settings,
            "dates": {name: day.isoformat() if day else None for name, day in self.outlook.days.items()},
            "inputs": calculation.inputs,
            "samples": calculation.samples,
            "steps": calculation.steps,
            "not_counted": self.stock.not_counted,
            "outlook": self.outlook.entries,
            "result": self._result(calculation),
        }

    def _result(self, calculation: Calculation) -> Document:
        texts = {step["name"]: step["value"] for step in calculation.steps}
        return {
            "packs": int(calculation.value("packs")),
            "quantity": texts["quantity"],
            "cost": texts.get("cost"),
            "reason": self.outlook.reasons[0],
            "other_reasons": self.outlook.reasons[1:],
        }

    def row(self, recommendation_id: str) -> dict[str, Any]:
        """The worklist row: `LINE_COLUMNS`; numbers are those of the document."""
        packs, price, outlook = int(self.order.line.packs), self.order.pack_price, self.outlook
        return {
            "recommendation_id": recommendation_id,
            **{name: self.item[name] for name in ("facility_id", "product_id", "supplier_id")},
            "packs": packs,
            "quantity": packs * from_thousandths(int(self.order.line.situation.settings.pack_size)),
            "cost": None if price is None else packs * price,
            "order_by": outlook.days["order_by"],
            "need_by": outlook.days["need_by"],
            "reason": outlook.reasons[0],
            "other_reasons": ";".join(outlook.reasons[1:]) or None,
            "settings_from": "; ".join(f"{setting['name']}: {setting['source']}" for setting in self.settings),
            **{name: np.nan if value is None else float(value) for name, value in outlook.values.items()},
        }


def order_lines(prepared: PreparedInputs, shared: SharedPlan, ordered: OrderedItems) -> Iterator[OrderLine]:
    """The lines of ordered items, in the order of the items."""
    items = prepared.items.iloc[ordered.rows]
    stored = items[STORED_ITEM_COLUMNS].rename(columns=_RENAMED).to_dict("records")
    prices = items["pack_price"].astype(object).where(price_known(items), None)
    for number, (row, price, sources) in enumerate(zip(stored, prices, items["setting_sources"], strict=True)):
        line, item = take(ordered, number), json_record(row)
        yield OrderLine(
            as_of=prepared.as_of,
            context=prepared.context,
            item=item,
            settings=settings_with_sources({**item, "setting_sources": sources}),
            demand=DemandPart.of(prepared, line, item),
            policy=PolicyPart.of(line, item),
            stock=StockPart.of(prepared, line, item),
            order=OrderPart.of(shared, line, item, price),
            outlook=OutlookPart.of(prepared, line),
        )
