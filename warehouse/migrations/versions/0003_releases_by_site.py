"""releases by site: activations and site_releases take the place of content_releases.active

Publishers' releases that were in force everywhere, because nobody had to activate them, are in force nowhere until a
person does. What earlier runs rested on is kept in site_releases.
"""

import datetime as dt
import json

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

EVER = dt.date(1900, 1, 1)
RELEASE_COMMENTS = (
    'One release of one kind of reference content; the active release of a kind is what a run uses.',
    'One release of one kind of reference content; `activations` says from which day a site uses it.',
)
RUN_COMMENTS = (
    'JSON object kind -> release_id.',
    "JSON object site -> kind -> release_id; '*' = every site that is not named.",
)
LOAD_COMMENTS = (
    'bundle, scmd, epd, sdud, cpic, pharmcat or api.',
    'bundle, scmd, epd, sdud, cpic, pharmcat, curated or api.',
)
KINDS = ('allele_frequency', 'allele_function', 'phenotype_rule', 'diplotype', 'guidance', 'population_share')
MORE_KINDS = ('usual_daily_dose', 'default_alternative', 'group_effective_size', 'published_recommendation')

PUBLISHED = 'release_id, recommendation_id, version, drug, population, lookup_key, classification, recommendation_text, mapping'


def upgrade() -> None:
    op.create_table('activations',
    sa.Column('activation_id', sa.Integer(), autoincrement=True, nullable=False, comment='Number.'),
    sa.Column('release_id', sa.String(), nullable=False, comment='Release.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = every site."),
    sa.Column('effective_on', sa.Date(), nullable=False, comment='Day from which prescribing follows it: runs with this origin or a later one use it.'),
    sa.Column('decided_at', sa.DateTime(), nullable=False, comment='When it was decided (UTC).'),
    sa.Column('user_id', sa.Integer(), nullable=False, comment='Who decided.'),
    sa.Column('note', sa.String(), nullable=True, comment="In the person's words."),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_activations_facility_id_not_blank')),
    sa.ForeignKeyConstraint(['release_id'], ['content_releases.release_id'], name=op.f('fk_activations_release_id_content_releases')),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_activations_user_id_users')),
    sa.PrimaryKeyConstraint('activation_id', name=op.f('pk_activations')),
    comment='A person put a release in force at a site from a day on. Append-only: rows are never changed or deleted.',
    info={'layer': 'ledger'}
    )
    op.create_index(op.f('ix_activations_release_id'), 'activations', ['release_id'], unique=False)
    site_releases = op.create_table('site_releases',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = whole network."),
    sa.Column('kind', sa.String(), nullable=False, comment="What the release's rows are."),
    sa.Column('effective_on', sa.Date(), nullable=False, comment='First day it was in force; 1900-01-01 = since ever.'),
    sa.Column('release_id', sa.String(), nullable=False, comment='Release.'),
    sa.Column('in_force', sa.Boolean(), nullable=False, comment='True for the one in force at the origin.'),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_site_releases_facility_id_not_blank')),
    sa.CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in (*KINDS, *MORE_KINDS))})", name=op.f('ck_site_releases_kind_one_of')),
    sa.ForeignKeyConstraint(['release_id'], ['content_releases.release_id'], name=op.f('fk_site_releases_release_id_content_releases')),
    sa.PrimaryKeyConstraint('as_of', 'facility_id', 'kind', 'effective_on', name=op.f('pk_site_releases')),
    comment="Which release of each kind a site's results of an origin rest on, and which its prescribing followed before.",
    info={'layer': 'results'}
    )
    _tell_of_earlier_runs(site_releases)
    op.drop_column('content_releases', 'active')
    op.execute('CREATE TABLE kept_published AS SELECT * FROM published_recommendations')
    op.drop_table('published_recommendations')
    _create_published(with_source=True)
    cpic = "release_id IN (SELECT release_id FROM content_releases WHERE publisher = 'CPIC')"
    source = f"CASE WHEN {cpic} THEN 'CPIC' ELSE 'not stated' END"
    op.execute(f'INSERT INTO published_recommendations ({PUBLISHED}, source) SELECT {PUBLISHED}, {source} FROM kept_published')
    op.drop_table('kept_published')
    _comments(0, 1)
    # the new column is part of the key: SQLite can only take it with a new table
    op.execute('CREATE TABLE kept_moves AS SELECT * FROM regimen_moves')
    op.drop_table('regimen_moves')
    _create_moves(with_start=True)
    names = 'as_of, facility_id, therapy, recommendation_id, product_id, to_product_id, population_share, units_low, units_high'
    op.execute(f"INSERT INTO regimen_moves ({names}, followed_from) SELECT {names}, '1900-01-01' FROM kept_moves")
    op.drop_table('kept_moves')


def downgrade() -> None:
    op.execute("CREATE TABLE kept_moves AS SELECT * FROM regimen_moves WHERE followed_from = '1900-01-01'")
    op.drop_table('regimen_moves')
    _create_moves(with_start=False)
    names = 'as_of, facility_id, therapy, recommendation_id, product_id, to_product_id, population_share, units_low, units_high'
    op.execute(f'INSERT INTO regimen_moves ({names}) SELECT {names} FROM kept_moves')
    op.drop_table('kept_moves')
    op.execute('CREATE TABLE kept_published AS SELECT * FROM published_recommendations')
    op.drop_table('published_recommendations')
    _create_published(with_source=False)
    op.execute(f'INSERT INTO published_recommendations ({PUBLISHED}) SELECT {PUBLISHED} FROM kept_published')
    op.drop_table('kept_published')
    _comments(1, 0)
    op.add_column('content_releases', sa.Column('active', sa.Boolean(), nullable=False, server_default=sa.false(), comment='Used by runs from now on; one active release a kind.'))
    runs = sa.table('runs', sa.column('run_id', sa.String), sa.column('releases', sa.String))
    for run_id, releases in op.get_bind().execute(sa.select(runs)).all():
        told = json.dumps(json.loads(releases)['*'], sort_keys=True)
        op.execute(runs.update().where(runs.c.run_id == run_id).values(releases=told))
    op.drop_table('site_releases')
    op.drop_index(op.f('ix_activations_release_id'), table_name='activations')
    op.drop_table('activations')


def _tell_of_earlier_runs(site_releases: sa.Table) -> None:
    columns = (sa.column('run_id', sa.String), sa.column('as_of', sa.Date), sa.column('releases', sa.String))
    runs = sa.table('runs', *columns, sa.column('started_at', sa.DateTime))
    connection = op.get_bind()
    sites = connection.scalars(sa.text('SELECT facility_id FROM facilities')).all()
    newest = {}
    for run_id, as_of, releases in connection.execute(sa.select(runs.c.run_id, runs.c.as_of, runs.c.releases).order_by(runs.c.started_at)).all():
        newest[as_of] = json.loads(releases)
        told = json.dumps({'*': json.loads(releases)}, sort_keys=True)
        op.execute(runs.update().where(runs.c.run_id == run_id).values(releases=told))
    rows = [
        {'as_of': as_of, 'facility_id': site, 'kind': kind, 'effective_on': EVER, 'release_id': release, 'in_force': True}
        for as_of, releases in newest.items()
        for site in sites
        for kind, release in releases.items()
    ]
    op.bulk_insert(site_releases, rows)


def _comments(before: int, after: int) -> None:
    if op.get_bind().dialect.name == 'sqlite':
        return  # it keeps none
    op.create_table_comment('content_releases', RELEASE_COMMENTS[after], existing_comment=RELEASE_COMMENTS[before])
    op.alter_column('loads', 'format', existing_type=sa.String(), comment=LOAD_COMMENTS[after], existing_comment=LOAD_COMMENTS[before])
    op.alter_column('runs', 'releases', existing_type=sa.String(), comment=RUN_COMMENTS[after], existing_comment=RUN_COMMENTS[before])


def _create_moves(with_start: bool) -> None:
    start = sa.Column('followed_from', sa.Date(), nullable=False, comment='Day from which prescribing followed the releases that the row is of; 1900-01-01 = since ever.')
    key = ['as_of', 'facility_id', 'recommendation_id', *(['followed_from'] if with_start else []), 'product_id', 'to_product_id']
    op.create_table('regimen_moves',
    sa.Column('as_of', sa.Date(), nullable=False, comment='Origin: the first day that the run looks ahead from.'),
    sa.Column('facility_id', sa.String(), nullable=False, comment="Site, '*' = whole network."),
    sa.Column('therapy', sa.String(), nullable=False, comment='Drugs that stand in for each other.'),
    sa.Column('recommendation_id', sa.String(), nullable=False, comment='Guidance row.'),
    *([start] if with_start else []),
    sa.Column('product_id', sa.String(), nullable=False, comment='Product.'),
    sa.Column('to_product_id', sa.String(), nullable=False, comment='Product used instead.'),
    sa.Column('population_share', sa.Float(), nullable=False, comment="Share of the drug's patients in the row's population."),
    sa.Column('units_low', sa.Float(), nullable=False, comment='Change of to_product_id at the low end of the dose range.'),
    sa.Column('units_high', sa.Float(), nullable=False, comment='The same at the high end.'),
    sa.CheckConstraint("facility_id <> ''", name=op.f('ck_regimen_moves_facility_id_not_blank')),
    sa.CheckConstraint("product_id <> ''", name=op.f('ck_regimen_moves_product_id_not_blank')),
    sa.CheckConstraint("recommendation_id <> ''", name=op.f('ck_regimen_moves_recommendation_id_not_blank')),
    sa.CheckConstraint("therapy <> ''", name=op.f('ck_regimen_moves_therapy_not_blank')),
    sa.CheckConstraint("to_product_id <> ''", name=op.f('ck_regimen_moves_to_product_id_not_blank')),
    sa.CheckConstraint('population_share <= 1', name=op.f('ck_regimen_moves_population_share_at_most_1')),
    sa.CheckConstraint('population_share >= 0', name=op.f('ck_regimen_moves_population_share_at_least_0')),
    sa.PrimaryKeyConstraint(*key, name=op.f('pk_regimen_moves')),
    comment='What a dose unit becomes when a guidance row is followed, less the unit itself; one row per source and target.',
    info={'layer': 'results'}
    )


def _create_published(with_source: bool) -> None:
    source = sa.Column('source', sa.String(), nullable=False, comment='Who recommends it: CPIC or DPWG.')
    rule = sa.CheckConstraint("source <> ''", name=op.f('ck_published_recommendations_source_not_blank'))
    op.create_table('published_recommendations',
    sa.Column('release_id', sa.String(), nullable=False, comment='Release.'),
    sa.Column('recommendation_id', sa.String(), nullable=False, comment="Publisher's row id."),
    *([source] if with_source else []),
    sa.Column('version', sa.String(), nullable=False, comment="Publisher's row version."),
    sa.Column('drug', sa.String(), nullable=False, comment='Ingredient, lower case.'),
    sa.Column('population', sa.String(), nullable=False, comment='Indication or population.'),
    sa.Column('lookup_key', sa.String(), nullable=False, comment='JSON object gene -> lookup key.'),
    sa.Column('classification', sa.String(), nullable=False, comment='Strength as published.'),
    sa.Column('recommendation_text', sa.String(), nullable=False, comment="The publisher's text, for a person to read."),
    sa.Column('mapping', sa.String(), nullable=False, comment="mapped (same row in guidance), changed (other version or key), unmapped (blocks the drug's rows)."),
    sa.CheckConstraint("drug <> ''", name=op.f('ck_published_recommendations_drug_not_blank')),
    sa.CheckConstraint("lookup_key <> ''", name=op.f('ck_published_recommendations_lookup_key_not_blank')),
    sa.CheckConstraint("mapping IN ('mapped', 'changed', 'unmapped', 'no_guidance')", name=op.f('ck_published_recommendations_mapping_one_of')),
    sa.CheckConstraint("recommendation_id <> ''", name=op.f('ck_published_recommendations_recommendation_id_not_blank')),
    *([rule] if with_source else []),
    sa.ForeignKeyConstraint(['release_id'], ['content_releases.release_id'], name=op.f('fk_published_recommendations_release_id_content_releases')),
    sa.PrimaryKeyConstraint('release_id', 'recommendation_id', name=op.f('pk_published_recommendations')),
    comment="A publisher's recommendation row as loaded, and whether the structured guidance covers it.",
    info={'layer': 'reference'}
    )
