"""How much a problem's rule weighs, and what to do about it; a rule that is not named here is a doubt to read."""

SEVERITIES = {"blocks": "Not planned", "doubt": "Planned with doubt", "note": "Note"}
"""Worst first: something is left out of the plan; it is planned and may be wrong; it was dealt with."""

_COUNT = "Count the stock of these products again, or correct the count in the inventory system."
_ORDER = "Ask the supplier for a new day, or close the order in the inventory system."
_PRICE = "Give the product a pack price and currency in the products file."
_HISTORY = "Check the history at its source; if it is right, call it resolved."
_GUIDANCE = "Read the release's page; put another release in force if guidance is missing."
_STOCKED = "Add the alternative to the products file if the site stocks it, or to the alternatives file what stands in."
_FREQUENCY = "Hand in the site's own genotype counts, or a release with frequencies of these groups."

RULES: dict[str, tuple[str, str]] = {
    "stock_not_counted": ("blocks", _COUNT),
    "stock_below_zero": ("doubt", _COUNT),
    "stock_count_old": ("doubt", _COUNT),
    "stock_count_in_future": ("doubt", _COUNT),
    "stock_count_undated": ("doubt", _COUNT),
    "stock_used_up_since_count": ("doubt", _COUNT),
    "stock_too_old": ("doubt", _COUNT),
    "stock_expired": ("doubt", "Take the expired lots off the shelf and off the books."),
    "stock_blocked": ("note", "Release or return the quarantined and recalled lots."),
    "stock_committed": ("note", "Nothing, if the commitment still stands."),
    "open_order_overdue": ("doubt", _ORDER),
    "open_order_long_overdue": ("doubt", _ORDER),
    "open_order_late": ("doubt", _ORDER),
    "open_order_without_date": ("doubt", _ORDER),
    "open_order_repeated": ("doubt", "Order numbers must be used once: mend the open_orders file."),
    "price_unknown": ("doubt", _PRICE),
    "price_missing": ("doubt", _PRICE),
    "lead_time_assumed": ("doubt", "Load the receipts file, or state the supplier's lead time in the suppliers file."),
    "minimum_order_value": ("doubt", "Order more from the supplier, wait, or ask to waive the minimum."),
    "max_on_hand_limits": ("doubt", "Raise max_on_hand_days in the policies file, or accept the risk."),
    "allocation_limits": ("doubt", "Approve an alternative in the alternatives file, or look for another supplier."),
    "shortage": ("doubt", "Approve an alternative in the alternatives file, or look for another supplier."),
    "history_too_short": ("blocks", "Load more of the history, or order it by hand for now."),
    "no_history": ("blocks", "Load its dispensing, or order it by hand."),
    "never_dispensed": ("note", "Nothing, if the site does not use these products."),
    "merger": ("note", _HISTORY),
    "return": ("note", _HISTORY),
    "stock_out": ("note", _HISTORY),
    "outlier": ("doubt", _HISTORY),
    "prevalence": ("doubt", _FREQUENCY),
    "prevalence_unknown": ("blocks", _FREQUENCY),
    "no_frequency": ("blocks", _FREQUENCY),
    "no_ancestry": ("doubt", "Hand in the ancestry file: the group mix of the people served."),
    "gene_unknown": ("blocks", _GUIDANCE),
    "guidance_left_out": ("blocks", _GUIDANCE),
    "guidance_unmapped": ("blocks", _GUIDANCE),
    "guidance_empty": ("blocks", _GUIDANCE),
    "guidance_judgement": ("doubt", _GUIDANCE),
    "no_number_in_guideline": ("note", "Nothing: the guideline names no number, so these patients stay as they are."),
    "no_default_alternative": ("doubt", _STOCKED),
    "no_approved_alternative": ("doubt", _STOCKED),
    "alternative_not_stocked": ("doubt", _STOCKED),
    "fallback_used": ("note", _STOCKED),
}
UNKNOWN = ("doubt", "Read the sentence: it names what to mend, or what was done instead.")


def severity(rule: str) -> str:
    """`blocks`, `doubt` or `note`.

    >>> severity("stock_not_counted"), severity("a_rule_of_tomorrow")
    ('blocks', 'doubt')
    """
    return RULES.get(rule, UNKNOWN)[0]


def suggestion(rule: str) -> str:
    """What a person can do."""
    return RULES.get(rule, UNKNOWN)[1]
