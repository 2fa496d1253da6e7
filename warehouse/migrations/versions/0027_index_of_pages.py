"""an index in the order of the worklist and of the API's pages"""

import sqlalchemy as sa
from alembic import op

revision = '0027'
down_revision = '0026'
branch_labels = None
depends_on = None

NAME = 'ix_recommendations_status_urgency'


def upgrade() -> None:
    op.create_index(NAME, 'recommendations', ['status', 'urgency', 'recommendation_id'])


def downgrade() -> None:
    op.drop_index(NAME, 'recommendations')
