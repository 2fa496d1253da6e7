"""paragraphs that a language model wrote, beside the template's"""

import sqlalchemy as sa
from alembic import op

revision = '0028'
down_revision = '0027'
branch_labels = None
depends_on = None

COLUMNS = {
    'written_paragraph': (sa.Text(), 'The same as a language model wrote it, every number and word checked; blank = the paragraph stands.'),
    'writer_model': (sa.String(), 'Model that was asked to write it; blank = none was.'),
    'writer_problem': (sa.Text(), 'Why what the model wrote is not shown; blank = it is, or none was asked.'),
}


def upgrade() -> None:
    with op.batch_alter_table('explanations') as batch:
        for name, (kind, comment) in COLUMNS.items():
            batch.add_column(sa.Column(name, kind, nullable=True, comment=comment))
            batch.create_check_constraint(op.f(f'ck_explanations_{name}_not_blank'), f"{name} <> ''")


def downgrade() -> None:
    with op.batch_alter_table('explanations') as batch:
        for name in COLUMNS:
            batch.drop_constraint(op.f(f'ck_explanations_{name}_not_blank'), type_='check')
            batch.drop_column(name)
