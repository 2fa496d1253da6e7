"""Versioned reference knowledge: frequencies, functions, phenotypes and guidance, each row tied to a release.

Built-in content is stored as a release like any publisher's, so that a forecast can name what it rests on.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import FALLBACK_ACTIONS, Action, BiogeographicGroup, DescribedEnum, GuidanceReason, Strength
from warehouse.schema.base import Base, column
from warehouse.schema.columns import amount, moment, share, text, whole_number
from warehouse.schema.rules import AtLeast, AtMost, NotBlank, OneOf


class ContentKind(DescribedEnum):
    """What the rows of a content release are."""

    GENE = "gene", "genes"
    ALLELE_FREQUENCY = "allele_frequency", "allele frequencies"
    ALLELE_FUNCTION = "allele_function", "allele functions"
    FUNCTION_PROBABILITY = "function_probability", "function probabilities"
    PHENOTYPE_RULE = "phenotype_rule", "phenotype rules"
    DIPLOTYPE = "diplotype", "diplotypes"
    GUIDANCE = "guidance", "guidance"
    POPULATION_SHARE = "population_share", "shares of populations"
    USUAL_DAILY_DOSE = "usual_daily_dose", "usual daily doses"
    DEFAULT_ALTERNATIVE = "default_alternative", "alternatives"
    GROUP_EFFECTIVE_SIZE = "group_effective_size", "weights of published frequencies"
    PUBLISHED_RECOMMENDATION = "published_recommendation", "published recommendations"


class ContentRelease(Base):
    """One release of one kind of reference content; `activations` says from which day a site uses it."""

    __tablename__ = "content_releases"

    release_id: Mapped[str] = text("kind:publisher:version.", NotBlank(), primary_key=True)
    kind: Mapped[str] = text("What the rows are.", OneOf.of(ContentKind))
    publisher: Mapped[str] = text("Who published it; 'pgx-supply' for built-in content.", NotBlank())
    version: Mapped[str] = text("Publisher's version or date.", NotBlank())
    sha256: Mapped[str] = column(sa.String(64), "Digest of the rows.", NotBlank())
    rows: Mapped[int] = whole_number("Rows in the release.", "rows")
    column_types: Mapped[str] = text("JSON object column -> type of the frame it was stored from.", NotBlank())
    loaded_at: Mapped[dt.datetime] = moment("When it was loaded (UTC).")


def _release() -> Mapped[str]:
    return text("Release.", refers="content_releases.release_id", primary_key=True)


def _pmid() -> Mapped[str | None]:
    return text("PubMed id, or 'none: ' and the reason.")


class Gene(Base):
    """What is declared of a gene: how many copies people have, what its alleles are, what it is linked to."""

    __tablename__ = "genes"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    inheritance: Mapped[str] = text("Copies of a person.", OneOf(("autosomal", "x_linked", "mitochondrial")))
    counting: Mapped[str] = text(
        "haplotypes (exclude each other on a copy), variants (do not), carriers (each allele is a test of its own).",
        OneOf(("haplotypes", "variants", "carriers")),
    )
    reference: Mapped[str | None] = text("Allele that takes what is left; blank = told by its name.")
    location: Mapped[str | None] = text("Place on the chromosome.")
    linkage_block: Mapped[str | None] = text("Genes of one block must not be multiplied.")
    left_out_alleles: Mapped[str | None] = text("Alleles counted under another name already, separated by ';'.")
    no_frequency: Mapped[str | None] = text("Why no frequency is built in.")
    source: Mapped[str] = text("Where it is from.", NotBlank())
    version: Mapped[str] = text("Date.", NotBlank())
    pmid: Mapped[str | None] = _pmid()


class AlleleFrequency(Base):
    """Published allele frequency by gene and biogeographic group; an absent row is not reported, not zero."""

    __tablename__ = "allele_frequencies"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    allele: Mapped[str] = text("Allele in PharmVar's or CPIC's words.", NotBlank(), primary_key=True)
    biogeographic_group: Mapped[str] = text("Group in CPIC's words.", OneOf.of(BiogeographicGroup), primary_key=True)
    frequency: Mapped[float] = column(sa.Float, "Allele frequency.", AtLeast(-0.001), AtMost(1.001), unit="share")
    n_subjects: Mapped[float | None] = amount("People studied.", "people")
    source: Mapped[str] = text("Where the figure is from.", NotBlank())
    version: Mapped[str] = text("Table date or version.", NotBlank())
    pmid: Mapped[str | None] = _pmid()


class AlleleFunction(Base):
    """Clinical function and activity value of an allele."""

    __tablename__ = "allele_functions"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    allele: Mapped[str] = text("Allele.", NotBlank(), primary_key=True)
    clinical_function: Mapped[str] = text("CPIC's function.", NotBlank())
    activity_value: Mapped[str | None] = text("Activity value as published; n/a or blank = none defined.")
    source: Mapped[str] = text("Where it is from.", NotBlank())
    version: Mapped[str] = text("Version.", NotBlank())
    pmid: Mapped[str | None] = _pmid()


class FunctionProbability(Base):
    """How likely each function of an allele of uncertain function is, e.g. from in-silico predictors."""

    __tablename__ = "function_probabilities"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    allele: Mapped[str] = text("Allele whose published function is uncertain or unknown.", NotBlank(), primary_key=True)
    clinical_function: Mapped[str] = text("Function as the gene's other alleles have it.", NotBlank(), primary_key=True)
    activity_value: Mapped[str] = text(
        "Its activity value; n/a = the gene's functions have none.", NotBlank(), primary_key=True
    )
    probability: Mapped[float] = share("Probability of this function; what an allele lacks to 1 stays uncertain.")
    source: Mapped[str] = text("Predictor or study it is from.", NotBlank())
    version: Mapped[str] = text("Date or version.", NotBlank())
    pmid: Mapped[str | None] = _pmid()


class DiplotypePhenotype(Base):
    """A publisher's diplotype-to-phenotype table."""

    __tablename__ = "diplotype_phenotypes"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    diplotype: Mapped[str] = text("Diplotype A/B.", NotBlank(), primary_key=True)
    activity_score: Mapped[str | None] = text("Activity score as published.")
    phenotype: Mapped[str] = text("Phenotype as published.", NotBlank())
    lookup_key: Mapped[str] = text("What guidance is joined on.", NotBlank())


class Guidance(Base):
    """One guideline row as structured knowledge: for this drug, population and lookup key(s), do this."""

    __tablename__ = "guidance"

    release_id: Mapped[str] = _release()
    recommendation_id: Mapped[str] = text("Publisher's row id.", NotBlank(), primary_key=True)
    source: Mapped[str] = text("CPIC, DPWG or FDA.", NotBlank())
    guideline_id: Mapped[str] = text("Publisher's guideline id.", NotBlank())
    version: Mapped[str] = text("Publisher's row version.", NotBlank())
    year: Mapped[int | None] = column(sa.Integer, "Year of the newest publication.")
    pmid: Mapped[str | None] = text("PubMed id of the newest publication.")
    no_pmid_reason: Mapped[str | None] = text("Why there is no PubMed id.")
    drug: Mapped[str] = text("Ingredient, lower case.", NotBlank())
    population: Mapped[str] = text("Indication or population in the guideline's words.", NotBlank())
    gene_1: Mapped[str] = text("First gene.", NotBlank())
    lookup_key_1: Mapped[str] = text("Its lookup key.", NotBlank())
    gene_2: Mapped[str | None] = text("Second gene of a two-gene rule.")
    lookup_key_2: Mapped[str | None] = text("Its lookup key.")
    action: Mapped[str] = text("What is asked for.", OneOf.of(Action))
    dose_factor_low: Mapped[float | None] = column(sa.Float, "Lowest share of the usual dose.", AtLeast(0))
    dose_factor_high: Mapped[float | None] = column(sa.Float, "Highest share of the usual dose.", AtLeast(0))
    dose_cap_mg_per_day: Mapped[float | None] = amount("Most per day.", "mg per day")
    absolute_dose_mg_per_day: Mapped[float | None] = amount("Dose asked for.", "mg per day")
    applies_to: Mapped[str | None] = text(
        "start, maintenance, start_and_maintenance, loading, chronic_use: of the dose or the fallback's."
    )
    alternatives: Mapped[str | None] = text("Drugs the guideline names, separated by ';'.")
    fallback_action: Mapped[str | None] = text(
        "What is asked for where the alternative is not possible.", OneOf(FALLBACK_ACTIONS)
    )
    fallback_dose_factor_low: Mapped[float | None] = column(
        sa.Float, "Lowest share of the usual dose without the alternative.", AtLeast(0)
    )
    fallback_dose_factor_high: Mapped[float | None] = column(
        sa.Float, "Highest share of the usual dose without the alternative.", AtLeast(0)
    )
    fallback_dose_cap_mg_per_day: Mapped[float | None] = amount("Most per day without the alternative.", "mg per day")
    reason: Mapped[str | None] = text("Why there is no recommendation or no number.", OneOf.of(GuidanceReason))
    strength: Mapped[str] = text("Strength of the recommendation.", OneOf.of(Strength))
    table_date: Mapped[str | None] = text("Date of the publisher's table that the row was taken from.")


class PublishedRecommendation(Base):
    """A publisher's recommendation row as loaded, and whether the structured guidance covers it."""

    __tablename__ = "published_recommendations"

    release_id: Mapped[str] = _release()
    recommendation_id: Mapped[str] = text("Publisher's row id.", NotBlank(), primary_key=True)
    source: Mapped[str] = text("Who recommends it: CPIC or DPWG.", NotBlank())
    version: Mapped[str] = text("Publisher's row version.")
    drug: Mapped[str] = text("Ingredient, lower case.", NotBlank())
    population: Mapped[str] = text("Indication or population.")
    lookup_key: Mapped[str] = text("JSON object gene -> lookup key.", NotBlank())
    classification: Mapped[str] = text("Strength as published.")
    recommendation_text: Mapped[str] = text("The publisher's text, for a person to read.")
    mapping: Mapped[str] = text(
        "mapped (same row in guidance), changed (other version or key), unmapped (blocks the drug's rows).",
        OneOf(("mapped", "changed", "unmapped", "no_guidance")),
    )


class PhenotypeRule(Base):
    """How two allele functions, or an activity score, make a phenotype and a lookup key."""

    __tablename__ = "phenotype_rules"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    rule_number: Mapped[int] = column(sa.Integer, "Order within the gene.", primary_key=True)
    rule: Mapped[str] = text("The row as JSON object of its columns.", NotBlank())


class PopulationShare(Base):
    """Share of a drug's treatment-days by the guideline's population; a planning assumption until approved."""

    __tablename__ = "population_shares"

    release_id: Mapped[str] = _release()
    drug: Mapped[str] = text("Ingredient.", NotBlank(), primary_key=True)
    population: Mapped[str] = text("Population.", NotBlank(), primary_key=True)
    share: Mapped[float] = share("Share of treatment-days.")
    basis: Mapped[str] = text("What it rests on.", NotBlank())


class UsualDailyDose(Base):
    """Usual daily dose of a drug: what a treatment-day is."""

    __tablename__ = "usual_daily_doses"

    release_id: Mapped[str] = _release()
    drug: Mapped[str] = text("Ingredient.", NotBlank(), primary_key=True)
    usual_daily_dose_mg: Mapped[float | None] = amount(
        "Usual daily dose; blank where none is defined, basis says why.", "mg per day"
    )
    atc: Mapped[str | None] = text("ATC code.")
    rxcui: Mapped[str | None] = text("RxNorm ingredient.")
    basis: Mapped[str] = text("What it rests on.", NotBlank())
    source: Mapped[str] = text("Where it is from.", NotBlank())


class DefaultAlternative(Base):
    """Default alternative of a drug where the site has approved none; site policy to be approved by P&T."""

    __tablename__ = "default_alternatives"

    release_id: Mapped[str] = _release()
    drug: Mapped[str] = text("Drug that is replaced.", NotBlank(), primary_key=True)
    population: Mapped[str] = text("Population, '*' = any.", NotBlank(), primary_key=True)
    alternative_drug: Mapped[str] = text("Drug that replaces it.", NotBlank(), primary_key=True)
    share: Mapped[float] = share("Share of those who move.")
    therapy: Mapped[str | None] = text("What both drugs are given for.")
    basis: Mapped[str] = text("What it rests on.", NotBlank())


class GroupEffectiveSize(Base):
    """How many people of a published group a site's prior is worth: how far sites of one group differ."""

    __tablename__ = "group_effective_sizes"

    release_id: Mapped[str] = _release()
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    biogeographic_group: Mapped[str] = text("Group, or 'all'.", NotBlank(), primary_key=True)
    effective_size: Mapped[float] = amount("Worth of the prior.", "people")
    source: Mapped[str] = text("How it was estimated.", NotBlank())
