"""What the genetic step moves: which products, where and when, and the guidance, testing and evidence behind it.

Every function reads one origin day and the caller's sites; `drug` None is every drug.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from forecasting.terms import ALL_GROUPS
from warehouse.queries.lines import Rows, Scope, within
from warehouse.schema.inputs import Facility, Product
from warehouse.schema.representation import Representation
from warehouse.schema.results import Exposure, Forecast, GeneticEffect, GeneticShift, SiteRelease

NAMED = (Product.drug, Product.strength_value, Product.strength_unit, Product.dose_form, Product.pack_size)


def product_shifts(connection: sa.Connection, scope: Scope, as_of: dt.date, drug: str | None) -> Rows:
    """Per site, product and period that move: `shift` and `baseline` (dose units), with the product's names."""
    query = (
        sa.select(
            Forecast.facility_id,
            Facility.name.label("facility_name"),
            Forecast.product_id,
            *NAMED,
            Forecast.period_start,
            Forecast.genetic_shift.label("shift"),
            Forecast.baseline_mean.label("baseline"),
        )
        .join(Product, Product.product_id == Forecast.product_id)
        .join(Facility, Facility.facility_id == Forecast.facility_id)
        .where(Forecast.as_of == as_of, within(Forecast.facility_id, scope), Forecast.genetic_shift != 0)
        .order_by(Forecast.product_id, Forecast.facility_id, Forecast.period_start)
    )
    of_drug = sa.true() if drug is None else Product.drug == drug
    return connection.execute(query.where(of_drug)).mappings().all()


def guidance_shifts(connection: sa.Connection, scope: Scope, as_of: dt.date, drug: str) -> Rows:
    """Guidance rows that move a drug's products, largest first: `quantity` over all sites (dose units), and the range
    over sites of the prevalence and of the exposure now and planned."""
    ranges = [
        function(getattr(GeneticShift, name)).label(f"{name}_{end}")
        for name in ("prevalence", "exposure_at_origin", "exposure_planned")
        for end, function in (("low", sa.func.min), ("high", sa.func.max))
    ]
    key = (GeneticShift.drug, GeneticShift.recommendation_id, GeneticShift.gene, GeneticShift.lookup_key)
    quantity = sa.func.sum(GeneticShift.quantity)
    sites = sa.func.count(sa.distinct(GeneticShift.facility_id)).label("sites")
    query = (
        sa.select(*key, quantity.label("quantity"), sites, *ranges)
        .join(Product, Product.product_id == GeneticShift.product_id)
        .where(GeneticShift.as_of == as_of, within(GeneticShift.facility_id, scope), Product.drug == drug)
        .group_by(*key)
        .order_by(sa.func.abs(quantity).desc(), GeneticShift.recommendation_id, GeneticShift.drug)
    )
    return connection.execute(query).mappings().all()


def exposure_ranges(connection: sa.Connection, scope: Scope, as_of: dt.date, genes: set[str]) -> list[dict[str, Any]]:
    """Per gene the range over sites of the share of treated patients whose prescribing follows a result: `now` at the
    origin and `later` in the last planned period, each (low, high)."""
    rows = sa.and_(Exposure.as_of == as_of, within(Exposure.facility_id, scope), Exposure.gene.in_(sorted(genes)))
    last, now = (
        connection.scalar(sa.select(sa.func.max(Exposure.period_start)).where(rows, bound))
        for bound in (sa.true(), Exposure.period_start <= as_of)
    )
    query = (
        sa.select(
            Exposure.gene,
            Exposure.period_start,
            sa.func.min(Exposure.exposure).label("low"),
            sa.func.max(Exposure.exposure).label("high"),
        )
        .where(rows, Exposure.period_start.in_([day for day in (now, last) if day is not None]))
        .group_by(Exposure.gene, Exposure.period_start)
    )
    by_gene: dict[str, dict[str, Any]] = {}
    for row in connection.execute(query).mappings():
        ranges = by_gene.setdefault(row["gene"], {"gene": row["gene"], "until": last, "now": None, "later": None})
        for word, day in (("now", now), ("later", last)):
            if row["period_start"] == day:
                ranges[word] = (row["low"], row["high"])
    return [by_gene[gene] for gene in sorted(by_gene)]


def learned_effects(connection: sa.Connection, scope: Scope, as_of: dt.date, drug: str) -> Rows:
    """How strongly a drug's advice acts at each site: the posterior, what the backtest lets stay, and their product."""
    query = (
        sa.select(GeneticEffect.__table__, Facility.name.label("facility_name"))
        .join(Facility, Facility.facility_id == GeneticEffect.facility_id)
        .where(GeneticEffect.as_of == as_of, within(GeneticEffect.facility_id, scope))
        .where(sa.or_(GeneticEffect.drug == drug, GeneticEffect.to_drug == drug))
        .order_by(GeneticEffect.drug, GeneticEffect.to_drug, GeneticEffect.recommendation, Facility.name)
    )
    return connection.execute(query).mappings().all()


def thin_evidence(connection: sa.Connection, scope: Scope, as_of: dt.date, drug: str | None) -> Rows:
    """Where the genotype evidence of a drug is too thin to lean on: site, drug, gene, and what it rests on."""
    query = (
        sa.select(Facility.name.label("facility_name"), Representation.drug, Representation.gene, Representation.basis)
        .join(Facility, Facility.facility_id == Representation.facility_id)
        .where(Representation.as_of == as_of, within(Representation.facility_id, scope), Representation.thin)
        .where(Representation.biogeographic_group == ALL_GROUPS)
        .order_by(Representation.drug, Representation.gene, Facility.name)
    )
    of_drug = sa.true() if drug is None else Representation.drug == drug
    return connection.execute(query.where(of_drug)).mappings().all()


def guidance_releases(connection: sa.Connection, scope: Scope, as_of: dt.date) -> list[str]:
    """Releases of guidance that the sites' results of the day rest on."""
    query = sa.select(SiteRelease.release_id).where(
        SiteRelease.as_of == as_of, within(SiteRelease.facility_id, scope), SiteRelease.in_force
    )
    return sorted(set(connection.scalars(query.where(SiteRelease.kind == "guidance"))))
