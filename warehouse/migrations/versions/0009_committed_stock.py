"""stock that is committed"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('stock') as batch:
        batch.add_column(sa.Column('committed', sa.Float(), nullable=True, comment='Of the quantity, promised to someone else; blank = nothing.'))
        batch.create_check_constraint(op.f('ck_stock_committed_at_least_0'), 'committed >= 0')


def downgrade() -> None:
    with op.batch_alter_table('stock') as batch:
        batch.drop_constraint(op.f('ck_stock_committed_at_least_0'), type_='check')
        batch.drop_column('committed')
