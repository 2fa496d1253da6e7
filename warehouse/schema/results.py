"""What the assets compute: one row set per origin day (`as_of`), replaced as a whole when that day is run again."""

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import ComparedModel, Period, Reason, RecommendationStatus, ResultType
from warehouse.schema.base import Base, column
from warehouse.schema.columns import (
    amount,
    day,
    exact_amount,
    flag,
    moment,
    origin,
    product,
    share,
    site,
    text,
    whole_number,
)
from warehouse.schema.inputs import NOT_STATED
from warehouse.schema.reference import ContentKind
from warehouse.schema.rules import AtLeast, AtMost, MoreThan, NotBlank, OneOf

STAGES = ("inputs", "pharmacogenomics", "regimens", "demand", "procurement")


def _facility() -> Mapped[str]:
    return site("Site, '*' = whole network.")


def _quantile(level: str) -> Mapped[float]:
    return amount(f"{level} quantile of the demand.", "dose units")


class Run(Base):
    """What a run was asked and what it rested on; results of a day name the run that made them."""

    __tablename__ = "runs"

    run_id: Mapped[str] = text("Digest of what the run was asked and rests on.", primary_key=True)
    as_of: Mapped[dt.date] = day("Origin day.", index=True)
    period: Mapped[str] = text("Calendar bucket of the history.", OneOf.of(Period))
    horizon: Mapped[int] = column(sa.Integer, "Periods ahead.", AtLeast(1), unit="periods")
    with_genetics: Mapped[bool] = flag("False when run with --without-genetics.")
    facilities: Mapped[str | None] = text("Sites it was limited to, ';'-separated; blank = all.")
    seed: Mapped[int] = column(sa.Integer, "Seed of all random numbers.")
    draws: Mapped[int] = column(sa.Integer, "Sample paths a series.", AtLeast(1))
    releases: Mapped[str] = text("JSON object site -> kind -> release_id; '*' = every site that is not named.")
    inputs_sha256: Mapped[str] = column(sa.String(64), "Digest of the input tables as the run saw them.")
    software_version: Mapped[str] = text("Version of pgx-supply.")
    started_at: Mapped[dt.datetime] = moment("When it began (UTC).")
    finished_at: Mapped[dt.datetime | None] = moment("When its last table was written (UTC).")


class SiteRelease(Base):
    """Which release of each kind a site's results of an origin rest on, and which its prescribing followed before."""

    __tablename__ = "site_releases"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    kind: Mapped[str] = text("What the release's rows are.", OneOf.of(ContentKind), primary_key=True)
    effective_on: Mapped[dt.date] = day("First day it was in force; 1900-01-01 = since ever.", primary_key=True)
    release_id: Mapped[str] = text("Release.", refers="content_releases.release_id")
    in_force: Mapped[bool] = flag("True for the one in force at the origin.")


class Problem(Base):
    """What a stage could not do, flagged or skipped, in one sentence a person can act on."""

    __tablename__ = "problems"

    as_of: Mapped[dt.date] = origin()
    stage: Mapped[str] = text("Stage that says it.", OneOf(STAGES), primary_key=True)
    asset: Mapped[str] = text("Asset that says it.", NotBlank(), primary_key=True)
    number: Mapped[int] = column(sa.Integer, "Order within the asset.", primary_key=True)
    facility_id: Mapped[str | None] = text("Site it concerns; blank = all.")
    subject: Mapped[str | None] = text("Product, drug or gene it concerns.")
    rule: Mapped[str] = text("Short name of the rule.", NotBlank())
    message: Mapped[str] = text("The sentence.", NotBlank())


class Prevalence(Base):
    """Posterior frequency of alleles, phenotypes and lookup keys per site and gene, with a 90 % interval.

    Rows of the group '*' are what is published; the allele rows of the groups are what draws are made from.
    """

    __tablename__ = "prevalence"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    biogeographic_group: Mapped[str] = text(
        "Group of the people it speaks of; '*' = all people served.", NotBlank(), primary_key=True
    )
    ancestry_share: Mapped[float] = share("Share of the group in the people served; 1 for '*'.")
    result_type: Mapped[str] = text("What `result` names.", OneOf.of(ResultType), primary_key=True)
    result: Mapped[str] = text("Allele, phenotype or lookup key.", NotBlank(), primary_key=True)
    mean: Mapped[float] = share("Posterior mean.")
    low: Mapped[float] = share("5 % quantile.")
    high: Mapped[float] = share("95 % quantile.")
    effective_n: Mapped[float] = amount("People the estimate is worth.", "people")
    share_published: Mapped[float] = column(sa.Float, "Weight of published frequencies.", AtLeast(0), AtMost(1))
    share_counts: Mapped[float] = column(sa.Float, "Weight of the site's own counts.", AtLeast(0), AtMost(1))


class Exposure(Base):
    """Share of a gene's treated patients whose prescribing follows a result, per period, past and planned."""

    __tablename__ = "exposure"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    period_start: Mapped[dt.date] = day("First day of the period.", primary_key=True)
    exposure: Mapped[float] = share("share_tested x share_followed.")
    planned: Mapped[bool] = flag("True where it rests on a plan.")


class RegimenMove(Base):
    """What a dose unit becomes when a guidance row is followed, less the unit itself; one row per source and target."""

    __tablename__ = "regimen_moves"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    therapy: Mapped[str] = text("Drugs that stand in for each other.", NotBlank())
    recommendation_id: Mapped[str] = text("Guidance row.", NotBlank(), primary_key=True)
    followed_from: Mapped[dt.date] = day(
        "Day from which prescribing followed the releases that the row is of; 1900-01-01 = since ever.",
        primary_key=True,
        default=NOT_STATED,
    )
    product_id: Mapped[str] = product()
    to_product_id: Mapped[str] = text("Product used instead.", NotBlank(), primary_key=True)
    population_share: Mapped[float] = share("Share of the drug's patients in the row's population.")
    units_low: Mapped[float] = column(
        sa.Float, "Change of to_product_id at the low end of the dose range.", unit="dose units per dose unit"
    )
    units_high: Mapped[float] = column(sa.Float, "The same at the high end.", unit="dose units per dose unit")


class CleanDemand(Base):
    """History as the forecast sees it: raw, cleaned, and as it would have been at today's exposure."""

    __tablename__ = "clean_demand"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    product_id: Mapped[str] = product()
    period_start: Mapped[dt.date] = day("First day of the period.", primary_key=True)
    quantity_raw: Mapped[float | None] = column(sa.Float, "As loaded; blank = no row.", unit="dose units")
    quantity: Mapped[float | None] = amount("After cleaning; blank = unknown.", "dose units")
    rule: Mapped[str | None] = text("Cleaning rule that touched it.")


class ReferenceDemand(Base):
    """Cleaned history moved to the exposure of the origin: what would have been dispensed with today's testing."""

    __tablename__ = "reference_demand"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    product_id: Mapped[str] = product()
    period_start: Mapped[dt.date] = day("First day of the period.", primary_key=True)
    quantity: Mapped[float | None] = amount("Blank = unknown.", "dose units")


def _moved(comment: str, default: float | None = None) -> Mapped[float]:
    return column(sa.Float, comment, unit="dose units", default=default, sort_order=1)


class _ForecastRow:
    """Key, mean and published quantiles of a forecast of one site, product and period."""

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    product_id: Mapped[str] = product()
    period_start: Mapped[dt.date] = day("First day of the period.", primary_key=True)
    mean: Mapped[float] = amount("Expected demand.", "dose units")
    p025: Mapped[float] = _quantile("2.5 %")
    p05: Mapped[float] = _quantile("5 %")
    p10: Mapped[float] = _quantile("10 %")
    p25: Mapped[float] = _quantile("25 %")
    p50: Mapped[float] = _quantile("50 %")
    p75: Mapped[float] = _quantile("75 %")
    p90: Mapped[float] = _quantile("90 %")
    p95: Mapped[float] = _quantile("95 %")
    p975: Mapped[float] = _quantile("97.5 %")


class BaselineForecast(_ForecastRow, Base):
    """Demand at the origin's exposure: what would come if testing stayed where it is."""

    __tablename__ = "baseline_forecasts"

    model: Mapped[str] = text("Model that made the mean.", NotBlank(), sort_order=1)
    autocorrelation: Mapped[float] = column(
        sa.Float, "Joins neighbouring periods in sample paths.", AtLeast(-1), AtMost(1), sort_order=1
    )
    common_correlation: Mapped[float] = column(
        sa.Float, "Joins a product's sites in sample paths.", AtLeast(0), AtMost(1), sort_order=1
    )
    drug: Mapped[str] = text("Ingredient, whose strengths hang together.", NotBlank(), sort_order=1)
    strength_correlation: Mapped[float] = column(
        sa.Float, "Joins a drug's products at a site in sample paths.", AtLeast(0), AtMost(1), sort_order=1
    )


class Forecast(_ForecastRow, Base):
    """Demand per site and product with planned testing, as quantiles; site '*' is the whole network."""

    __tablename__ = "forecasts"

    baseline_mean: Mapped[float] = amount(
        "Expected demand if exposure stayed as at the origin.", "dose units", sort_order=1
    )
    genetic_shift: Mapped[float] = _moved("What planned testing adds to baseline_mean.")
    override_shift: Mapped[float] = _moved("What people's overrides add to both: mean is the sum of the three.", 0.0)
    model: Mapped[str] = text("Model that made the baseline.", NotBlank(), sort_order=1)


class GeneticShift(Base):
    """What each guidance row does to a product's demand over the horizon, against testing staying as it is."""

    __tablename__ = "genetic_shifts"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    product_id: Mapped[str] = product()
    drug: Mapped[str] = text("Drug whose patients move.", NotBlank(), primary_key=True)
    recommendation_id: Mapped[str] = text("Guidance row.", NotBlank(), primary_key=True)
    gene: Mapped[str] = text("Gene or genes of the row, joined by '+'.", NotBlank())
    lookup_key: Mapped[str] = text("Lookup key or keys, joined by '+'.", NotBlank())
    prevalence: Mapped[float] = column(sa.Float, "Share of patients the row speaks of.", AtLeast(0), AtMost(1))
    exposure_at_origin: Mapped[float] = column(sa.Float, "Exposure at the origin.", AtLeast(0), AtMost(1))
    exposure_planned: Mapped[float] = column(sa.Float, "Mean exposure over the horizon.", AtLeast(0), AtMost(1))
    quantity: Mapped[float] = column(sa.Float, "Change of demand over the horizon.", unit="dose units")


class GeneticEffect(Base):
    """How strongly a drug's advice acts at a site, against the guideline's move in full: learned from the mix shift."""

    __tablename__ = "genetic_effects"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    drug: Mapped[str] = text("Drug whose patients move.", NotBlank(), primary_key=True)
    action: Mapped[str] = text("alternative or dose.", OneOf(("alternative", "dose")), primary_key=True)
    recommendation: Mapped[str] = text("Strength of recommendation.", NotBlank(), primary_key=True)
    to_drug: Mapped[str] = text("Drug they go to; for doses the same.", NotBlank(), primary_key=True)
    learned: Mapped[float] = column(sa.Float, "Posterior mean; 1 = the guideline's move in full.", AtLeast(0))
    low: Mapped[float] = column(sa.Float, "5 % quantile.", AtLeast(0))
    high: Mapped[float] = column(sa.Float, "95 % quantile.", AtLeast(0))
    delay_days: Mapped[float] = column(sa.Float, "How much later than coverage says it acts.", unit="days")
    evidence: Mapped[float] = share("What the site's own history adds to what the network knows.")
    earned: Mapped[float] = share("Share of the step that the backtest lets stay.")
    strength: Mapped[float] = column(sa.Float, "learned times earned: what the plan acts on.", AtLeast(0))


class GeneticValue(Base):
    """What the genetic step added to or took from the forecast of a drug at a site, on held-out periods."""

    __tablename__ = "genetic_value"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = _facility()
    drug: Mapped[str] = text("Drug whose products are scored.", NotBlank(), primary_key=True)
    therapy: Mapped[str] = text("Therapy it belongs to.", NotBlank())
    origins: Mapped[int] = whole_number("Origins it rests on.", "origins")
    demand: Mapped[float] = amount("What was dispensed.", "dose units")
    error_without: Mapped[float] = amount("Absolute error blind to genotype.", "dose units")
    error_with: Mapped[float] = amount("Absolute error with the step in full.", "dose units")
    value_added: Mapped[float] = column(
        sa.Float, "error_without minus error_with; negative = it takes.", unit="dose units"
    )


class BacktestScore(Base):
    """Accuracy and coverage on held-out periods, per stage of the forecast, segment and horizon."""

    __tablename__ = "backtest_scores"

    as_of: Mapped[dt.date] = origin()
    stage: Mapped[str] = text("seasonal_naive, baseline, genetic or override.", NotBlank(), primary_key=True)
    segment: Mapped[str] = text("all, or a kind of series.", NotBlank(), primary_key=True)
    horizon: Mapped[str] = text(
        "Periods ahead: all, a band such as 5-13, or one of them.", NotBlank(), primary_key=True
    )
    metric: Mapped[str] = text("mase, rmsse, wape, scaled_crps, coverage_80, ...", primary_key=True)
    value: Mapped[float | None] = column(sa.Float, "Value; blank = cannot be computed.")
    value_added: Mapped[float | None] = column(
        sa.Float,
        "Share of the error that the stage takes off the one before it; negative = adds to it; blank = none before it.",
        unit="share",
    )
    series: Mapped[int] = whole_number("Series it rests on.", "series")
    origins: Mapped[int] = whole_number("Origins it rests on.", "origins")


class AggregateForecast(Base):
    """Totals by the engine, Prophet and statsmodels, who was closest on held-out periods, and the plan's sum."""

    __tablename__ = "aggregate_forecasts"

    as_of: Mapped[dt.date] = origin()
    facility_id: Mapped[str] = text("Site; '*' is the whole network.", NotBlank(), primary_key=True)
    drug: Mapped[str] = text("Ingredient.", NotBlank(), primary_key=True)
    product_id: Mapped[str] = text("Product; '*' is every strength.", NotBlank(), primary_key=True)
    model: Mapped[str] = text(
        "engine, prophet, unobserved_components or sarimax.", OneOf.of(ComparedModel), primary_key=True
    )
    period_start: Mapped[dt.date] = day("Start of the period.", primary_key=True)
    mean: Mapped[float] = amount("Forecast of the total at today's testing.", "as `unit` says")
    unit: Mapped[str] = text("What the total is counted in: a unit of mass, or dose units.", NotBlank())
    error: Mapped[float | None] = column(
        sa.Float, "Absolute error over demand on held-out periods; blank = none could be held out.", AtLeast(0)
    )
    chosen: Mapped[bool] = flag("Whether the model's error is the least.")
    planned: Mapped[float | None] = amount(
        "Sum of the plan's baselines, for comparison; blank = not planned.", "as `unit` says"
    )


class LeadTime(Base):
    """Lead time a product is planned with, and what it was learned from."""

    __tablename__ = "lead_times"

    as_of: Mapped[dt.date] = origin()
    product_id: Mapped[str] = product()
    supplier_id: Mapped[str | None] = text("Supplier.")
    mean_days: Mapped[float] = amount("Mean lead time.", "days")
    sd_days: Mapped[float] = amount("Standard deviation.", "days")
    observations: Mapped[int] = whole_number("Receipts it rests on.", "receipts")
    source: Mapped[str] = text(
        "receipts of the product, supplier_receipts (of its other products), supplier (stated) or assumed.",
        OneOf(("receipts", "supplier_receipts", "supplier", "assumed")),
    )


class Recommendation(Base):
    """A line that a buyer decides on: so many packs of this product for this site, by this day."""

    __tablename__ = "recommendations"

    recommendation_id: Mapped[str] = text("Digest of what is recommended and why.", primary_key=True)
    as_of: Mapped[dt.date] = day("Origin day of the run that proposed it.", index=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", index=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id")
    supplier_id: Mapped[str | None] = text("Supplier it is ordered from.")
    packs: Mapped[int] = whole_number("Packs to order.", "packs")
    quantity: Mapped[Decimal] = exact_amount("The same in dose units.", "dose units")
    cost: Mapped[Decimal | None] = exact_amount("Cost; blank = price unknown.", "currency")
    currency: Mapped[str | None] = text("ISO 4217 code of cost.")
    order_by: Mapped[dt.date] = day("Last day to order.")
    need_by: Mapped[dt.date | None] = day(
        "Day the shelf is expected to be empty without it; blank = not within the forecast."
    )
    reason: Mapped[str] = text("Primary reason.", OneOf.of(Reason))
    other_reasons: Mapped[str | None] = text("Further reasons, separated by ';'.")
    settings_from: Mapped[str | None] = text("Where its settings came from: 'target: policy of drug; ...'.")
    stockout_probability_before: Mapped[float] = column(
        sa.Float, "Without the order, from its arrival to the next one's.", AtLeast(0), AtMost(1), unit="probability"
    )
    stockout_probability_after: Mapped[float] = column(
        sa.Float, "With the order, in the same time.", AtLeast(0), AtMost(1), unit="probability"
    )
    expected_waste: Mapped[float] = amount("Expected to expire unused.", "dose units")
    days_on_hand_before: Mapped[float | None] = amount("Without the order.", "days")
    days_on_hand_after: Mapped[float | None] = amount("With the order.", "days")
    urgency: Mapped[float] = column(sa.Float, "Sort key, high first.", AtLeast(0))
    thin_evidence: Mapped[str | None] = column(
        sa.Text, "Genes whose evidence here is thin, and what stands in for it; blank = none that moves this product."
    )
    status: Mapped[str] = text("Where it stands.", OneOf.of(RecommendationStatus), index=True)
    version: Mapped[int] = column(sa.Integer, "Counts changes; a decision names the version it saw.", MoreThan(0))
    updated_at: Mapped[dt.datetime] = moment("Last change (UTC).")
