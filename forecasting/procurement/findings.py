"""What a buyer or analyst should look at beside the order: one row a finding, in a plain sentence."""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from forecasting.arrays import Booleans, Integers
from forecasting.procurement.order.inputs import PreparedInputs
from forecasting.procurement.packs import from_thousandths
from forecasting.procurement.policy.stocking_policy import price_known
from forecasting.procurement.supply.open_orders import SupplyRule

COLUMNS = ["facility_id", "product_id", "rule", "severity", "message"]


class Severity(StrEnum):
    """`BLOCKS`: no order is proposed until it is mended. `CHECK`: the order stands, look at it first."""

    BLOCKS = "blocks"
    CHECK = "check"


def finding(item: Mapping[Any, Any] | pd.Series, rule: str, message: str) -> list[Any]:
    """One row (`COLUMNS`) about an item, to be checked."""
    return [item["facility_id"], item["product_id"], rule, Severity.CHECK.value, message]


@dataclasses.dataclass(frozen=True)
class _ItemRule:
    """A finding on every item for which it `holds` [item]; `message` is a format text over the item's columns."""

    rule: str
    holds: Booleans
    message: str
    severity: Severity = Severity.CHECK


def find_problems(prepared: PreparedInputs, packs_needed: Integers, packs: Integers) -> pd.DataFrame:
    """All findings on the items (`COLUMNS`), blocking ones first; an item may have several.

    `packs_needed` and `packs` [item] are before and after limits.
    """
    lots, settings = prepared.situation.lots, prepared.situation.settings
    facts = prepared.items.assign(
        age=lots.count_age_days,
        protection=np.round(settings.protection_days, 1),
        packs=packs,
        packs_needed=packs_needed,
        **{
            name: [str(from_thousandths(value)) for value in getattr(lots, name)]
            for name in ("expired", "use_beyond_stock", "committed", "blocked")
        },
    )
    rules = [*_stock_rules(prepared), *_order_rules(prepared, packs < packs_needed)]
    rows = [row for rule in rules for row in _rows(facts, rule)] + _open_order_rows(prepared.open_orders)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["severity", "facility_id", "product_id", "rule"], ignore_index=True)


def _stock_rules(prepared: PreparedInputs) -> list[_ItemRule]:
    lots = prepared.situation.lots
    age = lots.count_age_days
    blocking = "stock not counted: no order is proposed"
    beyond = "use since the count exceeds what was counted and received by {use_beyond_stock} dose units: count again"
    return [
        _ItemRule("stock_not_counted", ~lots.counted, blocking, Severity.BLOCKS),
        _ItemRule("stock_below_zero", lots.below_zero, "a stock row is below zero and counts as nothing"),
        _ItemRule(
            "stock_count_old", age > prepared.defaults.stock_count_old_days, "stock was counted {age:.0f} days ago"
        ),
        _ItemRule("stock_count_undated", lots.counted & np.isnan(age), "the count has no date"),
        _ItemRule("stock_count_in_future", age < 0, "the count is dated after the run"),
        _ItemRule("stock_expired", lots.expired > 0, "{expired} dose units on the books have expired"),
        _ItemRule("stock_used_up_since_count", lots.use_beyond_stock > 0, beyond),
        _ItemRule("stock_committed", lots.committed > 0, "{committed} dose units are committed to others"),
        _ItemRule("stock_blocked", lots.blocked > 0, "{blocked} dose units are quarantined or recalled"),
    ]


def _order_rules(prepared: PreparedInputs, trimmed: Booleans) -> list[_ItemRule]:
    items, counted = prepared.items, prepared.situation.lots.counted
    allocated = items["allocation_share"].notna().to_numpy()
    too_short = prepared.situation.settings.protection_days > float(prepared.period_edges[-1])
    horizon = "the forecast ends before the {protection} days to bridge; demand is continued at its average"
    on_hand = "{packs_needed} packs are needed; the limit of {max_on_hand_days} days on hand leaves room for {packs}"
    allocation = "{packs_needed} packs are needed; in a shortage the supplier delivers a share of {allocation_share}"
    allocation += " of what is asked for, which lets {packs} through"
    assumed = (items["source"] == "assumed").to_numpy()
    return [
        _ItemRule("lead_time_assumed", assumed, "no lead time is known: {mean_days:.0f} days are assumed"),
        _ItemRule("price_unknown", ~price_known(items), "the pack price is not known: the cost is left blank"),
        _ItemRule("horizon_short", too_short, horizon),
        _ItemRule("max_on_hand_limits", trimmed & counted & ~allocated, on_hand),
        _ItemRule("allocation_limits", trimmed & counted & allocated, allocation),
    ]


def _rows(facts: pd.DataFrame, rule: _ItemRule) -> list[list[Any]]:
    if not rule.holds.any():
        return []
    return [
        [item["facility_id"], item["product_id"], rule.rule, rule.severity.value, rule.message.format_map(item)]
        for item in facts[rule.holds].to_dict("records")
    ]


_OPEN_ORDER_MESSAGES = {
    SupplyRule.OVERDUE: "{kind} {id} was expected {day} and is not received; it counts as arriving like a new order",
    SupplyRule.NO_DATE: "{kind} {id} has no expected date; it counts as arriving like a new order",
    SupplyRule.LATE: "{kind} {id} is expected {day}, too late to count",
    SupplyRule.LOST: "{kind} {id} was expected {day}, too long ago to count; ask the supplier",
    SupplyRule.OLD: "{kind} {id} was ordered {age_days:.0f} days ago and is promised for {day}: that day is not "
    "relied on, it counts as arriving like a new order; ask the supplier",
    SupplyRule.REPEATED: "{kind} {id} occurs more than once; it counts once",
}


def _open_order_rows(orders: pd.DataFrame) -> list[list[Any]]:
    rows = []
    for order in orders[orders["rule"] != SupplyRule.IN_TIME.value].to_dict("records"):
        day = "" if pd.isna(order["expected_at"]) else f"{pd.Timestamp(order['expected_at']).date()}"
        message = _OPEN_ORDER_MESSAGES[SupplyRule(order["rule"])].format_map(order | {"day": day})
        rows.append(finding(order, order["rule"], message))
    return rows
