"""initial schema of release 0.2.0

The tables and columns are the rows of the CSV file beside this one: a row without a column describes its table, and a
condition is the SQL that follows the column's name. Both files are released and never edited, and nothing in them comes
from the tables that the program declares today.
"""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0200"
down_revision = None
branch_labels = None
depends_on = None

Row = dict[str, str]

TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "boolean": sa.Boolean(),
    "counter": sa.Integer(),  # the database gives the next number
    "date": sa.Date(),
    "datetime": sa.DateTime(),
    "decimal": sa.Numeric(24, 6).with_variant(sa.String(32), "sqlite"),  # SQLite has only binary floats
    "digest": sa.String(64),
    "long text": sa.Text(),
    "number": sa.Float(),
    "text": sa.String(),
    "whole number": sa.Integer(),
}
OPERATORS = {"<>": "not_blank", "IN": "one_of", ">=": "at_least", "<=": "at_most", ">": "more_than"}

UNIQUE = {
    "audit_events": [["sha256"]],
    "order_exports": [["actor", "idempotency_key"]],
    "order_lines": [["recommendation_id"]],
    "orders": [["control_number"]],
    "users": [["name"], ["subject"]],
    "webhook_deliveries": [["webhook_id", "event_id"]],
}
INDEXES = {
    "ix_activations_release_id": ("activations", ["release_id"]),
    "ix_audit_events_actor": ("audit_events", ["actor"]),
    "ix_audit_events_subject": ("audit_events", ["subject"]),
    "ix_comments_item": ("comments", ["facility_id", "product_id", "comment_id"]),
    "ix_decisions_recommendation_id": ("decisions", ["recommendation_id"]),
    "ix_dispensing_revisions_facility_id": ("dispensing_revisions", ["facility_id"]),
    "ix_forecast_overrides_facility_id": ("forecast_overrides", ["facility_id"]),
    "ix_forecast_overrides_user_id": ("forecast_overrides", ["user_id"]),
    "ix_orders_export_id": ("orders", ["export_id"]),
    "ix_problem_states_problem": ("problem_states", ["rule", "asset", "facility_id", "subject"]),
    "ix_recommendations_as_of": ("recommendations", ["as_of"]),
    "ix_recommendations_facility_id": ("recommendations", ["facility_id"]),
    "ix_recommendations_status": ("recommendations", ["status"]),
    "ix_recommendations_status_urgency": ("recommendations", ["status", "urgency", "recommendation_id"]),
    "ix_rejected_rows_load_id": ("rejected_rows", ["load_id"]),
    "ix_runs_as_of": ("runs", ["as_of"]),
    "ix_scenarios_as_of": ("scenarios", ["as_of"]),
    "ix_sign_in_sessions_user_id": ("sign_in_sessions", ["user_id"]),
    "ix_webhook_deliveries_status_next_try_at": ("webhook_deliveries", ["status", "next_try_at"]),
    "ix_worklist_actions_item": ("worklist_actions", ["facility_id", "product_id", "kind", "action_id"]),
    "ix_worklist_actions_recommendation_id": ("worklist_actions", ["recommendation_id"]),
    "ix_worklist_actions_user_id": ("worklist_actions", ["user_id"]),
}
APPEND_ONLY = (
    "audit_events",
    "comments",
    "decisions",
    "forecast_overrides",
    "override_withdrawals",
    "problem_states",
    "worklist_actions",
)


def upgrade() -> None:
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        for table, (described, *rows) in itertools.groupby(csv.DictReader(file), key=lambda row: row["table"]):
            create_table(table, described["comment"], rows)
    for name, (table, columns) in INDEXES.items():
        op.create_index(op.f(name), table, columns)
    refuse_changes()


def downgrade() -> None:
    raise NotImplementedError("nothing comes before the first release: remove the database instead")


def create_table(table: str, comment: str, rows: list[Row]) -> None:
    """Create a table with its columns in their order and all its constraints."""
    keys = [row["column"] for row in rows if row["need"] == "key"]
    op.create_table(
        table,
        *(column(row) for row in rows),
        sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{table}")),
        *(check for row in rows for check in checks(row)),
        *(foreign_key(row) for row in rows if row["refers_to"]),
        *(sa.UniqueConstraint(*names, name=op.f("_".join(["uq", table, *names]))) for names in UNIQUE.get(table, [])),
        comment=comment,
    )


def column(row: Row) -> sa.Column[Any]:
    """The column without its constraints."""
    return sa.Column(
        row["column"],
        TYPES[row["type"]],
        nullable=row["need"] == "optional",
        autoincrement=row["type"] == "counter",
        comment=row["comment"],
    )


def checks(row: Row) -> Iterator[sa.CheckConstraint]:
    """A CHECK for each condition of the column."""
    # decimals are text on SQLite: without the cast the comparison would be alphabetical
    value = f"CAST({row['column']} AS NUMERIC)" if row["type"] == "decimal" else row["column"]
    for condition in filter(None, row["conditions"].split(" AND ")):
        name = f"ck_{row['table']}_{row['column']}_{condition_name(condition)}"
        yield sa.CheckConstraint(f"{value} {condition}", name=op.f(name))


def condition_name(condition: str) -> str:
    """The last part of a CHECK's name: `>= -1` is at_least_minus_1."""
    operator, operand = condition.split(" ", 1)
    limit = "" if operator in ("<>", "IN") else "_" + operand.replace("-", "minus_").replace(".", "_")
    return OPERATORS[operator] + limit


def foreign_key(row: Row) -> sa.ForeignKeyConstraint:
    """The key from the column to the column of another table."""
    name = f"fk_{row['table']}_{row['column']}_{row['refers_to'].split('.')[0]}"
    return sa.ForeignKeyConstraint([row["column"]], [row["refers_to"]], name=op.f(name))


def refuse_changes() -> None:
    """The database itself refuses to change or remove what people did."""
    if op.get_bind().dialect.name == "sqlite":
        for table, verb in itertools.product(APPEND_ONLY, ("UPDATE", "DELETE")):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
