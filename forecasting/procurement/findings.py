"""What a buyer or analyst should look at beside the order: one row a finding, in a plain sentence."""

import dataclasses
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from forecasting.procurement.packs import Integers, from_thousandths
from forecasting.procurement.policy.service_level import PolicyDefaults
from forecasting.procurement.protection_demand import Floats
from forecasting.procurement.supply.open_orders import SupplyRule
from forecasting.procurement.supply.stock import Booleans, Lots

COLUMNS = ["facility_id", "product_id", "rule", "severity", "message"]


class Severity(StrEnum):
    """`BLOCKS`: no order is proposed until it is mended. `CHECK`: the order stands, look at it first."""

    BLOCKS = "blocks"
    CHECK = "check"


@dataclasses.dataclass(frozen=True)
class _Finding:
    rule: str
    severity: Severity
    found: Booleans
    message: str
    """A format text over the item's columns."""


def find_problems(
    items: pd.DataFrame,
    lots: Lots,
    orders: pd.DataFrame,
    *,
    protection_days: Floats,
    horizon_days: float,
    packs: Integers,
    packs_needed: Integers,
    defaults: PolicyDefaults,
) -> pd.DataFrame:
    """All findings on the items, blocking ones first; an item may have several."""
    facts = items.assign(
        age=lots.count_age_days,
        expired=[str(from_thousandths(value)) for value in lots.expired],
        beyond=[str(from_thousandths(value)) for value in lots.use_beyond_stock],
        committed=[str(from_thousandths(value)) for value in lots.committed],
        blocked=[str(from_thousandths(value)) for value in lots.blocked],
        protection=np.round(protection_days, 1),
        packs=packs,
        packs_needed=packs_needed,
    )
    findings = _item_findings(items, lots, protection_days, horizon_days, packs < packs_needed, defaults)
    rows = [row for finding in findings for row in _rows(facts, finding)] + _order_rows(items, orders)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["severity", "facility_id", "product_id", "rule"], ignore_index=True)


def _item_findings(
    items: pd.DataFrame,
    lots: Lots,
    protection_days: Floats,
    horizon_days: float,
    trimmed: Booleans,
    defaults: PolicyDefaults,
) -> list[_Finding]:
    old = lots.count_age_days > defaults.stock_count_old_days
    assumed = (items["source"] == "assumed").to_numpy()
    allocated = items["allocation_share"].notna().to_numpy()
    check = Severity.CHECK
    return [
        _Finding("stock_not_counted", Severity.BLOCKS, ~lots.counted, "stock not counted: no order is proposed"),
        _Finding("stock_below_zero", check, lots.below_zero, "a stock row is below zero and counts as nothing"),
        _Finding("stock_count_old", check, old, "stock was counted {age:.0f} days ago"),
        _Finding("stock_count_undated", check, lots.counted & np.isnan(lots.count_age_days), "the count has no date"),
        _Finding("stock_count_in_future", check, lots.count_age_days < 0, "the count is dated after the run"),
        _Finding("stock_expired", check, lots.expired > 0, "{expired} dose units on the books have expired"),
        _Finding(
            "stock_used_up_since_count",
            check,
            lots.use_beyond_stock > 0,
            "use since the count exceeds what was counted and received by {beyond} dose units: count again",
        ),
        _Finding("stock_committed", check, lots.committed > 0, "{committed} dose units are committed to others"),
        _Finding("stock_blocked", check, lots.blocked > 0, "{blocked} dose units are quarantined or recalled"),
        _Finding("lead_time_assumed", check, assumed, "no lead time is known: {mean_days:.0f} days are assumed"),
        _Finding("price_unknown", check, ~price_known(items), "the pack price is not known: the cost is left blank"),
        _Finding(
            "horizon_short",
            check,
            protection_days > horizon_days,
            "the forecast ends before the {protection} days to bridge; demand is continued at its average",
        ),
        _Finding(
            "max_on_hand_limits",
            check,
            trimmed & lots.counted & ~allocated,
            "{packs_needed} packs are needed; the limit of {max_on_hand_days} days on hand leaves room for {packs}",
        ),
        _Finding(
            "allocation_limits",
            check,
            trimmed & lots.counted & allocated,
            "{packs_needed} packs are needed; in a shortage the supplier delivers a share of {allocation_share} of what"
            " is asked for, which lets {packs} through",
        ),
    ]


def price_known(items: pd.DataFrame) -> Booleans:
    """Whether a pack has a price above zero [item]; zero is what systems store when they do not know."""
    return (pd.to_numeric(items["pack_price"]).to_numpy(dtype=float, na_value=np.nan) > 0).astype(bool)


def _rows(facts: pd.DataFrame, finding: _Finding) -> list[list[Any]]:
    if not finding.found.any():
        return []
    chosen = facts[finding.found].to_dict("records")
    return [
        [
            row["facility_id"],
            row["product_id"],
            finding.rule,
            finding.severity.value,
            finding.message.format(**{str(k): v for k, v in row.items()}),
        ]
        for row in chosen
    ]


_ORDER_MESSAGES = {
    SupplyRule.OVERDUE: "{kind} {id} was expected {day} and is not received; it counts as arriving like a new order",
    SupplyRule.NO_DATE: "{kind} {id} has no expected date; it counts as arriving like a new order",
    SupplyRule.LATE: "{kind} {id} is expected {day}, too late to count",
    SupplyRule.LOST: "{kind} {id} was expected {day}, too long ago to count; ask the supplier",
    SupplyRule.OLD: "{kind} {id} was ordered {age:.0f} days ago and is promised for {day}: that day is not relied on, "
    "it counts as arriving like a new order; ask the supplier",
    SupplyRule.REPEATED: "{kind} {id} occurs more than once; it counts once",
}


def _order_rows(items: pd.DataFrame, orders: pd.DataFrame) -> list[list[Any]]:
    rows = []
    for order in orders[orders["rule"] != SupplyRule.IN_TIME.value].to_dict("records"):
        day = "" if pd.isna(order["expected_at"]) else f"{pd.Timestamp(order['expected_at']).date()}"
        message = _ORDER_MESSAGES[SupplyRule(order["rule"])].format(
            kind=order["kind"], id=order["id"], day=day, age=order["age_days"]
        )
        key = [order["facility_id"], order["product_id"]]
        rows.append([*key, order["rule"], Severity.CHECK.value, message])
    return rows
