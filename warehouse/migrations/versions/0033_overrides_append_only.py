"""overrides and their withdrawals cannot be changed or removed"""

from alembic import op

revision = '0033'
down_revision = '0032'
branch_labels = None
depends_on = None

KEPT = ('forecast_overrides', 'override_withdrawals')


def upgrade() -> None:
    """As revision 0005 does for decisions and the audit trail; Alembic does not compare triggers."""
    for name in KEPT:
        if op.get_bind().dialect.name == 'sqlite':
            for verb in ('UPDATE', 'DELETE'):
                op.execute(
                    f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
                    f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
                )
            continue
        op.execute(
            f'CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} '
            'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()'
        )


def downgrade() -> None:
    for name in KEPT:
        if op.get_bind().dialect.name == 'sqlite':
            for verb in ('update', 'delete'):
                op.execute(f'DROP TRIGGER {name}_no_{verb}')
            continue
        op.execute(f'DROP TRIGGER {name}_append_only ON {name}')
