"""prevalence by biogeographic group"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

BEFORE = (
    'as_of, facility_id, gene, result_type, result, mean, low, high, effective_n, share_published, share_counts'
)


def upgrade() -> None:
    # the key grows: rows of earlier days speak of all people served
    op.execute('CREATE TABLE prevalence_before AS SELECT * FROM prevalence')
    op.drop_table('prevalence')
    op.create_table('prevalence',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = whole network."),
    sa.Column('gene', sa.String(), nullable=False, comment='HGNC symbol.'),
    sa.Column('biogeographic_group', sa.String(), nullable=False, comment="Group of the people it speaks of; '*' = all people served."),
    sa.Column('ancestry_share', sa.Float(), nullable=False, comment="Share of the group in the people served; 1 for '*'."),
    sa.Column('result_type', sa.String(), nullable=False, comment='What `result` names.'),
    sa.Column('result', sa.String(), nullable=False, comment='Allele, phenotype or lookup key.'),
    sa.Column('mean', sa.Float(), nullable=False, comment='Posterior mean.'),
    sa.Column('low', sa.Float(), nullable=False, comment='5 % quantile.'),
    sa.Column('high', sa.Float(), nullable=False, comment='95 % quantile.'),
    sa.Column('effective_n', sa.Float(), nullable=False, comment='People the estimate is worth.'),
    sa.Column('share_published', sa.Float(), nullable=False, comment='Weight of published frequencies.'),
    sa.Column('share_counts', sa.Float(), nullable=False, comment="Weight of the site's own counts."),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_prevalence_facility_id_not_blank')),
    sa.CheckConstraint("gene <> ''", name=op.f('ck_prevalence_gene_not_blank')),
    sa.CheckConstraint("result <> ''", name=op.f('ck_prevalence_result_not_blank')),
    sa.CheckConstraint("biogeographic_group <> ''", name=op.f('ck_prevalence_biogeographic_group_not_blank')),
    sa.CheckConstraint('ancestry_share >= 0', name=op.f('ck_prevalence_ancestry_share_at_least_0')),
    sa.CheckConstraint('ancestry_share <= 1', name=op.f('ck_prevalence_ancestry_share_at_most_1')),
    sa.CheckConstraint("result_type IN ('allele', 'diplotype', 'phenotype', 'lookup_key')", name=op.f('ck_prevalence_result_type_one_of')),
    sa.CheckConstraint('effective_n >= 0', name=op.f('ck_prevalence_effective_n_at_least_0')),
    sa.CheckConstraint('high <= 1', name=op.f('ck_prevalence_high_at_most_1')),
    sa.CheckConstraint('high >= 0', name=op.f('ck_prevalence_high_at_least_0')),
    sa.CheckConstraint('low <= 1', name=op.f('ck_prevalence_low_at_most_1')),
    sa.CheckConstraint('low >= 0', name=op.f('ck_prevalence_low_at_least_0')),
    sa.CheckConstraint('mean <= 1', name=op.f('ck_prevalence_mean_at_most_1')),
    sa.CheckConstraint('mean >= 0', name=op.f('ck_prevalence_mean_at_least_0')),
    sa.CheckConstraint('share_counts <= 1', name=op.f('ck_prevalence_share_counts_at_most_1')),
    sa.CheckConstraint('share_counts >= 0', name=op.f('ck_prevalence_share_counts_at_least_0')),
    sa.CheckConstraint('share_published <= 1', name=op.f('ck_prevalence_share_published_at_most_1')),
    sa.CheckConstraint('share_published >= 0', name=op.f('ck_prevalence_share_published_at_least_0')),
    sa.PrimaryKeyConstraint('as_of', 'facility_id', 'gene', 'biogeographic_group', 'result_type', 'result', name=op.f('pk_prevalence')),
    comment="Posterior frequency of alleles, phenotypes and lookup keys per site and gene, with a 90 % interval. Rows of the group '*' are what is published; the allele rows of the groups are what draws are made from.",
    info={'layer': 'results'}
    )
    op.execute(
        f"INSERT INTO prevalence ({BEFORE}, biogeographic_group, ancestry_share) "
        f"SELECT {BEFORE}, '*', 1.0 FROM prevalence_before"
    )
    op.drop_table('prevalence_before')


def downgrade() -> None:
    op.execute("CREATE TABLE prevalence_after AS SELECT * FROM prevalence WHERE biogeographic_group = '*'")
    op.drop_table('prevalence')
    op.create_table('prevalence',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = whole network."),
    sa.Column('gene', sa.String(), nullable=False, comment='HGNC symbol.'),
    sa.Column('result_type', sa.String(), nullable=False, comment='What `result` names.'),
    sa.Column('result', sa.String(), nullable=False, comment='Allele, phenotype or lookup key.'),
    sa.Column('mean', sa.Float(), nullable=False, comment='Posterior mean.'),
    sa.Column('low', sa.Float(), nullable=False, comment='5 % quantile.'),
    sa.Column('high', sa.Float(), nullable=False, comment='95 % quantile.'),
    sa.Column('effective_n', sa.Float(), nullable=False, comment='People the estimate is worth.'),
    sa.Column('share_published', sa.Float(), nullable=False, comment='Weight of published frequencies.'),
    sa.Column('share_counts', sa.Float(), nullable=False, comment="Weight of the site's own counts."),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_prevalence_facility_id_not_blank')),
    sa.CheckConstraint("gene <> ''", name=op.f('ck_prevalence_gene_not_blank')),
    sa.CheckConstraint("result <> ''", name=op.f('ck_prevalence_result_not_blank')),
    sa.CheckConstraint("result_type IN ('allele', 'diplotype', 'phenotype', 'lookup_key')", name=op.f('ck_prevalence_result_type_one_of')),
    sa.CheckConstraint('effective_n >= 0', name=op.f('ck_prevalence_effective_n_at_least_0')),
    sa.CheckConstraint('high <= 1', name=op.f('ck_prevalence_high_at_most_1')),
    sa.CheckConstraint('high >= 0', name=op.f('ck_prevalence_high_at_least_0')),
    sa.CheckConstraint('low <= 1', name=op.f('ck_prevalence_low_at_most_1')),
    sa.CheckConstraint('low >= 0', name=op.f('ck_prevalence_low_at_least_0')),
    sa.CheckConstraint('mean <= 1', name=op.f('ck_prevalence_mean_at_most_1')),
    sa.CheckConstraint('mean >= 0', name=op.f('ck_prevalence_mean_at_least_0')),
    sa.CheckConstraint('share_counts <= 1', name=op.f('ck_prevalence_share_counts_at_most_1')),
    sa.CheckConstraint('share_counts >= 0', name=op.f('ck_prevalence_share_counts_at_least_0')),
    sa.CheckConstraint('share_published <= 1', name=op.f('ck_prevalence_share_published_at_most_1')),
    sa.CheckConstraint('share_published >= 0', name=op.f('ck_prevalence_share_published_at_least_0')),
    sa.PrimaryKeyConstraint('as_of', 'facility_id', 'gene', 'result_type', 'result', name=op.f('pk_prevalence')),
    comment='Posterior frequency of alleles, phenotypes and lookup keys per site and gene, with a 90 % interval.',
    info={'layer': 'results'}
    )
    op.execute(f'INSERT INTO prevalence ({BEFORE}) SELECT {BEFORE} FROM prevalence_after')
    op.drop_table('prevalence_after')
