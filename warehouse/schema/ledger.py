"""What people and systems did: loads, users, keys, sessions, decisions, activations, orders and the audit trail.

Runs never write here, except what they publish into the audit trail.
"""

import datetime as dt
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from forecasting.terms import (
    ALL_FACILITIES,
    AcknowledgementStatus,
    DecisionKind,
    DecisionReason,
    OverrideKind,
    OverrideReason,
)
from warehouse.roles import Role
from warehouse.schema.base import Base, ExactDecimal, column
from warehouse.schema.columns import amount, day, exact_amount, flag, moment, text, whole_number
from warehouse.schema.rules import AtLeast, MoreThan, NotBlank, OneOf, Refers

ACCOUNT_TYPES = ("gpo", "340b", "wac")
WEBHOOK_EVENTS = ("recommendation.approved", "recommendation.modified", "recommendation.exported")
DELIVERY_STATES = ("waiting", "delivered", "dead")


class Load(Base):
    """One file that was read, and what became of its rows."""

    __tablename__ = "loads"

    load_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    file: Mapped[str] = text("File name, without its folder.", NotBlank())
    format: Mapped[str] = text("bundle, scmd, epd, sdud, cpic, pharmcat, curated or api.", NotBlank())
    sha256: Mapped[str] = column(sa.String(64), "Digest of the file.", NotBlank())
    table_name: Mapped[str] = text("Table the rows went to.", NotBlank())
    accepted: Mapped[int] = whole_number("Rows new or changed.", "rows")
    unchanged: Mapped[int] = whole_number("Rows already there.", "rows")
    rejected: Mapped[int] = whole_number("Rows refused.", "rows")
    notes: Mapped[str | None] = text("What else was noticed, e.g. unknown columns.")
    loaded_at: Mapped[dt.datetime] = moment("When (UTC).")


class RejectedRow(Base):
    """A row that was refused: where it stands, which value, which rule."""

    __tablename__ = "rejected_rows"

    rejected_row_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    load_id: Mapped[int] = column(sa.Integer, "Load that refused it.", refers="loads.load_id", index=True)
    file: Mapped[str] = text("File name.", NotBlank())
    line: Mapped[int] = column(sa.Integer, "Line in the file, the header is line 1.", AtLeast(1))
    column_name: Mapped[str] = text("Column.")
    value: Mapped[str | None] = text("The value as it stood.")
    rule: Mapped[str] = text("The rule it breaks.", NotBlank())


class DispensingRevision(Base):
    """A dispensed quantity that a later load changed: what stood there before. Rows are never changed or deleted."""

    __tablename__ = "dispensing_revisions"

    revision_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", index=True)
    product_id: Mapped[str] = text("Product.", refers="products.product_id")
    period_start: Mapped[dt.date] = day("First day of the period.")
    quantity_before: Mapped[float] = column(sa.Float, "As loaded before; negative = return.", unit="dose units")
    quantity_after: Mapped[float] = column(sa.Float, "As loaded now; negative = return.", unit="dose units")
    file: Mapped[str] = text("File that changed it, without its folder.", NotBlank())
    revised_at: Mapped[dt.datetime] = moment("When (UTC).")


class User(Base):
    """A person who signs in."""

    __tablename__ = "users"

    user_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    name: Mapped[str] = text("Sign-in name.", NotBlank(), unique=True)
    display_name: Mapped[str] = text("Name shown.", NotBlank())
    password_hash: Mapped[str] = text("argon2id hash.", NotBlank())
    subject: Mapped[str | None] = text(
        "Issuer and subject at the identity provider; blank = signs in by password.", unique=True
    )
    role: Mapped[str] = text("What the person may do.", OneOf.of(Role))
    facility_ids: Mapped[str | None] = text("Sites, ';'-separated; blank = all.")
    active: Mapped[bool] = flag("May sign in.")
    failed_sign_ins: Mapped[int] = column(sa.Integer, "Since the last success.", AtLeast(0), default=0)
    locked_until: Mapped[dt.datetime | None] = moment("No sign-in before (UTC).")
    created_at: Mapped[dt.datetime] = moment("When (UTC).")


class SignInSession(Base):
    """A signed-in browser."""

    __tablename__ = "sign_in_sessions"

    token_sha256: Mapped[str] = column(sa.String(64), "Digest of the cookie's token.", primary_key=True)
    user_id: Mapped[int] = column(sa.Integer, "Person.", refers="users.user_id", index=True)
    csrf_token: Mapped[str] = text("Token every form carries.", NotBlank())
    created_at: Mapped[dt.datetime] = moment("When (UTC).")
    expires_at: Mapped[dt.datetime] = moment("No longer valid from (UTC).")


class ApiKey(Base):
    """A key with which an inventory system calls the API; only its digest is kept."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = text("Public part of the key.", NotBlank(), primary_key=True)
    name: Mapped[str] = text("What uses it.", NotBlank())
    secret_sha256: Mapped[str] = column(sa.String(64), "Digest of the secret part.", NotBlank())
    scopes: Mapped[str] = text("resource:verb, ';'-separated.", NotBlank())
    facility_ids: Mapped[str | None] = text("Sites, ';'-separated; blank = all.")
    created_at: Mapped[dt.datetime] = moment("When (UTC).")
    expires_at: Mapped[dt.datetime | None] = moment("No longer valid from (UTC); blank = until revoked.")
    revoked_at: Mapped[dt.datetime | None] = moment("Revoked (UTC).")
    previous_sha256: Mapped[str | None] = column(sa.String(64), "Digest of the secret before the last rotation.")
    previous_until: Mapped[dt.datetime | None] = moment("The secret before counts until then (UTC).")


class Decision(Base):
    """What a signed-in person decided about a recommendation. Append-only: rows are never changed or deleted."""

    __tablename__ = "decisions"

    decision_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    recommendation_id: Mapped[str] = text("Recommendation.", refers="recommendations.recommendation_id", index=True)
    decided_at: Mapped[dt.datetime] = moment("When (UTC).")
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id")
    kind: Mapped[str] = text("What.", OneOf.of(DecisionKind))
    status_before: Mapped[str] = text("Status before.")
    status_after: Mapped[str] = text("Status after.")
    packs_before: Mapped[int] = whole_number("Packs before.", "packs")
    packs_after: Mapped[int] = whole_number("Packs after.", "packs")
    version_seen: Mapped[int] = column(sa.Integer, "Version of the recommendation that was decided on.", MoreThan(0))
    reason_code: Mapped[str | None] = text("Why; required unless approved as proposed.", OneOf.of(DecisionReason))
    note: Mapped[str | None] = text("In the person's words.")
    routine_rule_id: Mapped[int | None] = column(
        sa.Integer, "Rule by which the line was routine when it was approved.", refers="routine_rules.rule_id"
    )


class Activation(Base):
    """A person put a release in force at a site from a day on. Append-only: rows are never changed or deleted."""

    __tablename__ = "activations"

    activation_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    release_id: Mapped[str] = text("Release.", refers="content_releases.release_id", index=True)
    facility_id: Mapped[str] = text(
        "Site, '*' = every site.", NotBlank(), Refers("facilities", "facility_id", (ALL_FACILITIES,))
    )
    effective_on: Mapped[dt.date] = day(
        "Day from which prescribing follows it: runs with this origin or a later one use it."
    )
    decided_at: Mapped[dt.datetime] = moment("When it was decided (UTC).")
    user_id: Mapped[int] = column(sa.Integer, "Who decided.", refers="users.user_id")
    note: Mapped[str | None] = text("In the person's words.")


class ForecastOverride(Base):
    """What a person set of a site's forecast, and until when it acts. Append-only: never changed or deleted."""

    __tablename__ = "forecast_overrides"

    override_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    facility_id: Mapped[str] = text("Site.", refers="facilities.facility_id", index=True)
    product_id: Mapped[str | None] = text("Product; blank = every product of the drug.", refers="products.product_id")
    drug: Mapped[str] = text("Ingredient.", NotBlank())
    kind: Mapped[str] = text("What is set.", OneOf.of(OverrideKind))
    value: Mapped[float] = amount("Dose units for every period, or the factor on what is forecast.", "as `kind` says")
    starts_on: Mapped[dt.date] = day("First day: acts on periods that begin on it or later.")
    ends_on: Mapped[dt.date] = day("Last day: acts on periods that begin on it or before.")
    expires_on: Mapped[dt.date] = day("Last origin day on which a run still uses it.")
    reason_code: Mapped[str] = text("Why.", OneOf.of(OverrideReason))
    note: Mapped[str | None] = text("In the person's words.")
    created_at: Mapped[dt.datetime] = moment("When (UTC).")
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id", index=True)


class OverrideWithdrawal(Base):
    """A person took an override back: runs that start later do not use it. Append-only, as what it takes back."""

    __tablename__ = "override_withdrawals"

    override_id: Mapped[int] = column(
        sa.Integer, "Override.", refers="forecast_overrides.override_id", primary_key=True, autoincrement=False
    )
    withdrawn_at: Mapped[dt.datetime] = moment("When (UTC).")
    user_id: Mapped[int] = column(sa.Integer, "Who.", refers="users.user_id")
    note: Mapped[str | None] = text("In the person's words.")


class OrderExport(Base):
    """One hand-off: the approved lines that were locked together, and what asked for it. Never changed."""

    __tablename__ = "order_exports"
    __table_args__ = (sa.UniqueConstraint("actor", "idempotency_key"),)

    export_id: Mapped[str] = text("Number.", NotBlank(), primary_key=True)
    actor: Mapped[str] = text("Who asked: user:<number> or key:<key_id>.", NotBlank())
    actor_name: Mapped[str] = text("Name of who asked.", NotBlank())
    idempotency_key: Mapped[str] = text("The caller's name for this hand-off.", NotBlank())
    request_sha256: Mapped[str] = column(sa.String(64), "Digest of what was asked.", NotBlank())
    facility_ids: Mapped[str | None] = text("Sites the caller was bound to, ';'-separated; blank = all.")
    not_exported: Mapped[str] = column(sa.Text, "JSON list of lines asked for and left out, with reasons.", NotBlank())
    created_at: Mapped[dt.datetime] = moment("When (UTC).")


class Order(Base):
    """One order to one supplier in one currency: what a document is made from. Never changed."""

    __tablename__ = "orders"

    order_number: Mapped[str] = text("Purchase order number.", NotBlank(), primary_key=True)
    control_number: Mapped[int] = column(
        sa.Integer, "Count of orders, from 1; X12 control number.", AtLeast(1), unique=True
    )
    export_id: Mapped[str] = text("Hand-off.", refers="order_exports.export_id", index=True)
    supplier_id: Mapped[str] = text("Supplier.", NotBlank())
    supplier_name: Mapped[str] = text("Its name when ordered.", NotBlank())
    currency: Mapped[str | None] = text("ISO 4217 code of all prices; blank = no line has a price.")
    created_at: Mapped[dt.datetime] = moment("When (UTC).")


class OrderLine(Base):
    """One approved recommendation on one order; a recommendation is on at most one. Only what the supplier says of it
    is added later."""

    __tablename__ = "order_lines"

    order_number: Mapped[str] = text("Order.", refers="orders.order_number", primary_key=True)
    line_number: Mapped[int] = column(sa.Integer, "Place on the order, from 1.", AtLeast(1), primary_key=True)
    recommendation_id: Mapped[str] = text("Recommendation.", refers="recommendations.recommendation_id", unique=True)
    facility_id: Mapped[str] = text("Site it is delivered to.", refers="facilities.facility_id")
    facility_name: Mapped[str] = text("Its name when ordered.", NotBlank())
    product_id: Mapped[str] = text("Product.", refers="products.product_id")
    description: Mapped[str] = text("Drug, strength, form and pack in words.", NotBlank())
    code_system: Mapped[str | None] = text("System of `code` when ordered.")
    code: Mapped[str | None] = text("Product code when ordered, as issued.")
    account_type: Mapped[str | None] = text(
        "Purchase account: gpo, 340b or wac; blank = not stated.", OneOf(ACCOUNT_TYPES)
    )
    packs: Mapped[int] = column(sa.Integer, "Packs ordered.", AtLeast(1), unit="packs")
    pack_size: Mapped[Decimal] = column(ExactDecimal, "Dose units in a pack.", MoreThan(0), unit="dose units")
    quantity: Mapped[Decimal] = column(ExactDecimal, "The same order in dose units.", MoreThan(0), unit="dose units")
    pack_price: Mapped[Decimal | None] = exact_amount("Price of a pack when ordered; blank = unknown.", "currency")
    need_by: Mapped[dt.date | None] = day("Day it is needed; blank = not within the forecast.")
    acknowledgement: Mapped[str | None] = text(
        "What the supplier said last; blank = nothing yet.", OneOf.of(AcknowledgementStatus)
    )
    packs_confirmed: Mapped[int | None] = whole_number(
        "Packs the supplier will deliver; blank = not acknowledged.", "packs"
    )
    expected_at: Mapped[dt.date | None] = day("Day the supplier names; blank = none.")
    acknowledgement_note: Mapped[str | None] = text("In the supplier's words.")


class AuditEvent(Base):
    """One change of state: who, when, before and after. Append-only, and each row's digest covers the row before."""

    __tablename__ = "audit_events"

    sequence: Mapped[int] = column(
        sa.Integer, "Place in the chain, from 1 without gaps.", AtLeast(1), primary_key=True, autoincrement=False
    )
    at: Mapped[dt.datetime] = moment("When (UTC).")
    actor: Mapped[str] = text(
        "Who: user:<number>, key:<key_id>, run:<run_id>, command, provider, nobody.", NotBlank(), index=True
    )
    actor_name: Mapped[str] = text("Name of who.", NotBlank())
    action: Mapped[str] = text("What was done: kind.verb.", NotBlank())
    subject: Mapped[str] = text("What it was done to: kind:id.", NotBlank(), index=True)
    facility_id: Mapped[str | None] = text("Site it concerns; blank = no one site.")
    request_id: Mapped[str | None] = text("Request that did it; blank = a command or a run.")
    before: Mapped[str | None] = column(sa.Text, "JSON of what it was.")
    after: Mapped[str | None] = column(sa.Text, "JSON of what it became.")
    previous_sha256: Mapped[str] = column(sa.String(64), "Digest of the row before; zeros for the first.", NotBlank())
    sha256: Mapped[str] = column(sa.String(64), "Digest of this row and previous_sha256.", NotBlank(), unique=True)


class Webhook(Base):
    """An address that is told of changes. The secret that signs stays in the environment; its name is kept here."""

    __tablename__ = "webhooks"

    webhook_id: Mapped[str] = text("Number.", NotBlank(), primary_key=True)
    url: Mapped[str] = text("Where events are posted.", NotBlank())
    event_types: Mapped[str] = text("Which events, ';'-separated.", NotBlank())
    secret_name: Mapped[str] = text("Name of the signing secret in the environment.", NotBlank())
    facility_ids: Mapped[str | None] = text("Sites, ';'-separated; blank = all.")
    active: Mapped[bool] = flag("Events are still posted.")
    created_at: Mapped[dt.datetime] = moment("When (UTC).")
    created_by: Mapped[str] = text("Who: user:<number>.", NotBlank())


class WebhookDelivery(Base):
    """One event for one webhook: written with the change it tells of, kept until it was taken or given up."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        sa.UniqueConstraint("webhook_id", "event_id"),
        sa.Index("ix_webhook_deliveries_status_next_try_at", "status", "next_try_at"),
    )

    delivery_id: Mapped[int] = column(sa.Integer, "Number.", primary_key=True, autoincrement=True)
    webhook_id: Mapped[str] = text("Webhook.", refers="webhooks.webhook_id")
    event_id: Mapped[str] = text("Event; the same on every try and for every webhook.", NotBlank())
    event_type: Mapped[str] = text("What happened.", OneOf(WEBHOOK_EVENTS))
    body: Mapped[str] = column(sa.Text, "JSON that is posted, the same bytes on every try.", NotBlank())
    status: Mapped[str] = text("waiting, delivered, or dead: given up until replayed.", OneOf(DELIVERY_STATES))
    tries: Mapped[int] = column(sa.Integer, "Tries since it was written or replayed.", AtLeast(0), default=0)
    next_try_at: Mapped[dt.datetime] = moment("Not before (UTC).")
    status_code: Mapped[int | None] = column(sa.Integer, "HTTP status of the last try; blank = no answer.")
    error: Mapped[str | None] = text("Why the last try failed.")
    created_at: Mapped[dt.datetime] = moment("When it happened (UTC).")
    delivered_at: Mapped[dt.datetime | None] = moment("When it was taken (UTC).")
