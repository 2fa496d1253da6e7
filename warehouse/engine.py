"""The database connection: SQLite in write-ahead mode as the embedded default, PostgreSQL for a team."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from forecasting.errors import InvalidInput

SQLITE_BUSY_SECONDS = 30
KEPT_CONNECTIONS = 10
"""PostgreSQL connections a process keeps open between uses; as many more are opened in a rush."""


def create_engine(url: str) -> sa.Engine:
    """An engine for a SQLite or PostgreSQL URL; other databases, or a malformed URL, raise `InvalidInput`.

    A PostgreSQL URL without a driver gets psycopg.

    >>> create_engine("postgresql://me@localhost/pgx").driver
    'psycopg'
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise InvalidInput(f"not a database URL: {url!r}") from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "postgresql":
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=KEPT_CONNECTIONS, max_overflow=KEPT_CONNECTIONS)
    if parsed.get_backend_name() != "sqlite":
        raise InvalidInput(f"database {parsed.get_backend_name()!r} is not supported: use sqlite or postgresql")
    engine = sa.create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # the driver must not begin transactions on its own: it would start them late and lose the write lock's order
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # a reader must not hold up a writer; a writer asks for the lock at once instead of failing half-way
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def writing(engine: sa.Engine) -> Any:
    """A context manager: one write transaction, committed at its end or rolled back as a whole."""
    return engine.execution_options(writes=True).begin()


def reading(engine: sa.Engine) -> sa.Connection:
    """A connection to read with again and again, inside `begin()`.

    PostgreSQL is spared a BEGIN and a COMMIT, which at its usual isolation change nothing for reads.
    """
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine.connect()
