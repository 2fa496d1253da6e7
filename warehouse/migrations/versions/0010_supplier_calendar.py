"""suppliers' cut-off and closed days; lead times learned from a supplier's other products"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

SOURCE = 'ck_lead_times_source_one_of'
COMMENT = 'receipts of the product, supplier_receipts (of its other products), supplier (stated) or assumed.'
BEFORE = 'receipts, supplier or assumed.'


def upgrade() -> None:
    with op.batch_alter_table('suppliers') as batch:
        batch.add_column(sa.Column('order_cutoff', sa.String(), nullable=True, comment="Time of day until which orders are taken, e.g. '14:30'; blank = the whole day."))
        batch.add_column(sa.Column('closed_dates', sa.String(), nullable=True, comment="Days without orders or deliveries, e.g. '2026-12-25;2026-12-26'."))
    with op.batch_alter_table('lead_times') as batch:
        batch.drop_constraint(op.f(SOURCE), type_='check')
        batch.alter_column('source', existing_type=sa.String(), existing_nullable=False, comment=COMMENT, existing_comment=BEFORE)
        batch.create_check_constraint(op.f(SOURCE), "source IN ('receipts', 'supplier_receipts', 'supplier', 'assumed')")


def downgrade() -> None:
    op.execute("UPDATE lead_times SET source = 'supplier' WHERE source = 'supplier_receipts'")
    with op.batch_alter_table('lead_times') as batch:
        batch.drop_constraint(op.f(SOURCE), type_='check')
        batch.alter_column('source', existing_type=sa.String(), existing_nullable=False, comment=BEFORE, existing_comment=COMMENT)
        batch.create_check_constraint(op.f(SOURCE), "source IN ('receipts', 'supplier', 'assumed')")
    with op.batch_alter_table('suppliers') as batch:
        batch.drop_column('closed_dates')
        batch.drop_column('order_cutoff')
