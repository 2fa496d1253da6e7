"""The site bundle's tables: what a hospital network hands in, as it handed it in.

Names and meaning are those of the files (`docs/` has the data dictionary made from here). Only loaders write here.
A blank that is part of a key is stored as the wildcard or sentinel that the column's comment names.
"""

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import BiogeographicGroup, Criticality, PolicyKind, ResultType, StockStatus, TargetKind
from warehouse.schema.base import Base, ExactDecimal, column
from warehouse.schema.columns import amount, day, exact_amount, flag, moment, share, text, whole_number
from warehouse.schema.rules import AtLeast, AtMost, MoreThan, NotBlank, OneOf, Refers

ANY = "*"
"""Wildcard in keys: any facility, any product, any drug, any indication."""

NOT_STATED = dt.date(1900, 1, 1)
"""Stored in a date that is part of a key and was left blank."""

COUNTED_RESULTS = (ResultType.ALLELE.value, ResultType.DIPLOTYPE.value, ResultType.PHENOTYPE.value)


class Facility(Base):
    """A site that dispenses and stocks drugs."""

    __tablename__ = "facilities"

    facility_id: Mapped[str] = text("The site's own code.", NotBlank(), primary_key=True)
    name: Mapped[str] = text("Name shown to people.", NotBlank())
    population: Mapped[float] = amount("People served.", "people")
    share_male: Mapped[float | None] = share("Share of males among the people served; blank = one half.")
    network: Mapped[str | None] = text("Hospital network the site belongs to.")
    closed_on: Mapped[dt.date | None] = day("Day the site closed or merged.")
    successor_id: Mapped[str | None] = text(
        "Site that carries on its demand after closed_on.", Refers("facilities", "facility_id")
    )


class Ancestry(Base):
    """Share of the people served by biogeographic group; the prior of the prevalence is weighted by it."""

    __tablename__ = "ancestry"

    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    biogeographic_group: Mapped[str] = text("Group in CPIC's words.", OneOf.of(BiogeographicGroup), primary_key=True)
    share: Mapped[float] = share("Share of the people served.")


class GenotypeCount(Base):
    """Aggregated genotype results of a site: counts of people, never a person."""

    __tablename__ = "genotype_counts"

    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    result_type: Mapped[str] = text(
        "What `result` names: allele, diplotype or phenotype.", OneOf(COUNTED_RESULTS), primary_key=True
    )
    result: Mapped[str] = text("Result in CPIC's words; a diplotype as A/B in any order.", NotBlank(), primary_key=True)
    biogeographic_group: Mapped[str] = text(
        "Group the counted people belong to; '*' when not stratified.", primary_key=True, default=ANY
    )
    as_of: Mapped[dt.date] = day(
        "Day the count was made; 1900-01-01 when not stated.", primary_key=True, default=NOT_STATED
    )
    count: Mapped[float | None] = amount(
        "People (alleles when result_type is allele); blank = suppressed small cell, 1 to threshold - 1, not zero.",
        "people or alleles",
    )
    tested: Mapped[float] = amount("People tested for the gene.", "people")


class Assay(Base):
    """Alleles that a site's assay looks for; an allele that is not tested is not absent."""

    __tablename__ = "assays"

    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    alleles_tested: Mapped[str] = text("Alleles tested, separated by ';'.", NotBlank())


class TestingCoverage(Base):
    """How far testing has come: past and planned share of treated patients with a result, and of advice followed."""

    __tablename__ = "testing_coverage"
    __test__ = False  # not a test class, whatever its name says

    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    gene: Mapped[str] = text("HGNC symbol.", NotBlank(), primary_key=True)
    period_start: Mapped[dt.date] = day("First day from which the shares hold.", primary_key=True)
    planned: Mapped[bool] = flag("True for a plan, false for what was measured.", primary_key=True)
    share_tested: Mapped[float] = share("Treated patients with a result on file.")
    share_followed: Mapped[float] = share("Guideline advice that prescribers follow.")


class Supplier(Base):
    """A wholesaler or manufacturer that takes orders."""

    __tablename__ = "suppliers"

    supplier_id: Mapped[str] = text("The supplier's code.", NotBlank(), primary_key=True)
    name: Mapped[str] = text("Name shown to people.", NotBlank())
    lead_time_days: Mapped[float] = amount("Stated lead time.", "days")
    lead_time_sd_days: Mapped[float | None] = amount("Standard deviation of the lead time.", "days")
    order_weekdays: Mapped[str | None] = text("Days orders are taken, e.g. 'Mon;Thu'; blank = every working day.")
    order_cutoff: Mapped[str | None] = text(
        "Time of day until which orders are taken, e.g. '14:30'; blank = the whole day."
    )
    closed_dates: Mapped[str | None] = text("Days without orders or deliveries, e.g. '2026-12-25;2026-12-26'.")
    minimum_order_value: Mapped[Decimal | None] = exact_amount("Smallest order value accepted.", "currency")


class Product(Base):
    """What is stocked: drug, strength and dose form, with the pack it is bought in."""

    __tablename__ = "products"

    product_id: Mapped[str] = text("The network's own product code.", NotBlank(), primary_key=True)
    drug: Mapped[str] = text("Ingredient, in lower case.", NotBlank())
    strength_value: Mapped[float] = column(
        sa.Float, "Strength of one dose unit.", MoreThan(0), unit="strength_unit per dose unit"
    )
    strength_unit: Mapped[str] = text("Unit of the strength, e.g. mg.", NotBlank())
    dose_form: Mapped[str] = text("Tablet, capsule, oral solution, vial, ...", NotBlank())
    pack_size: Mapped[Decimal] = column(ExactDecimal, "Dose units in a pack.", MoreThan(0), unit="dose units")
    pack_price: Mapped[Decimal | None] = exact_amount("Price of a pack; blank = unknown.", "currency")
    code_system: Mapped[str | None] = text("System of `code`.", OneOf(("ndc", "gtin", "dmd", "bnf", "local")))
    code: Mapped[str | None] = text("Product code as issued, text with its leading zeros.")
    rxcui: Mapped[str | None] = text("RxNorm concept of the ingredient.")
    atc: Mapped[str | None] = text("ATC code.")
    currency: Mapped[str | None] = text("ISO 4217 code of pack_price.")
    shelf_life_days: Mapped[float | None] = column(sa.Float, "Shelf life on arrival.", MoreThan(0), unit="days")
    supplier_id: Mapped[str | None] = text("Supplier it is ordered from.", Refers("suppliers", "supplier_id"))
    minimum_order_packs: Mapped[int | None] = whole_number("Smallest order.", "packs")
    order_multiple_packs: Mapped[int | None] = column(
        sa.Integer, "Orders are multiples of this.", AtLeast(1), unit="packs"
    )
    usual_daily_dose: Mapped[float | None] = column(
        sa.Float, "Usual daily dose of the drug.", MoreThan(0), unit="strength_unit per day"
    )
    launched_on: Mapped[dt.date | None] = day("First day it can be dispensed.")
    withdrawn_on: Mapped[dt.date | None] = day("First day it can no longer be dispensed.")
    criticality: Mapped[str | None] = text(
        "What patients lose without it; blank = standard. Limits trim the last first.", OneOf.of(Criticality)
    )


class Dispensing(Base):
    """Quantity dispensed per site, product and period; negative = return."""

    __tablename__ = "dispensing"

    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id", primary_key=True)
    period_start: Mapped[dt.date] = day("First day of the period.", primary_key=True)
    quantity: Mapped[float] = column(sa.Float, "Dispensed; negative = return.", unit="dose units")
    patients: Mapped[float | None] = amount("People it was dispensed to; blank = unknown or suppressed.", "people")


class Stock(Base):
    """Counted stock per lot; all lots of a site and product with the latest counted_at are its stock."""

    __tablename__ = "stock"

    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id", primary_key=True)
    counted_at: Mapped[dt.datetime] = moment("When it was counted.", primary_key=True)
    lot: Mapped[str] = text("Lot number; blank when lots are not kept.", primary_key=True, default="")
    quantity: Mapped[float] = column(sa.Float, "On hand; negative is a count error.", unit="dose units")
    expiry_date: Mapped[dt.date | None] = day("Last day it may be used; blank = unknown.")
    status: Mapped[str] = text("Whether it may be used.", OneOf.of(StockStatus), default=StockStatus.AVAILABLE.value)
    committed: Mapped[float | None] = amount(
        "Of the quantity, promised to someone else; blank = nothing.", "dose units"
    )


class OpenOrder(Base):
    """A line that was ordered and has not arrived; a file lists all open lines of the sites it names."""

    __tablename__ = "open_orders"

    order_id: Mapped[str] = text("Order number.", NotBlank(), primary_key=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id", primary_key=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    packs: Mapped[int] = whole_number("Packs still to come.", "packs")
    ordered_at: Mapped[dt.date] = day("Day it was ordered.")
    expected_at: Mapped[dt.date] = day("Day it is expected.")


class Receipt(Base):
    """What arrived when: the history that lead times are learned from."""

    __tablename__ = "receipts"

    order_id: Mapped[str] = text("Order number.", NotBlank(), primary_key=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id", primary_key=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", primary_key=True)
    received_at: Mapped[dt.date] = day("Day it arrived.", primary_key=True)
    ordered_at: Mapped[dt.date] = day("Day it was ordered.")
    packs: Mapped[int] = whole_number("Packs received.", "packs")


class Policy(Base):
    """Stocking policy of a site, product, drug or segment; each setting is that of the most specific row stating it."""

    __tablename__ = "policies"

    facility_id: Mapped[str] = text(
        "Site, '*' = any.", Refers("facilities", "facility_id", (ANY,)), primary_key=True, default=ANY
    )
    product_id: Mapped[str] = text(
        "Product, '*' = any.", Refers("products", "product_id", (ANY,)), primary_key=True, default=ANY
    )
    drug: Mapped[str] = text("Drug, '*' = any.", primary_key=True, default=ANY)
    abc: Mapped[str] = text(
        "Segment by value of use at the site, '*' = any.", OneOf(("A", "B", "C", ANY)), primary_key=True, default=ANY
    )
    xyz: Mapped[str] = text(
        "Segment by variation of use, '*' = any.", OneOf(("X", "Y", "Z", ANY)), primary_key=True, default=ANY
    )
    criticality: Mapped[str] = text(
        "Criticality of the product, '*' = any.", OneOf((*Criticality, ANY)), primary_key=True, default=ANY
    )
    target_kind: Mapped[str] = text(
        "fill_rate (share of demand met) or cycle_service (no stock-out in a cycle).", OneOf.of(TargetKind)
    )
    target: Mapped[float] = column(sa.Float, "Service target.", MoreThan(0), AtMost(0.9999), unit="probability")
    review_period_days: Mapped[float | None] = column(sa.Float, "Days between order reviews.", MoreThan(0), unit="days")
    max_on_hand_days: Mapped[float | None] = column(sa.Float, "Most days of demand to hold.", MoreThan(0), unit="days")
    par_level: Mapped[float | None] = amount("The site's own order-up-to level: kind par orders by it.", "dose units")
    budget_per_period: Mapped[Decimal | None] = exact_amount(
        "Most that a site may spend in a period on what the row names.", "currency"
    )
    storage_units: Mapped[float | None] = amount("Room that a site has for packs of what the row names.", "packs")
    policy_kind: Mapped[str | None] = text(
        "order_up_to (to the target's level at each review), reorder_point (least cost with an order cost), newsvendor "
        "(what expires, by quantity) or par (the site's own level); blank = order_up_to.",
        OneOf.of(PolicyKind),
    )
    fixed_order_cost: Mapped[Decimal | None] = exact_amount(
        "Cost of placing and receiving a line, for kind reorder_point.", "currency"
    )
    holding_rate_per_year: Mapped[float | None] = amount(
        "Cost of holding stock for a year over its value; blank = 0.2.", "share per year"
    )
    shortage_cost: Mapped[Decimal | None] = exact_amount(
        "Cost of a missing dose unit, for kind newsvendor; blank = what the target implies.", "currency per dose unit"
    )


class Alternative(Base):
    """Alternative drug that the site's P&T committee approved, with its share and dose ratio."""

    __tablename__ = "alternatives"

    drug: Mapped[str] = text("Drug that is replaced.", NotBlank(), primary_key=True)
    alternative_drug: Mapped[str] = text("Drug that replaces it.", NotBlank(), primary_key=True)
    indication: Mapped[str] = text("Indication or population it holds for, '*' = any.", primary_key=True, default=ANY)
    valid_from: Mapped[dt.date] = day(
        "First day it holds; 1900-01-01 when not stated.", primary_key=True, default=NOT_STATED
    )
    share: Mapped[float | None] = share("Share of those who move; blank = an equal part of what is left.")
    dose_ratio: Mapped[float | None] = column(
        sa.Float,
        "Strength units of the alternative per strength unit replaced; blank, or 1, = a day for a day.",
        MoreThan(0),
        unit="ratio",
    )
    approved_by: Mapped[str | None] = text("Who approved it.")
    valid_to: Mapped[dt.date | None] = day("Last day it holds.")


class Shortage(Base):
    """A product or drug that suppliers cannot deliver in full."""

    __tablename__ = "shortages"

    product_id: Mapped[str] = text(
        "Product, '*' = every product of the drug.",
        Refers("products", "product_id", (ANY,)),
        primary_key=True,
        default=ANY,
    )
    drug: Mapped[str] = text("Drug, '*' when a product is named.", primary_key=True, default=ANY)
    starts_on: Mapped[dt.date] = day("First day.", primary_key=True)
    ends_on: Mapped[dt.date | None] = day("Last day; blank = not known.")
    allocation_share: Mapped[float | None] = share("Share of an order that is delivered; blank = nothing.")
