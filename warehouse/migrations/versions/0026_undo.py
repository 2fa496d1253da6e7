"""a decision can be taken back until the line is ordered"""

from alembic import op

revision = '0026'
down_revision = '0025'
branch_labels = None
depends_on = None

KINDS = 'ck_decisions_kind_one_of'


def upgrade() -> None:
    with op.batch_alter_table('decisions') as batch:
        batch.drop_constraint(op.f(KINDS), type_='check')
        batch.create_check_constraint(op.f(KINDS), "kind IN ('approve', 'modify', 'reject', 'undo')")


def downgrade() -> None:
    # refused by the constraint where something was taken back: a decision is never deleted
    with op.batch_alter_table('decisions') as batch:
        batch.drop_constraint(op.f(KINDS), type_='check')
        batch.create_check_constraint(op.f(KINDS), "kind IN ('approve', 'modify', 'reject')")
