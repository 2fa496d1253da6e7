"""how problems stand, as people said"""

import sqlalchemy as sa
from alembic import op

revision = '0034'
down_revision = '0033'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('problem_states',
    sa.Column('state_id', sa.Integer(), autoincrement=True, nullable=False, comment='Number.'),
    sa.Column('stage', sa.String(), nullable=False, comment='Stage that says it.'),
    sa.Column('asset', sa.String(), nullable=False, comment='Asset that says it.'),
    sa.Column('rule', sa.String(), nullable=False, comment='Short name of the rule.'),
    sa.Column('facility_id', sa.String(), nullable=True, comment='Site it concerns; blank = all.'),
    sa.Column('subject', sa.String(), nullable=True, comment='Product, drug or gene it concerns.'),
    sa.Column('state', sa.String(), nullable=False, comment='open, addressed (somebody works on it) or resolved.'),
    sa.Column('note', sa.String(), nullable=True, comment="In the person's words."),
    sa.Column('user_id', sa.Integer(), nullable=False, comment='Who.'),
    sa.Column('set_at', sa.DateTime(), nullable=False, comment='When (UTC).'),
    sa.CheckConstraint("asset <> ''", name=op.f('ck_problem_states_asset_not_blank')),
    sa.CheckConstraint("rule <> ''", name=op.f('ck_problem_states_rule_not_blank')),
    sa.CheckConstraint("stage IN ('inputs', 'pharmacogenomics', 'regimens', 'demand', 'procurement')", name=op.f('ck_problem_states_stage_one_of')),
    sa.CheckConstraint("state IN ('open', 'addressed', 'resolved')", name=op.f('ck_problem_states_state_one_of')),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_problem_states_user_id_users')),
    sa.PrimaryKeyConstraint('state_id', name=op.f('pk_problem_states')),
    comment='A person said how a problem stands. Append-only: of each problem the newest row counts. A problem is the same in every run that reports the rule for the same asset, site and subject.',
    info={'layer': 'ledger'}
    )
    with op.batch_alter_table('problem_states', schema=None) as batch_op:
        batch_op.create_index('ix_problem_states_problem', ['rule', 'asset', 'facility_id', 'subject'], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER problem_states_no_{verb.lower()} BEFORE {verb} ON problem_states "
                "BEGIN SELECT RAISE(ABORT, 'problem_states is append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER problem_states_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON problem_states "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )



def downgrade() -> None:
    with op.batch_alter_table('problem_states', schema=None) as batch_op:
        batch_op.drop_index('ix_problem_states_problem')

    op.drop_table('problem_states')
