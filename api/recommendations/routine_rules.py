"""Rules of what is routine: an approver sets one, lines that it covers are listed apart, a person approves them.

A rule approves nothing. Who sets one cannot let through more than one approval of their own could.
"""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from api.http.errors import InvalidRequest, NotAllowed, NotFound
from api.http.fields import DayIn, Note, Strict, Text
from api.principal import Principal
from api.settings import ApprovalLimits
from forecasting.terms import ALL_FACILITIES
from warehouse import audit
from warehouse.audit import Event
from warehouse.queries import worklist
from warehouse.queries.lines import facilities_query
from warehouse.roles import Permission, roles_with
from warehouse.schema.inputs import Product
from warehouse.schema.worklist import RoutineRule

LONGEST_PERIOD = dt.timedelta(days=366)
MOST_URGENCY = 1e6


class RoutineRuleIn(Strict):
    """A rule as its author states it."""

    facility_id: Text
    most_cost: Decimal = Field(gt=0, max_digits=18, decimal_places=6, allow_inf_nan=False)
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    most_urgency: float = Field(ge=0, le=MOST_URGENCY, allow_inf_nan=False)
    except_drugs: Annotated[str, Field(max_length=2000)] = ""
    expires_on: DayIn
    note: Note | None = None

    def drugs(self) -> list[str]:
        """The drugs that are never routine, as `products` writes them."""
        return sorted({name.strip().lower() for name in self.except_drugs.split(";") if name.strip()})


def may_set(person: Principal) -> bool:
    """Whether a person's role sets and ends rules."""
    return person.user_id is not None and person.may(Permission.APPROVE_SECOND)


def set_rule(
    connection: sa.Connection, person: Principal, rule: RoutineRuleIn, now: dt.datetime, limits: ApprovalLimits
) -> int:
    """Number of the new rule; what breaks a rule of rules raises `InvalidRequest`."""
    _check_may_set(person)
    _check_site(connection, person, rule.facility_id)
    if not now.date() < rule.expires_on <= now.date() + LONGEST_PERIOD:
        raise InvalidRequest.field("expires_on", "must be a day after today, within a year")
    if limits.second_above is not None and rule.most_cost > limits.second_above:
        raise InvalidRequest.field(
            "most_cost", f"must not be above {limits.second_above}: beyond that one approval is not enough"
        )
    unknown = sorted(set(rule.drugs()) - set(connection.scalars(sa.select(Product.drug).distinct())))
    if unknown:
        raise InvalidRequest.field("except_drugs", f"{', '.join(unknown)}: must be drugs of products, with ';' between")
    row = rule.model_dump() | {"except_drugs": ";".join(rule.drugs()) or None}
    row |= {"user_id": person.user_id, "set_at": now, "note": (rule.note or "").strip() or None}
    insert = sa.insert(RoutineRule).values(row).returning(RoutineRule.rule_id)
    number = int(connection.execute(insert).scalar_one())
    site = None if rule.facility_id == ALL_FACILITIES else rule.facility_id
    after: dict[str, Any] = {name: value for name, value in row.items() if name != "set_at"}
    audit.append(connection, person.actor, now, [Event("policy.set_routine", _subject(number), site, after=after)])
    return number


def end_rule(connection: sa.Connection, person: Principal, rule_id: int, now: dt.datetime) -> None:
    """End a rule of the person's sites; one that is unknown or over raises `NotFound`."""
    _check_may_set(person)
    rules = {rule["rule_id"]: rule for rule in worklist.routine_rules(connection, person.sites)}
    rule = rules.get(rule_id)
    if rule is None or rule["ended_at"] is not None:
        raise NotFound(f"there is no routine rule {rule_id} to end")
    if rule["facility_id"] == ALL_FACILITIES and person.sites is not None:
        raise NotAllowed("the rule is for every site: who approves for all of them ends it")
    ended = {"ended_at": now, "ended_by": person.user_id}
    connection.execute(sa.update(RoutineRule).where(RoutineRule.rule_id == rule_id).values(ended))
    site = None if rule["facility_id"] == ALL_FACILITIES else rule["facility_id"]
    audit.append(connection, person.actor, now, [Event("policy.end_routine", _subject(rule_id), site, after=ended)])


def _check_may_set(person: Principal) -> None:
    if not may_set(person):
        roles = " or ".join(roles_with(Permission.APPROVE_SECOND))
        raise NotAllowed(f"rules of what is routine are set by {roles}, not {person.role}")


def _check_site(connection: sa.Connection, person: Principal, facility_id: str) -> None:
    if facility_id == ALL_FACILITIES:
        if person.sites is not None:
            raise InvalidRequest.field("facility_id", "must be one of your sites: every site is for who sees them all")
        return
    if facility_id not in connection.scalars(facilities_query(person.sites)).all():
        raise InvalidRequest.field("facility_id", "must be one of your sites, or *")


def _subject(rule_id: int) -> str:
    return f"routine_rule:{rule_id}"
