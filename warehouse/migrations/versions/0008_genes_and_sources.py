"""genes and sources"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

KINDS = (
    *('allele_frequency', 'allele_function', 'phenotype_rule', 'diplotype', 'guidance', 'population_share'),
    *('usual_daily_dose', 'default_alternative', 'group_effective_size', 'published_recommendation'),
)


def _kinds(kinds: tuple[str, ...]) -> None:
    allowed = f"kind IN ({', '.join(repr(kind) for kind in kinds)})"
    for table in ('content_releases', 'site_releases'):
        name = f'ck_{table}_kind_one_of'
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(name), type_='check')
            batch_op.create_check_constraint(batch_op.f(name), allowed)


def upgrade() -> None:
    op.create_table('genes',
    sa.Column('release_id', sa.String(), nullable=False, comment='Release.'),
    sa.Column('gene', sa.String(), nullable=False, comment='HGNC symbol.'),
    sa.Column('inheritance', sa.String(), nullable=False, comment='Copies of a person.'),
    sa.Column('counting', sa.String(), nullable=False, comment='haplotypes (exclude each other on a copy), variants (do not), carriers (each allele is a test of its own).'),
    sa.Column('reference', sa.String(), nullable=True, comment='Allele that takes what is left; blank = told by its name.'),
    sa.Column('location', sa.String(), nullable=True, comment='Place on the chromosome.'),
    sa.Column('linkage_block', sa.String(), nullable=True, comment='Genes of one block must not be multiplied.'),
    sa.Column('left_out_alleles', sa.String(), nullable=True, comment="Alleles counted under another name already, separated by ';'."),
    sa.Column('no_frequency', sa.String(), nullable=True, comment='Why no frequency is built in.'),
    sa.Column('source', sa.String(), nullable=False, comment='Where it is from.'),
    sa.Column('version', sa.String(), nullable=False, comment='Date.'),
    sa.Column('pmid', sa.String(), nullable=True, comment="PubMed id, or 'none: ' and the reason."),
    sa.CheckConstraint("counting IN ('haplotypes', 'variants', 'carriers')", name=op.f('ck_genes_counting_one_of')),
    sa.CheckConstraint("gene <> ''", name=op.f('ck_genes_gene_not_blank')),
    sa.CheckConstraint("inheritance IN ('autosomal', 'x_linked', 'mitochondrial')", name=op.f('ck_genes_inheritance_one_of')),
    sa.CheckConstraint("source <> ''", name=op.f('ck_genes_source_not_blank')),
    sa.CheckConstraint("version <> ''", name=op.f('ck_genes_version_not_blank')),
    sa.ForeignKeyConstraint(['release_id'], ['content_releases.release_id'], name=op.f('fk_genes_release_id_content_releases')),
    sa.PrimaryKeyConstraint('release_id', 'gene', name=op.f('pk_genes')),
    comment='What is declared of a gene: how many copies people have, what its alleles are, what it is linked to.',
    info={'layer': 'reference'}
    )
    with op.batch_alter_table('allele_frequencies', schema=None) as batch_op:
        batch_op.add_column(sa.Column('pmid', sa.String(), nullable=True, comment="PubMed id, or 'none: ' and the reason."))

    with op.batch_alter_table('allele_functions', schema=None) as batch_op:
        batch_op.add_column(sa.Column('pmid', sa.String(), nullable=True, comment="PubMed id, or 'none: ' and the reason."))

    _kinds(('gene', *KINDS))
    with op.batch_alter_table('default_alternatives', schema=None) as batch_op:
        batch_op.add_column(sa.Column('therapy', sa.String(), nullable=True, comment='What both drugs are given for.'))

    with op.batch_alter_table('guidance', schema=None) as batch_op:
        batch_op.add_column(sa.Column('table_date', sa.String(), nullable=True, comment="Date of the publisher's table that the row was taken from."))

    with op.batch_alter_table('usual_daily_doses', schema=None) as batch_op:
        batch_op.alter_column('usual_daily_dose_mg',
               existing_type=sa.Float(),
               existing_comment='Usual daily dose.',
               comment='Usual daily dose; blank where none is defined, basis says why.',
               nullable=True)



def downgrade() -> None:
    with op.batch_alter_table('usual_daily_doses', schema=None) as batch_op:
        batch_op.alter_column('usual_daily_dose_mg',
               existing_type=sa.Float(),
               existing_comment='Usual daily dose; blank where none is defined, basis says why.',
               comment='Usual daily dose.',
               nullable=False)

    with op.batch_alter_table('guidance', schema=None) as batch_op:
        batch_op.drop_column('table_date')

    with op.batch_alter_table('default_alternatives', schema=None) as batch_op:
        batch_op.drop_column('therapy')

    with op.batch_alter_table('allele_functions', schema=None) as batch_op:
        batch_op.drop_column('pmid')

    with op.batch_alter_table('allele_frequencies', schema=None) as batch_op:
        batch_op.drop_column('pmid')

    op.drop_table('genes')
    _kinds(KINDS)
