"""what overrides of forecasts and changes of packs were worth, once their periods are past"""

import sqlalchemy as sa
from alembic import op

revision = '0031'
down_revision = '0030'
branch_labels = None
depends_on = None

STAGE = 'seasonal_naive, baseline, genetic or override.'
STAGE_BEFORE = 'seasonal_naive, baseline or genetic.'


def upgrade() -> None:
    op.create_table('edit_value',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment='Site.'),
    sa.Column('recommendation_id', sa.String(), nullable=False, comment='Line.'),
    sa.Column('product_id', sa.String(), nullable=False, comment='Product.'),
    sa.Column('drug', sa.String(), nullable=False, comment='Ingredient.'),
    sa.Column('decided_by', sa.String(), nullable=False, comment='Name of who changed it.'),
    sa.Column('reason_code', sa.String(), nullable=False, comment='Why.'),
    sa.Column('direction', sa.String(), nullable=False, comment='Whether it raised or lowered the packs.'),
    sa.Column('packs_proposed', sa.Integer(), nullable=False, comment='Packs proposed.'),
    sa.Column('packs_ordered', sa.Integer(), nullable=False, comment='Packs after the change.'),
    sa.Column('packs_needed', sa.Integer(), nullable=False, comment='Packs needed in hindsight.'),
    sa.Column('pack_size', sa.Float(), nullable=False, comment='Dose units in a pack.'),
    sa.Column('days', sa.Float(), nullable=False, comment='Days that the order had to last.'),
    sa.Column('demand', sa.Float(), nullable=False, comment='Dispensed in these days.'),
    sa.Column('value_added', sa.Integer(), nullable=False, comment='Packs that the change came nearer to what was needed; negative = it went away.'),
    sa.CheckConstraint("decided_by <> ''", name=op.f('ck_edit_value_decided_by_not_blank')),
    sa.CheckConstraint("direction IN ('up', 'down', 'none')", name=op.f('ck_edit_value_direction_one_of')),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_edit_value_drug_not_blank')),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_edit_value_facility_id_not_blank')),
    sa.CheckConstraint("product_id <> ''", name=op.f('ck_edit_value_product_id_not_blank')),
    sa.CheckConstraint("reason_code IN ('stock_count_wrong', 'demand_event', 'supplier_issue', 'shortage', 'expiry_risk', 'budget', 'storage', 'clinical_decision', 'duplicate_order', 'other')", name=op.f('ck_edit_value_reason_code_one_of')),
    sa.CheckConstraint('days > 0', name=op.f('ck_edit_value_days_more_than_0')),
    sa.CheckConstraint('demand >= 0', name=op.f('ck_edit_value_demand_at_least_0')),
    sa.CheckConstraint('pack_size > 0', name=op.f('ck_edit_value_pack_size_more_than_0')),
    sa.CheckConstraint('packs_needed >= 0', name=op.f('ck_edit_value_packs_needed_at_least_0')),
    sa.CheckConstraint('packs_ordered >= 0', name=op.f('ck_edit_value_packs_ordered_at_least_0')),
    sa.CheckConstraint('packs_proposed >= 0', name=op.f('ck_edit_value_packs_proposed_at_least_0')),
    sa.ForeignKeyConstraint(['recommendation_id'], ['recommendations.recommendation_id'], name=op.f('fk_edit_value_recommendation_id_recommendations')),
    sa.PrimaryKeyConstraint('as_of', 'recommendation_id', name=op.f('pk_edit_value')),
    comment="What changing a recommendation's packs did, once the time it had to last is over. Needed in hindsight is what the same calculation asks for with what was then dispensed in place of the expected demand: its safety stock, usable stock and open orders as stored, its pack rule. Demand that an empty shelf did not serve is not in it.",
    info={'layer': 'results'}
    )
    op.create_table('override_value',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment='Site.'),
    sa.Column('override_id', sa.Integer(), autoincrement=False, nullable=False, comment='Override.'),
    sa.Column('product_id', sa.String(), nullable=False, comment='Product.'),
    sa.Column('drug', sa.String(), nullable=False, comment='Ingredient.'),
    sa.Column('decided_by', sa.String(), nullable=False, comment='Name of who set it.'),
    sa.Column('reason_code', sa.String(), nullable=False, comment='Why.'),
    sa.Column('direction', sa.String(), nullable=False, comment='Whether it raised or lowered the forecast.'),
    sa.Column('relative_change', sa.Float(), nullable=True, comment='Change of the forecast over the forecast without it; blank = nothing was forecast.'),
    sa.Column('periods', sa.Integer(), nullable=False, comment='Past periods with a known quantity.'),
    sa.Column('demand', sa.Float(), nullable=False, comment='What was dispensed in them.'),
    sa.Column('error_without', sa.Float(), nullable=False, comment='Sum of absolute errors without it.'),
    sa.Column('error_with', sa.Float(), nullable=False, comment='Sum of absolute errors with it.'),
    sa.Column('value_added', sa.Float(), nullable=False, comment='error_without minus error_with; negative = it took.'),
    sa.Column('bias_without', sa.Float(), nullable=False, comment='Forecast without it minus demand; above 0 = too much.'),
    sa.Column('bias_with', sa.Float(), nullable=False, comment='Forecast with it minus demand.'),
    sa.CheckConstraint("decided_by <> ''", name=op.f('ck_override_value_decided_by_not_blank')),
    sa.CheckConstraint("direction IN ('up', 'down', 'none')", name=op.f('ck_override_value_direction_one_of')),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_override_value_drug_not_blank')),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_override_value_facility_id_not_blank')),
    sa.CheckConstraint("product_id <> ''", name=op.f('ck_override_value_product_id_not_blank')),
    sa.CheckConstraint("reason_code IN ('new_service', 'service_ends', 'protocol_change', 'demand_event', 'supply_elsewhere', 'history_misleads', 'other')", name=op.f('ck_override_value_reason_code_one_of')),
    sa.CheckConstraint('demand >= 0', name=op.f('ck_override_value_demand_at_least_0')),
    sa.CheckConstraint('error_with >= 0', name=op.f('ck_override_value_error_with_at_least_0')),
    sa.CheckConstraint('error_without >= 0', name=op.f('ck_override_value_error_without_at_least_0')),
    sa.CheckConstraint('periods > 0', name=op.f('ck_override_value_periods_more_than_0')),
    sa.ForeignKeyConstraint(['override_id'], ['forecast_overrides.override_id'], name=op.f('fk_override_value_override_id_forecast_overrides')),
    sa.PrimaryKeyConstraint('as_of', 'override_id', 'product_id', name=op.f('pk_override_value')),
    comment='What an override did to the forecast of a product, on periods that are past: error without it and with it. Both forecasts are those of the first plan in which it acted: what the person saw, and what became of it.',
    info={'layer': 'results'}
    )
    with op.batch_alter_table('backtest_scores', schema=None) as batch_op:
        batch_op.alter_column('stage', comment=STAGE, existing_comment=STAGE_BEFORE)


def downgrade() -> None:
    with op.batch_alter_table('backtest_scores', schema=None) as batch_op:
        batch_op.alter_column('stage', comment=STAGE_BEFORE, existing_comment=STAGE)
    op.drop_table('override_value')
    op.drop_table('edit_value')
