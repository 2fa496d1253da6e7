"""How old what each site handed in is, against how old it may be, and what to do about it."""

import dataclasses
import datetime as dt
from typing import Any

import sqlalchemy as sa

from warehouse.queries.lines import Scope, within
from warehouse.schema.inputs import NOT_STATED, Dispensing, Facility, GenotypeCount, Receipt, Stock, TestingCoverage


@dataclasses.dataclass(frozen=True)
class Input:
    """An input with the age (days) from which it is reported as too old; `usual` names what an age counts from."""

    name: str
    usual: str
    column: Any
    site: Any
    limit_days: int
    to_do: str
    only: sa.ColumnElement[bool] = dataclasses.field(default_factory=sa.true)


INPUTS = (
    Input(
        "Stock count", "newest count", Stock.counted_at, Stock.facility_id, 2,
        "Count again, or let the inventory system push the count: orders rest on it.",
    ),
    Input(
        "Dispensing", "start of the newest period", Dispensing.period_start, Dispensing.facility_id, 21,
        "Load the newest periods: the forecast does not know what happened since.",
    ),
    Input(
        "Receipts", "newest delivery", Receipt.received_at, Receipt.facility_id, 31,
        "Load what arrived: lead times are learned from it, and orders that came still count as open.",
    ),
    Input(
        "Genotype counts", "newest count", GenotypeCount.as_of, GenotypeCount.facility_id, 366,
        "Ask the laboratory for newer counts: until then published figures and the old counts speak.",
        GenotypeCount.as_of > NOT_STATED,
    ),
    Input(
        "Testing coverage", "newest measurement", TestingCoverage.period_start, TestingCoverage.facility_id, 184,
        "Measure how many patients are tested and whose advice is followed: genetic shifts rest on it.",
        TestingCoverage.planned.is_(False),
    ),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Age:
    """How old an input of a site is; `newest` and `days` None = nothing was ever handed in."""

    facility_id: str
    facility_name: str
    input: Input
    newest: dt.date | None
    days: int | None

    @property
    def old(self) -> bool:
        """True where it is older than it may be, or was never handed in."""
        return self.days is None or self.days > self.input.limit_days


def input_ages(connection: sa.Connection, scope: Scope, today: dt.date) -> list[Age]:
    """The age of every input of the caller's open sites, by input and site."""
    sites = connection.execute(
        sa.select(Facility.facility_id, Facility.name)
        .where(within(Facility.facility_id, scope), Facility.closed_on.is_(None))
        .order_by(Facility.name, Facility.facility_id)
    ).all()
    return [
        _age(facility_id, name, source, newest.get(facility_id), today)
        for source in INPUTS
        for newest in [_newest(connection, source, scope)]
        for facility_id, name in sites
    ]


def _newest(connection: sa.Connection, source: Input, scope: Scope) -> dict[str, Any]:
    query = (
        sa.select(source.site, sa.func.max(source.column))
        .where(within(source.site, scope), source.only)
        .group_by(source.site)
    )
    return {site: newest for site, newest in connection.execute(query)}


def _age(facility_id: str, name: str, source: Input, newest: Any, today: dt.date) -> Age:
    day = newest.date() if isinstance(newest, dt.datetime) else newest
    return Age(facility_id, name, source, day, None if day is None else max((today - day).days, 0))
