"""learned genetic effects and what they add"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('genetic_effects',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = whole network."),
    sa.Column('drug', sa.String(), nullable=False, comment='Drug whose patients move.'),
    sa.Column('action', sa.String(), nullable=False, comment='alternative or dose.'),
    sa.Column('recommendation', sa.String(), nullable=False, comment='Strength of recommendation.'),
    sa.Column('to_drug', sa.String(), nullable=False, comment='Drug they go to; for doses the same.'),
    sa.Column('learned', sa.Float(), nullable=False, comment="Posterior mean; 1 = the guideline's move in full."),
    sa.Column('low', sa.Float(), nullable=False, comment='5 % quantile.'),
    sa.Column('high', sa.Float(), nullable=False, comment='95 % quantile.'),
    sa.Column('delay_days', sa.Float(), nullable=False, comment='How much later than coverage says it acts.'),
    sa.Column('evidence', sa.Float(), nullable=False, comment="What the site's own history adds to what the network knows."),
    sa.Column('earned', sa.Float(), nullable=False, comment='Share of the step that the backtest lets stay.'),
    sa.Column('strength', sa.Float(), nullable=False, comment='learned times earned: what the plan acts on.'),
    sa.CheckConstraint("action IN ('alternative', 'dose')", name=op.f('ck_genetic_effects_action_one_of')),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_genetic_effects_drug_not_blank')),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_genetic_effects_facility_id_not_blank')),
    sa.CheckConstraint("recommendation <> ''", name=op.f('ck_genetic_effects_recommendation_not_blank')),
    sa.CheckConstraint("to_drug <> ''", name=op.f('ck_genetic_effects_to_drug_not_blank')),
    sa.CheckConstraint('earned <= 1', name=op.f('ck_genetic_effects_earned_at_most_1')),
    sa.CheckConstraint('earned >= 0', name=op.f('ck_genetic_effects_earned_at_least_0')),
    sa.CheckConstraint('evidence <= 1', name=op.f('ck_genetic_effects_evidence_at_most_1')),
    sa.CheckConstraint('evidence >= 0', name=op.f('ck_genetic_effects_evidence_at_least_0')),
    sa.CheckConstraint('high >= 0', name=op.f('ck_genetic_effects_high_at_least_0')),
    sa.CheckConstraint('learned >= 0', name=op.f('ck_genetic_effects_learned_at_least_0')),
    sa.CheckConstraint('low >= 0', name=op.f('ck_genetic_effects_low_at_least_0')),
    sa.CheckConstraint('strength >= 0', name=op.f('ck_genetic_effects_strength_at_least_0')),
    sa.PrimaryKeyConstraint('as_of', 'facility_id', 'drug', 'action', 'recommendation', 'to_drug', name=op.f('pk_genetic_effects')),
    comment="How strongly a drug's advice acts at a site, against the guideline's move in full: learned from the mix shift.",
    info={'layer': 'results'}
    )
    op.create_table('genetic_value',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = whole network."),
    sa.Column('drug', sa.String(), nullable=False, comment='Drug whose products are scored.'),
    sa.Column('therapy', sa.String(), nullable=False, comment='Therapy it belongs to.'),
    sa.Column('origins', sa.Integer(), nullable=False, comment='Origins it rests on.'),
    sa.Column('demand', sa.Float(), nullable=False, comment='What was dispensed.'),
    sa.Column('error_without', sa.Float(), nullable=False, comment='Absolute error blind to genotype.'),
    sa.Column('error_with', sa.Float(), nullable=False, comment='Absolute error with the step in full.'),
    sa.Column('value_added', sa.Float(), nullable=False, comment='error_without minus error_with; negative = it takes.'),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_genetic_value_drug_not_blank')),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_genetic_value_facility_id_not_blank')),
    sa.CheckConstraint("therapy <> ''", name=op.f('ck_genetic_value_therapy_not_blank')),
    sa.CheckConstraint('demand >= 0', name=op.f('ck_genetic_value_demand_at_least_0')),
    sa.CheckConstraint('error_with >= 0', name=op.f('ck_genetic_value_error_with_at_least_0')),
    sa.CheckConstraint('error_without >= 0', name=op.f('ck_genetic_value_error_without_at_least_0')),
    sa.CheckConstraint('origins >= 0', name=op.f('ck_genetic_value_origins_at_least_0')),
    sa.PrimaryKeyConstraint('as_of', 'facility_id', 'drug', name=op.f('pk_genetic_value')),
    comment='What the genetic step added to or took from the forecast of a drug at a site, on held-out periods.',
    info={'layer': 'results'}
    )


def downgrade() -> None:
    op.drop_table('genetic_value')
    op.drop_table('genetic_effects')
