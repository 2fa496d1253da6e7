"""baseline forecasts know which products are strengths of one drug"""

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a result that the next run makes again: rows without a drug cannot be read
    op.execute('DELETE FROM baseline_forecasts')
    with op.batch_alter_table('baseline_forecasts') as batch:
        batch.add_column(sa.Column('drug', sa.String(), nullable=False, comment='Ingredient, whose strengths hang together.'))
        batch.add_column(sa.Column('strength_correlation', sa.Float(), nullable=False, comment="Joins a drug's products at a site in sample paths."))
        batch.create_check_constraint(op.f('ck_baseline_forecasts_drug_not_blank'), "drug <> ''")
        batch.create_check_constraint(op.f('ck_baseline_forecasts_strength_correlation_at_least_0'), 'strength_correlation >= 0')
        batch.create_check_constraint(op.f('ck_baseline_forecasts_strength_correlation_at_most_1'), 'strength_correlation <= 1')


def downgrade() -> None:
    with op.batch_alter_table('baseline_forecasts') as batch:
        for name in ('drug_not_blank', 'strength_correlation_at_least_0', 'strength_correlation_at_most_1'):
            batch.drop_constraint(op.f(f'ck_baseline_forecasts_{name}'), type_='check')
        batch.drop_column('strength_correlation')
        batch.drop_column('drug')
