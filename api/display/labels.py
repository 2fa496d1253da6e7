"""The words people read on pages; codes on the left, English on the right. Figures are in `api.figures`."""

import datetime as dt
from typing import Any

from api.display.formatting import counted, day, doses, exact, moment, money, number, percent, share, signed
from forecasting.terms import CleaningRule

__all__ = ["counted", "day", "doses", "exact", "moment", "money", "number", "percent", "share", "signed"]
"""Figures, which pages and pictures take from here."""

REASONS = {
    "stock_out_risk": "Likely to run out",
    "genetic_shift": "Genotype-guided demand is moving",
    "guideline_change": "Guideline changed",
    "expiry": "Stock expires before use",
    "shortage": "Supply shortage",
    "launch": "New product",
    "withdrawal": "Product is being withdrawn",
    "budget": "Budget limit",
    "par_change": "Order level changed",
}
SETTINGS = {
    "target_kind": "Kind of target",
    "target": "Service target",
    "review_period_days": "Days between orders",
    "max_on_hand_days": "Most days on hand",
    "policy_kind": "Kind of policy",
    "par_level": "Par level, dose units",
    "fixed_order_cost": "Cost of an order",
    "holding_rate_per_year": "Holding cost, share of value a year",
    "shortage_cost": "Cost of a missing dose unit",
    "criticality": "Criticality",
    "abc": "Segment by value",
    "xyz": "Segment by variation",
}
STATUSES = {
    "proposed": "Proposed",
    "approved": "Approved",
    "modified": "Approved with changes",
    "rejected": "Rejected",
    "superseded": "Replaced by a newer run",
    "exported": "Ordered",
    "acknowledged": "Acknowledged",
    "received": "Received",
}
ORDER_STATUSES = {"exported": "Ordered", "acknowledged": "Answered", "received": "Received"}
ACKNOWLEDGEMENTS = {
    "accepted": "Supplier delivers",
    "changed": "Supplier changed it",
    "backordered": "Backordered",
    "substituted": "Supplier offers another product",
    "rejected": "Supplier will not deliver",
}
DOCUMENTS = {
    "csv": "CSV, for a spreadsheet",
    "fhir-r4b": "FHIR R4B SupplyRequests",
    "fhir-r5": "FHIR R5 SupplyRequests",
    "x12-850": "X12 850 purchase order",
}
DECISION_REASONS = {
    "stock_count_wrong": "Stock count is wrong",
    "demand_event": "Known change in demand",
    "supplier_issue": "Supplier problem",
    "shortage": "Shortage",
    "expiry_risk": "Risk of expiry",
    "budget": "Budget",
    "storage": "No room",
    "clinical_decision": "Clinical decision",
    "duplicate_order": "Already ordered",
    "other": "Other (say why)",
}
CONTENT_KINDS = {
    "guidance": "Guidance",
    "default_alternative": "Alternatives",
    "published_recommendation": "Published recommendations",
    "population_share": "Shares of populations",
    "gene": "Genes",
    "allele_frequency": "Allele frequencies",
    "allele_function": "Allele functions",
    "phenotype_rule": "Phenotype rules",
    "diplotype": "Diplotypes",
    "usual_daily_dose": "Usual daily doses",
    "group_effective_size": "Weights of published frequencies",
}
DECISIONS = {"approve": "Approved", "modify": "Changed", "reject": "Rejected", "undo": "Taken back"}
ACTIONS = {
    "standard": "Usual dosing",
    "dose_factor": "Change the dose",
    "dose_cap": "Limit the dose",
    "absolute_dose": "Fixed dose",
    "alternative": "Use another drug",
    "no_number": "Change, no number in the guideline",
    "no_recommendation": "No recommendation",
}
BASES = {
    "counts": "The site's own counts beside published figures",
    "published": "Published figures",
    "stand_in": "Other groups, which stand in",
    "nothing": "Nothing that is known",
}
VIEWS = {
    "": "To decide",
    "mine": "Mine",
    "second": "Second approval",
    "routine": "Routine",
    "snoozed": "Put off",
    "all": "All",
}
"""Parts of the proposed lines, in the order of their tabs."""
KEYS = {
    "s": "Search",
    "t": "Tick every line of the list",
    "a": "Approve what is ticked",
    "r": "Reason to reject",
    "o": "Put off or give away",
    "n": "Next page",
    "p": "Page before",
}
"""Access keys of the worklist."""
A_DAY = dt.timedelta(days=1)
OPERATIONS = {
    "sum": "added up",
    "difference": "first less the others",
    "product": "multiplied",
    "positive_part": "not below zero",
    "smaller_of": "the smallest of",
    "order_up_to_fill_rate": "smallest stock that meets the fill rate over the demand samples",
    "order_up_to_cycle_service": "smallest stock that covers the share of demand samples",
    "order_up_to_fill_rate_with_expiry": "smallest stock that meets the fill rate although some of it is lost",
    "newsvendor": "stock at which one more unit is as likely to be wasted as it is worth",
    "newsvendor_without_expiry": "stock at which one more unit is not worth holding",
    "least_cost_reorder_point": "reorder point of least ordering, holding and shortage cost over the demand samples",
    "least_cost_order_up_to": "order-up-to level of least ordering, holding and shortage cost over the demand samples",
    "if_at_or_below": "the first, where the second is not above the third",
    "kept_between": "kept, since what is needed asks for no fewer and no more",
    "weighed": "prices times what a pack takes, added up",
    "packs_worth": "packs of which every step gains what is asked of a pack",
    "round_up_to_packs": "rounded up to whole packs, minimum and multiple",
    "round_down_to_packs": "rounded down to whole packs, minimum and multiple",
}
NAMES = {
    "history_mean_per_day": "Use so far, per day",
    **{f"history_periods_{rule}": f"Periods of the history: {rule.description}" for rule in CleaningRule},
    "wait_days": "Wait until the order can be placed",
    "lead_time_mean_days": "Lead time, mean",
    "lead_time_sd_days": "Lead time, standard deviation",
    "review_days": "Until the next order",
    "closed_days": "Wait for closed days of the supplier",
    "protection_days": "Protection interval",
    "history_demand": "Use so far, over the protection interval",
    "baseline_before_shortage": "Baseline forecast before the shortage",
    "shortage_shift": "Demand moved by a shortage",
    "baseline_demand": "Baseline forecast",
    "change_since_history": "Baseline against use so far",
    "genetic_shift": "Genetic shift, all rows",
    "override": "Override",
    "expected_demand": "Expected demand",
    "target": "Service target",
    "target_level": "Level that the service target asks for",
    "par_level": "Par level of the site",
    "par_difference": "Level for the target, less the par",
    "cost_short": "Cost of a missing dose unit",
    "cost_wasted": "Cost of a dose unit that expires",
    "cost_held": "Cost of a dose unit left over",
    "level_worth_its_waste": "Level that is worth its waste",
    "demand_within_shelf_life": "demand samples until this order would expire",
    "demand_of_review": "demand samples between two orders",
    "order_cost_in_holding": "Cost of an order, in dose units held for a review",
    "reorder_point": "Reorder point",
    "reorder_point_with_band": "Reorder point and the change that does not matter",
    "stock_position": "Usable stock and open orders in time",
    "damping_band": "Change that does not matter",
    "packs_proposed_before": "Packs proposed before",
    "quantity_less_band": "Quantity needed, less what does not matter",
    "quantity_with_band": "Quantity needed, and what does not matter",
    "packs_at_least": "Packs needed at least",
    "packs_at_most": "Packs needed at most",
    "allocation_share": "Share of an order that is delivered in the shortage",
    "quantity_delivered": "Quantity that is delivered",
    "packs_delivered": "Packs that are delivered",
    "packs_before_limits": "Packs before limits that lines share",
    "gain_asked_of_a_pack": "Treatment-days that a pack must gain",
    "treatment_days_per_dose_unit": "Treatment-days in a dose unit",
    "supply_before_order": "Supply before this order",
    "packs_worth_their_room": "Packs that gain what is asked",
    "packs_from_what_is_left": "Packs from what the limits left over",
    "packs_within_limits": "Packs within all limits",
    "packs_for_minimum_order_value": "Packs added for the supplier's minimum order value",
    "packs_with_minimum_order_value": "Packs with those for the minimum order value",
    **{f"limit_{number}": f"Limit {number}" for number in range(1, 7)},
    **{f"limit_{number}_used": f"Limit {number}, used already" for number in range(1, 7)},
    **{f"shadow_price_{number}": f"Limit {number}: what one more would gain" for number in range(1, 7)},
    **{f"taken_by_a_pack_{number}": f"Limit {number}: what a pack takes" for number in range(1, 7)},
    "demand_until_arrival": "demand samples until this order arrives",
    "demand_until_next_arrival": "demand samples until the next order arrives",
    "order_up_to_level": "Order-up-to level",
    "safety_stock": "Safety stock",
    "stock_counted": "Stock counted",
    "received_since_count": "Received since the count",
    "used_since_count": "Used since the count",
    "stock_committed": "Committed to others",
    "stock_expired": "Expired on the shelf",
    "stock_there": "Counted and received",
    "stock_on_hand": "Stock on hand",
    "expires_unused": "Will expire unused",
    "usable_stock": "Usable stock",
    "open_order_packs": "Packs on order",
    "open_order_quantity": "Quantity on order",
    "late_orders": "Of it, to allow for orders that come late",
    "open_orders_in_time": "Quantity on order that counts as in time",
    "pack_size": "Pack size",
    "minimum_order_packs": "Smallest order",
    "order_multiple_packs": "Order multiple",
    "net_need": "Need, less usable stock and open orders",
    "quantity_needed": "Quantity needed",
    "packs_needed": "Packs needed",
    "storage_level": "Most to hold",
    "room": "Room left",
    "packs_allowed": "Packs that fit",
    "packs": "Packs to order",
    "quantity": "Quantity to order",
    "pack_price": "Pack price",
    "cost": "Cost",
    "packs_without_genetic_shift": "Packs without the genetic shift",
    "packs_from_genetic_shift": "Packs due to the genetic shift",
    "stockout_probability_before": "Stock-out risk without the order",
    "stockout_probability_after": "Stock-out risk with the order",
    "expected_waste": "Expected to expire unused",
    "days_on_hand_before": "Days on hand without the order",
    "days_on_hand_after": "Days on hand with the order",
}
STAGES = {
    "inputs": "Inputs",
    "pharmacogenomics": "Pharmacogenomics",
    "regimens": "Regimens",
    "demand": "Demand",
    "procurement": "Procurement",
}


def plain(code: str | None, table: dict[str, str]) -> str:
    """The words of a code; one that is not listed is shown as it is, without underscores.

    >>> plain("open_order_2", NAMES)
    'Open order 2'
    """
    if code is None:
        return ""
    return table.get(code) or code.replace("_", " ").capitalize()


def acted(action: Any) -> str:
    """What an action on the worklist did."""
    done = "Taken back" if action["undoes"] else ""
    if action["kind"] == "snooze":
        until = action["snoozed_until"]
        what = f"Put off until {day(until)}" if until else "Brought back"
    else:
        what = f"Given to {action['assignee_name']}" if action["assignee_id"] else "Given to nobody"
    return f"{done}, now: {what[0].lower()}{what[1:]}" if done else what


def any_of(names: list[str]) -> str:
    """Names as a choice, the first three of them.

    >>> any_of(["Ada", "Root"]), any_of([]), any_of(["Ada", "Bo", "Cy", "Di"])
    ('Ada or Root', 'nobody: no other approver sees this site', 'Ada, Bo, Cy or 1 other')
    """
    if not names:
        return "nobody: no other approver sees this site"
    shown = names[:3] + ([counted(len(names) - 3, "other")] if len(names) > 3 else [])
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def product(line: Any) -> str:
    """Drug, strength and form of a line."""
    return f"{line['drug']} {number(line['strength_value'], 3)} {line['strength_unit']} {line['dose_form']}"


FILTERS = {
    "plain": plain,
    "number": number,
    "exact": exact,
    "signed": signed,
    "percent": percent,
    "share": share,
    "money": money,
    "day": day,
    "moment": moment,
    "counted": counted,
    "doses": doses,
    "product": product,
}
