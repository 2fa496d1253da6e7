"""The field's words, once: codes, vocabularies and calendar periods that every part of pgx-supply shares.

What belongs here: names and their allowed values. What does not: numbers that a site may set (policies) and knowledge
with a source (`forecasting/pharmacogenomics/tables`).
"""

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from typing import Self

from forecasting.errors import InvalidInput

ALL_FACILITIES = "*"
"""The facility_id of rows about the whole network."""

ALL_GROUPS = "*"
"""The biogeographic_group of rows about all people together."""

NO_RESULT = "No Result"
"""CPIC's lookup key for a gene of a two-gene rule that was not tested."""

JOINED_BY = "+"
"""Between the guidance rows, genes and lookup keys of a row that stands for several."""

SMALL_CELL_THRESHOLD = 11
"""Counts of people below this never leave; a blank count in a file means 1 to this minus 1."""

QUANTILE_LEVELS: dict[str, float] = {
    "p025": 0.025,
    "p05": 0.05,
    "p10": 0.10,
    "p25": 0.25,
    "p50": 0.50,
    "p75": 0.75,
    "p90": 0.90,
    "p95": 0.95,
    "p975": 0.975,
}
"""Column name -> probability level of the published forecast quantiles."""


class DescribedEnum(StrEnum):
    """A vocabulary that owns its words: pages and paragraphs say a member by its `description`."""

    _value_: str
    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        """A member with the code that is stored and the words that people read."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class BiogeographicGroup(StrEnum):
    """CPIC's names of the biogeographic groups (Huddart et al. 2019, PMID 30506572)."""

    AFRICAN_AMERICAN = "African American/Afro-Caribbean"
    AMERICAN = "American"
    CENTRAL_SOUTH_ASIAN = "Central/South Asian"
    EAST_ASIAN = "East Asian"
    EUROPEAN = "European"
    LATINO = "Latino"
    NEAR_EASTERN = "Near Eastern"
    OCEANIAN = "Oceanian"
    SUB_SAHARAN_AFRICAN = "Sub-Saharan African"


class ResultType(StrEnum):
    """What a count or a frequency of genotype results speaks of."""

    ALLELE = "allele"
    DIPLOTYPE = "diplotype"
    PHENOTYPE = "phenotype"
    LOOKUP_KEY = "lookup_key"


class Basis(DescribedEnum):
    """What the frequencies of a gene among some people of a site rest on."""

    COUNTS = "counts", "the site's own counts beside published figures"
    PUBLISHED = "published", "published figures"
    STAND_IN = "stand_in", "other groups, which stand in"
    NOTHING = "nothing", "nothing that is known"


class Action(DescribedEnum):
    """What a guideline row asks for. `NO_RECOMMENDATION` is the guideline's own word, not a missing row."""

    STANDARD = "standard", "usual dosing"
    DOSE_FACTOR = "dose_factor", "change the dose"
    DOSE_CAP = "dose_cap", "limit the dose"
    ABSOLUTE_DOSE = "absolute_dose", "fixed dose"
    ALTERNATIVE = "alternative", "use another drug"
    NO_NUMBER = "no_number", "change, no number in the guideline"
    NO_RECOMMENDATION = "no_recommendation", "no recommendation"


FALLBACK_ACTIONS = (Action.DOSE_FACTOR, Action.DOSE_CAP, Action.NO_NUMBER, Action.STANDARD)
"""What a guideline row can ask for where its alternative is not possible."""


class GuidanceReason(StrEnum):
    """Why a guideline row gives nothing to plan with: no recommendation, or another dose without a usable number."""

    GUIDELINE_GIVES_NONE = "guideline_gives_none"
    INDETERMINATE_RESULT = "indeterminate_result"
    NOT_TESTED = "not_tested"
    ENZYME_TEST_FIRST = "enzyme_test_first"
    OTHER_EVIDENCE_DECIDES = "other_evidence_decides"
    NO_NUMBER_GIVEN = "no_number_given"
    LOWEST_LABELLED_DOSE = "lowest_labelled_dose"
    DOSE_PER_BODY_WEIGHT = "dose_per_body_weight"
    NOT_OF_USUAL_DOSE = "not_of_usual_dose"


class ComparedModel(StrEnum):
    """Model that forecasts a total: the engine, Prophet, or one of statsmodels' models."""

    ENGINE = "engine"
    PROPHET = "prophet"
    UNOBSERVED_COMPONENTS = "unobserved_components"
    SARIMAX = "sarimax"


class Strength(StrEnum):
    """Strength of a recommendation, in CPIC's words; `NOT_GRADED` for guidelines without grades."""

    STRONG = "Strong"
    MODERATE = "Moderate"
    OPTIONAL = "Optional"
    NO_RECOMMENDATION = "No Recommendation"
    NOT_GRADED = "Not graded"


class TargetKind(StrEnum):
    """The two service targets, never called just "service level"."""

    FILL_RATE = "fill_rate"
    CYCLE_SERVICE = "cycle_service"


class ReplayRule(StrEnum):
    """Rules of ordering that a replay of the past compares."""

    PAR = "par_levels"
    PEAK = "recent_peak"
    BLIND = "plan_without_genetics"
    PLAN = "plan"


class PolicyKind(StrEnum):
    """What decides when and how much is ordered of an item."""

    ORDER_UP_TO = "order_up_to"
    REORDER_POINT = "reorder_point"
    NEWSVENDOR = "newsvendor"
    PAR = "par"


class Criticality(StrEnum):
    """What patients lose when a product is missing; limits trim the last first."""

    CRITICAL = "critical"
    IMPORTANT = "important"
    STANDARD = "standard"


class StockStatus(StrEnum):
    """State of a counted lot; only `AVAILABLE` can be used."""

    AVAILABLE = "available"
    QUARANTINED = "quarantined"
    RECALLED = "recalled"


class RecommendationStatus(DescribedEnum):
    """Life of a recommendation: proposed, decided by a person, handed over, closed."""

    PROPOSED = "proposed", "proposed"
    APPROVED = "approved", "approved"
    MODIFIED = "modified", "approved with changes"
    REJECTED = "rejected", "rejected"
    SUPERSEDED = "superseded", "replaced by a newer run"
    EXPORTED = "exported", "ordered"
    ACKNOWLEDGED = "acknowledged", "answered by the supplier"
    RECEIVED = "received", "received"


class Reason(DescribedEnum):
    """Why a line is recommended; one primary reason a line."""

    STOCK_OUT_RISK = "stock_out_risk", "likely to run out"
    GENETIC_SHIFT = "genetic_shift", "genotype-guided demand is moving"
    GUIDELINE_CHANGE = "guideline_change", "guideline changed"
    EXPIRY = "expiry", "stock expires before use"
    SHORTAGE = "shortage", "supply shortage"
    LAUNCH = "launch", "new product"
    WITHDRAWAL = "withdrawal", "product is being withdrawn"
    BUDGET = "budget", "budget limit"
    PAR_CHANGE = "par_change", "order level changed"


class DecisionKind(DescribedEnum):
    """What a signed-in person can do with a recommendation."""

    APPROVE = "approve", "approved"
    MODIFY = "modify", "changed"
    REJECT = "reject", "rejected"
    UNDO = "undo", "taken back"


class AcknowledgementStatus(DescribedEnum):
    """What a supplier says to a line that was ordered."""

    ACCEPTED = "accepted", "supplier delivers"
    CHANGED = "changed", "supplier changed it"
    BACKORDERED = "backordered", "backordered"
    SUBSTITUTED = "substituted", "supplier offers another product"
    REJECTED = "rejected", "supplier will not deliver"


class DecisionReason(DescribedEnum):
    """Reason codes a person chooses from when a line is changed or rejected."""

    STOCK_COUNT_WRONG = "stock_count_wrong", "stock count is wrong"
    DEMAND_EVENT = "demand_event", "known change in demand"
    SUPPLIER_ISSUE = "supplier_issue", "supplier problem"
    SHORTAGE = "shortage", "shortage"
    EXPIRY_RISK = "expiry_risk", "risk of expiry"
    BUDGET = "budget", "budget"
    STORAGE = "storage", "no room"
    CLINICAL_DECISION = "clinical_decision", "clinical decision"
    DUPLICATE_ORDER = "duplicate_order", "already ordered"
    OTHER = "other", "other (say why)"


class OverrideKind(StrEnum):
    """What a person sets of a forecast: a quantity for every period, or a factor on what is forecast."""

    QUANTITY = "quantity"
    FACTOR = "factor"


class OverrideReason(DescribedEnum):
    """Why a person knows better than the forecast; `OTHER` needs a note."""

    NEW_SERVICE = "new_service", "a service opens or grows"
    SERVICE_ENDS = "service_ends", "a service closes or shrinks"
    PROTOCOL_CHANGE = "protocol_change", "a protocol or the formulary changes"
    DEMAND_EVENT = "demand_event", "a known event"
    SUPPLY_ELSEWHERE = "supply_elsewhere", "a shortage elsewhere"
    HISTORY_MISLEADS = "history_misleads", "the history misleads"
    OTHER = "other", "another reason, in the note"


class CleaningRule(DescribedEnum):
    """What can be done to a row of the dispensing history before a forecast; in the order of application."""

    REVISION = "revision", "revised by a later load"
    OFF_GRID = "off_grid", "dates inside a period added to it"
    MERGER = "merger", "history of a closed site added"
    ISOLATED = "isolated", "strays left out"
    FUTURE = "future", "periods that are not over left out"
    PROVISIONAL = "provisional", "periods that are not complete left out"
    BEFORE_LAUNCH = "before_launch", "quantities before the launch left out"
    WITHDRAWN = "withdrawn", "quantities after the withdrawal left out"
    STOCK_OUT = "stock_out", "periods without stock taken as unknown demand"
    OUTLIER = "outlier", "impossible quantities left out"
    RETURN = "return", "returns netted"


_PLURALS = {
    **{noun: f"{noun}s" for noun in ("tablet", "capsule", "vial", "ampoule", "sachet", "syringe")},
    **{"patch": "patches", "suppository": "suppositories"},
}
"""Dose forms that people count; of any other (a solution, a cream) they count dose units."""


def dose_noun(dose_form: str | None, *, plural: bool = True) -> str:
    """The noun in which a quantity of a dose form is counted: what the form's name ends in, or dose units.

    >>> dose_noun("gastro-resistant tablet"), dose_noun("patch", plural=False), dose_noun("oral solution")
    ('tablets', 'patch', 'dose units')
    """
    last_word = ((dose_form or "").lower().split() or [""])[-1]
    singular = last_word if last_word in _PLURALS else "dose unit"
    return _PLURALS.get(singular, "dose units") if plural else singular


DAYS_A_YEAR = 365.25
"""Mean length of a calendar year."""


class Period(StrEnum):
    """Calendar bucket of a demand history."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def mean_days(self) -> float:
        """Mean length in days.

        >>> Period.WEEK.mean_days
        7.0
        """
        return {"day": 1.0, "week": 7.0, "month": DAYS_A_YEAR / 12, "quarter": DAYS_A_YEAR / 4}[self.value]

    @property
    def per_year(self) -> int:
        """Whole periods in a year: the seasonal length.

        >>> Period.MONTH.per_year
        12
        """
        return {"day": 365, "week": 52, "month": 12, "quarter": 4}[self.value]

    @property
    def default_horizon(self) -> int:
        """Periods ahead that a run forecasts by default (about half a year; a year of months)."""
        return {"day": 56, "week": 26, "month": 12, "quarter": 4}[self.value]

    def step(self, start: dt.date, periods: int = 1) -> dt.date:
        """The start that lies so many periods after `start` (before it when negative).

        >>> Period.MONTH.step(dt.date(2026, 11, 1), 2)
        datetime.date(2027, 1, 1)
        >>> Period.WEEK.step(dt.date(2026, 11, 23), -1)
        datetime.date(2026, 11, 16)
        """
        if self in (Period.DAY, Period.WEEK):
            return start + dt.timedelta(days=periods * (1 if self is Period.DAY else 7))
        months = start.year * 12 + start.month - 1 + periods * (1 if self is Period.MONTH else 3)
        return dt.date(months // 12, months % 12 + 1, 1)

    def offset(self, start: dt.date, origin: dt.date) -> int:
        """How many whole periods `start` lies after `origin` (both are period starts)."""
        if self in (Period.DAY, Period.WEEK):
            return (start - origin).days // (1 if self is Period.DAY else 7)
        months = (start.year - origin.year) * 12 + start.month - origin.month
        return months // (1 if self is Period.MONTH else 3)

    @classmethod
    def infer(cls, starts: Iterable[dt.date]) -> "Period":
        """The bucket whose starts these are: that of `MOST_STARTS` of them, so that a stray date changes nothing.

        One start, or none, raises `InvalidInput`: they do not show the bucket.

        >>> Period.infer([dt.date(2026, 1, 5), dt.date(2026, 1, 12), dt.date(2026, 1, 26)]).value
        'week'
        """
        days = sorted(set(starts))
        if len(days) < 2:
            raise InvalidInput("the period cannot be inferred from fewer than two different period_start dates")
        firsts = [day for day in days if day.day == 1]
        if len(firsts) >= MOST_STARTS * len(days):
            quarter = _most_common_share([day.month % 3 for day in firsts]) >= MOST_STARTS
            return cls.QUARTER if quarter and len(days) > 2 else cls.MONTH
        weekly = _most_common_share([day.weekday() for day in days]) >= MOST_STARTS
        return cls.WEEK if weekly else cls.DAY


MOST_STARTS = 0.9
"""Share of the different dates of a history that must begin a week (month, quarter) for it to be a weekly one."""


def _most_common_share(values: list[int]) -> float:
    return max(values.count(value) for value in set(values)) / len(values)
