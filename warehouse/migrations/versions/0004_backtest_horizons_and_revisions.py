"""backtest scores by horizon; dispensed quantities that a later load changed"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCORES = "backtest_scores"


def upgrade() -> None:
    op.create_table(
        "dispensing_revisions",
        sa.Column("revision_id", sa.Integer(), autoincrement=True, nullable=False, comment="Number."),
        sa.Column("facility_id", sa.String(), nullable=False, comment="Site."),
        sa.Column("product_id", sa.String(), nullable=False, comment="Product."),
        sa.Column("period_start", sa.Date(), nullable=False, comment="First day of the period."),
        sa.Column("quantity_before", sa.Float(), nullable=False, comment="As loaded before; negative = return."),
        sa.Column("quantity_after", sa.Float(), nullable=False, comment="As loaded now; negative = return."),
        sa.Column("file", sa.String(), nullable=False, comment="File that changed it, without its folder."),
        sa.Column("revised_at", sa.DateTime(), nullable=False, comment="When (UTC)."),
        sa.CheckConstraint("file <> ''", name=op.f("ck_dispensing_revisions_file_not_blank")),
        sa.ForeignKeyConstraint(
            ["facility_id"],
            ["facilities.facility_id"],
            name=op.f("fk_dispensing_revisions_facility_id_facilities"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.product_id"], name=op.f("fk_dispensing_revisions_product_id_products")
        ),
        sa.PrimaryKeyConstraint("revision_id", name=op.f("pk_dispensing_revisions")),
        comment="A dispensed quantity that a later load changed: what stood there before. "
        "Rows are never changed or deleted.",
        info={"layer": "ledger"},
    )
    op.create_index(op.f("ix_dispensing_revisions_facility_id"), "dispensing_revisions", ["facility_id"])
    _scores_with_key(["as_of", "stage", "segment", "horizon", "metric"])


def downgrade() -> None:
    _scores_with_key(["as_of", "stage", "segment", "metric"])
    op.drop_table("dispensing_revisions")


def _scores_with_key(key: list[str]) -> None:
    """The table made anew with this key: a key cannot be changed in place on every database. Its rows are kept."""
    new = "horizon" in key
    before = sa.table(SCORES, sa.column("as_of", sa.Date()), *map(sa.column, BEFORE if new else [*BEFORE, *AFTER]))
    query = sa.select(before) if new else sa.select(before).where(before.c.horizon == "all")
    rows = [dict(row) for row in op.get_bind().execute(query).mappings()]
    op.drop_table(SCORES)
    made = op.create_table(
        SCORES,
        sa.Column("as_of", sa.Date(), nullable=False, comment="Origin: the first day that the run looks ahead from."),
        sa.Column("stage", sa.String(), nullable=False, comment="seasonal_naive, baseline or genetic."),
        sa.Column("segment", sa.String(), nullable=False, comment="all, or a kind of series."),
        *(_new_columns() if new else []),
        sa.Column("metric", sa.String(), nullable=False, comment="mase, rmsse, wape, scaled_crps, coverage_80, ..."),
        sa.Column("value", sa.Float(), nullable=True, comment="Value; blank = cannot be computed."),
        sa.Column("series", sa.Integer(), nullable=False, comment="Series it rests on."),
        sa.Column("origins", sa.Integer(), nullable=False, comment="Origins it rests on."),
        *([sa.CheckConstraint("horizon <> ''", name=op.f("ck_backtest_scores_horizon_not_blank"))] if new else []),
        sa.CheckConstraint("segment <> ''", name=op.f("ck_backtest_scores_segment_not_blank")),
        sa.CheckConstraint("stage <> ''", name=op.f("ck_backtest_scores_stage_not_blank")),
        sa.CheckConstraint("origins >= 0", name=op.f("ck_backtest_scores_origins_at_least_0")),
        sa.CheckConstraint("series >= 0", name=op.f("ck_backtest_scores_series_at_least_0")),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_backtest_scores")),
        comment="Accuracy and coverage on held-out periods, per stage of the forecast"
        + (", segment and horizon." if new else " and segment."),
        info={"layer": "results"},
    )
    op.bulk_insert(made, [{name: row.get(name, "all" if name == "horizon" else None) for name in made.c.keys()} for row in rows])


BEFORE = ("stage", "segment", "metric", "value", "series", "origins")
AFTER = ("horizon", "value_added")


def _new_columns() -> list[sa.Column]:
    return [
        sa.Column(
            "horizon",
            sa.String(),
            nullable=False,
            comment="Periods ahead: all, a band such as 5-13, or one of them.",
        ),
        sa.Column(
            "value_added",
            sa.Float(),
            nullable=True,
            comment="Share of the error that the stage takes off the one before it; negative = adds to it; "
            "blank = none before it.",
        ),
    ]
