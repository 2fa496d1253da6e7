"""overrides of forecasts: what people set, what they took back, what acts in a run and what it moves"""

import sqlalchemy as sa
from alembic import op

revision = '0030'
down_revision = '0029'
branch_labels = None
depends_on = None

GENETIC_SHIFT = 'What planned testing adds to baseline_mean.'
GENETIC_SHIFT_BEFORE = 'mean minus baseline_mean.'


def upgrade() -> None:
    op.create_table('forecast_overrides',
    sa.Column('override_id', sa.Integer(), autoincrement=True, nullable=False, comment='Number.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment='Site.'),
    sa.Column('product_id', sa.String(), nullable=True, comment='Product; blank = every product of the drug.'),
    sa.Column('drug', sa.String(), nullable=False, comment='Ingredient.'),
    sa.Column('kind', sa.String(), nullable=False, comment='What is set.'),
    sa.Column('value', sa.Float(), nullable=False, comment='Dose units for every period, or the factor on what is forecast.'),
    sa.Column('starts_on', sa.Date(), nullable=False, comment='First day: acts on periods that begin on it or later.'),
    sa.Column('ends_on', sa.Date(), nullable=False, comment='Last day: acts on periods that begin on it or before.'),
    sa.Column('expires_on', sa.Date(), nullable=False, comment='Last origin day on which a run still uses it.'),
    sa.Column('reason_code', sa.String(), nullable=False, comment='Why.'),
    sa.Column('note', sa.String(), nullable=True, comment="In the person's words."),
    sa.Column('created_at', sa.DateTime(), nullable=False, comment='When (UTC).'),
    sa.Column('user_id', sa.Integer(), nullable=False, comment='Who.'),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_forecast_overrides_drug_not_blank')),
    sa.CheckConstraint("kind IN ('quantity', 'factor')", name=op.f('ck_forecast_overrides_kind_one_of')),
    sa.CheckConstraint("reason_code IN ('new_service', 'service_ends', 'protocol_change', 'demand_event', 'supply_elsewhere', 'history_misleads', 'other')", name=op.f('ck_forecast_overrides_reason_code_one_of')),
    sa.CheckConstraint('value >= 0', name=op.f('ck_forecast_overrides_value_at_least_0')),
    sa.ForeignKeyConstraint(['facility_id'], ['facilities.facility_id'], name=op.f('fk_forecast_overrides_facility_id_facilities')),
    sa.ForeignKeyConstraint(['product_id'], ['products.product_id'], name=op.f('fk_forecast_overrides_product_id_products')),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_forecast_overrides_user_id_users')),
    sa.PrimaryKeyConstraint('override_id', name=op.f('pk_forecast_overrides')),
    comment="What a person set of a site's forecast, and until when it acts. Append-only: never changed or deleted.",
    info={'layer': 'ledger'}
    )
    with op.batch_alter_table('forecast_overrides', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_forecast_overrides_facility_id'), ['facility_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_forecast_overrides_user_id'), ['user_id'], unique=False)

    op.create_table('acting_overrides',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment='Site.'),
    sa.Column('override_id', sa.Integer(), autoincrement=False, nullable=False, comment='Override.'),
    sa.Column('product_id', sa.String(), nullable=False, comment='Product.'),
    sa.Column('kind', sa.String(), nullable=False, comment='What is set.'),
    sa.Column('value', sa.Float(), nullable=False, comment='Dose units for every period, or the factor on what is forecast.'),
    sa.Column('starts_on', sa.Date(), nullable=False, comment='Acts on periods that begin on this day or later.'),
    sa.Column('ends_on', sa.Date(), nullable=False, comment='Acts on periods that begin on this day or before.'),
    sa.Column('reason_code', sa.String(), nullable=False, comment='Why.'),
    sa.Column('decided_by', sa.String(), nullable=False, comment='Name of who set it.'),
    sa.CheckConstraint("decided_by <> ''", name=op.f('ck_acting_overrides_decided_by_not_blank')),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_acting_overrides_facility_id_not_blank')),
    sa.CheckConstraint("kind IN ('quantity', 'factor')", name=op.f('ck_acting_overrides_kind_one_of')),
    sa.CheckConstraint("product_id <> ''", name=op.f('ck_acting_overrides_product_id_not_blank')),
    sa.CheckConstraint("reason_code IN ('new_service', 'service_ends', 'protocol_change', 'demand_event', 'supply_elsewhere', 'history_misleads', 'other')", name=op.f('ck_acting_overrides_reason_code_one_of')),
    sa.CheckConstraint('value >= 0', name=op.f('ck_acting_overrides_value_at_least_0')),
    sa.ForeignKeyConstraint(['override_id'], ['forecast_overrides.override_id'], name=op.f('fk_acting_overrides_override_id_forecast_overrides')),
    sa.PrimaryKeyConstraint('as_of', 'override_id', 'product_id', name=op.f('pk_acting_overrides')),
    comment='An override that a run uses, as it stood when the run began; one row a product. Of several the newest acts.',
    info={'layer': 'results'}
    )
    op.create_table('override_withdrawals',
    sa.Column('override_id', sa.Integer(), autoincrement=False, nullable=False, comment='Override.'),
    sa.Column('withdrawn_at', sa.DateTime(), nullable=False, comment='When (UTC).'),
    sa.Column('user_id', sa.Integer(), nullable=False, comment='Who.'),
    sa.Column('note', sa.String(), nullable=True, comment="In the person's words."),
    sa.ForeignKeyConstraint(['override_id'], ['forecast_overrides.override_id'], name=op.f('fk_override_withdrawals_override_id_forecast_overrides')),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_override_withdrawals_user_id_users')),
    sa.PrimaryKeyConstraint('override_id', name=op.f('pk_override_withdrawals')),
    comment='A person took an override back: runs that start later do not use it. Append-only, as what it takes back.',
    info={'layer': 'ledger'}
    )
    with op.batch_alter_table('forecasts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('override_shift', sa.Float(), nullable=False, server_default='0', comment="What people's overrides add to both: mean is the sum of the three."))
    with op.batch_alter_table('forecasts', schema=None) as batch_op:
        batch_op.alter_column('override_shift', server_default=None)
        batch_op.alter_column('genetic_shift', comment=GENETIC_SHIFT, existing_comment=GENETIC_SHIFT_BEFORE)



def downgrade() -> None:
    with op.batch_alter_table('forecasts', schema=None) as batch_op:
        batch_op.drop_column('override_shift')
        batch_op.alter_column('genetic_shift', comment=GENETIC_SHIFT_BEFORE, existing_comment=GENETIC_SHIFT)

    op.drop_table('override_withdrawals')
    op.drop_table('acting_overrides')
    with op.batch_alter_table('forecast_overrides', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_forecast_overrides_user_id'))
        batch_op.drop_index(batch_op.f('ix_forecast_overrides_facility_id'))

    op.drop_table('forecast_overrides')
