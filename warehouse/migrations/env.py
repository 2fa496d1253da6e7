"""What Alembic runs: on the caller's connection when there is one, else on the database of the settings."""

import sqlalchemy as sa
from alembic import context

from warehouse.engine import create_engine, writing
from warehouse.schema import Base
from warehouse.settings import Settings


def migrate(connection: sa.Connection) -> None:
    """Run the revisions on the connection, inside its transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
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
        migrate(own)


# there is no configuration when a tool merely imports this module, e.g. to collect doctests
if hasattr(context, "config"):
    run(context.config.attributes.get("connection"))
