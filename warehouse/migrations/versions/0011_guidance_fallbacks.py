"""what guidance asks for without its alternative, why it asks for nothing, why it names no publication"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

APPLIES_TO = "start, maintenance, start_and_maintenance, loading, chronic_use: of the dose or the fallback's."
BEFORE = 'start, maintenance, start_and_maintenance, loading, chronic_use.'
COLUMNS: dict[str, tuple[sa.String | sa.Float, str]] = {
    'no_pmid_reason': (sa.String(), 'Why there is no PubMed id.'),
    'fallback_action': (sa.String(), 'What is asked for where the alternative is not possible.'),
    'fallback_dose_factor_low': (sa.Float(), 'Lowest share of the usual dose without the alternative.'),
    'fallback_dose_factor_high': (sa.Float(), 'Highest share of the usual dose without the alternative.'),
    'fallback_dose_cap_mg_per_day': (sa.Float(), 'Most per day without the alternative.'),
    'reason': (sa.String(), 'Why there is no recommendation or no number.'),
}
CHECKS = {
    'ck_guidance_fallback_action_one_of': "fallback_action IN ('dose_factor', 'dose_cap', 'no_number', 'standard')",
    'ck_guidance_fallback_dose_factor_low_at_least_0': 'fallback_dose_factor_low >= 0',
    'ck_guidance_fallback_dose_factor_high_at_least_0': 'fallback_dose_factor_high >= 0',
    'ck_guidance_fallback_dose_cap_mg_per_day_at_least_0': 'fallback_dose_cap_mg_per_day >= 0',
    'ck_guidance_reason_one_of': (
        "reason IN ('guideline_gives_none', 'indeterminate_result', 'not_tested', 'enzyme_test_first', "
        "'other_evidence_decides', 'no_number_given', 'lowest_labelled_dose', 'dose_per_body_weight', "
        "'not_of_usual_dose')"
    ),
}


def upgrade() -> None:
    with op.batch_alter_table('guidance') as batch:
        for name, (kind, comment) in COLUMNS.items():
            batch.add_column(sa.Column(name, kind, nullable=True, comment=comment))
        batch.alter_column('applies_to', existing_type=sa.String(), existing_nullable=True, comment=APPLIES_TO, existing_comment=BEFORE)
        for name, condition in CHECKS.items():
            batch.create_check_constraint(op.f(name), condition)


def downgrade() -> None:
    with op.batch_alter_table('guidance') as batch:
        for name in CHECKS:
            batch.drop_constraint(op.f(name), type_='check')
        batch.alter_column('applies_to', existing_type=sa.String(), existing_nullable=True, comment=BEFORE, existing_comment=APPLIES_TO)
        for name in reversed(COLUMNS):
            batch.drop_column(name)
