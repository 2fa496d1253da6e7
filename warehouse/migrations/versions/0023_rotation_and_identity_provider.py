"""rotation of API keys; people who sign in through an identity provider"""

import sqlalchemy as sa
from alembic import op

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None

ACTOR = 'Who: user:<number>, key:<key_id>, run:<run_id>, command, provider, nobody.'
ACTOR_BEFORE = 'Who: user:<number>, key:<key_id>, run:<run_id> or command.'


def upgrade() -> None:
    with op.batch_alter_table('users') as batch:
        batch.add_column(sa.Column('subject', sa.String(), nullable=True, comment='Issuer and subject at the identity provider; blank = signs in by password.'))
        batch.create_unique_constraint(op.f('uq_users_subject'), ['subject'])
    with op.batch_alter_table('api_keys') as batch:
        batch.add_column(sa.Column('previous_sha256', sa.String(length=64), nullable=True, comment='Digest of the secret before the last rotation.'))
        batch.add_column(sa.Column('previous_until', sa.DateTime(), nullable=True, comment='The secret before counts until then (UTC).'))
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps no comments, and a rebuilt table would lose its triggers
        op.alter_column('audit_events', 'actor', existing_type=sa.String(), existing_nullable=False, comment=ACTOR, existing_comment=ACTOR_BEFORE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column('audit_events', 'actor', existing_type=sa.String(), existing_nullable=False, comment=ACTOR_BEFORE, existing_comment=ACTOR)
    with op.batch_alter_table('api_keys') as batch:
        batch.drop_column('previous_until')
        batch.drop_column('previous_sha256')
    with op.batch_alter_table('users') as batch:
        batch.drop_constraint(op.f('uq_users_subject'), type_='unique')
        batch.drop_column('subject')
