"""probabilities of the functions of uncertain alleles; share of males among the people a site serves"""

import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

KINDS = (
    *('gene', 'allele_frequency', 'allele_function', 'phenotype_rule', 'diplotype', 'guidance', 'population_share'),
    *('usual_daily_dose', 'default_alternative', 'group_effective_size', 'published_recommendation'),
)
ADDED = 'function_probability'
SHARE_MALE = 'Share of males among the people served; blank = one half.'


def _kinds(kinds: tuple[str, ...]) -> None:
    allowed = f"kind IN ({', '.join(repr(kind) for kind in kinds)})"
    for table in ('content_releases', 'site_releases'):
        name = f'ck_{table}_kind_one_of'
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(name), type_='check')
            batch_op.create_check_constraint(batch_op.f(name), allowed)


def upgrade() -> None:
    op.create_table('function_probabilities',
    sa.Column('release_id', sa.String(), nullable=False, comment='Release.'),
    sa.Column('gene', sa.String(), nullable=False, comment='HGNC symbol.'),
    sa.Column('allele', sa.String(), nullable=False, comment='Allele whose published function is uncertain or unknown.'),
    sa.Column('clinical_function', sa.String(), nullable=False, comment="Function as the gene's other alleles have it."),
    sa.Column('activity_value', sa.String(), nullable=False, comment="Its activity value; n/a = the gene's functions have none."),
    sa.Column('probability', sa.Float(), nullable=False, comment='Probability of this function; what an allele lacks to 1 stays uncertain.'),
    sa.Column('source', sa.String(), nullable=False, comment='Predictor or study it is from.'),
    sa.Column('version', sa.String(), nullable=False, comment='Date or version.'),
    sa.Column('pmid', sa.String(), nullable=True, comment="PubMed id, or 'none: ' and the reason."),
    sa.CheckConstraint("activity_value <> ''", name=op.f('ck_function_probabilities_activity_value_not_blank')),
    sa.CheckConstraint("allele <> ''", name=op.f('ck_function_probabilities_allele_not_blank')),
    sa.CheckConstraint("clinical_function <> ''", name=op.f('ck_function_probabilities_clinical_function_not_blank')),
    sa.CheckConstraint("gene <> ''", name=op.f('ck_function_probabilities_gene_not_blank')),
    sa.CheckConstraint('probability <= 1', name=op.f('ck_function_probabilities_probability_at_most_1')),
    sa.CheckConstraint('probability >= 0', name=op.f('ck_function_probabilities_probability_at_least_0')),
    sa.CheckConstraint("source <> ''", name=op.f('ck_function_probabilities_source_not_blank')),
    sa.CheckConstraint("version <> ''", name=op.f('ck_function_probabilities_version_not_blank')),
    sa.ForeignKeyConstraint(['release_id'], ['content_releases.release_id'], name=op.f('fk_function_probabilities_release_id_content_releases')),
    sa.PrimaryKeyConstraint('release_id', 'gene', 'allele', 'clinical_function', 'activity_value', name=op.f('pk_function_probabilities')),
    comment='How likely each function of an allele of uncertain function is, e.g. from in-silico predictors.',
    info={'layer': 'reference'}
    )
    _kinds((*KINDS, ADDED))
    with op.batch_alter_table('facilities') as batch:
        batch.add_column(sa.Column('share_male', sa.Float(), nullable=True, comment=SHARE_MALE))
        batch.create_check_constraint(op.f('ck_facilities_share_male_at_least_0'), 'share_male >= 0')
        batch.create_check_constraint(op.f('ck_facilities_share_male_at_most_1'), 'share_male <= 1')


def downgrade() -> None:
    with op.batch_alter_table('facilities') as batch:
        batch.drop_constraint(op.f('ck_facilities_share_male_at_most_1'), type_='check')
        batch.drop_constraint(op.f('ck_facilities_share_male_at_least_0'), type_='check')
        batch.drop_column('share_male')
    op.drop_table('function_probabilities')
    releases = f"SELECT release_id FROM content_releases WHERE kind = '{ADDED}'"
    op.execute(f"DELETE FROM site_releases WHERE release_id IN ({releases})")
    op.execute(f"DELETE FROM content_releases WHERE kind = '{ADDED}'")
    _kinds(KINDS)
