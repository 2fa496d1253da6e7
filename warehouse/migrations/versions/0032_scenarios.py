"""scenarios: what-ifs and their lines"""

import sqlalchemy as sa
from alembic import op

import warehouse.schema.base

revision = '0032'
down_revision = '0031'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('scenarios',
    sa.Column('scenario_id', sa.String(), nullable=False, comment='Digest of its changes and its run.'),
    sa.Column('name', sa.String(), nullable=False, comment='Name that the person gave.'),
    sa.Column('run_id', sa.String(), nullable=False, comment='Run that is the present plan.'),
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin day of that run.'),
    sa.Column('changes', sa.Text(), nullable=False, comment='JSON list of its changes in words.'),
    sa.Column('made_at', sa.DateTime(), nullable=False, comment='When it was computed (UTC).'),
    sa.CheckConstraint("changes <> ''", name=op.f('ck_scenarios_changes_not_blank')),
    sa.CheckConstraint("name <> ''", name=op.f('ck_scenarios_name_not_blank')),
    sa.CheckConstraint("run_id <> ''", name=op.f('ck_scenarios_run_id_not_blank')),
    sa.CheckConstraint("scenario_id <> ''", name=op.f('ck_scenarios_scenario_id_not_blank')),
    sa.PrimaryKeyConstraint('scenario_id', name=op.f('pk_scenarios')),
    comment='A what-if and the run that it was compared with. Asked again for the same run it is replaced.',
    info={'layer': 'ledger'}
    )
    with op.batch_alter_table('scenarios', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_scenarios_as_of'), ['as_of'], unique=False)

    op.create_table('scenario_lines',
    sa.Column('scenario_id', sa.String(), nullable=False, comment='What-if.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment='Site.'),
    sa.Column('product_id', sa.String(), nullable=False, comment='Product.'),
    sa.Column('drug', sa.String(), nullable=False, comment='Its drug.'),
    sa.Column('currency', sa.String(), nullable=True, comment='ISO 4217 code of cost.'),
    sa.Column('units_per_week_now', sa.Float(), nullable=False, comment='Mean demand over the horizon, as planned.'),
    sa.Column('units_per_week_then', sa.Float(), nullable=False, comment='Mean demand over the horizon, under the what-if.'),
    sa.Column('packs_now', sa.Integer(), nullable=False, comment='Packs to order now, as planned.'),
    sa.Column('packs_then', sa.Integer(), nullable=False, comment='Packs to order now, under the what-if.'),
    sa.Column('cost_now', warehouse.schema.base.ExactDecimal(precision=24, scale=6), nullable=True, comment='Their cost, as planned; blank = price unknown.'),
    sa.Column('cost_then', warehouse.schema.base.ExactDecimal(precision=24, scale=6), nullable=True, comment='Their cost, under the what-if; blank = price unknown.'),
    sa.Column('stockout_probability_now', sa.Float(), nullable=True, comment='Chance to run out before the next order arrives, as planned; blank = stock never counted.'),
    sa.Column('stockout_probability_then', sa.Float(), nullable=True, comment='Chance to run out before the next order arrives, under the what-if; blank = stock never counted.'),
    sa.Column('cause', sa.String(), nullable=True, comment='Changes that move it when made alone; blank = nothing differs.'),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_scenario_lines_drug_not_blank')),
    sa.CheckConstraint('CAST(cost_now AS NUMERIC) >= 0', name=op.f('ck_scenario_lines_cost_now_at_least_0')),
    sa.CheckConstraint('CAST(cost_then AS NUMERIC) >= 0', name=op.f('ck_scenario_lines_cost_then_at_least_0')),
    sa.CheckConstraint('packs_now >= 0', name=op.f('ck_scenario_lines_packs_now_at_least_0')),
    sa.CheckConstraint('packs_then >= 0', name=op.f('ck_scenario_lines_packs_then_at_least_0')),
    sa.CheckConstraint('stockout_probability_now <= 1', name=op.f('ck_scenario_lines_stockout_probability_now_at_most_1')),
    sa.CheckConstraint('stockout_probability_now >= 0', name=op.f('ck_scenario_lines_stockout_probability_now_at_least_0')),
    sa.CheckConstraint('stockout_probability_then <= 1', name=op.f('ck_scenario_lines_stockout_probability_then_at_most_1')),
    sa.CheckConstraint('stockout_probability_then >= 0', name=op.f('ck_scenario_lines_stockout_probability_then_at_least_0')),
    sa.CheckConstraint('units_per_week_now >= 0', name=op.f('ck_scenario_lines_units_per_week_now_at_least_0')),
    sa.CheckConstraint('units_per_week_then >= 0', name=op.f('ck_scenario_lines_units_per_week_then_at_least_0')),
    sa.ForeignKeyConstraint(['facility_id'], ['facilities.facility_id'], name=op.f('fk_scenario_lines_facility_id_facilities')),
    sa.ForeignKeyConstraint(['product_id'], ['products.product_id'], name=op.f('fk_scenario_lines_product_id_products')),
    sa.ForeignKeyConstraint(['scenario_id'], ['scenarios.scenario_id'], name=op.f('fk_scenario_lines_scenario_id_scenarios')),
    sa.PrimaryKeyConstraint('scenario_id', 'facility_id', 'product_id', name=op.f('pk_scenario_lines')),
    comment="A site's product under a what-if: demand, the order of today and the risk after it, now and then.",
    info={'layer': 'ledger'}
    )


def downgrade() -> None:
    op.drop_table('scenario_lines')
    with op.batch_alter_table('scenarios', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_scenarios_as_of'))

    op.drop_table('scenarios')
