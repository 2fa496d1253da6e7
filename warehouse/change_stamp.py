"""Whether anything in the database has changed, whoever changed it: a stamp that stays while nothing was committed.

PostgreSQL: the snapshot (which transactions are visible), so two equal ones show the same rows. SQLite: the counter
`data_version`, which moves when another connection commits. Either is cheap to read and needs no trigger or lock. A
stamp is no time. It counts for one process: nothing else can compare it.
"""

import threading

import sqlalchemy as sa

from warehouse.engine import reading

QUERIES = {"postgresql": "SELECT pg_current_snapshot()::text", "sqlite": "PRAGMA data_version"}

Stamp = tuple[int, str]


class Stamps:
    """Reads the stamp over a connection of its own, which never writes; one reader at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._query = QUERIES[engine.dialect.name]
        self._connection: sa.Connection | None = None
        self._opened = 0
        self._lock = threading.Lock()
        sa.event.listen(engine, "engine_disposed", lambda _: self.close())

    def read(self) -> Stamp | None:
        """The stamp as of some moment within this call; None when the database does not answer.

        After a new connection no stamp equals one from before: counters may have begun anew.
        """
        with self._lock:
            try:
                connection = self._open() if self._connection is None else self._connection
                with connection.begin():
                    value = connection.exec_driver_sql(self._query).scalar_one()
            except sa.exc.SQLAlchemyError:
                self._close()
                return None
            return self._opened, str(value)

    def close(self) -> None:
        """Give the connection back; the next reading opens another."""
        with self._lock:
            self._close()

    def _open(self) -> sa.Connection:
        self._opened += 1
        self._connection = reading(self._engine)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
