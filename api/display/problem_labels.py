"""How much a problem's rule weighs, and what to do about it; a rule that is not named here is a doubt to read."""

from typing import NamedTuple

from forecasting.terms import DescribedEnum


class Severity(DescribedEnum):
    """Worst first: something is left out of the plan; it is planned and may be wrong; it was dealt with."""

    BLOCKS = "blocks", "not planned"
    DOUBT = "doubt", "planned with doubt"
    NOTE = "note", "note"


class ProblemRule(NamedTuple):
    """How much a problem of the rule weighs, and what a person can do."""

    severity: Severity
    suggestion: str


_S = Severity
_COUNT = "Count the stock of these products again, or correct the count in the inventory system."
_ORDER = "Ask the supplier for a new day, or close the order in the inventory system."
_PRICE = "Give the product a pack price and currency in the products file."
_HISTORY = "Check the history at its source; if it is right, call it resolved."
_GUIDANCE = "Read the release's page; put another release in force if guidance is missing."
_STOCKED = "Add the alternative to the products file if the site stocks it, or to the alternatives file what stands in."
_FREQUENCY = "Hand in the site's own genotype counts, or a release with frequencies of these groups."

RULES: dict[str, ProblemRule] = {
    "stock_not_counted": ProblemRule(_S.BLOCKS, _COUNT),
    "stock_below_zero": ProblemRule(_S.DOUBT, _COUNT),
    "stock_count_old": ProblemRule(_S.DOUBT, _COUNT),
    "stock_count_in_future": ProblemRule(_S.DOUBT, _COUNT),
    "stock_count_undated": ProblemRule(_S.DOUBT, _COUNT),
    "stock_used_up_since_count": ProblemRule(_S.DOUBT, _COUNT),
    "stock_too_old": ProblemRule(_S.DOUBT, _COUNT),
    "stock_expired": ProblemRule(_S.DOUBT, "Take the expired lots off the shelf and off the books."),
    "stock_blocked": ProblemRule(_S.NOTE, "Release or return the quarantined and recalled lots."),
    "stock_committed": ProblemRule(_S.NOTE, "Nothing, if the commitment still stands."),
    "open_order_overdue": ProblemRule(_S.DOUBT, _ORDER),
    "open_order_long_overdue": ProblemRule(_S.DOUBT, _ORDER),
    "open_order_late": ProblemRule(_S.DOUBT, _ORDER),
    "open_order_without_date": ProblemRule(_S.DOUBT, _ORDER),
    "open_order_repeated": ProblemRule(_S.DOUBT, "Order numbers must be used once: mend the open_orders file."),
    "price_unknown": ProblemRule(_S.DOUBT, _PRICE),
    "price_missing": ProblemRule(_S.DOUBT, _PRICE),
    "lead_time_assumed": ProblemRule(
        _S.DOUBT, "Load the receipts file, or state the supplier's lead time in the suppliers file."
    ),
    "minimum_order_value": ProblemRule(_S.DOUBT, "Order more from the supplier, wait, or ask to waive the minimum."),
    "max_on_hand_limits": ProblemRule(_S.DOUBT, "Raise max_on_hand_days in the policies file, or accept the risk."),
    "allocation_limits": ProblemRule(
        _S.DOUBT, "Approve an alternative in the alternatives file, or look for another supplier."
    ),
    "shortage": ProblemRule(_S.DOUBT, "Approve an alternative in the alternatives file, or look for another supplier."),
    "history_too_short": ProblemRule(_S.BLOCKS, "Load more of the history, or order it by hand for now."),
    "no_history": ProblemRule(_S.BLOCKS, "Load its dispensing, or order it by hand."),
    "never_dispensed": ProblemRule(_S.NOTE, "Nothing, if the site does not use these products."),
    "merger": ProblemRule(_S.NOTE, _HISTORY),
    "return": ProblemRule(_S.NOTE, _HISTORY),
    "stock_out": ProblemRule(_S.NOTE, _HISTORY),
    "outlier": ProblemRule(_S.DOUBT, _HISTORY),
    "prevalence": ProblemRule(_S.DOUBT, _FREQUENCY),
    "prevalence_unknown": ProblemRule(_S.BLOCKS, _FREQUENCY),
    "no_frequency": ProblemRule(_S.BLOCKS, _FREQUENCY),
    "no_ancestry": ProblemRule(_S.DOUBT, "Hand in the ancestry file: the group mix of the people served."),
    "gene_unknown": ProblemRule(_S.BLOCKS, _GUIDANCE),
    "guidance_left_out": ProblemRule(_S.BLOCKS, _GUIDANCE),
    "guidance_unmapped": ProblemRule(_S.BLOCKS, _GUIDANCE),
    "guidance_empty": ProblemRule(_S.BLOCKS, _GUIDANCE),
    "guidance_judgement": ProblemRule(_S.DOUBT, _GUIDANCE),
    "no_number_in_guideline": ProblemRule(
        _S.NOTE, "Nothing: the guideline names no number, so these patients stay as they are."
    ),
    "no_default_alternative": ProblemRule(_S.DOUBT, _STOCKED),
    "no_approved_alternative": ProblemRule(_S.DOUBT, _STOCKED),
    "alternative_not_stocked": ProblemRule(_S.DOUBT, _STOCKED),
    "fallback_used": ProblemRule(_S.NOTE, _STOCKED),
}
UNKNOWN = ProblemRule(_S.DOUBT, "Read the sentence: it names what to mend, or what was done instead.")


def problem_rule(rule: str) -> ProblemRule:
    """The entry of a rule, or that of every rule that is not named.

    >>> problem_rule("stock_not_counted").severity.value, problem_rule("a_rule_of_tomorrow").severity.value
    ('blocks', 'doubt')
    """
    return RULES.get(rule, UNKNOWN)
