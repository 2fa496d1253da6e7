"""What an endpoint is given: the time, and one transaction that is committed before the answer leaves."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool

from api.http.errors import InvalidRequest
from warehouse.engine import writing

MOST_TRANSACTIONS = 10
"""Transactions open at once: below the pool's size, so that a request never holds a thread to wait for a connection."""

REPEATABLE = frozenset({"status", "facility_id", "product_id", "supplier_id", "reason", "order_id"})
"""Parameters that take a list."""

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The time as tables keep it: UTC, without a time zone."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


async def _now(request: Request) -> dt.datetime:
    clock: Clock = request.app.state.clock
    return clock()


async def _transaction(request: Request) -> AsyncIterator[sa.Connection]:
    engine: sa.Engine = request.app.state.engine
    transaction = engine.begin() if request.method == "GET" else writing(engine)
    async with contextmanager_in_threadpool(transaction) as connection:
        yield connection


async def refuse_repeated_parameters(request: Request) -> None:
    """Refuse a parameter that is given twice and takes one value; a list takes several."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in REPEATABLE and names.count(name) > 1:
            raise InvalidRequest.field(name, "given more than once")


async def refuse_parameters(request: Request) -> None:
    """Refuse any query parameter: for endpoints that take none."""
    for name in request.query_params:
        raise InvalidRequest.field(name, "unknown parameter or field")


ONCE_EACH = [Depends(refuse_repeated_parameters)]
"""Dependencies of what takes query parameters: each at most once."""
NO_PARAMETERS = [Depends(refuse_parameters)]
"""Dependencies of what takes no query parameter."""

Now = Annotated[dt.datetime, Depends(_now)]
Db = Annotated[sa.Connection, Depends(_transaction, scope="function", max_concurrency=MOST_TRANSACTIONS)]
