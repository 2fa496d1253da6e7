"""Reads that systems repeat all day: who asks and what is read share one connection and one step into a thread."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from fastapi import Depends, Request, Response

from api.access.callers import check_scope, principal
from api.http.middleware import JSON_TYPE
from api.principal import Principal
from warehouse.engine import reading

READERS = 4
"""Threads, each with its connection, for these reads: more would only wait for the interpreter."""

Work = Callable[[sa.Connection, Principal], bytes]
Read = Callable[[Work], Awaitable[Response]]


class Readers:
    """The threads of one application, begun when first used, and their connections, kept as long as they work."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(READERS, "reads")
        self._idle: list[sa.Connection] = []
        sa.event.listen(engine, "engine_disposed", self._close)

    async def run(self, read: Callable[[sa.Connection], bytes]) -> bytes:
        """What `read` returns; it is called again when its connection turns out to have been closed meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, read)

    def _run(self, read: Callable[[sa.Connection], bytes]) -> bytes:
        while self._idle:
            try:
                return self._read(self._idle.pop(), read)
            except sa.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            except IndexError:  # another thread took the last one
                break
        return self._read(reading(self._engine), read)

    def _read(self, connection: sa.Connection, read: Callable[[sa.Connection], bytes]) -> bytes:
        try:
            with connection.begin():
                answer = read(connection)
        except sa.exc.SQLAlchemyError:
            connection.close()
            raise
        except Exception:
            self._idle.append(connection)
            raise
        self._idle.append(connection)
        return answer

    def _close(self, _engine: sa.Engine) -> None:
        while self._idle:
            connection = self._idle.pop()
            connection.invalidate()
            connection.close()


def pooled_read(*scopes: str) -> Any:
    """The dependency of such a read: a function that answers with the JSON that `work` makes of a connection.

    A key needs one of the scopes, as with `callers.reader`; what is refused raises before `work` is called.
    """

    async def read_function(request: Request) -> Read:
        async def answer(work: Work) -> Response:
            def read(connection: sa.Connection) -> bytes:
                caller = principal(request, connection, request.app.state.clock())
                check_scope(caller, scopes)
                return work(connection, caller)

            readers: Readers = request.app.state.readers
            return Response(await readers.run(read), media_type=JSON_TYPE)

        return answer

    return Depends(read_function)
