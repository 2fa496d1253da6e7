"""What Alembic runs: on the caller's connection when there is one, else on the database of the settings."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from forecasting.errors import InvalidInput
from warehouse.engine import create_engine, writing
from warehouse.migrations import refuse_unknown_revision
from warehouse.schema import Base
from warehouse.schema.base import ExactDecimal
from warehouse.settings import Settings


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """How a new revision writes an exact number: as it is today, so that the revision does not change with the type."""
    if kind == "type" and isinstance(item, ExactDecimal):
        return 'sa.Numeric(24, 6).with_variant(sa.String(32), "sqlite")'
    return False


def migrate(connection: sa.Connection) -> None:
    """Run the revisions on the connection, inside its transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=render_item,
        render_as_batch=connection.dialect.name == "sqlite",
        # without the plugin, CHECK constraints are neither generated nor compared
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    )
    with context.begin_transaction():
        context.run_migrations()


def run(given: sa.Connection | None) -> None:
    """Migrate on the caller's connection, else on one of our own."""
    if given is not None:
        migrate(given)
        return
    with writing(create_engine(Settings.from_environment().database_url)) as own:
        try:
            refuse_unknown_revision(own)
        except InvalidInput as error:  # Alembic's command line says this error without a traceback
            raise CommandError(str(error)) from error
        migrate(own)


# there is no configuration when a tool merely imports this module, e.g. to collect doctests
if hasattr(context, "config"):
    run(context.config.attributes.get("connection"))
