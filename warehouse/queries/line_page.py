"""Read queries of one line's page: its lots and orders, its genes' exposure and evidence, and what happened to it.

Each takes the place (origin, site, product) of a line that the caller was already found to see.
"""

import datetime as dt
from collections.abc import Collection

import sqlalchemy as sa

from warehouse.queries.lines import Rows
from warehouse.schema.inputs import OpenOrder, Stock
from warehouse.schema.ledger import AuditEvent
from warehouse.schema.representation import Representation
from warehouse.schema.results import Exposure


def newest_lots(connection: sa.Connection, as_of: dt.date, facility_id: str, product_id: str) -> Rows:
    """Lots of the newest count up to the end of the origin day, as the plan took them."""
    of_item = [Stock.facility_id == facility_id, Stock.product_id == product_id]
    of_item.append(Stock.counted_at < dt.datetime.combine(as_of, dt.time.min) + dt.timedelta(days=1))
    newest = sa.select(sa.func.max(Stock.counted_at)).where(*of_item).scalar_subquery()
    query = sa.select(Stock.__table__).where(*of_item, Stock.counted_at == newest)
    return connection.execute(query.order_by(Stock.expiry_date, Stock.lot)).mappings().all()


def open_orders(connection: sa.Connection, as_of: dt.date, facility_id: str, product_id: str) -> Rows:
    """Open orders placed up to the origin, by the day they are expected."""
    query = sa.select(OpenOrder.__table__).where(
        OpenOrder.facility_id == facility_id,
        OpenOrder.product_id == product_id,
        OpenOrder.ordered_at <= as_of,
        OpenOrder.packs > 0,
    )
    return connection.execute(query.order_by(OpenOrder.expected_at, OpenOrder.order_id)).mappings().all()


def exposures(connection: sa.Connection, as_of: dt.date, facility_id: str, genes: Collection[str]) -> Rows:
    """Exposure by gene and period from the origin on."""
    query = sa.select(Exposure.gene, Exposure.period_start, Exposure.exposure, Exposure.planned).where(
        Exposure.as_of == as_of, Exposure.facility_id == facility_id, Exposure.gene.in_(sorted(genes))
    )
    return connection.execute(query.order_by(Exposure.gene, Exposure.period_start)).mappings().all()


def representation(
    connection: sa.Connection, as_of: dt.date, facility_id: str, drugs: Collection[str], genes: Collection[str]
) -> Rows:
    """Whose genotypes the estimates of drugs' genes rest on, all people served first, then group by group."""
    query = sa.select(Representation.__table__).where(
        Representation.as_of == as_of,
        Representation.facility_id == facility_id,
        Representation.drug.in_(sorted(drugs)),
        Representation.gene.in_(sorted(genes)),
    )
    order = (Representation.gene, Representation.drug, Representation.biogeographic_group)
    return connection.execute(query.order_by(*order)).mappings().all()


def audit_events(connection: sa.Connection, recommendation_id: str) -> Rows:
    """The audit trail of a line, oldest first."""
    query = sa.select(AuditEvent.__table__).where(AuditEvent.subject == f"recommendation:{recommendation_id}")
    return connection.execute(query.order_by(AuditEvent.sequence)).mappings().all()
