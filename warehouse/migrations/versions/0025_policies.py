"""policies by segment and kind, criticality of products, further reasons and sources of settings of a line"""

import sqlalchemy as sa
import warehouse.schema.base
from alembic import op

revision = '0025'
down_revision = '0024'
branch_labels = None
depends_on = None

KEY = ['facility_id', 'product_id', 'drug']
SEGMENTS = ['abc', 'xyz', 'criticality']
BEFORE = [*KEY, 'target_kind', 'target', 'review_period_days', 'max_on_hand_days', 'par_level', 'budget_per_period', 'storage_units']
CRITICALITY = "criticality IN ('critical', 'important', 'standard')"


def _key() -> list[sa.Column]:
    return [
        sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = any."),
        sa.Column('product_id', sa.String(), nullable=False, comment="Product, '*' = any."),
        sa.Column('drug', sa.String(), nullable=False, comment="Drug, '*' = any."),
    ]


def _target(par: str) -> list[sa.Column]:
    return [
        sa.Column('target_kind', sa.String(), nullable=False, comment='fill_rate (share of demand met) or cycle_service (no stock-out in a cycle).'),
        sa.Column('target', sa.Float(), nullable=False, comment='Service target.'),
        sa.Column('review_period_days', sa.Float(), nullable=True, comment='Days between order reviews.'),
        sa.Column('max_on_hand_days', sa.Float(), nullable=True, comment='Most days of demand to hold.'),
        sa.Column('par_level', sa.Float(), nullable=True, comment=par),
    ]


def _limits(budget: str, room: str) -> list[sa.Column]:
    return [
        sa.Column('budget_per_period', warehouse.schema.base.ExactDecimal(precision=24, scale=6), nullable=True, comment=budget),
        sa.Column('storage_units', sa.Float(), nullable=True, comment=room),
    ]


def _checks() -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint("target_kind IN ('fill_rate', 'cycle_service')", name=op.f('ck_policies_target_kind_one_of')),
        sa.CheckConstraint('CAST(budget_per_period AS NUMERIC) >= 0', name=op.f('ck_policies_budget_per_period_at_least_0')),
        sa.CheckConstraint('max_on_hand_days > 0', name=op.f('ck_policies_max_on_hand_days_more_than_0')),
        sa.CheckConstraint('par_level >= 0', name=op.f('ck_policies_par_level_at_least_0')),
        sa.CheckConstraint('review_period_days > 0', name=op.f('ck_policies_review_period_days_more_than_0')),
        sa.CheckConstraint('storage_units >= 0', name=op.f('ck_policies_storage_units_at_least_0')),
        sa.CheckConstraint('target <= 0.9999', name=op.f('ck_policies_target_at_most_0_9999')),
        sa.CheckConstraint('target > 0', name=op.f('ck_policies_target_more_than_0')),
    ]


def _kinds() -> list[sa.Column | sa.CheckConstraint]:
    money = warehouse.schema.base.ExactDecimal(precision=24, scale=6)
    return [
        sa.Column('policy_kind', sa.String(), nullable=True, comment="order_up_to (to the target's level at each review), reorder_point (least cost with an order cost), newsvendor (what expires, by quantity) or par (the site's own level); blank = order_up_to."),
        sa.Column('fixed_order_cost', money, nullable=True, comment='Cost of placing and receiving a line, for kind reorder_point.'),
        sa.Column('holding_rate_per_year', sa.Float(), nullable=True, comment='Cost of holding stock for a year over its value; blank = 0.2.'),
        sa.Column('shortage_cost', money, nullable=True, comment='Cost of a missing dose unit, for kind newsvendor; blank = what the target implies.'),
        sa.CheckConstraint("policy_kind IN ('order_up_to', 'reorder_point', 'newsvendor', 'par')", name=op.f('ck_policies_policy_kind_one_of')),
        sa.CheckConstraint('CAST(fixed_order_cost AS NUMERIC) >= 0', name=op.f('ck_policies_fixed_order_cost_at_least_0')),
        sa.CheckConstraint('holding_rate_per_year >= 0', name=op.f('ck_policies_holding_rate_per_year_at_least_0')),
        sa.CheckConstraint('CAST(shortage_cost AS NUMERIC) >= 0', name=op.f('ck_policies_shortage_cost_at_least_0')),
        sa.CheckConstraint("abc IN ('A', 'B', 'C', '*')", name=op.f('ck_policies_abc_one_of')),
        sa.CheckConstraint("xyz IN ('X', 'Y', 'Z', '*')", name=op.f('ck_policies_xyz_one_of')),
        sa.CheckConstraint("criticality IN ('critical', 'important', 'standard', '*')", name=op.f('ck_policies_criticality_one_of')),
    ]


def upgrade() -> None:
    # the key grows: rows of before speak of every segment
    op.execute('CREATE TABLE policies_before AS SELECT * FROM policies')
    op.drop_table('policies')
    op.create_table(
        'policies',
        *_key(),
        sa.Column('abc', sa.String(), nullable=False, comment="Segment by value of use at the site, '*' = any."),
        sa.Column('xyz', sa.String(), nullable=False, comment="Segment by variation of use, '*' = any."),
        sa.Column('criticality', sa.String(), nullable=False, comment="Criticality of the product, '*' = any."),
        *_target("The site's own order-up-to level: kind par orders by it."),
        *_limits('Most that a site may spend in a period on what the row names.', 'Room that a site has for packs of what the row names.'),
        *_checks(),
        *_kinds(),
        sa.PrimaryKeyConstraint(*KEY, *SEGMENTS, name=op.f('pk_policies')),
        comment='Stocking policy of a site, product, drug or segment; each setting is that of the most specific row stating it.',
        info={'layer': 'inputs'},
    )
    columns = ', '.join(BEFORE)
    op.execute(f"INSERT INTO policies ({columns}, abc, xyz, criticality) SELECT {columns}, '*', '*', '*' FROM policies_before")
    op.drop_table('policies_before')
    with op.batch_alter_table('products') as batch:
        batch.add_column(sa.Column('criticality', sa.String(), nullable=True, comment='What patients lose without it; blank = standard. Limits trim the last first.'))
        batch.create_check_constraint(op.f('ck_products_criticality_one_of'), CRITICALITY)
    with op.batch_alter_table('recommendations') as batch:
        batch.add_column(sa.Column('other_reasons', sa.String(), nullable=True, comment="Further reasons, separated by ';'."))
        batch.add_column(sa.Column('settings_from', sa.String(), nullable=True, comment="Where its settings came from: 'target: policy of drug; ...'."))


def downgrade() -> None:
    with op.batch_alter_table('recommendations') as batch:
        batch.drop_column('settings_from')
        batch.drop_column('other_reasons')
    with op.batch_alter_table('products') as batch:
        batch.drop_constraint(op.f('ck_products_criticality_one_of'), type_='check')
        batch.drop_column('criticality')
    op.execute('CREATE TABLE policies_after AS SELECT * FROM policies')
    op.drop_table('policies')
    op.create_table(
        'policies',
        *_key(),
        *_target('Level the site fills an item up to today; only the replay reads it.'),
        *_limits('Most to spend in a period.', 'Room for so many packs.'),
        *_checks(),
        sa.PrimaryKeyConstraint(*KEY, name=op.f('pk_policies')),
        comment='Stocking policy of a site, a product or a drug; the most specific row wins.',
        info={'layer': 'inputs'},
    )
    columns = ', '.join(BEFORE)
    op.execute(f"INSERT INTO policies ({columns}) SELECT {columns} FROM policies_after WHERE abc = '*' AND xyz = '*' AND criticality = '*'")
    op.drop_table('policies_after')
